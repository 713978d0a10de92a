"""Which files of the build context a Dockerfile uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

_INSTRUCTION = re.compile(r"\s*(?:ONBUILD\s+)?(COPY|ADD|RUN)\s+(.*)", re.IGNORECASE | re.DOTALL)
_CONTINUED = re.compile(r"\\[ \t]*\n")
_MOUNT = re.compile(r"--mount=(\S+)")
_FLAG = re.compile(r"\s*--[a-z-]+(?:=\S+)?")
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|\w+)")


def context_sources(dockerfile: str) -> tuple[str, ...]:
    """List the paths and patterns that COPY, ADD and bind mounts take from the build context.

    `.` stands for all of it. What comes from another stage, an image or a URL is left out.
    """
    lines = [line for line in dockerfile.split("\n") if not line.lstrip().startswith("#")]
    found: dict[str, None] = {}
    for line in _CONTINUED.sub(" ", "\n".join(lines)).split("\n"):
        match = _INSTRUCTION.match(line)
        if match:
            sources = _mounted(match[2]) if match[1].upper() == "RUN" else _copied(match[2])
            found |= dict.fromkeys(map(_plain, sources))
    return tuple(found)


def _mounted(words: str) -> Iterator[str]:
    for mount in _MOUNT.findall(words):
        parts = dict(part.partition("=")[::2] for part in mount.split(","))
        if parts.get("type", "bind") == "bind" and "from" not in parts:
            yield parts.get("source") or parts.get("src") or "."


def _copied(words: str) -> Iterator[str]:
    while flag := _FLAG.match(words):
        if flag[0].strip().startswith("--from="):
            return
        words = words[flag.end() :]
    for source in _words(words)[:-1]:
        if not source.startswith(("http://", "https://", "git@", "<<")):
            yield source


def _words(text: str) -> list[str]:
    if text.strip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return []
        return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []
    return text.split()


def _plain(source: str) -> str:
    return _VARIABLE.sub("*", source).strip("\"'").removeprefix("/").removeprefix("./").rstrip("/") or "."


def covers(sources: tuple[str, ...], path: str) -> bool:
    """Return whether a file, or a folder that it is in, is one of the sources; `.` covers nothing here."""
    parts = path.split("/")
    folders = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(fnmatchcase(folder, source) for source in sources if source != "." for folder in folders)
