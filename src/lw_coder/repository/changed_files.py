"""Which files differ between two commits, and their contents, within limits: an agent can have made them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from msgspec import Struct

from lw_coder.repository.git import Repository, run_git, text_lines

LARGEST = 1 << 20  # bytes of a file that is read
_MOST_BYTES = 64 << 20  # of all files that are read
_GITLINK, _LINK, _EXECUTABLE = "160000", "120000", "100755"


class ChangedFile(Struct, frozen=True):
    """A file or submodule that differs between two commits.

    Attributes:
        status: `A` (added), `M` (modified), `D` (deleted), `R` (renamed) or `T` (its type changed).
        path: its path at the newer commit; of a deleted file, at the older one.
        old_path: its path at the older commit, if that is another one.
        old_sha: its blob's id at the older commit; only zeros if it was added.
        sha: its blob's id at the newer commit; only zeros if it was deleted.
        old_mode: its mode at the older commit, six octal digits; only zeros if it was added.
        mode: its mode at the newer commit; only zeros if it was deleted.
    """

    status: str
    path: str
    old_path: str
    old_sha: str
    sha: str
    old_mode: str
    mode: str

    @property
    def is_submodule(self) -> bool:
        """Whether it is a submodule at either commit."""
        return _GITLINK in {self.old_mode, self.mode}

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link at the newer commit."""
        return self.mode == _LINK

    @property
    def is_made_executable(self) -> bool:
        """Whether it is executable at the newer commit only."""
        return self.mode == _EXECUTABLE != self.old_mode

    @property
    def is_new(self) -> bool:
        """Whether it was added."""
        return self.status == "A"

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted."""
        return self.status == "D"


class LineCount(Struct, frozen=True):
    """How many lines were added to a file, and removed from it; None if it is binary."""

    path: str
    added: int | None
    removed: int | None

    @property
    def is_binary(self) -> bool:
        """Whether git does not take it for text."""
        return self.added is None


def changed_files(repository: Repository, base: str, tip: str) -> list[ChangedFile]:
    """List what differs between two commits, sorted by path; a renamed file is one change.

    Raises:
        GitError: git failed.
    """
    asked = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--find-renames", base, tip, "--")
    fields = iter(run_git(*asked, place=repository.place).stdout.split("\0"))
    found = []
    for described in fields:
        if described:
            modes_and_shas, path = described.removeprefix(":").split(" "), next(fields)
            new_path = next(fields) if modes_and_shas[4][:1] in {"R", "C"} else path
            found.append(_changed(modes_and_shas, path, new_path))
    return sorted(found, key=lambda file: file.path)


def _changed(described: list[str], old_path: str, path: str) -> ChangedFile:
    old_mode, mode, old_sha, sha, status = described
    return ChangedFile(status[:1], path, old_path, old_sha, sha, old_mode, mode)


def line_counts(repository: Repository, base: str, tip: str) -> list[LineCount]:
    """Count the lines that differ in each file between two commits, sorted by path.

    Raises:
        GitError: git failed.
    """
    counts = ("--numstat", "--no-ext-diff", "--no-textconv")
    asked = ("diff-tree", "-r", "-z", *counts, "--find-renames", base, tip, "--")
    fields = iter(run_git(*asked, place=repository.place).stdout.split("\0"))
    found = []
    for line in filter(None, fields):
        added, removed, path = line.split("\t", 2)
        if not path:  # a renamed file: its two names follow
            next(fields)
            path = next(fields)
        found.append(LineCount(path, _number(added), _number(removed)))
    return sorted(found, key=lambda count: count.path)


def _number(counted: str) -> int | None:
    return None if counted == "-" else int(counted)


def read_texts(repository: Repository, shas: Iterable[str]) -> dict[str, str]:
    """Read blobs; leave out what is large, binary or missing, and what exceeds the limit of all together.

    Raises:
        GitError: git failed.
    """
    wanted = [sha for sha in dict.fromkeys(shas) if sha.strip("0")]
    small = _small(repository, wanted)
    output = os.fsencode(_batch(repository, "--batch", small)) + b"\n"
    texts, start = {}, 0
    for _ in small:
        end = output.index(b"\n", start)
        sha, _, size = output[start:end].decode("ascii").split(" ")
        content = output[end + 1 : end + 1 + int(size)]
        start = end + int(size) + 2
        if b"\0" not in content:
            texts[sha] = content.decode(errors="replace")
    return texts


def _small(repository: Repository, shas: list[str]) -> list[str]:
    listed = text_lines(_batch(repository, "--batch-check", shas))
    kept, total = [], 0
    for sha, kind, *size in (line.split(" ") for line in listed):
        if kind == "blob" and int(size[0]) <= LARGEST and total + int(size[0]) <= _MOST_BYTES:
            kept.append(sha)
            total += int(size[0])
    return kept


def _batch(repository: Repository, option: str, shas: list[str]) -> str:
    if not shas:
        return ""
    return run_git(
        "cat-file", option, place=repository.place, stdin="".join(f"{sha}\n" for sha in shas)
    ).stdout
