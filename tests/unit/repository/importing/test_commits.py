"""The private git folder of a run, and what comes home from it; the agent's git is git on that folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import find_repository
from lw_coder.repository.importing import untrusted_files
from lw_coder.repository.importing.commits import ImportResult, import_commits, pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.repository.temporary_worktrees import temporary_worktree
from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import AGENT, BRANCH, PREFIX, RUN, Session, begin, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return start(make_repository(tmp_path / "repo"), tmp_path / "run")


# What is made


def test_layout_and_mounts(session: Session, tmp_path: Path) -> None:
    run, name = tmp_path / "run", "worktrees/sample-plan"
    assert (run / "pointer").read_text(encoding="utf-8") == f"gitdir: /repo-git/{name}\n"
    assert (run / "git" / name / "HEAD").read_text(encoding="utf-8") == f"ref: refs/heads/{BRANCH}\n"
    assert (run / "git" / name / "commondir").read_text(encoding="utf-8") == "../..\n"
    assert (run / "git" / name / "gitdir").read_text(encoding="utf-8") == "/workspace/.git\n"
    assert (run / "alternates").read_text(encoding="utf-8") == "/repo-objects\n"
    assert [tuple(mount) for mount in session.git.mounts()] == [
        (run / "git", "/repo-git", False),
        (run / "pointer", "/workspace/.git", True),
        (run / "alternates", "/repo-git/objects/info/alternates", True),
        (session.made.path / ".git/objects", "/repo-objects", True),
    ]
    assert all(mount.source.exists() for mount in session.git.mounts())


def test_git_works_inside_and_the_host_sees_nothing_of_it(session: Session) -> None:
    before = session.made.run("for-each-ref")
    agent = session.agent
    assert agent.run("status", "--porcelain") == ""
    assert agent.run("config", "user.name") == AGENT.name
    first = agent.commit("one")
    agent.run("commit", "--quiet", "--amend", "--no-edit", "-m", "one, amended")
    agent.write("file.txt", "changed")
    agent.run("stash")
    agent.run("rebase", "--quiet", "--force-rebase", "HEAD~1")
    agent.run("gc", "--quiet")
    agent.run("tag", "inside")
    assert agent.run("fsck", "--no-dangling") == ""
    assert agent.head() != first
    assert session.made.run("for-each-ref") == before


def test_refs_exclude_and_index_are_those_of_the_host(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    made.run("tag", "-a", "-m", "a tag", "v1")
    made.run("branch", "other")
    made.run("pack-refs", "--all")
    made.run("branch", "loose")
    made.write(".git/info/exclude", "ignored.txt\n")
    made.run("update-ref", "refs/lw_coder/earlier/heads/x", made.head())
    made.run("config", "core.hooksPath", "somewhere")
    session = start(made, tmp_path / "run")
    assert session.agent.run("for-each-ref", "--format=%(refname:short)").splitlines() == [
        *("loose", BRANCH, "main", "other", "v1"),
    ]
    assert session.agent.sha("v1^{commit}") == made.head()
    session.agent.write("ignored.txt", "x")
    session.agent.write("staged.txt", "x")
    assert session.agent.run("status", "--porcelain") == "?? staged.txt"
    assert session.agent.run("config", "core.hooksPath", check=False) == ""


def test_what_the_host_had_staged_is_staged_inside(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    first = start(made, tmp_path / "run")
    host = GitRepository(first.worktree.path)
    host.write("staged.txt", "x")
    host.run("add", "staged.txt")
    host.run("update-index", "--split-index")
    assert start(made, tmp_path / "run2").agent.run("status", "--porcelain") == "A  staged.txt"


def test_a_renamed_run_folder_is_read_back(session: Session, tmp_path: Path) -> None:
    session.agent.commit("work")
    moved = open_private_git((tmp_path / "run").rename(tmp_path / "sealed"))
    made = replace(session.git, run_folder=tmp_path / "sealed", notes=(), has_submodules=False)
    assert moved == made
    assert pending(session.repository, moved)
    assert import_commits(session.repository, session.worktree, moved, RUN).moved


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_record_is_an_error(session: Session, text: str) -> None:
    (session.git.run_folder / "git-refs.json").write_text(text, encoding="ascii")
    with pytest.raises(GitError, match="cannot be read"):
        open_private_git(session.git.run_folder)


def test_borrowed_objects_are_mounted_too(tmp_path: Path) -> None:
    lender = make_repository(tmp_path / "lender")
    lender.run("clone", "--quiet", "--shared", ".", str(tmp_path / "middle"))
    lender.run("clone", "--quiet", "--shared", str(tmp_path / "middle"), str(tmp_path / "repo"))
    session = start(GitRepository(tmp_path / "repo"), tmp_path / "run")
    folders = [tmp_path / name / ".git/objects" for name in ("repo", "middle", "lender")]
    assert list(session.git.object_dirs) == folders
    mounted = {mount.target: mount.source for mount in session.git.mounts()}
    assert [mounted[f"/repo-objects{end}"] for end in ("", "-1", "-2")] == folders
    hidden = [target for target in mounted if target.startswith("/repo-objects") and "info" in target]
    assert hidden == ["/repo-objects/info/alternates", "/repo-objects-1/info/alternates"]
    text = (tmp_path / "run/alternates").read_text(encoding="ascii")
    assert text == "/repo-objects\n/repo-objects-1\n/repo-objects-2\n"
    session.agent.commit("work")
    assert session.end().moved


# What comes home


def test_commits_move_the_branch_and_the_index_follows(session: Session) -> None:
    session.agent.commit("one")
    tip = session.agent.commit("two", "new.txt")
    session.agent.write("file.txt", "not committed")
    session.agent.write("untracked.txt", "x")
    assert session.pending()
    home = session.end()
    assert home == ImportResult((f"{PREFIX}/heads/{BRANCH}",), commits=2, tip=tip, moved=True)
    assert not session.pending()
    host = GitRepository(session.worktree.path)
    assert session.made.sha(BRANCH) == tip
    assert host.run("status", "--porcelain") == " M file.txt\n?? untracked.txt"
    assert host.run("reflog", "-1", "--format=%gs") == f"lw_coder: {RUN}"
    assert session.made.run("fsck", "--no-dangling") == ""
    assert not list(session.git.run_folder.glob("quarantine-*"))


def test_nothing_new_is_nothing(session: Session) -> None:
    session.agent.write("file.txt", "not committed")
    assert not session.pending()
    assert session.end() == ImportResult()


def test_twice_is_as_once(session: Session) -> None:
    session.agent.commit("one")
    session.end()
    again = session.end()
    assert (again.commits, again.moved, again.problem, again.notes) == (0, True, None, ())


def test_an_old_run_brought_home_again_keeps_what_came_since(session: Session) -> None:
    tip = session.agent.commit("one")
    session.end()
    host = GitRepository(session.worktree.path)
    later = host.commit("later", "later.txt")
    host.write("staged.txt", "x")
    host.run("add", "staged.txt")
    again = session.end()
    assert (again.commits, again.tip, again.moved, again.notes) == (0, tip, True, ())
    assert host.head() == later
    assert host.run("status", "--porcelain") == "A  staged.txt"


def test_without_the_worktree_the_refs_come_home(session: Session) -> None:
    tip = session.agent.commit("one")
    shutil.rmtree(session.worktree.path)
    home = import_commits(session.repository, None, session.git, RUN)
    assert home == ImportResult(refs=(f"{PREFIX}/heads/{BRANCH}",))
    assert session.made.sha(home.refs[0]) == tip


def test_every_kind_of_ref_comes_home(session: Session) -> None:
    agent, want = session.agent, {}
    agent.run("switch", "--quiet", "-c", "feature/x")
    want["heads/feature/x"] = agent.commit("on a branch")
    agent.run("tag", "-a", "-m", "a tag", "v1")
    want["tags/v1"] = agent.sha("v1")
    for index in (1, 0):
        agent.write("file.txt", f"stash {index}")
        agent.run("stash")
        want[f"stash/{index}"] = agent.sha("stash")
    agent.run("notes", "add", "-m", "a note")
    want["notes/commits"] = agent.sha("refs/notes/commits")
    agent.run("checkout", "--quiet", "--detach", BRANCH)
    want["detached"] = agent.commit("on no branch")
    agent.run("update-ref", "refs/remotes/origin/fetched", want["detached"])
    agent.run("pack-refs", "--all")
    agent.run("gc", "--quiet")
    home = session.end()
    assert {name: session.made.sha(f"{PREFIX}/{name}") for name in want} == want
    assert sorted(home.refs) == sorted(f"{PREFIX}/{name}" for name in want)
    assert (home.moved, home.problem) == (False, None)
    assert not session.pending()


def test_a_rewritten_branch_stays_and_a_note_says_where_the_commits_are(session: Session) -> None:
    session.agent.commit("one")
    old = session.made.sha(BRANCH)
    session.agent.run("commit", "--quiet", "--amend", "-m", "unrelated")
    session.agent.run("checkout", "--quiet", "--orphan", "fresh")
    tip = session.agent.commit("rewritten")
    session.agent.run("branch", "--force", BRANCH, "fresh")
    home = session.end()
    assert (home.moved, home.tip, session.made.sha(BRANCH)) == (False, tip, old)
    assert f"{PREFIX}/heads/{BRANCH}" in home.notes[0]
    assert session.made.sha(f"{PREFIX}/heads/{BRANCH}") == tip


def test_a_branch_that_the_person_moved_meanwhile_stays(session: Session) -> None:
    session.agent.commit("inside")
    host = GitRepository(session.worktree.path)
    host.run("commit", "--quiet", "--allow-empty", "-m", "outside")
    home = session.end()
    assert not home.moved
    assert session.made.sha(BRANCH) == host.head()
    assert session.made.sha(f"{PREFIX}/heads/{BRANCH}") == home.tip


def test_a_worktree_that_the_person_switched_meanwhile_stays(session: Session) -> None:
    old = session.made.sha(BRANCH)
    session.agent.commit("inside")
    GitRepository(session.worktree.path).run("symbolic-ref", "HEAD", "refs/heads/another")
    home = session.end()
    assert "another branch now" in home.notes[0]
    assert session.made.sha(BRANCH) == old


def test_an_earlier_run_is_continued(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    first = start(made, tmp_path / "run")
    first.agent.commit("one")
    first.end()
    second = start(made, tmp_path / "run2")
    tip = second.agent.commit("two", "second.txt")
    home = import_commits(second.repository, second.worktree, second.git, "sample-plan/later")
    assert (home.commits, made.sha(BRANCH)) == (1, tip)
    assert GitRepository(second.worktree.path).run("status", "--porcelain") == ""


def test_a_session_that_takes_commits_back_moves_no_branch(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    first = start(made, tmp_path / "run")
    tip = first.agent.commit("one")
    first.end()
    second = start(made, tmp_path / "run2")
    second.agent.run("reset", "--quiet", "--hard", "HEAD~1")
    home = import_commits(second.repository, second.worktree, second.git, "sample-plan/later")
    kept = f"refs/lw_coder/sample-plan/later/heads/{BRANCH}"
    assert (home.moved, home.commits, made.sha(BRANCH)) == (False, 0, tip)
    (note,) = home.notes
    assert note.startswith(
        f"branch {BRANCH} was not moved: the session removed commits that the branch has; "
    )
    assert note.endswith(f" are at {kept}")
    assert made.sha(kept) == made.head()


def test_an_index_that_an_editor_has_locked_is_a_note(session: Session, tmp_path: Path) -> None:
    lock = session.worktree.git_dir / "index.lock"
    lock.touch()
    tip = session.agent.commit("one")
    home = session.end()
    assert (home.moved, session.made.sha(BRANCH)) == (True, tip)
    (note,) = home.notes
    assert note.startswith(f"the index was not updated: {lock} exists; ")
    later = start(session.made, tmp_path / "later", session.made.sha("main"))
    assert later.agent.run("status", "--porcelain") == ""
    later.agent.run("commit", "--quiet", "--allow-empty", "--all", "--message", "all")
    assert later.agent.run("diff", "--name-only", "HEAD~1", "HEAD") == ""
    lock.unlink()
    assert session.end().notes == ()
    assert session.host.run("status", "--porcelain") == ""


def test_a_lock_of_the_index_that_a_killed_import_left(session: Session) -> None:
    lock = session.worktree.git_dir / "index.lock"
    lock.write_bytes(b"lw_coder\n")
    (session.worktree.git_dir / "lw_coder-index").write_bytes(b"half an index")
    session.agent.commit("one")
    assert session.end().notes == ()
    assert session.host.run("status", "--porcelain") == ""
    assert not lock.exists()
    assert not (session.worktree.git_dir / "lw_coder-index").exists()


def test_a_temporary_worktree_is_detached_and_its_commits_come_home(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    repository = find_repository(made.path)
    with temporary_worktree(repository, made.head()) as worktree:
        session = begin(made, repository, worktree, tmp_path / "run")
        assert session.agent.run("status", "--porcelain") == ""
        tip = session.agent.commit("work")
        session.agent.run("branch", "None", "main")
        home = session.end()
    assert home == ImportResult((f"{PREFIX}/detached", f"{PREFIX}/heads/None"))
    assert made.sha(f"{PREFIX}/detached") == tip


@pytest.mark.parametrize("kind", ["shallow", "sha256", "submodule", "linked", "detached", "packed"])
def test_in_every_kind_of_repository(tmp_path: Path, kind: str) -> None:
    session = start(GitRepository(_of_kind(kind, tmp_path)), tmp_path / "run")
    assert session.agent.run("status", "--porcelain") == ""
    session.agent.run("log")
    tip = session.agent.commit("work")
    home = session.end()
    assert (home.problem, home.moved, home.tip) == (None, True, tip)
    assert session.made.sha(BRANCH) == tip
    assert GitRepository(session.worktree.path).run("status", "--porcelain") == ""


def _of_kind(kind: str, folder: Path) -> Path:
    made = make_repository(folder / "made", *(["--object-format=sha256"] if kind == "sha256" else []))
    made.commit("second")
    if kind == "shallow":
        made.run("clone", "--quiet", "--depth=1", made.path.as_uri(), str(folder / "shallow"))
        return folder / "shallow"
    if kind == "linked":
        made.run("worktree", "add", "--quiet", str(folder / "linked"))
        return folder / "linked"
    if kind == "submodule":
        outer = make_repository(folder / "outer")
        outer.run("submodule", "--quiet", "add", str(made.path), "sub")
        return outer.path / "sub"
    if kind == "detached":
        made.run("checkout", "--quiet", "--detach")
    if kind == "packed":
        made.run("gc", "--quiet")
    return made.path


def test_a_repository_with_a_submodule(tmp_path: Path) -> None:
    library, made = make_repository(tmp_path / "library"), make_repository(tmp_path / "repo")
    made.run("submodule", "--quiet", "add", str(library.path), "sub")
    made.run("commit", "--quiet", "-m", "submodule")
    session = start(made, tmp_path / "run")
    session.agent.commit("work")
    assert session.end() == ImportResult(
        (f"{PREFIX}/heads/{BRANCH}",), commits=1, tip=made.sha(BRANCH), moved=True
    )


# Hostile folders and worktrees


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def _trap(path: Path, marker: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {marker}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_planted_hooks_and_config_do_not_run(session: Session, marker: Path) -> None:
    session.agent.commit("work")
    folder = session.git.folder
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-receive", "update"):
        _trap(folder / "hooks" / hook, marker)
    trap = _trap(folder / "trap", marker)
    lines = f"[core]\nfsmonitor = {trap}\nsshCommand = {trap}\nhooksPath = {folder}/hooks\nworktree = /\n"
    lines += f'[uploadpack]\npackObjectsHook = {trap}\n[filter "x"]\nclean = {trap}\n'
    lines += "[extensions]\nworktreeConfig = true\n"
    for place in (
        folder / "config",
        folder / "config.worktree",
        folder / "worktrees/sample-plan/config.worktree",
    ):
        place.write_text(lines, encoding="utf-8")
    (folder / "worktrees/sample-plan/commondir").write_text("/nowhere\n", encoding="utf-8")
    home = session.end()
    assert (home.moved, home.problem) == (True, None)
    assert not marker.exists()


def test_the_persons_relative_hooks_path_does_not_run_what_the_agent_wrote(
    session: Session, marker: Path
) -> None:
    session.made.run("config", "core.hooksPath", ".husky")
    session.made.run("config", "filter.x.clean", "./clean.sh")
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        _trap(session.worktree.path / ".husky" / hook, marker)
    _trap(session.worktree.path / "clean.sh", marker)
    session.agent.write(".gitattributes", "* filter=x\n")
    session.agent.commit("work")
    assert session.end().moved
    assert not marker.exists()


def test_a_nested_repository_is_found_and_nothing_is_reset(session: Session, marker: Path) -> None:
    tip = session.agent.commit("work")
    nested = make_repository(session.worktree.path / "deep/sub")
    nested.run("config", "core.fsmonitor", f"touch {marker};:")
    home = session.end()
    assert (home.nested, home.moved) == (("deep/sub/.git",), True)
    assert "do not run git there" in home.notes[0]
    assert session.made.sha(BRANCH) == tip
    assert not marker.exists()
    shutil.rmtree(nested.path / ".git")
    host = GitRepository(session.worktree.path)
    host.run("reset", "--quiet")
    assert host.run("status", "--porcelain") == "?? deep/"


def test_a_gitlink_does_not_reach_the_branch(session: Session, marker: Path) -> None:
    old = session.made.sha(BRANCH)
    nested = make_repository(session.worktree.path / "sub")
    nested.run("config", "core.fsmonitor", f"touch {marker};:")
    session.agent.run("update-index", "--add", "--cacheinfo", f"160000,{nested.head()},sub")
    session.agent.run("commit", "--quiet", "--no-verify", "-m", "gitlink")
    marker.unlink(missing_ok=True)
    home = session.end()
    assert (home.moved, home.nested, home.commits) == (False, ("sub/.git",), 1)
    assert "add nested repositories: sub" in home.notes[-1]
    assert session.made.sha(BRANCH) == old
    assert session.made.sha(f"{PREFIX}/heads/{BRANCH}") == home.tip
    assert not marker.exists()


def test_a_changed_pointer_is_found(session: Session, marker: Path, tmp_path: Path) -> None:
    session.agent.commit("work")
    other = make_repository(tmp_path / "other")
    other.run("config", "core.fsmonitor", f"touch {marker};:")
    (session.worktree.path / ".git").write_text(f"gitdir: {other.path}/.git\n", encoding="utf-8")
    assert session.end().nested == (".git",)
    (session.worktree.path / ".git").unlink()
    (session.worktree.path / ".git").symlink_to(other.path / ".git")
    assert session.end().nested == (".git",)
    assert not marker.exists()


def test_linked_refs_are_not_followed(session: Session, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    secret = other.commit("secret")
    (tmp_path / "secret").write_text(secret, encoding="ascii")
    heads = session.git.folder / "refs/heads"
    heads.mkdir(parents=True, exist_ok=True)
    (heads / "linked").symlink_to(tmp_path / "secret")
    (heads / "folder").symlink_to(other.path / ".git/refs/heads")
    os.mkfifo(heads / "pipe")
    home = session.end()
    assert (home.refs, home.problem) == ((), None)
    assert home.notes == (
        "3 names in the run's git folder are not valid refs and were ignored: 'refs/heads/folder'",
    )


def test_linked_objects_and_foreign_alternates_leak_nothing(session: Session, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    secret = other.commit("secret")
    folder = session.git.folder
    (folder / "refs/heads").mkdir(parents=True, exist_ok=True)
    (folder / "refs/heads/thief").write_text(f"{secret}\n", encoding="ascii")
    (folder / "objects/info/alternates").write_text(f"{other.path}/.git/objects\n", encoding="ascii")
    (folder / "objects" / secret[:2]).symlink_to(other.path / ".git/objects" / secret[:2])
    _assert_refused(session, secret)
    (folder / "objects" / secret[:2]).unlink()
    (folder / "objects" / secret[:2]).mkdir()
    (folder / "objects" / secret[:2] / secret[2:]).symlink_to(
        other.path / ".git/objects" / secret[:2] / secret[2:]
    )
    _assert_refused(session, secret)


def _assert_refused(session: Session, sha: str) -> None:
    before = session.made.run("for-each-ref")
    home = session.end()
    assert home.problem is not None
    assert "\n" not in home.problem
    assert "the commits stay in" in home.problem
    assert home.refs == ()
    assert session.made.run("for-each-ref") == before
    assert session.made.run("cat-file", "-t", sha, check=False) == ""
    assert session.pending()


def test_a_commit_of_a_tree_that_is_only_elsewhere_is_refused(session: Session, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    other.commit("secret")
    tree = other.sha("HEAD^{tree}")
    text = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nthief\n"
    sha = session.agent.run("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=text)
    (session.git.folder / "refs/heads/thief").write_text(sha, encoding="ascii")
    _assert_refused(session, tree)


def test_objects_that_break_fsck_are_refused(session: Session) -> None:
    text = f"tree {session.agent.sha('HEAD^{tree}')}\nauthor nobody\ncommitter nobody\n\nbad\n"
    sha = session.agent.run("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=text)
    (session.git.folder / "refs/heads/bad").write_text(sha, encoding="ascii")
    _assert_refused(session, sha)


def test_a_dot_git_in_a_tree_is_refused(session: Session) -> None:
    blob = session.agent.sha("HEAD:README.md")
    inner = session.agent.run("mktree", stdin=f"100644 blob {blob}\tconfig\n")
    tree = session.agent.run("mktree", stdin=f"040000 tree {inner}\t.git\n")
    sha = session.agent.run("commit-tree", "-p", "HEAD", "-m", "planted", tree)
    session.agent.run("update-ref", f"refs/heads/{BRANCH}", sha)
    _assert_refused(session, sha)


def test_a_corrupt_object_is_refused(session: Session) -> None:
    sha = session.agent.commit("work")
    path = session.git.folder / "objects" / sha[:2] / sha[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    _assert_refused(session, sha)


def test_an_object_under_a_wrong_name_is_refused(session: Session) -> None:
    sha = session.agent.commit("work")
    objects = session.git.folder / "objects"
    wrong = "ab" + "0" * 38
    (objects / "ab").mkdir(exist_ok=True)
    shutil.copy(objects / sha[:2] / sha[2:], objects / "ab" / wrong[2:])
    (session.git.folder / "refs/heads/wrong").write_text(wrong, encoding="ascii")
    _assert_refused(session, wrong)


def test_a_corrupt_pack_is_refused(session: Session) -> None:
    sha = session.agent.commit("work")
    session.agent.run("gc", "--quiet", "--prune=now")
    (pack,) = (session.git.folder / "objects/pack").glob("*.pack")
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[-30] ^= 255
    pack.write_bytes(bytes(data))
    _assert_refused(session, sha)


def test_names_that_no_git_writes_are_left(session: Session) -> None:
    tip = session.agent.commit("work")
    names = [
        "refs/heads/../../evil",
        "refs/heads/a\x1b[31m",
        "HEAD",
        "refs/heads/x.lock",
        "/etc/passwd",
        "refs/heads/-ok",
    ]
    with (session.git.folder / "packed-refs").open("a", encoding="utf-8") as file:
        file.writelines(f"{tip} {name}\n" for name in names)
        file.write("zzzz refs/heads/nohex\n\x00\n")
    home = session.end()
    assert home.refs == (f"{PREFIX}/heads/-ok", f"{PREFIX}/heads/{BRANCH}")
    assert home.notes[0].startswith("7 names")
    assert "\x1b" not in str(home)


def test_a_branch_that_is_no_commit_stays(session: Session) -> None:
    old = session.made.sha(BRANCH)
    path = session.git.folder / "refs/heads" / BRANCH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(session.agent.sha("HEAD^{tree}"), encoding="ascii")
    home = session.end()
    assert not home.moved
    assert "was not moved" in home.notes[0]
    assert session.made.sha(BRANCH) == old


def test_refs_in_another_format_are_kept(session: Session) -> None:
    (session.git.folder / "reftable").mkdir()
    (session.git.folder / "reftable/tables.list").touch()
    assert "another format" in (session.end().problem or "")
    assert session.pending()


def test_an_endless_file_and_a_deep_folder_are_refused(session: Session) -> None:
    with (session.git.folder / "packed-refs").open("ab") as file:
        file.truncate(65 << 20)
    assert "packed-refs is longer" in (session.end().problem or "")
    (session.git.folder / "packed-refs").unlink()
    (session.git.folder / "refs/heads" / "/".join("d" * 60)).mkdir(parents=True)
    assert "too many files" in (session.end().problem or "")


def test_a_removed_branch_and_removed_folder_are_no_trouble(session: Session) -> None:
    session.agent.run("checkout", "--quiet", "--detach")
    session.agent.run("branch", "--quiet", "-D", BRANCH)
    assert session.end() == ImportResult()
    shutil.rmtree(session.git.folder)
    assert session.end() == ImportResult()
    assert not session.pending()


@pytest.mark.parametrize("name", ["evil\x9b2J", "evil\u202e", "evil\u2066"])
@pytest.mark.parametrize("packed", [False, True])
def test_names_that_a_terminal_would_act_upon_are_left(session: Session, name: str, *, packed: bool) -> None:
    sha = session.agent.commit("work")
    session.agent.run("update-ref", f"refs/heads/{name}", sha)
    if packed:
        session.agent.run("pack-refs", "--all")
    home = session.end()
    assert [ref for ref in home.refs if "evil" in ref] == []
    assert [note for note in home.notes if "is not a valid ref and was ignored" in note and name not in note]


def test_a_run_name_that_is_no_ref_is_an_error(session: Session) -> None:
    with pytest.raises(GitError, match="not valid in a ref name"):
        import_commits(session.repository, session.worktree, session.git, "a..b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_run_folder_that_cannot_be_written_is_a_problem(session: Session) -> None:
    session.agent.commit("work")
    session.git.run_folder.chmod(0o500)
    home = session.end()
    session.git.run_folder.chmod(0o700)
    assert "commits were not copied: Permission denied" in (home.problem or "")


# Small on disk, and large to whoever reads it


def bomb(agent: GitRepository, depth: int) -> str:
    """Make a tree of 10 to the power of `depth` files, and return its id."""
    blob = agent.run("hash-object", "-w", "--stdin", stdin="x")
    tree = agent.run("mktree", stdin="".join(f"100644 blob {blob}\tf{n}\n" for n in range(10)))
    for _ in range(depth - 1):
        tree = agent.run("mktree", stdin="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)))
    return tree


@pytest.mark.parametrize(
    ("depth", "reason"), [(2, ""), (6, "its commits change more than 500000 files"), (8, "out of memory")]
)
def test_a_tree_of_more_files_than_anyone_writes_stays(
    session: Session, monkeypatch: pytest.MonkeyPatch, depth: int, reason: str
) -> None:
    monkeypatch.setattr(untrusted_files, "MAX_MEMORY", 768 << 20)
    tree = bomb(session.agent, depth)
    commit = session.agent.run("commit-tree", "-p", "HEAD", "-m", "bomb", tree)
    session.agent.run("update-ref", "HEAD", commit)
    home = session.end()
    assert (home.problem, home.moved) == (None, not reason)
    assert reason in "".join(home.notes)


@pytest.mark.parametrize(("megabytes", "problem"), [(1, ""), (65, "it contains a commit of 681")])
def test_a_commit_of_many_megabytes_is_refused(session: Session, megabytes: int, problem: str) -> None:
    message = "0" * (megabytes << 20)
    commit = session.agent.run("commit-tree", "-p", "HEAD", "HEAD^{tree}", stdin=message)
    session.agent.run("update-ref", "HEAD", commit)
    home = session.end()
    assert home.moved == (not problem)
    assert problem in (home.problem or "")


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_damaged_object_that_nothing_leads_to_keeps_nothing_away(session: Session, content: bytes) -> None:
    """As a power failure leaves one."""
    session.agent.commit("work")
    damaged = session.git.folder / "objects/00" / ("1" * 38)
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(content)
    home = session.end()
    assert (home.problem, home.moved) == (None, True)


def test_more_packs_than_git_can_search_are_refused(session: Session) -> None:
    session.agent.commit("work")
    session.agent.run("repack", "-d", "-q")
    (pack,) = (session.git.folder / "objects/pack").glob("pack-*.pack")
    for number in range(201):
        (pack.parent / f"pack-{number:040x}.pack").write_bytes(pack.read_bytes())
    assert "it contains more than 200 packs" in (session.end().problem or "")


_GREEDY = """
import resource, subprocess, sys
from lw_coder.repository.importing import untrusted_files
from lw_coder.repository.importing.untrusted_files import memory_limited
untrusted_files.MAX_MEMORY = 256 << 20
eat = f"bytearray({untrusted_files.MAX_MEMORY})"
before = resource.getrlimit(resource.RLIMIT_DATA)
with memory_limited():
    try:
        eval(eat)
    except MemoryError:
        print("not here")
    print(subprocess.run([sys.executable, "-c", eat], stderr=subprocess.DEVNULL).returncode)
