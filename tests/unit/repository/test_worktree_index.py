"""What a plan's worktree is to git survives sessions: flags, staged files, stat data, a sparse checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from lw_coder.repository.importing import session_state
from lw_coder.repository.importing.uncommitted import find_uncommitted
from lw_coder.repository.index_file import read_index
from lw_coder.repository.worktree_index import bring_up_to_date, isolated_git_dir, note_base
from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import BRANCH, Session, start
from tests.support.patience import within_cpu_time

FILES = ("src/a.txt", "src/deep/b.txt", "docs/c.txt", "docs/deep/d.txt", "assets/e.bin", "top.txt")


class Story:
    """Sessions of one plan, one after another."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.made = make_repository(folder / "repo", *options)
        for name in FILES:
            self.made.write(name, f"{name}\n")
        self.made.run("add", ".")
        self.made.run("commit", "--quiet", "--message", "files")
        self.sha = self.made.head()
        self.count = 0

    def start(self) -> Session:
        self.count += 1
        return start(self.made, self.folder / f"run-{self.count}", self.sha)

    def run(self, number: int) -> str:
        return f"sample-plan/2025010{number}T030405Z"

    def end(self, session: Session, *, yes: bool = False) -> tuple[str, ...]:
        home = session.end(self.run(self.count), yes=yes)
        assert home.problem is None
        assert home.moved or not home.commits, home.notes
        return home.notes

    def works(self, name: str = "src/a.txt") -> tuple[str, ...]:
        """Have a session whose agent changes one file, and commits all."""
        session = self.start()
        session.agent.write(name, f"session {self.count}\n")
        session.agent.run("commit", "--quiet", "--all", "--message", "work")
        assert session.agent.run("diff", "--name-only", "HEAD~1", "HEAD") == name
        return self.end(session)

    @property
    def host(self) -> GitRepository:
        return GitRepository(self.made.path / ".lw_coder/worktrees/sample-plan")

    def changed(self) -> list[str]:
        return self.made.run("diff", "--name-status", self.sha, BRANCH).split("\n")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


PATTERNS = pytest.mark.parametrize(
    "patterns",
    [("src",), ("--no-cone", "/src/", "/top.txt"), ("--sparse-index", "src")],
    ids=["cone", "no-cone", "sparse-index"],
)


@PATTERNS
def test_a_sparse_checkout_of_the_persons(story: Story, patterns: tuple[str, ...]) -> None:
    story.end(story.start())
    story.host.run("sparse-checkout", "set", *patterns)
    assert not (story.host.path / "docs").exists()
    for _ in range(2):
        assert story.works() == ()
        assert story.host.run("status", "--porcelain") == ""
        assert not (story.host.path / "docs").exists()
    assert story.changed() == ["M\tsrc/a.txt"]
    story.host.run("sparse-checkout", "set", "docs")
    assert (story.host.path / "docs/deep/d.txt").exists()
    assert not (story.host.path / "src").exists()
    assert story.works("docs/c.txt") == ()
    story.host.run("sparse-checkout", "disable")
    assert story.host.run("status", "--porcelain") == ""
    assert (story.host.path / "src/a.txt").read_text(encoding="utf-8") == "session 3\n"


@PATTERNS
def test_a_sparse_checkout_of_the_repository_that_the_worktree_is_made_from(
    story: Story, patterns: tuple[str, ...]
) -> None:
    story.made.run("sparse-checkout", "set", *patterns)
    assert story.works() == ()
    assert story.host.run("status", "--porcelain") == ""
    assert story.works("src/deep/b.txt") == ()
    assert story.changed() == ["M\tsrc/a.txt", "M\tsrc/deep/b.txt"]


@PATTERNS
def test_a_sparse_checkout_of_the_agents(story: Story, patterns: tuple[str, ...]) -> None:
    first = story.start()
    first.agent.run("sparse-checkout", "set", *patterns)
    first.agent.commit("work", "src/a.txt")
    (note,) = story.end(first)
    assert "files are not in the worktree, because the session made a sparse checkout" in note
    assert story.host.run("status", "--porcelain") == ""
    assert story.works("src/deep/b.txt") == ()
    assert story.changed() == ["M\tsrc/a.txt", "M\tsrc/deep/b.txt"]
    remedy = note.rpartition("to check them out, type: git ")[2]
    story.made.run(*remedy.split())
    assert (story.host.path / "docs/c.txt").exists()
    assert story.host.run("status", "--porcelain") == ""


