"""The image is built from the working tree, and the session starts at a commit: where these differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lw_coder.commands.image_notice import differing_files, report_image_source
from lw_coder.repository.git import find_repository
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, make_repository

DOCKERFILE = ".lw_coder/code.Dockerfile"
BUILD = "FROM x\nCOPY pyproject.toml src /x/\nCOPY tools/*.sh /tools/\n"


@dataclass(frozen=True)
class Start:
    """What a plan says of its start."""

    plan_id: str
    git_sha: str


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    for name in (
        "pyproject.toml",
        "src/a.py",
        "src/deep/b.py",
        "tools/x.sh",
        "tools/x.txt",
        "uv.lock",
        "other.py",
    ):
        made.write(name, "first\n")
    made.write(DOCKERFILE, BUILD)
    made.run("add", "--all", "--force")
    made.run("commit", "--quiet", "--message", "all")
    return made


def said(made: GitRepository, capfd: pytest.CaptureFixture[str], sha: str) -> list[str]:
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, Start("a-plan", sha))
    report_image_source(repository, worktree, sha, (made.path / DOCKERFILE).read_text(encoding="utf-8"))
    return re.sub(r"\x1b\[[0-9;]*m", "", capfd.readouterr().err).splitlines()


def test_one_line_where_nothing_differs(made: GitRepository, capfd: pytest.CaptureFixture[str]) -> None:
    line = f"Image: from your working tree as it is now; the session starts at commit {made.head()[:12]}"
    assert said(made, capfd, made.head()) == [line]
    made.write("other.py", "changed, but the build does not read it\n")
    made.write("tools/x.txt", "neither this\n")
    made.write(".lw_coder/tasks/a-plan.md", "nor this\n")
    assert said(made, capfd, made.head()) == [line]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "pyproject.toml",
            "src/deep/b.py",
            "src/new.py",
            "tools/x.sh",
            "tools/new.sh",
            "uv.lock",
            "Cargo.lock",
        ),
        *("requirements-dev.txt", "package-lock.json", "pnpm-lock.yaml", "go.sum", DOCKERFILE),
    ],
)
@pytest.mark.parametrize("is_committed", [True, False])
def test_a_file_that_the_build_reads(
    made: GitRepository, capfd: pytest.CaptureFixture[str], name: str, *, is_committed: bool
) -> None:
    sha = made.head()
    made.write(name, f"{BUILD}# changed\n")
    if is_committed:
        made.run("add", "--force", name)
        made.run("commit", "--quiet", "--message", "later")
    _, warning = said(made, capfd, sha)
    assert warning == (
        "warning: a file differs between your working tree, which the image is built from, and commit "
        f"{sha[:12]}, which the session starts at: {name}; to start from your files, commit them, and write "
        "that commit's id as the plan's git_sha"
    )


def test_a_file_that_is_gone_and_many_files(made: GitRepository, capfd: pytest.CaptureFixture[str]) -> None:
    sha = made.head()
    (made.path / "src/a.py").unlink()
    for number in range(9):
        made.write(f"src/new{number}.py", "x\n")
    _, warning = said(made, capfd, sha)
    assert "10 files differ" in warning
    assert ": src/a.py, src/new0.py, src/new1.py, src/new2.py, src/new3.py, ...; " in warning


def test_a_dockerfile_that_the_commit_does_not_have_contradicts_nothing(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo")
    first = made.head()
    made.write(DOCKERFILE, "FROM x\n")
    assert differing_files(find_repository(made.path), first, "FROM x\n") == []
    made.run("add", "--force", DOCKERFILE)
    made.run("commit", "--quiet", "--message", "set up")
    assert differing_files(find_repository(made.path), first, "FROM x\n") == []


def test_all_files_are_read_by_a_dockerfile_that_copies_all(made: GitRepository) -> None:
    sha, repository = made.head(), find_repository(made.path)
    made.write("other.py", "changed\n")
    made.write(".lw_coder/tasks/a-plan.md", "a plan\n")
    made.write(".lw_coder/config.toml", "[code]\n")
    made.write(".gitignore", "*.log\n")
    made.write("x.log", "x\n")
    assert differing_files(repository, sha, "COPY . /x\n") == ["other.py"]


def test_a_branch_with_commits_is_what_the_session_starts_at(
    made: GitRepository, capfd: pytest.CaptureFixture[str]
) -> None:
    sha = made.head()
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, Start("a-plan", sha))
    session = GitRepository(worktree.path)
    tip = session.commit("later", "uv.lock")
    line, warning = said(made, capfd, sha)
    assert line.endswith(f"the session starts at commit {tip[:12]}")
    assert warning.endswith(
        ": uv.lock; sessions of this plan changed them; to build the image with them, merge lw/task/a-plan"
    )
    made.write("uv.lock", "later")
    assert len(said(made, capfd, sha)) == 1


def test_code_that_an_earlier_session_changed_is_no_difference(
    made: GitRepository, capfd: pytest.CaptureFixture[str]
) -> None:
    sha = made.head()
    worktree = ensure_worktree(find_repository(made.path), Start("a-plan", sha))
    GitRepository(worktree.path).commit("later", "src/a.py")
    assert len(said(made, capfd, sha)) == 1
    made.write("src/deep/b.py", "the user's own\n")
    _, warning = said(made, capfd, sha)
    assert ": src/deep/b.py; to update the session's branch, commit your files and merge them in " in warning
    assert warning.endswith(".lw_coder/worktrees/a-plan")
