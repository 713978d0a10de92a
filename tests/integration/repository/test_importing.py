"""What an agent does with git in its session, and what of it the person then has."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from tests.integration.conftest import Person
from tests.integration.headless_session import Headless, headless
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply, Script
from tests.support.shell_agent import shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
AMENDED = "Greet otherwise"
WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"
PLANTED = "vendor/library"


def commit(name: str, message: str) -> str:
    return f"echo {name} > {name} && git add {name} && git commit -q -m {shlex.quote(message)}"


EVERY_KIND = (
    commit("one.txt", "First") + " && " + commit("two.txt", "Second"),
    f"git switch -q -c other-way && {commit('other.txt', 'Another way')} && git tag -a -m 'A release' v1",
    f"git switch -q --detach && {commit('loose.txt', 'On no branch')} && git tag light",
    f"git switch -q {BRANCH} && echo unfinished >> greeting.py && git stash -q",
    "echo also unfinished >> greeting.py && git stash -q && git switch -q --detach light",
    commit("looser.txt", "Not even tagged"),
)
# The messages of what comes home, by ref; stashes with git's own words.
COMES_HOME = {
    f"heads/{BRANCH}": "Second",
    "heads/other-way": "Another way",
    "tags/v1": "A release",
    "tags/light": "On no branch",
    "stash/0": f"WIP on {BRANCH}: ",
    "stash/1": f"WIP on {BRANCH}: ",
    "detached": "Not even tagged",
}


def test_all_that_was_committed_comes_home(sample: SampleRepository, person: Person) -> None:
    before = sample.git("for-each-ref", "refs/heads", "refs/tags")
    during: list[str] = []

    def script(conversation: Conversation) -> Reply:
        if conversation.rounds == len(EVERY_KIND):
            during.append(sample.git("for-each-ref", "refs/heads/other-way", "refs/tags", "refs/stash"))
        return shell_agent(EVERY_KIND)(conversation)

    session = _play(person, sample, script)
    assert during == [""]
    prefix = f"refs/lw_coder/{PLAN_ID}/{session.run.name}"
    home = _subjects(sample, prefix)
    assert home.keys() == COMES_HOME.keys()
    assert [name for name, said in COMES_HOME.items() if not home[name].startswith(said)] == []
    assert "+also unfinished" in sample.git("stash", "show", "-p", f"{prefix}/stash/0")
    assert sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}").split() == ["Second", "First"]
    new_branch = sample.git("for-each-ref", f"refs/heads/{BRANCH}")
    assert sample.git("for-each-ref", "refs/heads", "refs/tags") == "\n".join([new_branch, before])
    assert f"2 new on {BRANCH}" in session.stderr
    # The index follows the branch; the files stay as the agent left them, on another commit.
    left = ["?? loose.txt", "?? looser.txt", "?? other.txt"]
    assert _git_in_worktree(sample, "status", "--porcelain").splitlines() == left


def test_a_planted_repository_runs_nothing_here(sample: SampleRepository, person: Person) -> None:
    proof = person.home / "proof"
    session = _play(person, sample, shell_agent([planting(proof), commit("one.txt", "First")]))
    assert _warning(sample) in session.stderr
    assert sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}") == "First"

    link = f"git add {PLANTED} && git commit -q -m 'Bring it along'"
    again = _play(person, sample, shell_agent([link]))
    assert _warning(sample) in again.stderr
    stays = f"branch {BRANCH} was not moved: the commits add nested repositories: {PLANTED};"
    assert stays in again.stderr
    assert sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}") == "First"
    assert not proof.exists()
    _git_in_worktree(sample, "-C", PLANTED, "status")
    assert proof.exists()  # so it would have shown

    # What the warning says: look at it and remove it, then type `git reset`.
    shutil.rmtree(sample.root / WORKTREE / "vendor")
    _git_in_worktree(sample, "reset", "--quiet")
    assert _git_in_worktree(sample, "status", "--porcelain") == ""


def planting(proof: Path) -> str:
    """Make a nested repository whose config has git make a file, on whatever machine it runs."""
    monitor = shlex.quote(f"touch {shlex.quote(str(proof))}; false")
    person = "-c user.name=x -c user.email=x@example.com"
    made = f"git init -q {PLANTED} && cd {PLANTED} && touch x && git add x && git {person} commit -q -m x"
    return f"{made} && git config core.fsmonitor {monitor}"


def _warning(sample: SampleRepository) -> str:
    what = f"do not run git there before you have inspected and removed {PLANTED}/.git:"
    return f"warning: {sample.root / WORKTREE}: {what}"


def test_a_rewritten_branch_stays(sample: SampleRepository, person: Person) -> None:
    session = _play(person, sample, shell_agent([f"git commit -q --amend -m '{AMENDED}'"]))
    kept = f"refs/lw_coder/{PLAN_ID}/{session.run.name}/heads/{BRANCH}"
    assert sample.git("rev-parse", BRANCH) == sample.sha
    assert sample.git("log", "-1", "--format=%s", kept) == AMENDED
    said = f"branch {BRANCH} was not moved: it cannot be fast-forwarded to the session's commits"
    assert said in session.stderr
    assert f"the session's commits are at {kept}" in session.stderr
    assert f"none new on {BRANCH}" in session.stderr
    record = session.ended
    assert (record["status"], record["branch_moved"], record["refs"]) == (0, False, [kept])


def _play(person: Person, sample: SampleRepository, script: Script) -> Headless:
    """Have a session in which each step of the agent succeeds."""
    session = headless(person, sample, script)
    assert session.status == 0, session.stderr
    assert session.results
    assert [result for result in session.results if "[Process exited with code 0]" not in result] == []
    return session


def _subjects(sample: SampleRepository, prefix: str) -> dict[str, str]:
    lines = sample.git("for-each-ref", "--format=%(refname) %(contents:subject)", prefix).splitlines()
    return {
        name.removeprefix(f"{prefix}/"): said for name, _, said in (line.partition(" ") for line in lines)
    }


def _git_in_worktree(sample: SampleRepository, *command: str) -> str:
    return sample.git("-C", WORKTREE, *command)