def test_a_sparse_checkout_without_a_commit(story: Story) -> None:
    first = story.start()
    first.agent.run("sparse-checkout", "set", "docs")
    assert len(story.end(first)) == 1
    assert story.works("docs/c.txt") == ()
    assert story.changed() == ["M\tdocs/c.txt"]


def test_an_agent_that_widens_a_sparse_checkout(story: Story) -> None:
    story.end(story.start())
    story.host.run("sparse-checkout", "set", "src")
    session = story.start()
    session.agent.run("sparse-checkout", "disable")
    session.agent.write("docs/c.txt", "changed\n")
    story.end(session)
    assert story.host.run("status", "--porcelain") == " M docs/c.txt"


def test_after_an_agents_sparse_checkout_another_disables_it(story: Story) -> None:
    first = story.start()
    first.agent.run("sparse-checkout", "set", "src")
    story.end(first)
    second = story.start()
    second.agent.run("sparse-checkout", "disable")
    second.agent.write("docs/c.txt", "changed\n")
    story.end(second)
    assert story.host.run("status", "--porcelain") == " M docs/c.txt"
    assert story.works("docs/c.txt") == ()


def test_files_that_come_in_by_a_merge_outside_of_the_sparse_checkout(story: Story) -> None:
    story.made.run("checkout", "--quiet", "-b", "other")
    story.made.commit("other", "docs/new.txt")
    story.made.run("checkout", "--quiet", "main")
    session = story.start()
    session.agent.run("sparse-checkout", "set", "src")
    session.agent.run("merge", "--quiet", "--no-edit", "--no-ff", "other")
    story.end(session)
    assert story.host.run("status", "--porcelain") == ""
    assert story.works() == ()
    assert story.changed() == ["A\tdocs/new.txt", "M\tsrc/a.txt"]


def test_flags_that_the_person_set_by_hand(story: Story) -> None:
    story.end(story.start())
    host = story.host
    host.run("update-index", "--assume-unchanged", "docs/c.txt", "top.txt")
    host.run("update-index", "--skip-worktree", "assets/e.bin")
    for name in ("docs/c.txt", "assets/e.bin"):
        host.write(name, "mine alone")
    assert story.works() == ()
    session = story.start()
    session.agent.run("update-index", "--no-assume-unchanged", "top.txt")
    session.agent.commit("on purpose", "top.txt")
    assert story.end(session) == ()
    listed = host.run("ls-files", "-v").split("\n")
    assert [line for line in listed if not line.startswith("H ")] == [
        "S assets/e.bin",
        "h docs/c.txt",
        "h top.txt",
    ]
    assert story.changed() == ["M\tsrc/a.txt", "M\ttop.txt"]
    assert host.run("status", "--porcelain") == ""


def test_the_index_knows_the_files(story: Story) -> None:
    story.works()
    git_dir = story.made.path / ".git/worktrees/sample-plan"
    entries = read_index((git_dir / "index").read_bytes(), 20)
    assert [entry.path for entry in entries if not entry.size] == []
    assert story.host.run("diff-files", "--name-only") == ""


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)])
def test_what_the_agent_staged_stays_staged(tmp_path: Path, options: tuple[str, ...]) -> None:
    story = Story(tmp_path, *options)
    session = story.start()
    agent = session.agent
    agent.commit("work", "src/a.txt")
    agent.write("new.txt", "new\n")
    agent.write("tool.sh", "#!/bin/sh\n").chmod(0o755)
    (agent.path / "link").symlink_to("top.txt")
    agent.write("docs/c.txt", "staged\n")
    agent.run("add", "new.txt", "tool.sh", "link", "docs/c.txt")
    agent.write("docs/c.txt", "and changed again\n")
    agent.write("meant.txt", "x")
    agent.run("add", "--intent-to-add", "meant.txt")
    agent.run("rm", "--quiet", "top.txt")
    before = agent.run("status", "--porcelain")
    assert story.end(session) == ()
    assert story.host.run("status", "--porcelain").replace(" D top.txt", "D  top.txt") == before
    assert story.host.run("cat-file", "blob", ":docs/c.txt") == "staged"
    assert story.made.run("for-each-ref", "refs/lw_coder-staged") == ""
    again = story.start().agent
    assert again.run("status", "--porcelain").replace(" D top.txt", "D  top.txt") == before
    again.run("commit", "--quiet", "--message", "what was staged")
    assert again.run("diff", "--name-only", "HEAD~1", "HEAD").split() == [
        "docs/c.txt",
        "link",
        "new.txt",
        "tool.sh",
    ]


