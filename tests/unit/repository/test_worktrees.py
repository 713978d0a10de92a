from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.worktrees import ensure_worktree, ensured_worktree
from tests.support.git_repository import GitRepository, make_repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def repository(made: GitRepository) -> Repository:
    return find_repository(made.path)


def plan(sha: str, plan_id: str = "sample-plan") -> PlanMetadata:
    return PlanMetadata(plan_id, sha, "ready", (), "Do it.")


def state(made: GitRepository) -> tuple[str, ...]:
    """All that ensure_worktree could change: refs, records, and names in the tree."""
    names = sorted(str(path) for path in made.path.rglob("*") if ".git/" not in f"{path}/")
    return (made.run("for-each-ref"), made.run("worktree", "list", "--porcelain"), *names)


def refused(made: GitRepository, wanted: PlanMetadata, match: str) -> str:
    before = state(made)
    with pytest.raises(GitError, match=match) as caught:
        ensure_worktree(find_repository(made.path), wanted)
    assert state(made) == before
    assert "\n" not in caught.value.message
    return caught.value.remedy


def test_makes_branch_and_worktree(made: GitRepository, repository: Repository) -> None:
    first = made.head()
    made.commit("second")
    found = ensure_worktree(repository, plan(first))
    assert found.path == made.path / ".lw_coder/worktrees/sample-plan"
    assert (found.branch, found.head) == ("lw/task/sample-plan", first)
    assert found.git_dir == made.path / ".git/worktrees/sample-plan"
    assert found.has_own_pointer()
    assert GitRepository(found.path).run("symbolic-ref", "HEAD") == "refs/heads/lw/task/sample-plan"
    assert (made.path / ".lw_coder/worktrees/.gitignore").read_text(encoding="ascii") == "*\n"
    assert made.run("status", "--porcelain") == ""


def test_takes_it_again_with_what_an_earlier_run_left(made: GitRepository, repository: Repository) -> None:
    first = ensure_worktree(repository, plan(made.head()))
    inside = GitRepository(first.path)
    tip = inside.commit("work")
    inside.write("file.txt", "not committed")
    inside.write("new.txt", "untracked")
    again = ensure_worktree(repository, plan(made.head()))
    assert (again.path, again.head) == (first.path, tip)
    assert inside.run("status", "--porcelain") == " M file.txt\n?? new.txt"


@pytest.mark.parametrize("after", ["prune", "list"])
def test_makes_a_deleted_folder_again_from_its_branch(
    made: GitRepository, repository: Repository, after: str
) -> None:
    first = ensure_worktree(repository, plan(made.head()))
    tip = GitRepository(first.path).commit("work")
    shutil.rmtree(first.path)
    made.run("worktree", after)
    again = ensure_worktree(repository, plan(made.head()))
    assert again.head == tip
    assert (again.path / "file.txt").read_text(encoding="utf-8") == "work"


def test_takes_a_branch_without_worktree(made: GitRepository, repository: Repository) -> None:
    made.run("branch", "lw/task/sample-plan")
    assert ensure_worktree(repository, plan(made.head())).head == made.head()


