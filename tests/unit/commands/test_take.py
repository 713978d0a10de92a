"""`lw_coder take` on real repositories: what it merges, what it shows, and what it leaves as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lw_coder.commands.take import TakeOptions, take_command
from lw_coder.foundation.errors import ExitCode, LwCoderError
from lw_coder.foundation.locks import plan_lock
from lw_coder.repository.merging import How
from lw_coder.runs.run_folders import read_record, remove_run, write_record
from tests.support.finished_plan import BRANCH, FinishedPlan, finished_plan
from tests.support.forked import forked
from tests.support.git_repository import GitRepository
from tests.support.result_schema import document_of
from tests.support.sample_repository import PLAN_ID
from tests.support.snapshot import changes
from tests.support.terminal import Terminal

COMMAND = str(Path(sys.executable).with_name("lw_coder"))
WORK = {"work.txt": "one\ntwo\n", "more/deep.txt": "x\n"}


@pytest.fixture
def plan(tmp_path: Path) -> FinishedPlan:
    """A plan with one commit, which passed."""
    made = finished_plan(tmp_path / "sample")
    made.commit(WORK)
    made.judge()
    return made


def take(plan: FinishedPlan, how: How = How.MERGE, *, yes: bool = True, **more: Any) -> ExitCode:
    return take_command(plan.root, PLAN_ID, TakeOptions(how, yes, **more))


def refused(plan: FinishedPlan, **more: Any) -> LwCoderError:
    """Take in vain; the person's files, refs, index, stash and reflog are then as they were."""
    before = plan.files()
    with pytest.raises(LwCoderError) as raised:
        take(plan, **more)
    assert changes(before, plan.files()) == []
    plan.check()
    return raised.value