def test_what_was_staged_and_not_committed_without_any_commit(story: Story) -> None:
    session = story.start()
    session.agent.write("new.txt", "new\n")
    session.agent.run("add", "new.txt")
    story.end(session)
    assert story.host.run("status", "--porcelain") == "A  new.txt"
    story.host.run("reset", "--quiet")
    session.end(story.run(1))  # again: the person has decided otherwise meanwhile
    assert story.host.run("status", "--porcelain") == "?? new.txt"


def test_what_the_person_staged_between_sessions(story: Story) -> None:
    story.works()
    story.host.write("mine.txt", "mine")
    story.host.write("top.txt", "changed")
    story.host.run("add", "mine.txt", "top.txt")
    session = story.start()
    assert session.agent.run("status", "--porcelain") == "A  mine.txt\nM  top.txt"
    session.agent.write("src/a.txt", "only this")
    session.agent.run("commit", "--quiet", "--message", "only this", "--", "src/a.txt")
    story.end(session)
    assert story.host.run("status", "--porcelain") == "A  mine.txt\nM  top.txt"


def test_a_submodule_among_what_is_staged_stays_away(story: Story) -> None:
    session = story.start()
    session.agent.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    session.agent.write("new.txt", "new")
    session.agent.run("add", "new.txt")
    story.end(session)
    assert story.host.run("status", "--porcelain") == "A  new.txt"


def test_an_index_that_git_in_the_session_did_not_write_is_left_alone(story: Story) -> None:
    session = story.start()
    index = session.worktree.git_dir / "index"
    before = index.stat()
    session.agent.write("src/a.txt", "written without git\n")
    session.agent.write("src/new.txt", "new\n")
    story.end(session)
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert story.host.run("status", "--porcelain").split("\n") == [" M src/a.txt", "?? src/new.txt"]


@pytest.mark.parametrize("damage", [b"", b"DIRC", b"garbage" * 100])
def test_an_index_that_cannot_be_read_says_nothing(story: Story, damage: bytes) -> None:
    session = story.start()
    session.agent.commit("work", "src/a.txt")
    (session.git.worktree_folder / "index").write_bytes(damage)
    assert story.end(session) == ()
    assert story.host.run("status", "--porcelain") == ""
    assert story.works("top.txt") == ()


@pytest.mark.parametrize("name", ["../outside", ".git/config", "/etc/x", "sub/../../x", "a/.GIT/hooks/x"])
def test_hostile_names_in_the_index_lead_nowhere(story: Story, name: str) -> None:
    session = story.start()
    agent = session.agent
    blob = agent.run("hash-object", "-w", "--stdin", stdin="evil")
    placeholder = "n" * len(name)
    agent.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{placeholder}")
    index = session.git.worktree_folder / "index"
    index.write_bytes(index.read_bytes().replace(placeholder.encode(), name.encode()))
    story.end(session)
    assert story.host.run("status", "--porcelain") == ""
    assert [entry for entry in story.host.run("ls-files").split() if entry == name] == []


def test_the_index_follows_although_something_is_planted(story: Story) -> None:
    session = story.start()
    session.agent.commit("work", "new.txt")
    proof = story.folder / "ran"
    nested = make_repository(session.worktree.path / "vendor/nested")
    nested.run("config", "core.fsmonitor", f"touch {proof};:")
    (note,) = story.end(session)
    assert "vendor/nested/.git" in note
    shutil.rmtree(session.worktree.path / "vendor")
    assert story.host.run("status", "--porcelain") == ""
    assert not proof.exists()


