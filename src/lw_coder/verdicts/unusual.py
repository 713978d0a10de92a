"""What is unusual in a change, and easily missed in its diff: files that run by themselves, links."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from lw_coder.foundation.json_text import read_json
from lw_coder.repository.changed_files import ChangedFile, LineCount, read_texts
from lw_coder.repository.git import Repository
from lw_coder.verdicts.file_kinds import runs_by_itself
from lw_coder.verdicts.pointed_out import PointedOut, done_to

_PACKAGE = "package.json"
_MOST_NAMED = 5  # scripts
_LONGEST_TARGET = 100  # characters of a link's target


class _Change(NamedTuple):
    """A changed file, its texts before and after (empty if unknown), and whether it is binary."""

    file: ChangedFile
    old: str
    new: str
    is_binary: bool


def unusual_changes(
    repository: Repository, files: Sequence[ChangedFile], counts: Sequence[LineCount]
) -> tuple[PointedOut, ...]:
    """List what a person should know of before the change is in a checkout of theirs.

    Args:
        repository: the person's.
        files: the changed files.
        counts: their lines, which tell which are binary.

    Raises:
        GitError: git failed.
    """
    wanted = [file for file in files if file.is_link or _is_package(file.path)]
    texts = read_texts(repository, (sha for file in wanted for sha in (file.old_sha, file.sha)))
    binary = {count.path for count in counts if count.is_binary}
    changes = [_change(file, texts, binary) for file in files]
    return tuple(
        PointedOut(change.file.path, what) for rule in _RULES for change in changes for what in rule(change)
    )


def _change(file: ChangedFile, texts: dict[str, str], binary: Collection[str]) -> _Change:
    return _Change(file, texts.get(file.old_sha, ""), texts.get(file.sha, ""), file.path in binary)


def _is_package(path: str) -> bool:
    return posixpath.basename(path) == _PACKAGE


def _on_their_own(change: _Change) -> Iterator[str]:
    why = runs_by_itself(change.file.path)
    if why and not change.file.is_gone:
        yield f"{done_to(change.file)}; {why}"


def _package_scripts(change: _Change) -> Iterator[str]:
    if not _is_package(change.file.path) or change.file.is_gone:
        return
    before, after = _scripts(change.old), _scripts(change.new)
    if after is None:
        yield f"{done_to(change.file)}; its scripts cannot be read"
        return
    changed = sorted(name for name, command in after.items() if (before or {}).get(name) != command)
    if changed:
        more = ", ..." if len(changed) > _MOST_NAMED else ""
        yield f"scripts changed: {', '.join(changed[:_MOST_NAMED])}{more}; package managers run them"


def _scripts(text: str) -> dict[str, object] | None:
    """Return the scripts of a package.json, or None if it cannot be read."""
    try:
        parsed = read_json(text)
    except ValueError:
        return None
    scripts = parsed.get("scripts", {}) if isinstance(parsed, dict) else None
    return scripts if isinstance(scripts, dict) else None


def _submodules(change: _Change) -> Iterator[str]:
    if change.file.is_submodule:
        yield f"submodule {done_to(change.file)}"


def _links(change: _Change) -> Iterator[str]:
    if not change.file.is_link:
        return
    target = change.new
    path = posixpath.normpath(posixpath.join(posixpath.dirname(change.file.path), target))
    if not target:
        yield "symbolic link whose target cannot be read"
    elif path.startswith("/") or path.split("/")[0] in {"..", ".git"}:
        yield f"symbolic link that leaves the repository's files: {target[:_LONGEST_TARGET]}"


def _executables(change: _Change) -> Iterator[str]:
    if change.file.is_made_executable:
        yield "is executable now"


def _binaries(change: _Change) -> Iterator[str]:
    if change.is_binary and not change.file.is_gone:
        yield f"binary file {done_to(change.file)}"


_RULES: tuple[Callable[[_Change], Iterator[str]], ...] = (
    _on_their_own,
    _package_scripts,
    _submodules,
    _links,
    _executables,
    _binaries,
)
