"""`lw_coder init` as a person's shell sees it: what it writes, asks, keeps and refuses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import read_plan
from lw_coder.scaffold import texts
from lw_coder.scaffold.texts import Choices
from lw_coder.settings.config import load_config
from tests.support.forked import forked
from tests.support.projects import PROJECTS, make_project
from tests.support.sample_repository import run_git
from tests.support.snapshot import changes, snapshot

FILES = (
    ".gitignore",
    ".lw_coder/.dockerignore",
    ".lw_coder/.gitignore",
    ".lw_coder/code.Dockerfile",
    ".lw_coder/config.toml",
    ".lw_coder/tasks/first-plan.md",
)
PLAN = FILES[-1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_project(tmp_path / "repository", PROJECTS["make"])
    return tmp_path / "repository"


def init(root: Path, *options: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return forked("init", *options, cwd=root, stdin=answer)


def untracked(root: Path) -> list[str]:
    return run_git(root, "ls-files", "--others").split("\n")


def test_it_shows_what_it_writes_and_what_is_left(root: Path) -> None:
    done = init(root, "--yes")
    assert (done.returncode, done.stdout) == (0, "")
    assert untracked(root) == list(FILES)
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("  create ")] == [
        ".lw_coder/config.toml",
        ".lw_coder/code.Dockerfile",
        ".lw_coder/.dockerignore",
        ".lw_coder/.gitignore",
        ".gitignore",
        PLAN,
    ]
    assert lines[-4:] == [
        "Two things are left for you:",
        f"  1. the key: write OPENROUTER_API_KEY=<your key from openrouter.ai/keys> into {root}/.env",
        f"  2. the plan: edit {root / PLAN}",
        "Then type: lw_coder code first-plan",
    ]
    assert read_plan(root / PLAN).metadata.git_sha == run_git(root, "rev-parse", "HEAD")


def test_with_a_factory_login_there_is_no_gateway(root: Path) -> None:
    (root / ".env").write_text("FACTORY_API_KEY=fk-1\n", encoding="ascii")
    done = init(root, "--yes")
    assert "settings: without the gateway, checks: make check" in done.stderr
    config = load_config(root)
    assert (config.gateway, config.checks) == (False, ("make check",))
    assert "# Not here: the agent signs in with Factory" in (root / ".lw_coder/config.toml").read_text()


def test_it_asks_once(root: Path) -> None:
    before = snapshot(root)
    declined = init(root, answer="n\n")
    assert declined.returncode == 1
    assert declined.stderr.count("Do this? [y/N]") == 1
    assert declined.stderr.rstrip().endswith("Nothing was written.")
    unanswered = init(root)
    assert unanswered.returncode == 1
    assert unanswered.stderr.splitlines()[-1].endswith("got no answer; add --yes")
    assert changes(before, snapshot(root)) == []
    assert init(root, answer="y\n").returncode == 0
    assert untracked(root) == list(FILES)


def test_what_is_there_is_kept(root: Path) -> None:
    own = root / ".lw_coder/config.toml"
    own.parent.mkdir()
    own.write_text('[code]\nenv_file = "keys"\n', encoding="ascii")
    done = init(root, "--yes")
    assert done.returncode == 0
    assert "  keep     .lw_coder/config.toml" in done.stderr
    assert f"into {root}/keys" in done.stderr
    assert own.read_text() == '[code]\nenv_file = "keys"\n'
    assert untracked(root) == list(FILES)

    before = snapshot(root)
    again = init(root)  # nothing to ask
    assert again.returncode == 0
    assert "Do this?" not in again.stderr
    assert changes(before, snapshot(root)) == []


def test_force_replaces(root: Path) -> None:
    assert init(root, "--yes").returncode == 0
    for name in (".lw_coder/config.toml", PLAN):
        (root / name).write_text("mine\n", encoding="ascii")
    (root / ".gitignore").write_text("mine\n.env*\n", encoding="ascii")
    done = init(root, "--yes", "--force")
    assert "  replace  .lw_coder/config.toml" in done.stderr
    assert (root / ".lw_coder/config.toml").read_text() == texts.config(Choices(("make check",)))
    assert read_plan(root / PLAN).metadata.plan_id == "first-plan"
    assert (root / ".gitignore").read_text() == "mine\n.env*\n"


def test_other_plans_are_enough(root: Path) -> None:
    tasks = root / ".lw_coder/tasks"
    tasks.mkdir(parents=True)
    (tasks / "mine.md").write_text("mine\n", encoding="ascii")
    done = init(root, "--yes", "--force")
    assert done.returncode == 0
    assert [path.name for path in tasks.iterdir()] == ["mine.md"]
    assert done.stderr.rstrip().endswith("Then type: lw_coder code <plan id>")


@pytest.mark.parametrize("old", ["", "build/\n", "build/"])
def test_env_files_are_ignored(root: Path, old: str) -> None:
    (root / ".gitignore").write_text(old, encoding="ascii")
    done = init(root, "--yes")
    assert "  add to   .gitignore" in done.stderr
    assert (root / ".gitignore").read_text().startswith(old)
    for name in (".env", ".env.local", "inner/.env"):
        assert run_git(root, "check-ignore", name) == name
    (root / ".env.example").touch()
    assert ".env.example" in untracked(root)
    if old:
        (root / "build").mkdir()
        (root / "build/result").touch()
        assert run_git(root, "check-ignore", "build/result")


def test_a_key_that_is_set(root: Path) -> None:
    (root / ".env").write_text("OPENROUTER_API_KEY=sk-or-mine\n", encoding="ascii")
    done = init(root, "--yes")
    assert "One thing is left for you, the plan: edit " in done.stderr
    assert "the key" not in done.stderr
    assert "sk-or-mine" not in done.stderr


def test_runs_and_worktrees_are_ignored(root: Path) -> None:
    assert init(root, "--yes").returncode == 0
    for name in ("runs/x/run.json", "worktrees/x/file", "temp-worktrees/x/file"):
        assert run_git(root, "check-ignore", f".lw_coder/{name}")


def test_a_kind_can_be_named(root: Path) -> None:
    done = init(root, "--yes", "--kind", "npm", "--kind", "go")
    assert "the session's image, for: npm, go" in done.stderr
    assert (root / ".lw_coder/code.Dockerfile").read_text() == texts.dockerfile(["npm", "go"])


def test_in_a_folder_of_the_repository(root: Path) -> None:
    (root / "inner").mkdir()
    assert init(root / "inner", "--yes").returncode == 0
    assert (root / PLAN).is_file()
    assert not list((root / "inner").iterdir())


@pytest.mark.parametrize("kind", ["plain", "cargo"])
def test_the_first_commit(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "fresh"
    make_project(root, PROJECTS[kind], commits=False)
    (root / ".env").write_text("OPENROUTER_API_KEY=sk-or-mine\n", encoding="ascii")
    before = snapshot(root)
    shown = init(root, answer="n\n").stderr
    assert "  commit   these files, except the plan" in shown
    assert ("Cargo.toml" in shown) == (kind == "cargo")
    assert changes(before, snapshot(root)) == []

    assert init(root, "--yes").returncode == 0
    committed = run_git(root, "ls-tree", "-r", "--name-only", "HEAD").split("\n")
    assert committed == sorted({*FILES[:-1], *PROJECTS[kind].files})
    assert read_plan(root / PLAN).metadata.git_sha == run_git(root, "rev-parse", "HEAD")
    assert run_git(root, "status", "--porcelain") == "?? .lw_coder/tasks/"


def test_a_first_commit_that_cannot_be_made(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    make_project(root, PROJECTS["cargo"], commits=False)
    run_git(root, "config", "commit.gpgSign", "true")
    run_git(root, "config", "gpg.program", "false")
    done = init(root, "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: git commit: ")
    assert sorted(untracked(root)) == sorted(PROJECTS["cargo"].files)
    assert not (root / ".lw_coder").exists()


def test_nobody_to_make_the_first_commit(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    make_project(root, PROJECTS["plain"], commits=False)
    for key in ("user.name", "user.email"):
        run_git(root, "config", "--unset", key)
    run_git(root, "config", "user.useConfigOnly", "true")
    before = snapshot(root)
    done = init(root, "--yes")
    assert done.returncode == 1
    assert "git does not know who commits here" in done.stderr
    assert changes(before, snapshot(root)) == []


def test_too_many_files_for_a_first_commit(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    make_project(root, PROJECTS["npm"], commits=False)
    (root / ".gitignore").unlink()
    (root / "node_modules").mkdir()
    for number in range(5001):
        (root / f"node_modules/{number}.js").touch()
    done = init(root, "--yes")
    assert done.returncode == 1
    assert "git ignores none of 5003 files; make the first commit yourself" in done.stderr
    assert not (root / ".lw_coder").exists()


def test_a_branch_without_a_commit_beside_others(root: Path) -> None:
    run_git(root, "switch", "--quiet", "--orphan", "empty")
    done = init(root, "--yes")
    assert done.returncode == 1
    assert "there is no commit yet; make a first commit" in done.stderr
    assert not (root / ".lw_coder").exists()


@pytest.mark.parametrize("name", [".lw_coder", ".lw_coder/tasks"])
def test_something_else_in_a_folders_place(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).symlink_to(os.devnull)
    done = init(root, "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {name}: is not a folder; move it away"


def test_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("other rules\n", encoding="ascii")
    (root / ".gitignore").symlink_to(target)
    done = init(root, "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: .gitignore: is not a regular file; move it away"
    assert target.read_text() == "other rules\n"
    assert not (root / ".lw_coder").exists()


def test_no_repository(tmp_path: Path) -> None:
    done = init(tmp_path, "--yes")
    assert done.returncode == 1
    assert "is not in a git repository" in done.stderr
    assert list(tmp_path.iterdir()) == []
