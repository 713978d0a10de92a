"""Two sessions of one plan: what a worktree is to git holds inside, and between sessions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.integration.headless_session import headless
from tests.support.git_repository import make_repository
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.shell_agent import shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"

pytestmark = [
    pytest.mark.timeout(1200),  # two sessions, and an image may have to be built from nothing
    pytest.mark.usefixtures("known_prompts"),
]


def _play(person: Person, sample: SampleRepository, *steps: str) -> str:
    """Have a session whose agent takes some steps, each of which succeeds; return what is said of it."""
    session = headless(person, sample, shell_agent(steps))
    assert session.status == 0, session.stderr
    assert [result for result in session.results if "[Process exited with code 0]" not in result] == []
    assert len(session.results) == len(steps)
    return session.stderr


def _changed(sample: SampleRepository) -> list[str]:
    return sample.git("diff", "--name-status", sample.sha, BRANCH).split("\n")


def test_a_sparse_checkout_of_the_agents(sample: SampleRepository, person: Person) -> None:
    make = "mkdir -p src && echo 1 > src/one.txt && git add src && git commit -qm one"
    narrow = f"{make} && git sparse-checkout set src"
    first = _play(
        person,
        sample,
        narrow,
        "test ! -e .lw_coder/code.Dockerfile && echo staged > src/two.txt && git add src",
    )
    assert "because the session made a sparse checkout" in first
    assert sample.git("-C", WORKTREE, "status", "--porcelain") == "A  src/two.txt"
    _play(person, sample, "git commit -qm two", "echo more >> src/one.txt && git commit -qam three")
    assert _changed(sample) == ["A\tsrc/one.txt", "A\tsrc/two.txt"]


def test_a_content_filter_an_ignore_file_and_line_ends(sample: SampleRepository, person: Person) -> None:
    git_folder = person.home / ".config/git"
    git_folder.mkdir(parents=True)
    (git_folder / "ignore").write_text(".idea/\n", encoding="ascii")
    (git_folder / "attributes").write_text("*.dos text eol=crlf\n", encoding="ascii")
    (git_folder / "config").write_text(
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
        "\tprocess = git-lfs filter-process\n\trequired = true\n",
        encoding="ascii",
    )
    (sample.root / ".git/info").mkdir(exist_ok=True)
    (sample.root / ".git/info/attributes").write_text("*.bin filter=lfs -text\n", encoding="ascii")
    session = _play(
        person,
        sample,
        "echo bytes > image.bin; git add image.bin 2>&1 | grep 'this image has no git-lfs'",
        "mkdir .idea && echo x > .idea/x && rm image.bin && echo x > new.txt",
        "git add -A && git commit -qm new",
        "printf 'x\\r\\n' > new.dos && git add new.dos && git cat-file -s :new.dos | grep -x 2",
        "git commit -qm dos && git status --porcelain | wc -l | grep -x 0",
    )
    assert "content filters: lfs (git-lfs)" in session
    assert _changed(sample) == ["A\tnew.dos", "A\tnew.txt"]


def test_a_submodule_that_the_person_populated(
    sample: SampleRepository, person: Person, tmp_path: Path
) -> None:
    library = make_repository(tmp_path / "library")
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    sample.git("checkout", "--quiet", "-b", BRANCH, sample.sha)
    sample.git(*local, "add", str(library.path), "library")
    sample.git("commit", "--quiet", "--message", "with a submodule")
    sample.git("checkout", "--quiet", "main")
    first = sample.git("rev-parse", BRANCH)
    _play(person, sample, "echo 1 > one.txt && git add -A && git commit -qam one")
    sample.git("-C", WORKTREE, *local, "update", "--init")
    session = _play(
        person,
        sample,
        "test -e library/README.md && git status --porcelain | wc -l | grep -x 0",
        "echo 2 > two.txt && git add -A && git commit -qam two && git status --porcelain | wc -l | grep -x 0",
        "rm -f library/.git; mv library elsewhere; test ! -d elsewhere || mv elsewhere library",
    )
    assert "do not run git there" not in session
    assert sample.git("diff", "--name-status", first, BRANCH) == "A\tone.txt\nA\ttwo.txt"
    assert sample.git("-C", WORKTREE, "status", "--porcelain") == ""
    assert sample.git("-C", f"{WORKTREE}/library", "rev-parse", "HEAD") == library.head()


@dataclass(frozen=True)
class Stuck:
    """A checkout that waits at one file until it is let on."""

    waiting: Path
    go: Path


@pytest.fixture
def stuck(sample: SampleRepository, tmp_path: Path) -> Stuck:
    found = Stuck(tmp_path / "waiting", tmp_path / "go")
    slow = f"touch {found.waiting}; while [ ! -e {found.go} ]; do sleep 0.1; done; cat"
    sample.git("config", "filter.slow.smudge", slow)
    sample.git("config", "filter.slow.clean", "cat")
    (sample.root / ".git/info").mkdir(exist_ok=True)
    (sample.root / ".git/info/attributes").write_text("greeting.py filter=slow\n", encoding="ascii")
    return found


def _lw_coder(person: Person) -> int:
    (holder,) = person.cwd.glob(".git/lw_coder-*.plan")
    return int(json.loads(holder.read_text())["pid"])


def test_a_start_that_was_killed_with_its_git(sample: SampleRepository, person: Person, stuck: Stuck) -> None:
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_until(stuck.waiting.exists, "the checkout", 120)
        _kill_all(_lw_coder(person))
    stuck.go.touch()
    status, text = person.runs_to_the_end("doctor")
    assert (status, "git was stopped while it created the worktree" in text.replace("\n", " ")) == (1, True)
    _play(
        person,
        sample,
        "git status --porcelain | wc -l | grep -x 0",
        "echo 1 > one.txt && git add -A && git commit -qam one",
    )
    assert _changed(sample) == ["A\tone.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_start_that_a_signal_ends_leaves_nothing(
    sample: SampleRepository, person: Person, stuck: Stuck, number: signal.Signals
) -> None:
    before = sample.git("for-each-ref")
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_until(stuck.waiting.exists, "the checkout", 120)
        os.kill(_lw_coder(person), number)
        assert terminal.wait(120) == 128 + number, terminal.text
    assert not (sample.root / WORKTREE).exists()
    assert sample.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert sample.git("for-each-ref") == before


def _kill_all(pid: int) -> None:
    """Kill a process and all that it started, at once, as a power cut does."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {
        int(child): int(parent) for child, parent in (line.split() for line in listed.split("\n") if line)
    }
    doomed = [pid]
    for process in doomed:  # which grows meanwhile
        doomed += [child for child, parent in parents.items() if parent == process]
    for process in doomed:  # a parent first: it must not go on once its child has gone
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
