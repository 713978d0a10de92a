"""Update the index of a plan's worktree without losing flags, staged changes or stat data.

An agent wrote the worktree's files, and its `.gitattributes` can name filters of the user. So git works on a
copy of the index, in a temporary git folder whose settings name no program.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, Repository, config_text, init_bare, run_git
from lw_coder.repository.git_settings import read_settings
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.index_file import IndexEntry, read_index

if TYPE_CHECKING:
    from lw_coder.repository.worktrees import Worktree

STAGEABLE_MODES = (0o100644, 0o100755, 0o120000)  # no submodules: they would be nested repositories

_BASE = "lw_coder-index-base"  # in the worktree's git folder: the commit that its index belongs to
_NEW_INDEX = "lw_coder-index"  # there too: the next index, until it takes the place of the other
_MARK = b"lw_coder\n"  # in a lock of the index that is lw_coder's; git writes an index into its own
_MOST_COMPARED = 2 << 30  # bytes of files whose contents git must read
_LARGEST_NOTED = 0xFFFFFFFF
_SEARCHED = 1000  # commits
_TRIES, _PAUSE = 20, 0.1  # seconds


class IndexChanges(Struct, frozen=True):
    """How an agent's index differs from its commit.

    Attributes:
        skipped: paths that a sparse checkout leaves out of the worktree.
        shown: paths that it does not leave out.
        staged: staged changes: path, mode and blob id of each; mode 0 removes the path.
        intended: new files whose contents are not staged yet (`git add --intent-to-add`).
    """

    skipped: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    staged: tuple[tuple[str, int, str], ...] = ()
    intended: tuple[str, ...] = ()


def note_base(worktree: Worktree, commit: str) -> None:
    """Record which commit the worktree's index belongs to, before the branch moves."""
    if not (worktree.git_dir / _BASE).exists():
        (worktree.git_dir / _BASE).write_text(f"{commit}\n", encoding="ascii")


def has_base(worktree: Worktree) -> bool:
    """Return whether the branch may have moved without the index."""
    return (worktree.git_dir / _BASE).exists()


def update_index(
    repository: Repository, worktree: Worktree, folder: Path, left: IndexChanges, *, compares: bool = True
) -> None:
    """Update the worktree's index to its branch, and apply an agent's changes to it.

    Args:
        repository: the user's.
        worktree: the worktree; its files are compared, never changed.
        folder: where to create a temporary folder.
        left: changes to apply to the index as well.
        compares: whether the files are compared; not where a nested repository was found.

    Raises:
        GitError: another git has locked the index, or git failed; the index has not changed.
        OSError: the disk is full.
    """
    lock, new = worktree.git_dir / "index.lock", worktree.git_dir / _NEW_INDEX
    _take_lock(lock)
    try:
        with isolated_git_dir(repository, worktree, folder) as place:
            bring_up_to_date(place, worktree)
            _apply(place, repository, left)
            if compares:
                _compare_with_files(place, repository)
            shutil.copy2(_git_dir(place) / "index", new)
        new.replace(worktree.git_dir / "index")
    finally:
        new.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    (worktree.git_dir / _BASE).unlink(missing_ok=True)


def is_own_lock(lock: Path) -> bool:
    """Return whether the lock of an index is lw_coder's: if nobody holds the plan's lock, it was killed."""
    try:
        with lock.open("rb") as file:
            return file.read(len(_MARK) + 1) == _MARK
    except OSError:
        return False


def _take_lock(lock: Path) -> None:
    """Lock the index as git does; the caller holds the plan's lock.

    Wait a moment if an editor runs `git status` just then.
    """
    for _ in range(_TRIES):
        if is_own_lock(lock):
            lock.unlink()
        with suppress(FileExistsError):
            _create_lock(lock)
            return
        time.sleep(_PAUSE)
    remedy = f"close the git command or editor that uses it; if there is none, type: rm {quoted(lock)}"
    raise GitError(f"{lock} exists", remedy)


def _create_lock(lock: Path) -> None:
    descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        os.write(descriptor, _MARK)
    except OSError:  # the disk is full
        lock.unlink()
        raise
    finally:
        os.close(descriptor)


def copy_index(repository: Repository, worktree: Worktree, folder: Path, target: Path) -> None:
    """Copy the worktree's index to a folder, updated to its branch. A split index consists of two files.

    Args:
        repository: the user's.
        worktree: the worktree.
        folder: where to create a temporary folder.
        target: the folder that gets the file `index`.

    Raises:
        GitError: git failed.
        OSError: the disk is full.
    """
    if _is_up_to_date(worktree):
        _copy(worktree.git_dir, target)
        return
    with isolated_git_dir(repository, worktree, folder) as place:
        bring_up_to_date(place, worktree)
        _copy(_git_dir(place), target)


