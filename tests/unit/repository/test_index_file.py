from __future__ import annotations

import random
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.repository.index_file import INTENT_TO_ADD, SKIP_WORKTREE, IndexEntry, read_index
from tests.support.git_repository import GitRepository, make_repository

NAMES = ("a", "b/c", "b/cc/d", "long/" * 30 + "name", "dir with space/x\ty", "\u00fcmlaut/\u00df", "z" * 250)


def filled(path: Path, *options: str) -> GitRepository:
    made = make_repository(path, *options)
    for name in NAMES:
        made.write(name, name)
    made.run("add", ".")
    made.write("meant.txt", "x")
    made.run("add", "--intent-to-add", "meant.txt")
    made.run("update-index", "--skip-worktree", "b/c", "a")
    made.run("update-index", "--assume-unchanged", "b/cc/d")
    return made


def entries(made: GitRepository, hash_size: int = 20) -> list[IndexEntry]:
    return read_index((made.path / ".git/index").read_bytes(), hash_size)


@pytest.mark.parametrize("version", ["2", "3", "4"])
@pytest.mark.parametrize(("options", "hash_size"), [((), 20), (("--object-format=sha256",), 32)])
def test_it_reads_what_git_lists(
    tmp_path: Path, version: str, options: tuple[str, ...], hash_size: int
) -> None:
    made = filled(tmp_path / "repo", *options)
    made.run("update-index", "--index-version", version)
    found = entries(made, hash_size)
    listed = [line for line in made.run("ls-files", "-s", "-z").split("\0") if line]
    assert [f"{entry.mode:o} {entry.sha} {entry.stage}\t{entry.path}" for entry in found] == listed
    assert [entry.path for entry in found if entry.flags & SKIP_WORKTREE] == ["a", "b/c"]
    assert [entry.path for entry in found if entry.flags & INTENT_TO_ADD] == ["meant.txt"]
    assert {entry.path: entry.size for entry in found}["b/cc/d"] == len("b/cc/d")


def test_it_reads_the_stages_of_a_conflict(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    made.run("checkout", "--quiet", "-b", "other")
    made.commit("other", "README.md")
    made.run("checkout", "--quiet", "main")
    made.commit("main", "README.md")
    made.run("merge", "other", check=False)
    assert [entry.stage for entry in entries(made)] == [1, 2, 3]


def test_a_sparse_index_lists_folders(tmp_path: Path) -> None:
    made = filled(tmp_path / "repo")
    made.run("commit", "--quiet", "--all", "--message", "all")
    made.run("sparse-checkout", "set", "--sparse-index", "b")
    folders = [entry for entry in entries(made) if entry.path.endswith("/")]
    assert "long/" in [entry.path for entry in folders]
    assert all(entry.flags & SKIP_WORKTREE for entry in folders)


def test_a_split_index_is_refused(tmp_path: Path) -> None:
    made = filled(tmp_path / "repo")
    made.run("update-index", "--split-index")
    with pytest.raises(GitError, match="split"):
        entries(made)


@pytest.mark.parametrize("version", ["2", "4"])
def test_a_damaged_one_ends_in_our_own_error(tmp_path: Path, version: str) -> None:
    made = filled(tmp_path / "repo")
    made.run("update-index", "--index-version", version)
    data = (made.path / ".git/index").read_bytes()
    dice = random.Random(7)  # noqa: S311 - for a test
    for _ in range(3000):
        broken = bytearray(data[: dice.randrange(len(data))] if dice.random() < 0.3 else data)
        for _ in range(dice.randrange(4)):
            if broken:
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            read_index(bytes(broken), 20)
        except GitError:
            continue
    assert read_index(data, 20)
