"""The files that plans name in their text, and which plans name the same ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import PurePosixPath

from msgspec import Struct

from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository, committed_files

_HEADING = re.compile(r"(#{1,6})\s+(.*?)[\s#:.]*\Z")
_EXCLUDED = re.compile(r"(out of scope|not in scope|non-?goals?)\b", re.IGNORECASE)
_BACKTICKS = re.compile("`+")
_WORD = re.compile(r"(?<![\w@:/.+-])(?:\./)?[\w@.+-]+(?:/[\w@.+-]+)*(?![\w/]|://)")
_SUFFIX = re.compile(r"\.[A-Za-z]\w*\Z")
# Of files that any repository can come to have; `Node.js` and the like name no files.
_USUAL = frozenset((".css", ".html", ".json", ".md", ".py", ".sh", ".sql", ".toml", ".txt", ".yaml", ".yml"))


class Overlap(Struct, frozen=True):
    """Two plans that name the same files, sorted; so both may change them."""

    first: str
    second: str
    files: tuple[str, ...]


class _Known:
    """The files of a commit.

    Args:
        files: their paths.
    """

    def __init__(self, files: Collection[str]) -> None:
        self.files = frozenset(files)
        self.suffixes = {PurePosixPath(path).suffix for path in files} | _USUAL
        self.by_name: dict[str, str | None] = {}
        for path in files:
            name = path.rpartition("/")[2]
            self.by_name[name] = None if name in self.by_name else path

    def meant(self, word: str, *, is_code: bool) -> str | None:
        """Return the path that a word stands for, or None.

        A word is one if the commit has a file of that path, or one file of that name. In code, it can also be
        a file that does not exist yet.
        """
        path = word.removeprefix("./").rstrip(".")
        if "/" not in path and "." not in path and not is_code:
            return None  # a word such as `test`, though there is a file of that name
        if path in self.files:
            return path
        return self.by_name.get(path) or (path if is_code and self._looks_new(path) else None)

    def _looks_new(self, path: str) -> bool:
        if path in self.by_name or ".." in path.split("/"):
            return False
        has_suffix = _SUFFIX.search(path) is not None
        return has_suffix and ("/" in path or PurePosixPath(path).suffix in self.suffixes)


def find_overlaps(
    repository: Repository, plans: Sequence[PlanFile], are_in_order: Callable[[str, str], bool]
) -> list[Overlap]:
    """Find the pairs of plans that name the same files.

    Args:
        repository: the plans'.
        plans: the plans; the commits that they start from exist.
        are_in_order: whether one of two plans, by their ids, is carried out after the other and sees its
            changes.

    Raises:
        GitError: git failed.
    """
    known: dict[str, _Known] = {}
    for sha in {plan.metadata.git_sha for plan in plans}:
        known[sha] = _Known(committed_files(repository, sha))
    named = {
        plan.metadata.plan_id: frozenset(_named(plan.metadata.body, known[plan.metadata.git_sha]))
        for plan in plans
    }
    return list(_overlaps(named, are_in_order))


def _overlaps(
    named: Mapping[str, frozenset[str]], are_in_order: Callable[[str, str], bool]
) -> Iterator[Overlap]:
    for first, second in combinations(named, 2):
        files = named[first] & named[second]
        if files and not are_in_order(first, second):
            yield Overlap(first, second, tuple(sorted(files)))


def named_files(body: str, files: Collection[str]) -> tuple[str, ...]:
    """Return the files that a plan's text names, each once, in the text's order.

    What stands below a heading such as "Out of scope" does not count.

    Args:
        body: the Markdown below the front matter.
        files: the paths of the commit that the plan starts from.
    """
    return tuple(dict.fromkeys(_named(body, _Known(files))))


def _named(body: str, known: _Known) -> Iterator[str]:
    for line in _lines_in_scope(body):
        for number, part in enumerate(parts := _BACKTICKS.sub("`", line).split("`")):
            is_code = number % 2 == 1 and number < len(parts) - 1
            found = (known.meant(word, is_code=is_code) for word in _WORD.findall(part))
            yield from (path for path in found if path)


def _lines_in_scope(body: str) -> Iterator[str]:
    excluded = 0  # the level of the heading whose section does not count
    for line in body.split("\n"):
        if heading := _HEADING.match(line):
            level = len(heading[1])
            if not excluded or level <= excluded:
                excluded = level if _EXCLUDED.match(heading[2]) else 0
        if not excluded:
            yield line