def _is_up_to_date(worktree: Worktree) -> bool:
    if (worktree.git_dir / _BASE).exists():
        return False
    same = run_git(
        "diff-index", "--cached", "--quiet", worktree.head, "--", place=worktree.place, check=False
    )
    return same.code == 0


def _copy(source: Path, target: Path) -> None:
    # Keep the modification times: git compares the contents of files that are as new as the index.
    for index in (source / "index", *source.glob("sharedindex.*")):
        if index.is_file():
            shutil.copy2(index, target / index.name)


@contextmanager
def isolated_git_dir(repository: Repository, worktree: Worktree, folder: Path) -> Iterator[Place]:
    """Yield a place with a copy of the worktree's index and its files, where git cannot run any program."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as made:
        git_dir = Path(made, "git")
        init_bare(git_dir, repository.object_format)
        settings = read_settings(worktree, repository.common_dir)
        # Sparse-checkout patterns are not needed: the index says which files are absent.
        inert = {name: value for name, value in settings.inert.items() if "sparse" not in name}
        _write_git_dir(repository, git_dir, {**inert, "core.bare": "false", "core.splitindex": "false"})
        (git_dir / "info").mkdir(exist_ok=True)
        (git_dir / "lw_coder-attributes").write_bytes(settings.attributes)
        if (repository.common_dir / "info/attributes").is_file():
            shutil.copyfile(repository.common_dir / "info/attributes", git_dir / "info/attributes")
        (git_dir / "HEAD").write_text(f"{worktree.head}\n", encoding="ascii")
        _copy(worktree.git_dir, git_dir)
        # In the worktree: whatever writes an index looks there for files that changed in its own second.
        yield Place(worktree.path, git_dir=git_dir, work_tree=worktree.path, alone=True)


def _git_dir(place: Place) -> Path:
    return place.git_dir or place.cwd


def _write_git_dir(repository: Repository, git_dir: Path, settings: dict[str, str]) -> None:
    settings["core.attributesfile"] = str(git_dir / "lw_coder-attributes")
    with (git_dir / "config").open("ab") as config:
        config.write(os.fsencode(config_text(settings)))
    (git_dir / "objects/info").mkdir(exist_ok=True)
    borrowed = os.fsencode(f"{repository.common_dir / 'objects'}\n")
    (git_dir / "objects/info/alternates").write_bytes(borrowed)
    shallow = repository.common_dir / "shallow"
    if shallow.is_file():  # else git would look for parents that the clone lacks
        shutil.copyfile(shallow, git_dir / "shallow")


def _staged_beside(place: Place, base: str, head: str) -> list[str]:
    """List what is staged since one commit, except files that another changes; as `--index-info` reads it."""
    raw = ("--raw", "-z", "--no-renames", "--no-abbrev")
    changed = set(run_git("diff-tree", "-r", "-z", "--name-only", base, head, place=place).stdout.split("\0"))
    listed = run_git("diff-index", "--cached", *raw, base, "--", place=place).stdout.split("\0")
    described = ((text.split(" "), path) for text, path in zip(listed[::2], listed[1::2], strict=False))
    return [f"{fields[1]} {fields[3]}\t{path}\0" for fields, path in described if path not in changed]


def bring_up_to_date(place: Place, worktree: Worktree) -> None:
    """Update the index of `isolated_git_dir` to the worktree's branch; staged changes stay.

    Raises:
        GitError: git failed.
    """
    head = run_git("rev-parse", "HEAD", place=worktree.place).stdout
    base = _base(place, worktree, head)
    if base is None or base == head:
        return
    tags = _tags(place)
    try:
        # A two-tree merge keeps staged changes, and entries that are the same in both trees.
        run_git("read-tree", "-i", "-m", base, head, place=place)
    except GitError:
        # A file was staged in this index and also changed by the commits: those win, for that file alone.
        staged = _staged_beside(place, base, head)
        run_git("read-tree", head, place=place)
        run_git("update-index", "-z", "--index-info", place=place, stdin="".join(staged))
    _keep_flags(place, tags)


def _base(place: Place, worktree: Worktree, head: str) -> str | None:
    """Return the commit that the index belongs to, or None if it is unknown."""
    noted = worktree.git_dir / _BASE
    if noted.exists():
        return noted.read_text(encoding="ascii").strip() or None
    return _earlier_commit(place, head)


def _earlier_commit(place: Place, head: str) -> str | None:
    """Find the newest commit whose tree is identical to the index, which may be older than the branch."""
    written = run_git("write-tree", "--missing-ok", place=place, check=False)
    if written.code != 0:  # there are conflicts
        return None
    listed = run_git("log", f"--max-count={_SEARCHED}", "--format=%T %H", head, "--", place=place).stdout
    commits = (line.split(" ") for line in listed.split("\n") if line)
    return next((commit for tree, commit in commits if tree == written.stdout), None)


def _tags(place: Place) -> dict[str, str]:
    """Map each path to git's tag: S means skip-worktree, a lower-case letter assume-unchanged."""
    listed = run_git("ls-files", "-z", "-v", place=place).stdout
    return {line[2:]: line[0] for line in listed.split("\0") if line}


