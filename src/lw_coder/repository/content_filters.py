"""Content filters (Git LFS, nbstripout, git-crypt ...) inside a session: never skipped without a word.

A file that a filter of the person's changes when it is checked out must go through that filter again when it
is committed. Where the image lacks the filter's program, git inside refuses to add a file that was changed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import Place, run_git
from lw_coder.repository.index_file import read_index

UNCHANGED = "lw_coder-unchanged"  # in the git folder: size, time and content's id of files that a filter made

# What a program is given inside where the settings name no command of their own for it, as with `process`.
_PROGRAMS = {
    "git-lfs": {"clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f"},
    "nbstripout": {"clean": "nbstripout", "smudge": "cat"},
}
# A command that can hold a password (`openssl enc -k ...`) stays on the host. These tools have none.
_TEXT_TOOLS = frozenset(("awk", "cat", "cut", "expand", "fmt", "grep", "jq", "sed", "sort", "tr", "unexpand"))
_NO_SECRET = re.compile(r"%f|-|--|--?[a-z-]+|clean|smudge")
_SHELL = re.compile(r"[$`|&;<>()\n]")
# As the host's checkout left the file: git has what it was made from.
_SAME_FILE = (
    'i=$(git rev-parse -q --verify :%f); s=$(stat -c "%s %.9Y" -- %f); '
    f"u=$(git rev-parse --git-path {UNCHANGED}); "
    '[ -n "$i" ] && grep -qsFxe "$s $i" "$u" && exec git cat-file blob "$i"; '
)
# As git inside checked it out, without the filter.
_SAME_CONTENT = (
    "h=$(git hash-object --no-filters --stdin); "
    '[ -n "$i" ] && [ "$h" = "$i" ] && exec git cat-file blob "$h"; '
)
_NAME = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)", re.DOTALL)
_ATTRIBUTE = re.compile(rb"filter=(\S+)")


def filter_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the filters that a session's git gets, from all settings of the person's."""
    made = {}
    for name in _names(settings):
        program = _program(settings, name)
        made[f"filter.{name}.clean"] = _clean(settings, name, program)
        made[f"filter.{name}.smudge"] = _run_if_there(settings, name, program, "smudge") + "exec cat"
        made[f"filter.{name}.required"] = "true"
    return made


def told(settings: Mapping[str, str], used: list[str]) -> tuple[str, ...]:
    """Say, in one line, which filters the session's files have, if any."""
    if not used:
        return ()
    named = ", ".join(f"{printable(name)} ({_program(settings, name) or 'not in sessions'})" for name in used)
    line = (
        f"content filters: {named}; a file that they filter, once changed, is committed only if the image has"
    )
    return (f"{line} the program",)


def used_filters(settings: Mapping[str, str], place: Place, *attributes: bytes) -> list[str]:
    """List the filters that both the settings and a file of attributes name.

    Args:
        settings: the person's.
        place: a git folder with an index.
        attributes: what stands in other files of attributes.
    """
    configured = list(_names(settings))
    if not configured:
        return []
    asked = ("grep", "--cached", "-h", "-o", "-E", "filter=[^[:space:]]+", "--")
    found = run_git(*asked, ".gitattributes", ":(glob)**/.gitattributes", place=place, check=False).stdout
    every = b"\n".join((os.fsencode(found), *attributes))
    named = {os.fsdecode(match) for match in _ATTRIBUTE.findall(every)}
    return [name for name in configured if name in named]


def unchanged_files(
    worktree: Path, place: Place, used: list[str], hash_size: int, config: tuple[str, ...]
) -> Iterator[str]:
    """Yield a line for each filtered file that is as its checkout left it: size, time, id of its content.

    Args:
        worktree: where the files are.
        place: a git folder with their index, and GIT_WORK_TREE.
        used: names of the filters.
        hash_size: bytes of an object id.
        config: settings for git.
    """
    names = run_git("ls-files", "-z", place=place).stdout
    asked = run_git("check-attr", "-z", "--stdin", "filter", place=place, config=config, stdin=names).stdout
    fields = asked.split("\0")
    filtered = {path for path, value in zip(fields[::3], fields[2::3], strict=False) if value in used}
    try:
        entries = read_index((place.git_dir or place.cwd).joinpath("index").read_bytes(), hash_size)
    except GitError:  # a split one: git inside then compares contents
        return
    for entry in entries:
        if entry.path in filtered and _state(worktree / entry.path) == (entry.size, entry.mtime):
            seconds, nanoseconds = divmod(entry.mtime, 10**9)
            yield f"{entry.size} {seconds}.{nanoseconds:09d} {entry.sha}"


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.lstat()
    except OSError:
        return None
    return found.st_size & 0xFFFFFFFF, found.st_mtime_ns


def _names(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the filters that change what is committed, each once."""
    matches = (_NAME.fullmatch(key) for key, value in settings.items() if value)
    cleaning = (match[1] for match in matches if match and match[2] in {"clean", "process"})
    yield from dict.fromkeys(cleaning)


def _program(settings: Mapping[str, str], name: str) -> str | None:
    """Return the program that a filter runs inside, wherever it is on the host; None if it runs none."""
    for action in ("clean", "process"):
        words = _words_inside(settings.get(f"filter.{name}.{action}", ""))
        if words and (action == "clean" or words[0] in _PROGRAMS):
            return words[0]
    return None


def _words_inside(command: str) -> list[str]:
    """Return a command as it can be typed inside, without the path of its program; empty if it stays here."""
    try:
        words = [] if _SHELL.search(command) else shlex.split(command)
    except ValueError:
        return []
    names = [Path(word).name for word in words]
    known = next((index for index, name in enumerate(names) if name in _PROGRAMS), None)
    if known is not None:  # also for `/a/path/python -m nbstripout`
        return [names[known], *words[known + 1 :]]
    if not words or not (names[0] in _TEXT_TOOLS or all(map(_NO_SECRET.fullmatch, words[1:]))):
        return []
    return [] if "=" in words[0] else [names[0], *words[1:]]


def _clean(settings: Mapping[str, str], name: str, program: str | None) -> str:
    what = f"this image has no {program}" if program else "its program is not in the session"
    message = shlex.quote(
        f"lw_coder: content filter {printable(name)}: {what}, so a changed file cannot be added:"
    )
    if_there = _run_if_there(settings, name, program, "clean")
    return f"{_SAME_FILE}{if_there}{_SAME_CONTENT}echo {message} %f >&2; exit 1"


def _run_if_there(settings: Mapping[str, str], name: str, program: str | None, action: str) -> str:
    if program is None:
        return ""
    words = _words_inside(settings.get(f"filter.{name}.{action}", ""))
    command = shlex.join(words) if words else _PROGRAMS.get(program, {}).get(action, "cat")
    environment = "GIT_LFS_SKIP_DOWNLOAD_ERRORS=1 " if program == "git-lfs" else ""
    return f"if command -v {shlex.quote(program)} >/dev/null; then {environment}exec {command}; fi; "
