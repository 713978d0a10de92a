"""Names that Python takes for line ends, or a terminal acts upon, and git does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Identity, find_repository, list_refs, unambiguous_name
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.importing.nested_repositories import find_nested_repositories
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, agent_git, make_repository

ODD = ("u2028\u2028x", "u2029\u2029", "u0085\x85x", "bidi\u202e", "bom\ufeff", "nbsp\u00a0", "x\u3000y")
ODD_FILES = (*ODD, "vt\x0b", "ff\x0cx", "fs\x1c", "gs\x1dx", "rs\x1e", "cr\rx", "esc\x1b[2J", "lf\nx")
BRANCH = "lw/task/sample-plan"
RUN = "sample-plan/20250102T030405Z"


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    for name in ODD:
        made.run("branch", name)
        made.run("tag", f"of-{name}")
    return made


def session(made: GitRepository, run: Path) -> tuple[GitRepository, list[str]]:
    """Have an agent commit in a session; return its git, and what is said of what it left."""
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    run.mkdir()
    private = create_private_git(repository, worktree, run, Identity("An Agent", "agent@example.invalid"))
    agent = agent_git(private.folder, private.worktree_name, worktree.path)
    agent.commit(f"in {run.name}", "agents.txt")
    return agent, list(import_commits(repository, worktree, private, f"{RUN}-{run.name}").notes)


def test_every_branch_is_listed_by_its_name(made: GitRepository) -> None:
    refs = list_refs(find_repository(made.path), "refs/heads", "refs/tags")
    assert refs.keys() == {
        "refs/heads/main",
        *(f"refs/heads/{name}" for name in ODD),
        *(f"refs/tags/of-{name}" for name in ODD),
    }


def test_the_persons_own_branches_are_no_news(made: GitRepository, tmp_path: Path) -> None:
    agent, notes = session(made, tmp_path / "one")
    assert notes == []
    assert agent.run("for-each-ref", "--format=x", "refs/heads").count("x") == len(ODD) + 2
    made.run("pack-refs", "--all")
    assert session(made, tmp_path / "two")[1] == []


@pytest.mark.parametrize(
    ("packed", "odd"), [(True, "agents\u2028own"), (False, "agents\u2028own"), (False, ODD[0])]
)
def test_new_and_changed_ones_are(made: GitRepository, tmp_path: Path, *, packed: bool, odd: str) -> None:
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    (tmp_path / "run").mkdir()
    private = create_private_git(
        repository, worktree, tmp_path / "run", Identity("An Agent", "agent@example.invalid")
    )
    agent = agent_git(private.folder, private.worktree_name, worktree.path)
    agent.run("branch", "--force", odd, agent.commit("more"))
    if packed:
        agent.run("pack-refs", "--all")
    (note,) = import_commits(repository, worktree, private, RUN).notes
    assert note.startswith("1 name in the run's git folder is not a valid ref and was ignored")


def test_a_branch_that_was_only_packed_or_unpacked_is_no_news(made: GitRepository, tmp_path: Path) -> None:
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    (tmp_path / "run").mkdir()
    private = create_private_git(repository, worktree, tmp_path / "run", Identity("A", "a@example.invalid"))
    agent = agent_git(private.folder, private.worktree_name, worktree.path)
    for name in ODD:
        agent.run("branch", "--delete", "--force", name)
        agent.run("branch", name, made.head())
    assert import_commits(repository, worktree, private, RUN).notes == ()


@pytest.mark.parametrize("name", ODD)
def test_objects_are_borrowed_from_a_folder_of_such_a_name(tmp_path: Path, name: str) -> None:
    source = make_repository(tmp_path / name)
    source.run("clone", "--quiet", "--shared", str(source.path), str(tmp_path / "clone"))
    clone = GitRepository(tmp_path / "clone")
    repository = find_repository(clone.path)
    worktree = ensure_worktree(repository, PlanMetadata("sample-plan", clone.head(), "ready", (), "Do it."))
    (tmp_path / "run").mkdir()
    private = create_private_git(repository, worktree, tmp_path / "run", None)
    assert source.path / ".git/objects" in [mount.source for mount in private.mounts()]


@pytest.mark.parametrize("name", ODD)
def test_a_worktree_of_the_persons_may_be_called_so(made: GitRepository, tmp_path: Path, name: str) -> None:
    made.run("worktree", "add", "--quiet", "-b", "elsewhere", str(tmp_path / name))
    assert session(made, tmp_path / "run")[1] == []


def test_files_of_such_names_come_home(made: GitRepository, tmp_path: Path) -> None:
    for name in ODD_FILES:
        made.commit("odd", f"{name}/{name}")
    agent, notes = session(made, tmp_path / "run")
    assert notes == []
    assert made.run("rev-parse", BRANCH) == agent.head()
    worktree = made.path / ".lw_coder/worktrees/sample-plan"
    assert find_nested_repositories(worktree) == ()
    assert GitRepository(worktree).run("status", "--porcelain") == ""


@pytest.mark.parametrize("kind", ["tags", "remotes", ""])
def test_a_ref_of_the_branchs_name_does_not_stand_for_it(
    made: GitRepository, tmp_path: Path, kind: str
) -> None:
    agent, _ = session(made, tmp_path / "run")
    repository = find_repository(made.path)
    assert unambiguous_name(repository, f"refs/heads/{BRANCH}") == BRANCH
    made.run("update-ref", "/".join(filter(None, ("refs", kind, BRANCH))), made.head())
    name = unambiguous_name(repository, f"refs/heads/{BRANCH}")
    made.run("merge", "--quiet", name)
    assert made.head() == agent.head()
