"""Worktrees that git did not finish: it is stopped for real, in the middle of its checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import is_being_written, writers_lock
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import find_repository
from lw_coder.repository.incomplete_worktrees import admin_dir, is_incomplete
from lw_coder.repository.temporary_worktrees import remove_stale_temp_worktrees
from lw_coder.repository.worktrees import Worktree, ensure_worktree, ensured_worktree, plan_worktree
from tests.support.git_repository import GitRepository, make_repository

PLAN = "sample-plan"
BRANCH = f"lw/task/{PLAN}"
START = """
import sys
from pathlib import Path
from lw_coder.repository.git import find_repository
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.worktrees import ensure_worktree
ensure_worktree(find_repository(Path(sys.argv[1])), PlanMetadata("sample-plan", sys.argv[2], "ready", (), ""))
"""


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    """A repository whose checkout waits at one file until it is let on."""
    made = make_repository(tmp_path / "repo")
    for number in range(9):
        made.write(f"files/{number}.txt", f"text {number}\n")
    made.write(".gitattributes", "files/5.txt filter=slow\n")
    made.run("add", ".")
    made.run("commit", "--quiet", "--message", "files")
    waits = f"touch {tmp_path}/waiting; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; cat"
    made.run("config", "filter.slow.smudge", waits)
    return made


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def started(made: GitRepository, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start to make the worktree, in a process of its own; it is in the middle of the checkout now."""
    process = subprocess.Popen([sys.executable, "-c", START, str(made.path), made.head()])
    wait_for((tmp_path / "waiting").exists)
    return process


def git_groups(process: subprocess.Popen[bytes]) -> list[int]:
    """List the process groups of what a process has started."""
    listed = subprocess.run(["ps", "-eo", "ppid=,pgid="], capture_output=True, text=True, check=True).stdout
    pairs = (line.split() for line in listed.splitlines())
    return sorted({int(group) for parent, group in pairs if int(parent) == process.pid})


def killed_together(made: GitRepository, tmp_path: Path) -> None:
    """As a power cut, or the end of the machine, does: nobody gets to tidy up."""
    process = started(made, tmp_path)
    groups = git_groups(process)
    process.kill()
    for group in groups:
        os.killpg(group, signal.SIGKILL)
    process.wait()
    repository = find_repository(made.path)

    def is_free() -> bool:
        with writers_lock(repository.common_dir, PLAN) as lock:
            return lock is not None

    wait_for(is_free)
    (tmp_path / "go").touch()


def ensured(made: GitRepository) -> Worktree:
    return ensure_worktree(find_repository(made.path), PlanMetadata(PLAN, made.head(), "ready", (), "Do it."))


def folder(made: GitRepository) -> Path:
    return made.path / ".lw_coder/worktrees" / PLAN


def assert_whole(made: GitRepository) -> None:
    worktree = ensured(made)
    inside = GitRepository(worktree.path)
    assert inside.run("status", "--porcelain") == ""
    assert inside.run("symbolic-ref", "--short", "HEAD") == BRANCH
    assert (worktree.path / "files/8.txt").read_text(encoding="utf-8") == "text 8\n"
    assert made.run("worktree", "list", "--porcelain").count("worktree ") == 2
    assert "locked" not in made.run("worktree", "list", "--porcelain")
    inside.run("commit", "--quiet", "--allow-empty", "--all", "--message", "all")
    assert inside.run("diff", "--name-only", "HEAD~1", "HEAD") == ""


def test_it_is_made_again(made: GitRepository, tmp_path: Path) -> None:
    killed_together(made, tmp_path)
    assert is_incomplete(find_repository(made.path), folder(made))
    assert plan_worktree(find_repository(made.path), PLAN) is None
    assert_whole(made)


def test_it_is_made_again_after_the_lock_was_removed_by_hand(made: GitRepository, tmp_path: Path) -> None:
    killed_together(made, tmp_path)
    made.run("worktree", "unlock", str(folder(made)))
    assert_whole(made)
    assert sorted(path.name for path in folder(made).parent.iterdir()) == [".gitignore", PLAN]