assert resource.getrlimit(resource.RLIMIT_DATA) == before
print(len(eval(eat)) == untrusted_files.MAX_MEMORY)
"""


def test_memory_is_limited_here_and_in_what_is_started() -> None:
    done = subprocess.run([sys.executable, "-c", _GREEDY], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["not here", "1", "True", ""]


# Submodules that were there before


def with_submodule(tmp_path: Path) -> Session:
    made, other = make_repository(tmp_path / "repo"), make_repository(tmp_path / "other")
    other.commit("second")
    made.run("submodule", "--quiet", "add", str(other.path), "sub")
    made.run("-C", "sub", "checkout", "--quiet", "HEAD~1")
    made.run("add", "sub")
    made.run("config", "--file", ".gitmodules", "submodule.sub.ignore", "all")
    made.run("commit", "--quiet", "--all", "--message", "with a submodule")
    return start(made, tmp_path / "run")


def test_a_submodule_that_moved_is_told(tmp_path: Path) -> None:
    session = with_submodule(tmp_path)
    session.agent.run("update-index", "--cacheinfo", f"160000,{'1' * 40},sub")
    session.agent.run("commit", "--quiet", "--message", "moved")
    home = session.end()
    assert home.moved
    assert home.notes == ("the commits move a submodule: sub; check it and .gitmodules before you update it",)


def test_a_new_one_stays_whatever_the_persons_gitmodules_leave_out(tmp_path: Path) -> None:
    session = with_submodule(tmp_path)
    session.agent.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},another")
    session.agent.run("config", "--file", ".gitmodules", "submodule.another.path", "another")
    session.agent.run("config", "--file", ".gitmodules", "submodule.another.ignore", "all")
    session.agent.run("commit", "--quiet", "--message", "planted")
    home = session.end()
    assert not home.moved
    assert "add nested repositories: another" in home.notes[0]


def test_a_name_without_end_is_cut(session: Session) -> None:
    with (session.git.folder / "packed-refs").open("a") as file:
        file.write(f"{'1' * 40} refs/heads/{'x ' * 100_000}\n")
    (note,) = session.end().notes
    assert len(note) < 400
