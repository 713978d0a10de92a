"""What an image is built from, as one hash: an image with the same hash need not be built again.

Only builds that can be compared in this way have a hash: those that read nothing but the base image and
not too many files of the repository. Of all others BuildKit decides what is current.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from lw_coder import __version__
from lw_coder.containers.build_context import context_sources
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.foundation.files import read_regular, resolved
from lw_coder.settings.docker_flags import BuildOptions

_MOST_FILES = 2000  # to read more takes as long as a build that finds everything in its cache
_MOST_BYTES = 16 << 20  # of all files together
_KNOWN_KEYS = {"args", "labels", "target"}  # of docker_build_args

# ADD is none of them: it can read other servers.
_KNOWN = (
    *("arg", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label", "run", "shell"),
    *("stopsignal", "user", "volume", "workdir"),
)
_WORD = re.compile(r"[ \t]*([A-Za-z]+)[ \t]")
_STAGE = re.compile(r"[ \t]*FROM[ \t]+(\S+)(?:[ \t]+AS[ \t]+(\S+))?[ \t]*", re.IGNORECASE)
_FROM_ELSEWHERE = re.compile(r"\bfrom=([^\s,]+)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"[ \t]*(?:#|//)[ \t]*\w+[ \t]*=")
# What this reading of a Dockerfile may take for something else than BuildKit does.
_UNUSUAL = re.compile(
    r"<<|\r|\\\\[ \t]*$|^[ \t]*copy\b[^\n]*\[|--(?:mount|from)=\S*[\"'$\\]",
    re.IGNORECASE | re.MULTILINE,
)
_PATTERN = re.compile(r"[*?\[\]\\$]")
_PLAIN_PATH = re.compile(r"(?:\.?\w[\w.-]*/)*\.?\w[\w.-]*/?", re.ASCII)
_ANYWHERE = re.compile(r"\*\*/([\w.-]*\w[\w.-]*)(\*?)", re.ASCII)


class _NotComparableError(Exception):
    """Only a build can tell whether an image is current."""


def build_digest(root: Path, tag: str, dockerfile: str, ignore: str, options: BuildOptions) -> str | None:
    """Return a hash of what the repository's image is built from, besides the base image.

    None means that only a build can tell whether an image is current.

    It has the times at which the files last changed too: one that was changed during a build, and changed
    back later, is another.

    Args:
        root: the repository's root, which is the build context.
        tag: the image's name.
        dockerfile: text of the Dockerfile.
        ignore: text of the ignore file.
        options: docker_build_args.
    """
    try:
        _require_comparable(dockerfile, options)
        files = list(_files(root, context_sources(dockerfile), ignore))
    except (_NotComparableError, OSError):
        return None
    text = json.dumps([__version__, tag, dockerfile, ignore, options.keys, files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_comparable(dockerfile: str, options: BuildOptions) -> None:
    _require(set(options.keys) <= _KNOWN_KEYS and not options.variables)
    _require(not _UNUSUAL.search(dockerfile))
    stages = {"scratch", BASE_TAG}
    for line in _logical_lines(dockerfile):
        word = _WORD.match(line)
        _require(word is not None and word[1].lower() in _KNOWN)
        if word is not None and word[1].lower() == "from":
            stages.add(_stage(line, stages))
        elif word is not None and word[1].lower() in {"copy", "run"}:
            _require(stages.issuperset(_FROM_ELSEWHERE.findall(line)))


def _require(is_comparable: bool) -> None:  # noqa: FBT001 - it reads like an assertion
    if not is_comparable:
        raise _NotComparableError


def _stage(line: str, stages: set[str]) -> str:
    """Return a stage's name, or the base image's if it has none; its image must be known."""
    found = _STAGE.fullmatch(line)
    if found is None or found[1] not in stages:
        raise _NotComparableError
    return found[2] or BASE_TAG


def _logical_lines(dockerfile: str) -> Iterator[str]:
    """Yield each instruction as one line, without comments."""
    _require(not any(map(_DIRECTIVE.match, dockerfile.split("\n")[:10])))
    text = "\n".join(line for line in dockerfile.split("\n") if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\[ \t]*\n", " ", text)
    yield from (line for line in joined.split("\n") if line.strip())


def _files(root: Path, sources: list[str], ignore: str) -> Iterator[tuple[str, ...]]:
    """Describe what COPY and RUN --mount read: each file, each folder, and what is in it."""
    found = list(islice(_below(root, sources, _ignored(ignore)), _MOST_FILES + 1))
    read = [(path, path.lstat()) for path in found]
    _require(len(read) <= _MOST_FILES and sum(status.st_size for _, status in read) <= _MOST_BYTES)
    return (_described(root, path, status) for path, status in read)


def _below(root: Path, sources: list[str], is_ignored: Callable[[str], bool]) -> Iterator[Path]:
    are_plain = all(source != "." and not _PATTERN.search(source) for source in sources)
    # What a pattern or a variable stands for is somewhere in the context.
    for path in [root / source for source in sorted(sources)] if are_plain else [root]:
        _require(resolved(path) == resolved(root) / path.relative_to(root))  # a link could lead anywhere
        yield from _tree(root, path, is_ignored)


def _tree(root: Path, path: Path, is_ignored: Callable[[str], bool]) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for each in sorted(path.iterdir()):
            if not is_ignored(str(each.relative_to(root))):
                yield from _tree(root, each, is_ignored)


def _ignored(ignore: str) -> Callable[[str], bool]:
    """Return what tells that a path is never in the context; of patterns only the simplest are understood.

    A pattern before one that includes files again may not hold, and is left out.
    """
    lines = re.split(r"\n(?=\s*!)", ignore)[-1].split("\n")
    anywhere = re.compile("|".join(_names(lines)) or r"(?!)")
    paths = {line.rstrip("/") for line in lines if _PLAIN_PATH.fullmatch(line)}
    return lambda path: path in paths or anywhere.fullmatch(path.rpartition("/")[2]) is not None


def _names(lines: list[str]) -> Iterator[str]:
    found = filter(None, map(_ANYWHERE.fullmatch, lines))
    return (re.escape(name[1]) + (".*" if name[2] else "") for name in found)


def _described(root: Path, path: Path, status: os.stat_result) -> tuple[str, ...]:
    mode, content = status.st_mode, b""
    if stat.S_ISLNK(mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(mode):
        content = read_regular(path)
    else:
        _require(stat.S_ISDIR(mode))
    digest = hashlib.sha256(content).hexdigest()
    return str(path.relative_to(root)), oct(mode), str(status.st_ctime_ns), digest