def test_a_merge_commit_names_the_run(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    before, tip = plan.person.head(), plan.agent.head()
    assert take(plan) is ExitCode.OK
    assert plan.person.run("rev-parse", "HEAD^1", "HEAD^2").split() == [before, tip]
    assert plan.person.run("log", "-1", "--format=%s") == f"Merge branch '{BRANCH}'"
    trailer = "--format=%(trailers:key=Lw-Coder-Run,valueonly)"
    assert plan.person.run("log", "-1", trailer).strip() == plan.run.identity
    assert (plan.root / "work.txt").read_text(encoding="ascii") == "one\ntwo\n"
    assert plan.person.run("status", "--porcelain") == ""
    assert plan.person.run("rev-parse", BRANCH) == tip
    assert read_record(plan.run)["taken"] == {
        "tip": tip,
        "commit": plan.person.head(),
        "into": "main",
        "how": "merge",
    }
    plan.check()
    said = capfd.readouterr().err
    for line in (
        "Verdict:  passed\n",
        "main also has 1 commit that the checks did not see",
        "Change:   2 files, 3 lines added, 0 removed\n",
        "+2 -0  work.txt\n",
        "its status is still ready; to change it, edit .lw_coder/tasks/sample-plan.md",
        f"Undo:     git reset --keep {before[:12]}\n",
    ):
        assert line in said
    plan.person.run("reset", "--keep", before)
    assert not (plan.root / "work.txt").exists()


def test_taking_twice_changes_nothing_more(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    take(plan)
    before = plan.files()
    assert take(plan) is ExitCode.OK
    assert "main has all changes" in capfd.readouterr().err
    assert changes(before, plan.files()) == []


def test_one_commit_of_all(plan: FinishedPlan) -> None:
    plan.commit({"work.txt": "three\n"}, "Then \x1b[31mred\nLw-Coder-Run: another/run")
    plan.judge()
    before = plan.person.head()
    assert take(plan, How.SQUASH) is ExitCode.OK
    assert plan.person.run("rev-parse", "HEAD^@") == before
    message = plan.person.run("log", "-1", "--format=%B")
    assert message.startswith(f"Carry out the plan {PLAN_ID}\n\n- Do the work\n- Then \\x1b[31mred")
    trailer = "--format=%(trailers:key=Lw-Coder-Run,valueonly)"
    assert plan.person.run("log", "-1", trailer).strip() == plan.run.identity
    assert (plan.root / "work.txt").read_text(encoding="ascii") == "three\n"
    again = plan.files()
    assert take(plan, How.SQUASH) is ExitCode.OK
    assert changes(again, plan.files()) == []
    plan.check()


def test_a_fast_forward_if_that_is_possible(plan: FinishedPlan) -> None:
    plan.person.run("switch", "--quiet", "--create", "other", plan.sample.sha)
    assert take(plan, How.FAST_FORWARD) is ExitCode.OK
    assert plan.person.head() == plan.agent.head()
    plan.person.run("switch", "--quiet", "main")
    assert take(plan, How.FAST_FORWARD) is ExitCode.OK
    assert plan.person.run("rev-parse", "HEAD^2") == plan.agent.head()


def test_the_persons_merge_settings_do_not_decide(plan: FinishedPlan) -> None:
    for name, value in (
        ("merge.ff", "only"),
        ("merge.log", "true"),
        ("merge.autoStash", "true"),
        ("branch.main.mergeOptions", "--squash --no-commit"),
    ):
        plan.person.run("config", name, value)
    (plan.root / "README.md").write_text("edited\n", encoding="ascii")
    assert take(plan) is ExitCode.OK
    assert plan.person.run("rev-parse", "HEAD^2") == plan.agent.head()
    assert plan.person.run("log", "-1", "--format=%B").strip().endswith(f"Lw-Coder-Run: {plan.run.identity}")
    assert (plan.root / "README.md").read_text(encoding="ascii") == "edited\n"
    assert plan.person.run("stash", "list") == ""


@pytest.mark.parametrize("how", How)
def test_a_conflict_leaves_all_as_it_was(plan: FinishedPlan, how: How) -> None:
    plan.person.commit("mine", "work.txt", "mine\n")
    plan.person.write("greeting.py", "edited\n")
    plan.person.run("stash")
    plan.person.write("more.txt", "untracked\n")
    error = refused(plan, how=how)
    assert error.message == "the branch conflicts with main: work.txt"
    assert error.exit_code is ExitCode.ERROR


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("is_ignored", [True, False])
def test_no_untracked_file_is_overwritten(plan: FinishedPlan, how: How, *, is_ignored: bool) -> None:
    if is_ignored:
        plan.person.commit("rules", ".gitignore", "work.txt\nmore\n")
    plan.person.write("work.txt", "precious\n")
    assert refused(plan, how=how).message.endswith("not committed: work.txt")
    (plan.root / "work.txt").unlink()
    plan.person.write("more", "a file where a folder would be\n")
    assert refused(plan, how=how).message.endswith("not committed: more")
    (plan.root / "more").unlink()
    plan.person.write("work.txt/inner", "a folder where a file would be\n")
    assert "work.txt/inner" in refused(plan, how=how).message


def test_a_link_of_the_person_is_not_replaced(plan: FinishedPlan, tmp_path: Path) -> None:
    plan.person.commit("rules", ".gitignore", "more\n")
    (tmp_path / "disk").mkdir()
    (plan.root / "more").symlink_to(tmp_path / "disk")
    assert refused(plan).message.endswith("not committed: more")


def test_edited_files_stay_if_the_merge_does_not_touch_them(plan: FinishedPlan) -> None:
    name = plan.person.run("ls-files").split("\n")[-1]
    plan.person.write(name, "edited\n")
    plan.person.write("new.txt", "mine\n")
    take(plan)
    assert (plan.root / name).read_text(encoding="ascii") == "edited\n"
    assert plan.person.run("status", "--porcelain").split("\n") == [f" M {name}", "?? new.txt"]


def test_an_edited_file_that_the_merge_would_change(plan: FinishedPlan) -> None:
    name = next(name for name in plan.person.run("ls-files").split("\n") if name.endswith(".py"))
    plan.commit({name: "of the agent\n"})
    plan.judge()
    plan.person.write(name, "of the person\n")
    assert refused(plan).message.endswith(f"not committed: {name}")


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("kind", ["assume-unchanged", "skip-worktree"])
def test_files_that_git_does_not_look_at(plan: FinishedPlan, how: How, kind: str) -> None:
    plan.commit({"greeting.py": "the agent's\n"})
    plan.judge()
    for name in ("greeting.py", "README.md"):
        plan.person.run("update-index", f"--{kind}", name)
        plan.person.write(name, "precious\n")
    error = refused(plan, how=how)
    assert error.message.endswith("git was told not to look at: greeting.py")
    command = f"git -C {plan.root} update-index --no-{kind} -- greeting.py"
    assert command in error.remedy
    subprocess.run(["sh", "-c", command], check=True)
    assert "would overwrite files that are not committed: greeting.py" in refused(plan, how=how).message
    plan.person.run("restore", "greeting.py")
    assert take(plan, how) is ExitCode.OK
    assert (plan.root / "README.md").read_text(encoding="ascii") == "precious\n"


def test_a_sparse_checkout(plan: FinishedPlan) -> None:
    plan.person.run("sparse-checkout", "set", "--no-cone", "/greeting.py", "/.lw_coder/")
    assert not (plan.root / "README.md").exists()
    plan.commit({"README.md": "the agent's\n"})
    plan.judge()
    assert take(plan) is ExitCode.OK
    assert plan.person.run("show", "HEAD:README.md") == "the agent's"


def test_another_git_process_is_at_work(plan: FinishedPlan) -> None:
    lock = plan.root / ".git/index.lock"
    lock.touch()
    error = refused(plan)
    assert error.remedy == f"wait until it has ended; if none is running, type: rm {lock}"
    lock.unlink()
    assert take(plan) is ExitCode.OK


def test_what_is_staged(plan: FinishedPlan) -> None:
    plan.person.write("new.txt", "mine\n")
    plan.person.run("add", "new.txt")
    assert "staged: new.txt" in refused(plan).message


def test_heads_without_a_branch_to_merge_into(plan: FinishedPlan) -> None:
    plan.person.run("checkout", "--quiet", "--detach")
    assert "HEAD is detached" in refused(plan).message
    plan.person.run("switch", "--quiet", "--orphan", "unborn")
    with pytest.raises(LwCoderError, match="there is no commit yet"):
        take(plan)
    plan.person.commit("another history", "alone.txt")
    assert "no commit in common" in refused(plan).message
    plan.person.run("worktree", "remove", "--force", str(plan.worktree.path))
    plan.person.run("switch", "--quiet", BRANCH)
    with pytest.raises(LwCoderError, match="itself is checked out"):
        take(plan)


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
def test_an_operation_under_way(plan: FinishedPlan, operation: str) -> None:
    plan.person.run("switch", "--quiet", "--create", "other", "HEAD^")
    plan.person.commit("other", "same.txt", "other\n")
    plan.person.run("switch", "--quiet", "main")
    plan.person.commit("mine", "same.txt", "mine\n")
    plan.person.run(operation, "other", check=False)
    error = refused(plan)
    assert f"in the middle of a {operation}" in error.message or "detached" in error.message


def test_plans_without_a_branch(plan: FinishedPlan) -> None:
    plan.person.run("worktree", "remove", "--force", str(plan.worktree.path))
    plan.person.run("branch", "-D", BRANCH)
    with pytest.raises(LwCoderError, match=f"no branch {BRANCH}"):
        take(plan)
    for name in ("no-such-plan", "../x", "@plan", "", "a\x1b[31m"):
        with pytest.raises(LwCoderError):
            take_command(plan.root, name, TakeOptions(yes=True))


def test_a_renamed_branch_is_named(plan: FinishedPlan) -> None:
    plan.person.run("branch", "--move", BRANCH, "my'name")
    error = refused(plan)
    assert error.message == f"there is no branch {BRANCH}; the plan's worktree is on my'name"
    (command,) = (part for part in error.remedy.split(": ") if part.startswith("git branch"))
    subprocess.run(["sh", "-c", command.split(";")[0]], cwd=plan.root, check=True)
    assert take(plan) is ExitCode.OK


def test_a_session_is_running(plan: FinishedPlan) -> None:
    with plan_lock(plan.root / ".git", PLAN_ID):
        assert "already running" in refused(plan).message


def test_a_verdict_is_needed(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    plan.judge(passed=False, changes=[{"path": "tests/t.py", "what": "test file removed"}])
    error = refused(plan)
    assert error.exit_code is ExitCode.VERDICT
    assert "not passed: failed: pytest" in error.message
    assert "--unverified" in error.remedy
    said = capfd.readouterr().err
    assert "tests/t.py: test file removed" in said
    plan.judge(tip=plan.sample.sha)
    assert f"the verdict is on {plan.sample.sha[:12]}" in refused(plan).message
    write_record(plan.run, {**read_record(plan.run), "verdict": None})
    assert "no verdict" in refused(plan).message
    assert take(plan, unverified=True) is ExitCode.OK


LOOK = "look at the changes, and add --unverified"
VERIFY = f"type: lw_coder verify {PLAN_ID}; or {LOOK}"


def configure_a_check(plan: FinishedPlan) -> None:
    """Make what `verify` needs: a check, and a run that names its images."""
    (plan.root / ".lw_coder/config.toml").write_text('[code]\nchecks = ["true"]\n', encoding="ascii")
    own = {"plan": {"git_sha": plan.sample.sha}, "images": {"base": "sha256:b", "repo": "sha256:r"}}
    write_record(plan.run, {**read_record(plan.run), **own, "verdict": None})


def test_verify_is_proposed_where_it_can_help(plan: FinishedPlan) -> None:
    configure_a_check(plan)
    assert refused(plan).remedy == VERIFY
    plan.judge(tip=plan.sample.sha)
    assert refused(plan).remedy == VERIFY
    plan.judge(passed=False, reasons=["the checks could not be run: no image"])
    assert refused(plan).remedy == VERIFY


def test_verify_is_not_proposed_where_it_cannot_help(plan: FinishedPlan) -> None:
    configure_a_check(plan)
    plan.judge(passed=False)
    assert refused(plan).remedy == f"to go on with the plan, type: lw_coder code {PLAN_ID}; or {LOOK}"
    elsewhere = plan.person.run("commit-tree", "-p", plan.sample.sha, "-m", "x", "HEAD^{tree}")
    ended = {"ended": {"tip": elsewhere}, "verdict": None}  # the person has rewritten the branch since
    write_record(plan.run, {**read_record(plan.run), **ended})
    assert refused(plan).remedy == LOOK
    write_record(plan.run, {**read_record(plan.run), "ended": None})
    (plan.root / ".lw_coder/config.toml").write_text("[code]\n", encoding="ascii")
    assert refused(plan).remedy == LOOK
    plan.sample.plan.unlink()
    assert refused(plan).remedy == LOOK
    remove_run(plan.run)
    assert refused(plan).remedy == LOOK


def test_without_a_terminal_nobody_is_asked(plan: FinishedPlan) -> None:
    assert "add --yes" in refused(plan, yes=False).remedy


@pytest.mark.parametrize("answer", ["n\r", "\r", "\x04", "y\r"])
def test_a_person_is_asked_once(plan: FinishedPlan, answer: str) -> None:
    before = plan.files()
    with Terminal([COMMAND, "take", PLAN_ID], plan.root, dict(os.environ)) as terminal:
        terminal.wait_for(f"Merge {BRANCH} into main?")
        terminal.type(answer)
        code = terminal.wait()
    assert code == (0 if answer == "y\r" else 1)
    assert bool(changes(before, plan.files())) == (answer == "y\r")


def hook(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    (folder / name).chmod(0o755)


def test_the_persons_hooks_run(
    plan: FinishedPlan, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = plan.root / ".git/hooks"
    hook(hooks, "commit-msg", 'echo "Change-Id: I1" >> "$1"')
    hook(hooks, "post-merge", 'echo "merged \x1b[31m in $LC_ALL"')
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    take(plan)
    assert plan.person.run("log", "-1", "--format=%B").strip().endswith("Change-Id: I1")
    assert "merged \\x1b[31m in C.UTF-8" in capfd.readouterr().err


@pytest.mark.parametrize(("how", "name"), [(How.MERGE, "pre-merge-commit"), (How.SQUASH, "pre-commit")])
def test_a_hook_that_refuses_leaves_all_as_it_was(plan: FinishedPlan, how: How, name: str) -> None:
    plan.person.write("new.txt", "mine\n")
    plan.person.write("README.md", "edited\n")
    hook(plan.root / ".git/hooks", name, "echo no such luck >&2; exit 1")
    before = snapshot_of(plan)
    with pytest.raises(LwCoderError, match="nothing was merged"):
        take(plan, how)
    assert snapshot_of(plan) == before
    assert not (plan.root / ".git/MERGE_HEAD").exists()
    assert not (plan.root / ".git/SQUASH_MSG").exists()
    assert plan.person.run("status", "--porcelain").split("\n") == [" M README.md", "?? new.txt"]


def test_ctrl_c_in_a_hook_undoes_the_merge(plan: FinishedPlan, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    hook(plan.root / ".git/hooks", "pre-merge-commit", f"touch {begun}; exec sleep 600")
    before, files = plan.person.head(), snapshot_of(plan)
    with Terminal([COMMAND, "take", "--yes", PLAN_ID], plan.root, dict(os.environ)) as terminal:
        terminal.wait_until(begun.exists, "the hook", 60)
        terminal.press_ctrl_c()
        assert terminal.wait() == ExitCode.INTERRUPTED
    assert (plan.person.head(), snapshot_of(plan)) == (before, files)
    assert not (plan.root / ".git/MERGE_HEAD").exists()
    assert plan.person.run("status", "--porcelain") == ""


def snapshot_of(plan: FinishedPlan) -> dict[str, Any]:
    """Return the person's files without what git tells: an undone merge is in the reflog."""
    return {name: state for name, state in plan.files().items() if name != "git"}


@pytest.mark.parametrize("placed", ["folder", "link"])
def test_no_hook_of_the_branch_runs(
    plan: FinishedPlan, tmp_path: Path, placed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hook(plan.root / ".husky", "post-merge", "true")
    plan.person.run("add", ".husky")
    plan.person.run("commit", "--quiet", "--message", "hooks")
    if placed == "folder":
        plan.person.run("config", "core.hooksPath", ".husky")
    else:
        (plan.root / ".git/hooks").mkdir(exist_ok=True)
        (plan.root / ".git/hooks/post-merge").symlink_to("../../.husky/post-merge")
    plan.agent.run("merge", "--quiet", "main")
    proof = tmp_path / "proof"
    plan.commit({".husky/post-merge": f"#!/bin/sh\ntouch {proof}\n"})
    plan.judge()
    assert take(plan) is ExitCode.OK
    assert not proof.exists()
    said = capfd.readouterr().err
    assert "your hooks do not run (post-merge)" in said
    assert ".husky/post-merge: changed; git runs it as a hook" in said


def test_signing_is_the_persons(plan: FinishedPlan, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("commit.gpgSign", "true")):
        plan.person.run("config", name, value)
    take(plan)
    assert "BEGIN SSH SIGNATURE" in plan.person.run("cat-file", "commit", "HEAD")


def test_what_is_unusual_is_shown(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    worktree = plan.worktree.path
    plan.person.run("config", "core.quotePath", "false")
    (worktree / "away").symlink_to("/etc/passwd")
    (worktree / "near").symlink_to("work.txt")
    (worktree / "run.sh").write_text("#!/bin/sh\n", encoding="ascii")
    (worktree / "run.sh").chmod(0o755)
    plan.commit(
        {
            ".github/workflows/ci.yml": "on: push\n",
            ".envrc": "export A=b\n",
            ".vscode/tasks.json": "{}\n",
            "package.json": '{"scripts": {"postinstall": "./run.sh"}}',
            ".lw_coder/config.toml": "[code]\nnotify = ['rm', '-r', '.']\n",
            "image.png": b"\x89PNG\0\0",
            "evil\x1b[2Jname.txt": "x\n",
        }
    )
    plan.agent.run("update-index", "--add", "--cacheinfo", f"160000,{plan.sample.sha},sub")
    plan.agent.run("commit", "--quiet", "--message", "a submodule")
    plan.judge()
    assert take(plan) is ExitCode.OK
    said = capfd.readouterr().err
    for line in (
        ".github/workflows/ci.yml: added; CI runs it",
        ".envrc: added; a shell can run it when you enter the folder",
        ".vscode/tasks.json: added; an editor can run its commands",
        "package.json: scripts changed: postinstall; package managers run them",
        ".lw_coder/config.toml: changed; its notify runs on your machine",
        "sub: submodule added",
        "away: symbolic link that leaves the repository's files: /etc/passwd",
        "run.sh: is executable now",
        "image.png: binary file added",
        "evil\\x1b[2Jname.txt",
    ):
        assert line in said
    assert "near: " not in said
    assert "\x1b[2J" not in said


Typed = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def typed(plan: FinishedPlan) -> Typed:
    """Type the command with --json, and return its exit code and its document."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = forked("take", PLAN_ID, "--json", *arguments, cwd=plan.root)
        return done.returncode, document_of("take", done.stdout)

    return run


def test_one_document_is_printed(plan: FinishedPlan, typed: Typed) -> None:
    code, document = typed()
    assert (code, document["outcome"], document["exit_code"]) == (1, "error", 1)
    assert document["error"]["remedy"] == "add --yes"
    plan.judge(passed=False)
    code, document = typed("--yes")
    assert (code, document["outcome"], document["verdict"]["passed"]) == (6, "error", False)
    code, document = typed("--yes", "--unverified", "--squash")
    assert (code, document["outcome"], document["how"]) == (0, "taken", "squash")
    assert document["commit"] == plan.person.head()
    for how in ("--squash", "--no-ff"):
        code, document = typed("--yes", how, "--unverified")
        assert (code, document["outcome"], document["commit"]) == (0, "already_merged", None)
    plan.person.run("switch", "--quiet", "--create", "other", plan.sample.sha)
    code, document = typed("--yes", "--unverified")
    assert (code, document["outcome"], document["into"]) == (0, "taken", "other")


def test_a_git_that_cannot_compute_a_merge(
    plan: FinishedPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bin/git"
    old.parent.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    old.write_text(
        f'#!/bin/sh\ncase " $* " in *" version "*) echo git version 2.34.1;; *) exec {real} "$@";; esac\n',
        encoding="ascii",
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    assert "install git 2.38" in refused(plan).remedy
    plan.person.run("reset", "--quiet", "--hard", plan.sample.sha)
    assert take(plan) is ExitCode.OK
    assert plan.person.run("rev-parse", "HEAD^2") == plan.agent.head()


def test_a_linked_worktree_has_the_runs_of_the_main_one(plan: FinishedPlan, tmp_path: Path) -> None:
    linked, main = GitRepository(tmp_path / "linked"), plan.person.head()
    plan.person.run("worktree", "add", "--quiet", "-b", "feature", str(linked.path))
    listed = forked("runs", "list", cwd=linked.path)
    assert PLAN_ID in listed.stdout, listed.stderr
    assert take_command(linked.path, PLAN_ID, TakeOptions(How.MERGE, yes=True)) is ExitCode.OK
    assert (linked.path / "work.txt").is_file()
    assert linked.run("rev-parse", "HEAD^1", "HEAD^2").split() == [main, plan.agent.head()]
    assert f"Lw-Coder-Run: {plan.run.identity}" in linked.run("log", "-1", "--format=%B")
    assert plan.person.head() == main
    assert read_record(plan.run)["taken"]["into"] == "feature"
    plan.check()