def test_what_may_be_work_is_put_aside(
    made: GitRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_together(made, tmp_path)
    made.run("worktree", "unlock", str(folder(made)))
    (folder(made) / "notes.txt").write_text("mine", encoding="ascii")
    assert_whole(made)
    aside = folder(made).with_name(f"{PLAN}.unfinished-1")
    assert (aside / "notes.txt").read_text(encoding="ascii") == "mine"
    assert str(aside) in capsys.readouterr().err.replace("\n", "")


def test_it_is_made_again_after_its_folder_was_removed_by_hand(made: GitRepository, tmp_path: Path) -> None:
    killed_together(made, tmp_path)
    subprocess.run(["rm", "-rf", str(folder(made))], check=True)
    assert_whole(made)


@pytest.mark.parametrize("unlocked", [False, True])
@pytest.mark.parametrize("lost", ["gitdir", "HEAD", "commondir", "index", "pointer"])
def test_files_that_a_power_cut_emptied(
    made: GitRepository, tmp_path: Path, lost: str, *, unlocked: bool
) -> None:
    killed_together(made, tmp_path)
    record = made.path / ".git/worktrees" / PLAN
    if unlocked:
        (record / "locked").unlink()
    (folder(made) / ".git" if lost == "pointer" else record / lost).write_bytes(b"")
    worktree = ensured(made)
    assert GitRepository(worktree.path).run("status", "--porcelain") == ""


def test_an_empty_folder_is_taken(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    folder(made).mkdir(parents=True)
    assert_whole(made)


def test_while_git_goes_on_it_is_waited_for(
    made: GitRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only lw_coder is killed: git goes on, and finishes the worktree, which the next start then uses."""
    process = started(made, tmp_path)
    process.kill()
    process.wait()
    assert is_being_written(find_repository(made.path).common_dir, PLAN)
    with ThreadPoolExecutor(1) as pool:
        next_start = pool.submit(ensured, made)
        wait_for(lambda: "waiting for a git" in capsys.readouterr().err)
        assert is_incomplete(find_repository(made.path), folder(made))
        (tmp_path / "go").touch()
        next_start.result()
    assert not is_incomplete(find_repository(made.path), folder(made))
    assert_whole(made)


@pytest.mark.parametrize("reason", ["", "on a stick that is not always there"])
def test_a_persons_lock_stays(made: GitRepository, tmp_path: Path, reason: str) -> None:
    (tmp_path / "go").touch()
    ensured(made)
    made.run("worktree", "lock", "--reason", reason, str(folder(made)))
    (made.path / ".git/worktrees" / PLAN / "index").unlink()
    with pytest.raises(GitError, match="is locked"):
        ensured(made)
    assert (folder(made) / "files/8.txt").exists()


def test_another_worktree_that_git_is_just_writing_is_waited_for(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    made.run("worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    commondir = made.path / ".git/worktrees/other/commondir"
    commondir.write_bytes(b"")
    timer = threading.Timer(0.5, lambda: commondir.write_text("../..\n", encoding="ascii"))
    timer.start()
    worktree = ensured(made)
    timer.join()
    assert GitRepository(worktree.path).run("status", "--porcelain") == ""


def test_worktrees_that_others_remove_meanwhile_are_no_error(made: GitRepository, tmp_path: Path) -> None:
    others = made.path / ".git/worktrees"

    def come_and_go() -> None:
        for _ in range(300):
            (others / "other").mkdir(parents=True)
            (others / "other/gitdir").write_text("/elsewhere/.git\n")
            (others / "other/gitdir").unlink()
            (others / "other").rmdir()
            others.rmdir()

    repository = find_repository(made.path)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(come_and_go)
        while not busy.done():
            assert admin_dir(repository, tmp_path / "nowhere") is None
        busy.result()


def test_a_worktree_that_git_had_only_begun_is_created_again(made: GitRepository, tmp_path: Path) -> None:
    """Git writes a HEAD of zeros first."""
    killed_together(made, tmp_path)
    git_dir = made.path / ".git/worktrees" / PLAN
    (git_dir / "HEAD").write_text("0" * 40 + "\n", encoding="ascii")
    for name in ("index", "index.lock"):
        (git_dir / name).unlink(missing_ok=True)
    assert_whole(made)


def test_an_incomplete_temporary_worktree_is_removed(made: GitRepository, tmp_path: Path) -> None:
    path = made.path / ".lw_coder/temp-worktrees/plan-x"
    add = ["git", "worktree", "add", "--detach", str(path)]
    process = subprocess.Popen(add, cwd=made.path, stderr=subprocess.DEVNULL, process_group=0)
    wait_for((tmp_path / "waiting").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert remove_stale_temp_worktrees(find_repository(made.path)) == ("plan-x",)
    assert "plan-x" not in made.run("worktree", "list")
    assert not path.exists()


def finished_by_hand(made: GitRepository, tmp_path: Path) -> GitRepository:
    killed_together(made, tmp_path)
    inside = GitRepository(folder(made))
    (made.path / ".git/worktrees" / PLAN / "index.lock").unlink(missing_ok=True)
    inside.run("reset", "--hard", "--quiet")
    return inside


def test_git_was_killed_just_before_it_unlocked_the_worktree(made: GitRepository, tmp_path: Path) -> None:
    finished_by_hand(made, tmp_path)
    assert "locked" in made.run("worktree", "list", "--porcelain")
    assert_whole(made)


def test_a_checkout_that_the_person_finished_under_gits_lock(made: GitRepository, tmp_path: Path) -> None:
    inside = finished_by_hand(made, tmp_path)
    inside.write("work.txt", "mine")
    assert (ensured(made).path / "work.txt").read_text(encoding="utf-8") == "mine"


def test_a_complete_index_without_all_files_under_gits_lock(made: GitRepository, tmp_path: Path) -> None:
    """Git writes the index last: somebody has made it, or removed a file."""
    finished_by_hand(made, tmp_path)
    (folder(made) / "files/1.txt").unlink()
    with pytest.raises(GitError, match="has an index, but not all of its files") as caught:
        ensured(made)
    assert "git worktree unlock" in caught.value.remedy
    made.run("worktree", "unlock", str(folder(made)))
    assert not (ensured(made).path / "files/1.txt").exists()


def test_work_under_gits_lock_is_put_aside(made: GitRepository, tmp_path: Path) -> None:
    killed_together(made, tmp_path)
    (folder(made) / "files/1.txt").write_text("mine", encoding="ascii")
    assert_whole(made)
    aside = folder(made).with_name(f"{PLAN}.unfinished-1")
    assert (aside / "files/1.txt").read_text(encoding="ascii") == "mine"


@pytest.mark.parametrize("sign", ["submodule", "submodule that is not populated", "detached", "rebase-merge"])
def test_a_record_with_work_in_it_stays(made: GitRepository, tmp_path: Path, sign: str) -> None:
    """The person removed the index by hand; commits can be nowhere but in git's record of the worktree."""
    (tmp_path / "go").touch()
    git_dir = ensured(made).git_dir
    inside = GitRepository(folder(made))
    if sign.startswith("submodule"):
        inside.run("submodule", "add", "--quiet", str(make_repository(tmp_path / "library").path), "library")
        GitRepository(folder(made) / "library").commit("mine")
        if sign != "submodule":
            inside.run("submodule", "deinit", "--force", "library")
        inside.run("reset", "--hard", "--quiet")
    elif sign == "detached":
        inside.run("checkout", "--quiet", "--detach")
        inside.commit("mine")
    else:
        (git_dir / sign).mkdir()
    (git_dir / "index").unlink()
    with pytest.raises(GitError, match="has no index, but someone has worked there") as caught:
        ensured(made)
    assert f"git -C {folder(made)} reset" in caught.value.remedy
    assert git_dir.is_dir()


def test_a_link_to_a_folder_is_the_persons(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    (ensured(made).git_dir / "index").unlink()
    (folder(made) / "data").symlink_to(tmp_path)
    assert_whole(made)
    assert folder(made).with_name(f"{PLAN}.unfinished-1").joinpath("data").is_symlink()


# Root, as which tests may run, reads any folder; without these capabilities modes count for it too.
_OVERRIDES = "-dac_override,-dac_read_search"
_AS_ANYBODY = ("setpriv", f"--bounding-set={_OVERRIDES}", f"--inh-caps={_OVERRIDES}", "--")


def test_a_folder_that_cannot_be_read_is_put_aside(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    (ensured(made).git_dir / "index").unlink()
    (folder(made) / "data").mkdir()
    (folder(made) / "data/mine.txt").write_text("mine", encoding="ascii")
    (folder(made) / "data").chmod(0)
    command = [sys.executable, "-c", START, str(made.path), made.head()]
    subprocess.run([*(_AS_ANYBODY if os.getuid() == 0 else ()), *command], check=True)
    aside = folder(made).with_name(f"{PLAN}.unfinished-1")
    (aside / "data").chmod(0o700)
    assert (aside / "data/mine.txt").read_text(encoding="ascii") == "mine"
    assert_whole(made)


def test_an_index_with_an_empty_head_stays(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    git_dir = ensured(made).git_dir
    (git_dir / "HEAD").write_bytes(b"")
    with pytest.raises(GitError, match="HEAD: is empty"):
        ensured(made)
    assert (git_dir / "index").exists()
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{BRANCH}\n", encoding="ascii")
    (git_dir / "commondir").write_bytes(b"")
    (folder(made) / "work.txt").write_text("mine", encoding="ascii")
    assert (ensured(made).path / "work.txt").exists()


def test_the_remains_of_another_record_do_not_count(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    git_dir = ensured(made).git_dir
    remains = git_dir.with_name("another")
    remains.mkdir()
    for name in ("gitdir", "HEAD", "commondir"):
        (remains / name).write_bytes((git_dir / name).read_bytes())
    assert not is_incomplete(find_repository(made.path), folder(made))
    assert ensured(made).git_dir == git_dir


def stopped_with(file: Path) -> None:
    file.write_text("KEY=1", encoding="ascii")
    raise KeyboardInterrupt


def test_an_ignored_file_that_came_meanwhile_stays(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    made.commit("ignore", ".gitignore", ".env\n")
    plan = PlanMetadata(PLAN, made.head(), "ready", (), "Do it.")
    with pytest.raises(KeyboardInterrupt), ensured_worktree(find_repository(made.path), plan) as worktree:
        stopped_with(worktree.path / ".env")
    assert (folder(made) / ".env").read_text(encoding="ascii") == "KEY=1"
