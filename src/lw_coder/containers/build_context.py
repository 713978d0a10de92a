"""Which files of the build context a Dockerfile reads, as far as its text says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from lw_coder.foundation.json_text import read_json

_COMMENT = re.compile(r"[ \t]*#")
_INSTRUCTION = re.compile(r"[ \t]*(?:ONBUILD[ \t]+)?(COPY|ADD|RUN)[ \t]+(.*)", re.IGNORECASE | re.DOTALL)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?[ \t]*")
_HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w*)[\"']?")
_REMOTE = re.compile(r"\w+://|git@")
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|\w+)")


def context_sources(dockerfile: str) -> list[str]:
    """Return the files, folders and patterns that COPY, ADD and RUN --mount read from the build context.

    Each is relative to the context's root; "." stands for all of it. Variables stay as they are written.
    Sources that come from another image, stage or address are left out.
    """
    found: dict[str, None] = {}
    for instruction, rest in _instructions(dockerfile):
        flags, arguments = _flags(rest)
        sources = _mounted(flags) if instruction == "RUN" else _copied(flags, arguments)
        found |= dict.fromkeys(filter(None, map(_relative, sources)))
    return list(found)


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield COPY, ADD and RUN, each with the rest of its line and of the lines that continue it."""
    lines = iter(dockerfile.split("\n"))
    for line in lines:
        if _COMMENT.match(line):
            continue
        while line.rstrip().endswith("\\"):
            following = next((text for text in lines if not _COMMENT.match(text)), "")
            line = f"{line.rstrip()[:-1]} {following}"  # noqa: PLW2901
        if found := _INSTRUCTION.match(line):
            for word in _HEREDOC.findall(found[2]):
                next((text for text in lines if text.strip() == word), None)
            yield found[1].upper(), found[2].strip()


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    flags = []
    while found := _FLAG.match(rest):
        flags.append((found[1], found[2] or ""))
        rest = rest[found.end() :]
    return flags, rest


def _copied(flags: list[tuple[str, str]], arguments: str) -> list[str]:
    if any(name == "from" for name, _ in flags):
        return []
    words = arguments.split()
    if arguments.startswith("["):
        try:
            words = [str(word) for word in read_json(arguments)]
        except ValueError:
            return []
    return words[:-1]


def _mounted(flags: list[tuple[str, str]]) -> Iterator[str]:
    for name, value in flags:
        options = dict(part.partition("=")[::2] for part in value.split(","))
        if name == "mount" and options.get("type", "bind") == "bind" and "from" not in options:
            yield options.get("source") or options.get("src") or "."


def _relative(source: str) -> str:
    if source.startswith("<<") or _REMOTE.match(source):
        return ""
    return source.strip("\"'").lstrip("/").removeprefix("./").rstrip("/") or "."


def has_variable(source: str) -> bool:
    """Return whether the value of a variable is part of a source."""
    return _VARIABLE.search(source) is not None


def covers(sources: Iterable[str], path: str) -> bool:
    """Return whether a file, or a folder that it is in, is one of the sources; `.` covers nothing here.

    A variable may have any value.
    """
    parts = path.split("/")
    folders = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    patterns = [_VARIABLE.sub("*", source) for source in sources if source != "."]
    return any(fnmatchcase(folder, pattern) for pattern in patterns for folder in folders)
