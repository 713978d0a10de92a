"""Content filters (Git LFS, nbstripout, git-crypt ...) in a session: they are never skipped silently.

If one of the user's filters changes a file at checkout, the file must pass through the filter again when it
is committed. If the image does not contain the filter's program, git in the session refuses to add a changed
file.
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

UNCHANGED = "lw_coder-unchanged"  # in the git folder: size, modification time and blob id of filtered files

# The commands of programs for which the settings name no command that runs in a session, as with `process`.
_PROGRAMS = {
    "git-lfs": {"clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f"},
    "nbstripout": {"clean": "nbstripout", "smudge": "cat"},
}
# A command that can contain a secret (`openssl enc -k ...`, `sed s/<password>//`) stays on the host.
_NO_SECRET = re.compile(r"%f|--?|-[A-Za-z0-9]|--[a-z-]+|clean|smudge")
_SHELL = re.compile(r"[$`|&;<>()\n]")
# The file has not changed since the host checked it out: git already has its blob.
_SAME_FILE = (
    'i=$(git rev-parse -q --verify :%f); s=$(stat -c "%s %.9Y" -- %f); '
    f"u=$(git rev-parse --git-path {UNCHANGED}); "
    '[ -n "$i" ] && grep -qsFxe "$s $i" "$u" && exec git cat-file blob "$i"; '
)
# The file has not changed since git in the session checked it out, without the filter.
_SAME_CONTENT = (
    "h=$(git hash-object --no-filters --stdin); "
    '[ -n "$i" ] && [ "$h" = "$i" ] && exec git cat-file blob "$h"; '
)
_NAME = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)", re.DOTALL)
_ATTRIBUTE = re.compile(rb"filter=(\S+)")


def filter_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Make the filter settings of a session's git from all of the user's settings."""
    made = {}
    for name in _names(settings):
        program = _program(settings, name)
        made[f"filter.{name}.clean"] = _clean(settings, name, program)
        made[f"filter.{name}.smudge"] = _run_if_there(settings, name, program, "smudge") + "exec cat"
        made[f"filter.{name}.required"] = "true"
    return made


def filters_note(settings: Mapping[str, str], used: list[str]) -> tuple[str, ...]:
    """Return a line that names the filters of the session's files, or nothing if they have none."""
    if not used:
        return ()
    named = ", ".join(
        f"{printable(name)} ({_program(settings, name) or 'not available in sessions'})" for name in used
    )
    return (
        f"content filters: {named}; the session can commit changed files only if the image has the program",
    )


def used_filters(settings: Mapping[str, str], place: Place, *attributes: bytes) -> list[str]:
    """List the filters that are both configured and named in an attributes file.

    Args:
        settings: the user's.
        place: a git folder with an index.
        attributes: contents of other attributes files.
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
    """Yield a line for each filtered file that has not changed since checkout: size, time and blob id.

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
    except GitError:  # a split index: git in the session then compares contents
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
    """Yield the names of the filters that change what is committed, each once."""
    matches = (_NAME.fullmatch(key) for key, value in settings.items() if value)
    cleaning = (match[1] for match in matches if match and match[2] in {"clean", "process"})
    yield from dict.fromkeys(cleaning)


def _program(settings: Mapping[str, str], name: str) -> str | None:
    """Return the program that a filter runs in the session, without its path, or None if it runs none."""
    for action in ("clean", "process"):
        words = _session_words(settings.get(f"filter.{name}.{action}", ""))
        if words and (action == "clean" or words[0] in _PROGRAMS):
            return words[0]
    return None


def _session_words(command: str) -> list[str]:
    """Return a command for the session, without its program's path; empty if it must stay on the host."""
    try:
        words = [] if _SHELL.search(command) else shlex.split(command)
    except ValueError:
        return []
    names = [Path(word).name for word in words]
    known = next((index for index, name in enumerate(names) if name in _PROGRAMS), None)
    if known is not None:  # also for `/a/path/python -m nbstripout`
        return [names[known], *words[known + 1 :]]
    if not words or not all(map(_NO_SECRET.fullmatch, words[1:])):
        return []
    return [] if "=" in words[0] else [names[0], *words[1:]]


def _clean(settings: Mapping[str, str], name: str, program: str | None) -> str:
    what = f"this image has no {program}" if program else "its program does not run in sessions"
    message = shlex.quote(
        f"lw_coder: content filter {printable(name)}: {what}, so a changed file cannot be added:"
    )
    if_there = _run_if_there(settings, name, program, "clean")
    return f"{_SAME_FILE}{if_there}{_SAME_CONTENT}echo {message} %f >&2; exit 1"


def _run_if_there(settings: Mapping[str, str], name: str, program: str | None, action: str) -> str:
    if program is None:
        return ""
    words = _session_words(settings.get(f"filter.{name}.{action}", ""))
    command = shlex.join(words) if words else _PROGRAMS.get(program, {}).get(action, "cat")
    environment = "GIT_LFS_SKIP_DOWNLOAD_ERRORS=1 " if program == "git-lfs" else ""
    return f"if command -v {shlex.quote(program)} >/dev/null; then {environment}exec {command}; fi; "