def _keep_flags(place: Place, before: dict[str, str]) -> None:
    """Restore the flags of paths that still exist."""
    flagged = {path: tag for path, tag in before.items() if tag != "H"}
    if not flagged:
        return
    after = _tags(place)
    kept = [(tag, path) for path, tag in flagged.items() if path in after and after[path] != tag]
    _flag(place, "--assume-unchanged", (path for tag, path in kept if tag.islower()))
    _flag(place, "--skip-worktree", (path for tag, path in kept if tag.upper() == "S"))


def _flag(place: Place, option: str, paths: Iterable[str]) -> None:
    names = "".join(f"{path}\0" for path in paths)
    if names:
        run_git("update-index", option, "-z", "--stdin", place=place, stdin=names)


def _apply(place: Place, repository: Repository, left: IndexChanges) -> None:
    lines = "".join(f"{mode:o} {sha}\t{path}\0" for path, mode, sha in left.staged)
    if lines:
        run_git("update-index", "-z", "--index-info", place=place, stdin=lines, check=False)
    if left.intended:
        run_git(
            "hash-object", "-w", "--stdin", place=repository.place
        )  # the empty blob, which such entries have
        names = "".join(f"{path}\0" for path in left.intended)
        add = ("--literal-pathspecs", "add", "--intent-to-add", "--force", "--pathspec-file-nul")
        run_git(*add, "--pathspec-from-file=-", place=place, stdin=names, check=False)
    is_skipped = {path: tag.upper() == "S" for path, tag in _tags(place).items()}
    absent = (path for path in sorted(left.skipped) if not is_skipped.get(path, True))
    _flag(place, "--skip-worktree", absent)
    skipped = (path for path, is_set in is_skipped.items() if is_set)
    there = (path for path in skipped if path in left.shown and _is_in(place, path))
    _flag(place, "--no-skip-worktree", there)


def _is_in(place: Place, path: str) -> bool:
    return os.path.lexists(place.cwd / path)


def _compare_with_files(place: Place, repository: Repository) -> None:
    """Record the modification times of unchanged files, so that git need not read each of them again."""
    entries = _entries(place, repository)
    found = UntrustedFolder(place.cwd).sizes(entry.path for entry in entries)
    sizes = zip((entry.size for entry in entries), found, strict=True)
    # Git notes a size's last 32 bits alone: it would read a file that is longer by a multiple of 4 GiB.
    if sum(size for noted, size in sizes if not noted or size > _LARGEST_NOTED) > _MOST_COMPARED:
        return
    # Without -q, the exit code says whether any file looks changed.
    compare = ("update-index", "--ignore-submodules", "--refresh")
    if run_git(*compare, place=place, check=False).code == 0:
        return
    # If git in the session checked a file out without its filter, its size differs, and git reports it as
    # changed without comparing the contents.
    same = _same_contents(place, entries)
    if same:
        lines = "".join(f"{entry.mode:o} {entry.sha}\t{entry.path}\0" for entry in same)
        run_git("update-index", "-z", "--index-info", place=place, stdin=lines)
        run_git(*compare, place=place, check=False)


def _entries(place: Place, repository: Repository) -> list[IndexEntry]:
    return read_index((_git_dir(place) / "index").read_bytes(), repository.sha_length // 2)


def _same_contents(place: Place, entries: list[IndexEntry]) -> list[IndexEntry]:
    """List entries whose file looks changed but has exactly the blob's content."""
    # Otherwise git would run in a submodule, with the configuration of whoever made its `.git`.
    asked = ("diff-files", "-z", "--name-only", "--diff-filter=M", "--ignore-submodules=all")
    listed = run_git(*asked, place=place, check=False).stdout
    looks_changed = {path for path in listed.split("\0") if path and "\n" not in path}
    candidates = [entry for entry in entries if entry.path in looks_changed and _size(place, entry.path)]
    if not candidates or sum(_size(place, entry.path) for entry in candidates) > _MOST_COMPARED:
        return []
    names = "".join(f"{entry.path}\n" for entry in candidates)
    hashed = run_git("hash-object", "--no-filters", "--stdin-paths", place=place, stdin=names, check=False)
    pairs = zip(candidates, hashed.stdout.split("\n"), strict=False)
    return [entry for entry, sha in pairs if entry.sha == sha]


def _size(place: Place, path: str) -> int:
    """Return the size of a regular file, without following links; 0 for anything else."""
    found = UntrustedFolder(place.cwd).stat(path)
    return found.st_size if found is not None and stat.S_ISREG(found.st_mode) else 0
