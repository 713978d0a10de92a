"""The difference between two commits line by line, within limits: an agent can have made both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from lw_coder.repository.changed_files import ChangedFile, changed_files, read_texts
from lw_coder.repository.git import Repository, missing_objects, run_git, text_lines

_MOST_FILES = 500  # of which the lines are read
_MOST_COMMITS = 100
_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BLOBS = re.compile(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)", re.MULTILINE)
_FIRST_HUNK = re.compile(r"^@@ ", re.MULTILINE)
# A commit can bring .gitattributes, and the user's configuration a driver of the name that it gives.
_AS_TEXT = ("--text", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")


class Patch(Struct, frozen=True):
    """What has changed in a file.

    Attributes:
        file: the change.
        hunks: the changed lines with those around them, as git prints them; None if they were not read: the
            file is large or binary, there are too many, or it is a submodule.
    """

    file: ChangedFile
    hunks: tuple[str, ...] | None

    @property
    def added(self) -> int:
        """How many lines were added."""
        return self._count("+")

    @property
    def removed(self) -> int:
        """How many lines were removed."""
        return self._count("-")

    def _count(self, sign: str) -> int:
        return sum(line.startswith(sign) for line in self.hunks or ())


class Commit(Struct, frozen=True):
    """A commit: its id, and the first line of its message."""

    sha: str
    subject: str


def has_both(repository: Repository, base: str, tip: str) -> bool:
    """Return whether two texts are full ids of objects that the repository has."""
    ids = [base, tip]
    return all(map(_FULL_ID.fullmatch, ids)) and not missing_objects(repository, ids)


def read_commits(repository: Repository, base: str, tip: str) -> list[Commit]:
    """List the commits that the tip has and the base has not, the newest first; at most 100.

    Raises:
        GitError: git failed.
    """
    asked = ("rev-list", "--no-commit-header", "--format=%H %s%x00", f"--max-count={_MOST_COMMITS}")
    listed = run_git(*asked, tip, f"^{base}", "--", place=repository.place).stdout
    found = (line.strip("\n").partition(" ") for line in listed.split("\0"))
    return [Commit(sha, subject) for sha, _, subject in found if sha]


def read_patches(repository: Repository, base: str, tip: str) -> list[Patch]:
    """Read what has changed between two commits, sorted by path. No filter and no program of anybody runs.

    Raises:
        GitError: git failed.
    """
    files = changed_files(repository, base, tip)
    texts = read_texts(repository, (sha for file in files for sha in (file.old_sha, file.sha)))
    wanted = [file for file in files if _is_text(file, texts)][:_MOST_FILES]
    hunks, read = _hunks(repository, base, tip, wanted), set(map(id, wanted))
    none: tuple[str, ...] = ()  # only a name or a mode has changed
    return [
        Patch(file, hunks.get((file.old_sha, file.sha), none) if id(file) in read else None) for file in files
    ]


def _is_text(file: ChangedFile, texts: dict[str, str]) -> bool:
    blobs = (sha for sha in (file.old_sha, file.sha) if sha.strip("0"))
    return not file.is_submodule and all(sha in texts for sha in blobs)


def _hunks(
    repository: Repository, base: str, tip: str, files: Sequence[ChangedFile]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Map the two blobs of each file to the lines of its hunks: a path can be written in several ways."""
    if not files:
        return {}
    paths = dict.fromkeys(path for file in files for path in (file.old_path, file.path))
    asked = ("diff-tree", "-r", "-p", "--full-index", "--find-renames", *_AS_TEXT, base, tip, "--")
    patch = run_git(*asked, *(f":(literal){path}" for path in paths), place=repository.place).stdout
    return dict(_divided(patch))


def _divided(patch: str) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    # Each line of a hunk begins with a sign, so this begins one only where git wrote it.
    for part in f"\n{patch}".split("\ndiff --git ")[1:]:
        start = _FIRST_HUNK.search(part)
        blobs = _BLOBS.search(part, 0, start.start() if start else len(part))
        if start and blobs:
            yield (blobs[1], blobs[2]), tuple(text_lines(part[start.start() :]))
