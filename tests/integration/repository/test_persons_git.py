"""Sessions in a repository whose names, identity and set-up are unusual."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.integration.headless_session import headless
from tests.support.refusal import shown_lines
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.shell_agent import shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"
ODD = ("u2028\u2028x", "u2029\u2029", "u0085\x85", "bidi\u202e")
COMMIT = "echo {name} > {name} && git add {name} && git commit -q -m {name}"
WHO = {
    "GIT_AUTHOR_NAME": "Jo Author",
    "GIT_AUTHOR_EMAIL": "jo@example.com",
    "GIT_COMMITTER_NAME": "A Bot",
    "GIT_COMMITTER_EMAIL": "bot@example.com",
}

pytestmark = pytest.mark.timeout(900)  # an image may have to be built from nothing


def test_unusual_names_a_tag_in_the_way_and_an_identity_of_the_shell(
    sample: SampleRepository, person: Person
) -> None:
    for name in ("user.name", "user.email"):
        sample.git("config", "--unset", name)
    for name in ODD:
        sample.git("branch", name, sample.sha)
        sample.git("tag", f"of-{name}", sample.sha)
    sample.git("tag", BRANCH, sample.sha)
    person.extra |= WHO
    steps = (COMMIT.format(name="one.txt"), "mkdir left && touch left/x && echo >> greeting.py")
    session = headless(person, sample, shell_agent(steps))
    assert session.status == 0, session.stderr
    said = session.stderr
    assert "are not valid refs" not in said
    assert sample.git("log", "-1", "--format=%an %ae %cn %ce", f"refs/heads/{BRANCH}") == " ".join(
        WHO.values()
    )
    assert f"Left:     2 uncommitted files in {WORKTREE}: greeting.py, left/" in said
    assert session.ended["uncommitted"] == {"changed": 1, "untracked": 1, "first": ["greeting.py", "left/"]}
    _type(sample, person, said, "Merge:")
    assert (sample.root / "one.txt").is_file()

    again = headless(person, sample, shell_agent([COMMIT.format(name="two.txt")]))
    assert again.status == 0, again.stderr
    assert "are not valid refs" not in again.stderr
    _type(sample, person, again.stderr, "git -C", after=" add --all")
    assert sample.git("-C", WORKTREE, "status", "--porcelain") == ""
    assert (
        sample.git("log", "--format=%s", f"{sample.sha}..refs/heads/{BRANCH}") == "by hand\ntwo.txt\none.txt"
    )


def test_what_the_session_does_without_is_said_and_helped(
    sample: SampleRepository, person: Person, tmp_path: Path
) -> None:
    library = make_sample_repository(tmp_path / "library")
    sample.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.root), "lib")
    sample.git("commit", "--quiet", "-m", "Have a library")
    sample.plan.write_text(sample.plan.read_text().replace(sample.sha, sample.git("rev-parse", "HEAD")))
    sample.git("submodule", "--quiet", "deinit", "--all", "--force")
    log = tmp_path / "log"
    hook = sample.root / ".git/hooks/pre-commit"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ngit diff --cached --name-only >> {shlex.quote(str(log))}\n")
    hook.chmod(0o755)
    session = headless(person, sample, shell_agent([COMMIT.format(name="one.txt"), "ls lib"]))
    assert session.status == 0, session.stderr
    assert "the submodules lib are empty in the session" in session.stderr
    assert "your hooks pre-commit do not run in the session" in session.stderr
    assert not log.exists()
    for notice in ("the submodules lib", "your hooks pre-commit"):
        line = next(line for line in session.stderr.splitlines() if notice in line)
        _run(sample, person, line.partition("type: ")[2])
    assert log.read_text() == "one.txt\n"
    assert (sample.root / WORKTREE / "lib/greeting.py").is_file()


@pytest.mark.parametrize("name", ["50% done", "tab\there"])
def test_a_path_in_which_compose_does_not_start_is_refused_at_once(
    person: Person, tmp_path: Path, name: str
) -> None:
    elsewhere = make_sample_repository(tmp_path / name)
    here = Person(person.home, elsewhere.root)
    with here.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait(60) == 1
    (line,) = [line for line in shown_lines(terminal) if line.startswith("error: ")]
    assert "the path contains a" in line
    assert not (elsewhere.root / ".lw_coder/worktrees").exists()


def _type(sample: SampleRepository, person: Person, said: str, begin: str, after: str = "") -> None:
    """Type what a line of the report says."""
    lines = [line.strip() for line in said.split("\n")]
    line = next(line for line in lines if line.startswith(begin) and after in line)
    _run(sample, person, line.removeprefix("Merge:").strip() + (" -m 'by hand'" if after else ""))


def _run(sample: SampleRepository, person: Person, command: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=sample.root, env=person.env, check=True, capture_output=True)
