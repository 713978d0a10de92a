"""Changes that can make a check pass for another reason than that the work is right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from lw_coder.containers.build_context import context_sources, covers
from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import ConfigError
from lw_coder.repository.changed_files import ChangedFile, changed_files, read_texts
from lw_coder.repository.git import Repository
from lw_coder.settings.config import parse_toml
from lw_coder.verdicts import file_kinds
from lw_coder.verdicts.edited_tests import silencers_added, skips_in, test_changes

_OWN = ".lw_coder/"
_DOCKERFILE, _IGNORE_FILE = f"{_OWN}code.Dockerfile", f"{_OWN}.dockerignore"
_MODULE = re.compile(r"(?:/__(?:init|main)__)?\.py$")
_WORD = re.compile(r"[\w./-]+")


class PointedOut(Struct, frozen=True):
    """A changed file that a person should look at before trusting the verdict.

    Attributes:
        path: the file.
        what: what was done to it, in a few words.
    """

    path: str
    what: str


class Basis(Struct, frozen=True):
    """What the checks of a commit stand on.

    Attributes:
        commands: the checks.
        dockerfile: what the repository's image was built from.
        rebuilt: whether the checks' image was built from the commit.
    """

    commands: tuple[str, ...]
    dockerfile: str
    rebuilt: bool


class _Change(NamedTuple):
    """A changed file, its texts before and after (empty if unknown), and what the checks stand on."""

    file: ChangedFile
    old: str
    new: str
    basis: Basis
    words: frozenset[str]
    sources: Sequence[str]


def pointed_out(repository: Repository, base: str, tip: str, basis: Basis) -> tuple[PointedOut, ...]:
    """List the changes between two commits that a person should look at; what weakens tests comes first.

    Raises:
        GitError: git failed.
    """
    files = changed_files(repository, base, tip)
    texts = read_texts(repository, (sha for file in files for sha in (file.old_sha, file.sha)))
    words = frozenset(_words(basis.commands))
    sources = context_sources(basis.dockerfile)
    changes = [_change(file, texts, basis, words, sources) for file in files]
    found = [
        PointedOut(change.file.path, what) for rule in _RULES for change in changes for what in rule(change)
    ]
    return tuple(dict.fromkeys(found))


def _change(
    file: ChangedFile, texts: Mapping[str, str], basis: Basis, words: frozenset[str], sources: Sequence[str]
) -> _Change:
    return _Change(file, texts.get(file.old_sha, ""), texts.get(file.sha, ""), basis, words, sources)


def _words(commands: Iterable[str]) -> Iterator[str]:
    """Yield what can be a path or a program in the commands of the checks."""
    for command in commands:
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        for word in words:
            yield from (found.removeprefix("./") for found in _WORD.findall(word))


def _removed_tests(change: _Change) -> Iterator[str]:
    file = change.file
    if file.is_gone and file_kinds.is_test(file.path):
        yield "test file removed"
    elif (
        file.old_path != file.path and file_kinds.is_test(file.old_path) and not file_kinds.is_test(file.path)
    ):
        yield f"test file {file.old_path} renamed to what is no test"


def _edited_tests(change: _Change) -> Iterator[str]:
    file = change.file
    if file.is_gone or file_kinds.runs_before_tests(file.path) or not file_kinds.is_test(file.path):
        return
    if not file.is_new:
        yield f"test file changed: {', '.join(test_changes(change.old, change.new))}"
    elif skips := skips_in(change.new):
        yield f"new test file with {counted(skips, 'skip')}"


def _hooks(change: _Change) -> Iterator[str]:
    if file_kinds.runs_before_tests(change.file.path):
        yield f"{done_to(change.file)}; it runs before the tests, and can change their results"


def _expected_results(change: _Change) -> Iterator[str]:
    if file_kinds.is_expected_result(change.file.path) and not change.file.is_new:
        yield f"{done_to(change.file)}; tests compare their results with it"


def _programs(change: _Change) -> Iterator[str]:
    file = change.file
    if file.path in change.words or file.old_path in change.words:
        yield f"{done_to(file)}; a check names it"
    elif file.is_new and _MODULE.sub("", file.path) in change.words:
        yield "added; a check can use it instead of the installed program of that name"


def _settings(change: _Change) -> Iterator[str]:
    path = change.file.path
    if tables := file_kinds.changed_tables(path, change.old, change.new):
        yield f"[{'], ['.join(tables)}] changed: settings of a check"
    elif file_kinds.is_setting(path):
        yield f"{done_to(change.file)}; it can hold settings of a check"
    elif path == f"{_OWN}config.toml":
        yield f"{done_to(change.file)}; the checks were those of your main worktree"
        if _notify(change.old) != _notify(change.new):
            yield "notify changed: what it names runs on your machine, outside of any container"


def _notify(config: str) -> object:
    """Return what a config.toml has as `notify`, of whatever type; None if it has none, or is none."""
    try:
        table = parse_toml(config).get("code")
    except ConfigError:
        return None
    return table.get("notify") if isinstance(table, dict) else None


def _ci(change: _Change) -> Iterator[str]:
    if file_kinds.is_ci(change.file.path):
        yield f"CI configuration {done_to(change.file)}"


def _image(change: _Change) -> Iterator[str]:
    path = change.file.path
    if change.basis.rebuilt:
        return
    is_input = covers(change.sources, path) or (file_kinds.is_manifest(path) and "." in change.sources)
    if path in {_DOCKERFILE, _IGNORE_FILE} or file_kinds.is_lock(path) or is_input:
        done = {"M": "changed", "A": "was added", "D": "was removed"}.get(change.file.status, "was renamed")
        yield f"the image was built before {path} {done}"


def _submodules(change: _Change) -> Iterator[str]:
    if change.file.is_submodule:
        yield f"submodule {done_to(change.file)}"


def _silencers(change: _Change) -> Iterator[str]:
    added = silencers_added(change.old, change.new)
    if added > 0:
        yield f"{counted(added, 'comment')} added, so that a linter or type checker ignores something"


_RULES: tuple[Callable[[_Change], Iterator[str]], ...] = (
    _removed_tests,
    _hooks,
    _edited_tests,
    _expected_results,
    _programs,
    _settings,
    _ci,
    _image,
    _submodules,
    _silencers,
)


def done_to(file: ChangedFile) -> str:
    """Return what was done to a file, in a few words."""
    if file.old_path != file.path:
        return f"renamed from {file.old_path}"
    return {"A": "added", "D": "removed"}.get(file.status, "changed")
