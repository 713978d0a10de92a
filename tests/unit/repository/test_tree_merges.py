"""Which branches merge with which: found by git from the commits alone."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, Repository, find_repository
from lw_coder.repository.tree_merges import MOST_FILES, Pair, merge_pairs, merge_trees
from tests.support.git_repository import GitRepository, make_repository
from tests.support.snapshot import snapshot


@pytest.fixture
def git(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repository")
    made.commit("base", "shared.txt", "".join(f"{number}\n" for number in range(30)))
    return made


def repository(git: GitRepository) -> Repository:
    return find_repository(git.path)


def branch(git: GitRepository, name: str, files: dict[str, str], start: str = "main") -> str:
    """Make a branch with a commit; return its tip. What was checked out stays so."""
    before = git.run("branch", "--show-current")
    git.run("switch", "--quiet", "--create", name, start)
    for file, text in files.items():
        git.write(file, text)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--no-verify", "--message", f"On {name}")
    git.run("switch", "--quiet", before)
    return git.run("rev-parse", name)


def test_each_pair_is_told_once_with_its_files(git: GitRepository) -> None:
    lines = [f"{number}\n" for number in range(30)]
    names = ["a name.txt", "n\u00e4me\n.txt"]
    tips = {
        "first": branch(git, "first", {"shared.txt": "".join(["A\n", *lines[1:]]), names[0]: "1\n"}),
        "last": branch(git, "last", {"shared.txt": "".join([*lines[:-1], "Z\n"]), names[1]: "1\n"}),
        "same": branch(git, "same", {"shared.txt": "".join(["B\n", *lines[1:]]), names[1]: "2\n"}),
        "above": branch(git, "above", {"more.txt": "1\n"}, start="first"),
    }
    before = snapshot(git.path / "shared.txt"), git.run("for-each-ref"), git.run("status", "--porcelain")
    assert merge_pairs(repository(git), tips) == [
        Pair("first", "last", merges=True),
        Pair("first", "same", merges=False, files=("shared.txt",), count=1),
        Pair("first", "above", merges=True),
        Pair("last", "same", merges=False, files=(names[1],), count=1),
        Pair("last", "above", merges=True),
        Pair("same", "above", merges=False, files=("shared.txt",), count=1),
    ]
    after = snapshot(git.path / "shared.txt"), git.run("for-each-ref"), git.run("status", "--porcelain")
    assert after == before
    git.run("fsck", "--strict", "--no-dangling")


def test_git_itself_agrees_with_each_answer(git: GitRepository) -> None:
    """A file that one branch moves and another edits merges; one that is removed and edited does not."""
    text = (git.path / "shared.txt").read_text(encoding="ascii")
    tips = {"edited": branch(git, "edited", {"shared.txt": f"{text}more\n"})}
    git.run("switch", "--quiet", "--create", "moved", "main")
    git.run("mv", "shared.txt", "elsewhere.txt")
    git.run("commit", "--quiet", "--message", "Move")
    git.run("switch", "--quiet", "--create", "removed", "main")
    git.run("rm", "--quiet", "shared.txt")
    git.run("commit", "--quiet", "--message", "Remove")
    git.run("switch", "--quiet", "main")
    tips |= {name: git.run("rev-parse", name) for name in ("moved", "removed")}
    answers = {(pair.first, pair.second): pair.merges for pair in merge_pairs(repository(git), tips)}
    for first, second in combinations(tips, 2):
        git.run("switch", "--quiet", "--detach", first)
        git.run("merge", "--quiet", "--no-edit", second, check=False)
        assert answers[first, second] is not bool(git.run("ls-files", "--unmerged")), (first, second)
        git.run("reset", "--quiet", "--hard")
    assert set(answers.values()) == {True, False}


def test_unrelated_histories_are_not_known(git: GitRepository) -> None:
    git.run("switch", "--quiet", "--orphan", "orphan")
    git.commit("other", "other.txt")
    tips = {"main": git.run("rev-parse", "main"), "orphan": git.run("rev-parse", "orphan")}
    assert merge_pairs(repository(git), tips) == [Pair("main", "orphan", None)]
    with pytest.raises(GitError, match="unrelated histories"):
        merge_trees(Place(git.path), tips["main"], tips["orphan"])


def test_an_older_git_gives_no_answer(
    git: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tips = {"one": branch(git, "one", {"x": "1\n"}), "two": branch(git, "two", {"y": "1\n"})}
    known = repository(git)
    older = tmp_path / "bin/git"
    older.parent.mkdir()
    older.write_text(
        "#!/bin/sh\n"
        'case " $* " in\n'
        '*" version "*) echo git version 2.37.4 ;;\n'
        '*" merge-tree "*) echo "usage: git merge-tree <base> <one> <two>" >&2; exit 129 ;;\n'
        f'*) exec {shutil.which("git")} "$@" ;;\n'
        "esac\n",
        encoding="ascii",
    )
    older.chmod(0o700)
    monkeypatch.setenv("PATH", str(older.parent), prepend=":")
    assert merge_pairs(known, tips) == [Pair("one", "two", None)]


def test_many_branches_take_bounded_work(git: GitRepository) -> None:
    head = git.head()
    assert merge_pairs(repository(git), {"alone": head}) == []
    found = merge_pairs(repository(git), dict.fromkeys(("one", "two", "three", "four"), head), most=4)
    assert [pair.merges for pair in found] == [True] * 4 + [None] * 2


def test_the_files_of_a_pair_are_bounded(git: GitRepository) -> None:
    more = MOST_FILES + 20
    tips = {name: branch(git, name, {f"files/{number:04}": name for number in range(more)}) for name in "ab"}
    (found,) = merge_pairs(repository(git), tips)
    assert found.count == more
    assert list(found.files) == [f"files/{number:04}" for number in range(MOST_FILES)]