def test_works_in_a_linked_worktree_a_submodule_and_a_detached_head(
    made: GitRepository, tmp_path: Path
) -> None:
    made.run("checkout", "--quiet", "--detach")
    made.run("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    outer = make_repository(tmp_path / "outer")
    outer.run("submodule", "--quiet", "add", str(made.path), "sub")
    for number, root in enumerate((made.path, tmp_path / "linked", outer.path / "sub")):
        found = ensure_worktree(find_repository(root), plan(made.head(), f"plan-{number}"))
        home = made.path if root.name == "linked" else root
        assert found.path == home / f".lw_coder/worktrees/plan-{number}"
        assert (found.path / "README.md").exists()


@pytest.mark.parametrize("options", [("--object-format=sha256",), ()])
def test_works_in_sha256_and_with_packed_refs(tmp_path: Path, options: tuple[str, ...]) -> None:
    made = make_repository(tmp_path / "repo", *options)
    made.run("branch", "lw/task/sample-plan")
    made.run("pack-refs", "--all")
    assert ensure_worktree(find_repository(made.path), plan(made.head())).head == made.head()


def test_hooks_do_not_run(made: GitRepository, repository: Repository) -> None:
    hook = made.write(".git/hooks/post-checkout", f"#!/bin/sh\ntouch {made.path}/ran\n")
    hook.chmod(0o755)
    ensure_worktree(repository, plan(made.head()))
    assert not (made.path / "ran").exists()


def test_refuses_a_foreign_folder(made: GitRepository) -> None:
    made.write(".lw_coder/worktrees/sample-plan/mine.txt", "mine")
    assert "mv " in refused(made, plan(made.head()), "exists, but is not a worktree")


def test_refuses_a_link_in_its_place(made: GitRepository, tmp_path: Path) -> None:
    (made.path / ".lw_coder/worktrees").mkdir(parents=True)
    (made.path / ".lw_coder/worktrees/sample-plan").symlink_to(tmp_path)
    refused(made, plan(made.head()), "exists, but is not a worktree")


def test_refuses_a_branch_that_is_checked_out_elsewhere(made: GitRepository, tmp_path: Path) -> None:
    made.run("worktree", "add", "--quiet", "-b", "lw/task/sample-plan", str(tmp_path / "else where"))
    assert "switch" in refused(made, plan(made.head()), "is checked out at .*else where")


def test_refuses_a_branch_whose_worktree_is_gone_elsewhere(made: GitRepository, tmp_path: Path) -> None:
    made.run("worktree", "add", "--quiet", "-b", "lw/task/sample-plan", str(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    assert "git worktree prune" in refused(made, plan(made.head()), "which no longer exists")


def test_refuses_after_the_repository_was_moved_and_its_remedy_helps(
    made: GitRepository, repository: Repository, tmp_path: Path
) -> None:
    ensure_worktree(repository, plan(made.head()))
    moved = GitRepository(made.path.rename(tmp_path / "moved"))
    remedy = refused(moved, plan(moved.head()), "which no longer exists")
    assert "git worktree repair" in remedy
    moved.run("worktree", "repair", str(moved.path / ".lw_coder/worktrees/sample-plan"))
    assert ensure_worktree(find_repository(moved.path), plan(moved.head())).has_own_pointer()


def test_refuses_a_diverged_branch(made: GitRepository) -> None:
    made.run("branch", "lw/task/sample-plan")
    assert "git branch -m" in refused(made, plan(made.commit("later")), "does not descend")


def typed(made: GitRepository, remedy: str) -> None:
    """Type the commands that a remedy ends with."""
    commands = remedy[remedy.index("git ") :]
    subprocess.run(["sh", "-ec", commands], cwd=made.path, check=True, capture_output=True)


def test_a_branch_without_own_commits_is_moved_by_what_the_remedy_says(made: GitRepository) -> None:
    ensure_worktree(find_repository(made.path), plan(made.head()))
    later = made.commit("later")
    remedy = refused(made, plan(later), "does not descend")
    typed(made, remedy)
    assert ensure_worktree(find_repository(made.path), plan(later)).head == later


def test_a_branch_with_own_commits_is_set_aside_by_what_the_remedy_says(made: GitRepository) -> None:
    found = ensure_worktree(find_repository(made.path), plan(made.head()))
    own = GitRepository(found.path).commit("its own")
    (found.path / "untracked").touch()
    later = made.commit("later")
    remedy = refused(made, plan(later), "does not descend")
    typed(made, remedy)
    assert ensure_worktree(find_repository(made.path), plan(later)).head == later
    old = found.path.with_name("sample-plan-old")
    assert GitRepository(old).head() == own
    assert (old / "untracked").exists()


def test_a_worktree_whose_branch_was_renamed_is_set_aside_by_what_the_remedy_says(
    made: GitRepository,
) -> None:
    ensure_worktree(find_repository(made.path), plan(made.head()))
    made.run("branch", "-m", "lw/task/sample-plan", "another")
    typed(made, refused(made, plan(made.head()), "is on another, not on"))
    ensure_worktree(find_repository(made.path), plan(made.head()))


def test_refuses_another_branch_and_a_detached_head(made: GitRepository, repository: Repository) -> None:
    found = ensure_worktree(repository, plan(made.head()))
    GitRepository(found.path).run("switch", "--quiet", "-c", "other")
    assert "switch lw/task/sample-plan" in refused(made, plan(made.head()), "is on other, not on")
    GitRepository(found.path).run("checkout", "--quiet", "--detach")
    refused(made, plan(made.head()), "is on no branch")


@pytest.mark.parametrize("plan_id", ["plan.lock", ".plan", "plan.", ".gitignore"])
def test_refuses_an_id_that_is_no_branch_name(made: GitRepository, plan_id: str) -> None:
    refused(made, plan(made.head(), plan_id), "is not valid in a branch name")


@pytest.mark.parametrize("taken", ["lw", "lw/task", "lw/task/sample-plan/part"])
def test_refuses_a_branch_that_is_in_the_way(made: GitRepository, taken: str) -> None:
    made.run("branch", taken)
    assert f"git branch -m {taken}" in refused(
        made, plan(made.head()), "cannot be created: it conflicts with branch"
    )


def test_refuses_a_locked_worktree(made: GitRepository, repository: Repository) -> None:
    found = ensure_worktree(repository, plan(made.head()))
    made.run("worktree", "lock", str(found.path))
    assert "git worktree unlock" in refused(made, plan(made.head()), "is locked")
    shutil.rmtree(found.path)
    refused(made, plan(made.head()), "is locked")


@pytest.mark.parametrize("pointer", ["gitdir: /nowhere\n", "", None])
def test_refuses_a_broken_worktree(made: GitRepository, repository: Repository, pointer: str | None) -> None:
    found = ensure_worktree(repository, plan(made.head()))
    (found.path / ".git").unlink()
    if pointer is not None:
        (found.path / ".git").write_text(pointer, encoding="ascii")
    assert "git worktree repair" in refused(made, plan(made.head()), "is broken")


def test_refuses_an_unknown_commit(made: GitRepository) -> None:
    refused(made, plan("0" * 40), "git_sha: ")


def test_git_does_not_look_into_a_worktree_that_an_agent_had(
    made: GitRepository, repository: Repository
) -> None:
    found = ensure_worktree(repository, plan(made.head()))
    nested = make_repository(found.path / "sub")
    nested.run("config", "core.fsmonitor", f"touch {made.path}/ran;:")
    GitRepository(found.path).run("update-index", "--add", "--cacheinfo", f"160000,{nested.head()},sub")
    ensure_worktree(repository, plan(made.head()))
    assert not (made.path / "ran").exists()
    GitRepository(found.path).run("status")
    assert (made.path / "ran").exists(), "the trap itself works"


def fail_in(repository: Repository, wanted: PlanMetadata, name: str = "") -> None:
    with pytest.raises(KeyboardInterrupt), ensured_worktree(repository, wanted) as found:
        _interrupted(found.path, name)


def _interrupted(folder: Path, name: str) -> None:
    if name:
        (folder / name).write_text("mine", encoding="ascii")
    raise KeyboardInterrupt


def test_a_start_removes_what_a_killed_removal_left(made: GitRepository, repository: Repository) -> None:
    left = made.path / ".lw_coder/worktrees/.removed-sample-plan"
    (left / "data").mkdir(parents=True)
    (left / "data/file").write_text("of a session", encoding="ascii")
    with ensured_worktree(repository, plan(made.head())) as found:
        assert not left.exists()
        assert found.has_own_pointer()


def test_what_was_made_goes_if_the_block_fails(made: GitRepository, repository: Repository) -> None:
    fail_in(repository, plan(made.head()))
    assert made.sha("lw/task/sample-plan") == ""
    assert not (made.path / ".lw_coder/worktrees/sample-plan").exists()
    made.run("branch", "lw/task/sample-plan")
    fail_in(repository, plan(made.head()))
    assert made.sha("lw/task/sample-plan") == made.head()
    assert "sample-plan" not in made.run("worktree", "list")


def test_what_was_there_or_was_changed_stays_if_the_block_fails(
    made: GitRepository, repository: Repository
) -> None:
    fail_in(repository, plan(made.head()), "untracked.txt")
    assert (made.path / ".lw_coder/worktrees/sample-plan/untracked.txt").exists()
    assert made.sha("lw/task/sample-plan") == made.head()
    fail_in(repository, plan(made.head()))
    assert (made.path / ".lw_coder/worktrees/sample-plan/untracked.txt").exists()


def in_the_middle_of(kind: str, made: GitRepository, found: GitRepository) -> None:
    """Have git stop half way, as it does for a conflict."""
    ours = found.commit("ours", "file.txt")
    found.run("checkout", "--quiet", "-b", "theirs", made.head())
    found.commit("theirs", "file.txt")
    found.run("switch", "--quiet", "lw/task/sample-plan")
    theirs = found.sha("theirs")
    commands = {
        "merge": ("merge", theirs),
        "rebase": ("rebase", theirs),
        "cherry-pick": ("cherry-pick", theirs),
        "revert": ("revert", "--no-edit", f"{ours}~0"),
        "bisect": ("bisect", "start", ours, made.head()),
    }
    if kind == "revert":
        found.commit("later", "file.txt")
    if kind == "git am":
        patch = found.run("format-patch", "--stdout", "-1", theirs)
        found.run("am", stdin=f"{patch}\n", check=False)
    else:
        found.run(*commands[kind], check=False)


@pytest.mark.parametrize("kind", ["merge", "rebase", "cherry-pick", "revert", "bisect", "git am"])
def test_refuses_to_start_in_the_middle_of_something_and_its_remedy_helps(
    made: GitRepository, repository: Repository, kind: str
) -> None:
    found = GitRepository(ensure_worktree(repository, plan(made.head())).path)
    in_the_middle_of(kind, made, found)
    remedy = refused(made, plan(made.head()), f"is in the middle of a {kind}")
    made.run(*shlex.split(remedy.rpartition(": git ")[2]))
    ensure_worktree(repository, plan(made.head()))