def test_a_change_in_the_second_of_the_checkout_is_seen(story: Story) -> None:
    """Of the same size, and with the time that the index has: only its content tells."""
    session = story.start()
    session.agent.commit("work", "src/a.txt")
    index = session.worktree.git_dir / "index"
    times = (session.worktree.path / "top.txt").stat().st_mtime_ns
    session.agent.write("top.txt", "top.tx_\n")
    os.utime(session.worktree.path / "top.txt", ns=(times, times))
    os.utime(index, ns=(times, times))
    story.end(session)
    assert story.host.run("status", "--porcelain") == " M top.txt"
    assert story.start().agent.run("status", "--porcelain") == " M top.txt"


@pytest.mark.parametrize("scope", ["--local", "--global", "the shell's variables"])
def test_a_filter_of_the_persons_does_not_run_on_what_the_agent_left(
    story: Story, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    proof = story.folder / "ran"
    story.end(story.start())
    for number, action in enumerate(("clean", "smudge")):
        command = f"touch {proof}; cat"
        if scope.startswith("--"):
            story.made.run("config", scope, f"filter.mine.{action}", command)
        else:
            monkeypatch.setenv("GIT_CONFIG_COUNT", str(number + 1))
            monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", f"filter.mine.{action}")
            monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", command)
    session = story.start()
    session.agent.write(".gitattributes", "*.txt filter=mine\n")
    session.agent.run("add", ".gitattributes")
    session.agent.run("commit", "--quiet", "--message", "attributes")
    session.agent.write("top.txt", "top.tx_\n")
    story.end(session)
    assert not proof.exists()
    story.host.run("add", "top.txt")
    assert proof.exists(), "the trap itself works"


def test_a_repository_that_has_bare_ones_among_its_files(story: Story) -> None:
    for name, text in {"HEAD": "ref: refs/heads/x\n", "objects/x": "", "refs/x": ""}.items():
        story.made.write(f"tests/data/bare/{name}", text)
    story.made.run("add", ".")
    story.made.run("commit", "--quiet", "--message", "test data")
    story.sha = story.made.head()
    for name in ("new.txt", "another.txt"):
        session = story.start()
        session.agent.commit(name, name)
        session.agent.run("commit", "--quiet", "--allow-empty", "--all", "--message", "all")
        story.end(session)
    assert story.changed() == ["A\tanother.txt", "A\tnew.txt"]
    assert story.host.run("status", "--porcelain") == ""


def test_the_power_fails_between_the_branch_and_the_index(story: Story) -> None:
    session = story.start()
    session.agent.commit("work", "new.txt")
    index = session.worktree.git_dir / "index"
    before = index.read_bytes()
    story.host.write("mine.txt", "mine")
    story.end(session)
    index.write_bytes(before)
    story.host.run("add", "mine.txt")  # the person goes on without having noticed
    note_base(session.worktree, story.sha)
    assert story.start().agent.run("status", "--porcelain") == "A  mine.txt"
    session.end(story.run(1))
    assert story.host.run("status", "--porcelain") == "A  mine.txt"


def test_an_index_that_an_earlier_version_session_state(story: Story) -> None:
    session = story.start()
    session.agent.commit("one", "new.txt")
    session.agent.commit("two", "src/a.txt")
    index = session.worktree.git_dir / "index"
    before = index.read_bytes()
    story.end(session)
    index.write_bytes(before)
    second = story.start()
    assert second.agent.run("status", "--porcelain") == ""
    second.agent.commit("three", "top.txt")
    assert second.agent.run("diff", "--name-only", "HEAD~1", "HEAD") == "top.txt"


def test_a_session_with_the_persons_merge_in_the_worktree_moves_nothing(story: Story) -> None:
    story.made.run("checkout", "--quiet", "-b", "other")
    story.made.commit("other", "docs/new.txt")
    story.made.run("checkout", "--quiet", "main")
    session = story.start()
    session.agent.commit("work")
    story.host.run("merge", "--no-commit", "--no-ff", "other")
    home = session.end()
    assert not home.moved
    assert "is in the middle of a merge; type: git -C" in home.notes[0]
    assert (session.worktree.git_dir / "MERGE_HEAD").exists()


# Files that the session did not have


def test_a_deletion_of_files_that_were_not_there_moves_nothing(story: Story) -> None:
    story.end(story.start())
    (story.host.path / "docs/c.txt").unlink()
    shutil.rmtree(story.host.path / "assets")
    session = story.start()
    session.agent.write("src/a.txt", "work")
    session.agent.run("commit", "--quiet", "--all", "--message", "work")
    old = story.made.sha(BRANCH)
    home = session.end(story.run(2))
    assert (home.moved, story.made.sha(BRANCH)) == (False, old)
    (note,) = home.notes
    assert "delete or empty 2 files that were not in the session's worktree at the start" in note
    assert "assets/e.bin, docs/c.txt" in note
    assert f"lw_coder runs import --yes {story.run(2)}" in note
    taken = session.end(story.run(2), yes=True)
    assert taken.moved
    assert "delete or empty 2 files" in taken.notes[0]


def test_files_of_a_sparse_checkout_that_are_deleted_or_emptied_move_nothing(story: Story) -> None:
    story.end(story.start())
    story.host.run("sparse-checkout", "set", "src")
    session = story.start()
    agent = session.agent
    empty = agent.run("hash-object", "-w", "--stdin")
    agent.run("update-index", "--cacheinfo", f"100644,{empty},docs/c.txt")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 5\n"
    sha = agent.run("hash-object", "-w", "--stdin", stdin=pointer)
    agent.run("update-index", "--cacheinfo", f"100644,{sha},assets/e.bin")
    agent.run("rm", "--quiet", "--cached", "--sparse", "docs/deep/d.txt")
    agent.run("commit", "--quiet", "--message", "gone")
    home = session.end(story.run(2))
    assert not home.moved
    assert "empty 3 files" in home.notes[0]


def test_what_an_agent_deletes_itself_is_no_question(story: Story) -> None:
    session = story.start()
    session.agent.run("rm", "--quiet", "-r", "docs")
    session.agent.write("top.txt", "")
    session.agent.run("commit", "--quiet", "--all", "--message", "on purpose")
    assert story.end(session) == ()


def test_an_absent_file_that_the_agent_writes_anew_is_no_question(story: Story) -> None:
    story.end(story.start())
    (story.host.path / "docs/c.txt").unlink()
    session = story.start()
    session.agent.commit("new", "docs/c.txt")
    assert story.end(session) == ()


def test_a_git_folder_planted_in_the_persons_submodule_runs_nothing(story: Story) -> None:
    """Git would look into it for changes, with the filters that its own configuration names."""
    base, made = story.sha, story.made
    made.run("update-index", "--add", "--cacheinfo", f"160000,{base},sub")
    made.run("commit", "--quiet", "--message", "a submodule")
    story.sha = made.head()
    session = story.start()
    session.agent.commit("work", "src/a.txt")
    sub, proof = session.worktree.path / "sub", story.folder / "ran"
    made.run("clone", "--quiet", str(made.path), str(sub))
    planted = GitRepository(sub)
    planted.run("checkout", "--quiet", base)
    planted.write(".git/info/attributes", "* filter=evil\n")
    planted.run("config", "filter.evil.clean", f"touch {proof}; cat")
    os.utime(sub / "top.txt", (1, 1))
    (note,) = story.end(session)
    assert "sub/.git" in note
    assert not proof.exists()
    planted.run("status")
    assert proof.exists()


def test_a_file_that_is_longer_by_four_gigabytes_is_not_read(story: Story) -> None:
    session = story.start()
    path = session.worktree.path / "top.txt"
    os.truncate(path, path.stat().st_size + (1 << 42))
    assert within_cpu_time(60, lambda: story.end(session)) == ()


def test_a_tree_that_is_staged_as_a_file_stays_away(story: Story) -> None:
    session = story.start()
    tree = story.made.run("rev-parse", "HEAD^{tree}")
    blob = story.made.run("rev-parse", "HEAD:top.txt")
    session.agent.run("update-index", "--add", "--cacheinfo", f"100644,{blob},evil.txt")
    index = session.git.worktree_folder / "index"
    entry = index.read_bytes().index(b"evil.txt") - 22
    data = bytearray(index.read_bytes())
    data[entry : entry + 20] = bytes.fromhex(tree)
    index.write_bytes(data)
    story.end(session)
    assert tree not in story.host.run("ls-files", "--stage")


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", "src/.gitattributes"])
def test_a_pipe_that_git_would_wait_for(story: Story, name: str) -> None:
    session = story.start()
    session.agent.commit("work", "src/a.txt")
    os.mkfifo(session.worktree.path / name)
    (session.worktree.path / "top.txt").write_text("TOP.TXT\n", encoding="ascii")
    home = session.end(story.run(1))
    assert home.moved
    assert home.nested == (name,)
    assert find_uncommitted(session.worktree, home) is None


def sparse_index(names: Sequence[str]) -> bytes:
    """Write an index of folders, as gitformat-index(5) describes version 2."""
    entries = (struct.pack(">24xI12x20xH", 0o40000, len(name)) + name.encode() for name in names)
    padded = (entry + bytes(8 - len(entry) % 8) for entry in entries)
    data = struct.pack(">4sII", b"DIRC", 2, len(names)) + b"".join(padded)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def commit_of_many(made: GitRepository, folder: str, count: int) -> str:
    """Commit so many files in a folder without writing any, and return the commit's id."""
    blob = made.run("rev-parse", "HEAD:top.txt")
    tree = made.run("mktree", stdin="".join(f"100644 blob {blob}\tfile{n}\n" for n in range(count)))
    for name in reversed(folder.split("/")):
        tree = made.run("mktree", stdin=f"040000 tree {tree}\t{name}\n")
    return made.run("commit-tree", "-m", "many", tree)


def test_folders_of_a_sparse_index_without_end(story: Story) -> None:
    session = story.start()
    commit, names = commit_of_many(story.made, "src/a", 20_000), [f"dir{n:06}/" for n in range(300_000)]
    (session.git.worktree_folder / "index").write_bytes(sparse_index(names))
    read = partial(session_state.read_session_index, session.repository, session.worktree.path, session.git)
    changes = within_cpu_time(60, lambda: read(commit, with_staged=False))
    assert (len(changes.shown), changes.skipped) == (len(names), frozenset())


def test_what_was_staged_beside_a_committed_file_stays_staged(story: Story) -> None:
    story.end(story.start())
    host = story.host
    for name in ("src/a.txt", "docs/c.txt", "new.txt"):
        host.write(name, "staged")
    host.run("add", ".")
    host.run("rm", "--quiet", "--cached", "top.txt")
    for name in ("src/a.txt", "docs/c.txt"):
        host.write(name, "and changed after that")
    session = story.start()
    session.agent.run("reset", "--quiet")
    session.agent.commit("work", "src/a.txt")
    (session.git.worktree_folder / "index").unlink()
    story.end(session)
    assert host.run("diff", "--cached", "--name-status").split("\n") == [
        "M\tdocs/c.txt",
        "A\tnew.txt",
        "D\ttop.txt",
    ]
    assert host.run("show", ":docs/c.txt") == "staged"


def test_no_parent_is_looked_for_that_a_shallow_clone_lacks(tmp_path: Path) -> None:
    first = make_repository(tmp_path / "first")
    first.commit("second")
    first.run("clone", "--quiet", "--depth=1", first.path.as_uri(), str(tmp_path / "clone"))
    session = start(GitRepository(tmp_path / "clone"), tmp_path / "run")
    session.host.write("new.txt", "staged")
    session.host.run("add", "new.txt")
    with isolated_git_dir(session.repository, session.worktree, tmp_path) as place:
        bring_up_to_date(place, session.worktree)
    assert session.host.run("diff", "--cached", "--name-only") == "new.txt"
