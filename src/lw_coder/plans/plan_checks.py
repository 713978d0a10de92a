"""Everything that can be wrong with a plan in its repository, found at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.foundation.files import resolved
from lw_coder.plans.find_plan import (
    find_plan,
    plan_id_of,
    plan_ids,
    plan_names,
    plans_with_id,
    shared_id,
    shared_id_problem,
    usual_id,
)
from lw_coder.plans.plan_file import TASKS_FOLDER, PlanFile, ReadPlan, examine_plan, require_valid
from lw_coder.plans.plan_rules import Hints, in_order
from lw_coder.plans.problems import Problem
from lw_coder.repository.commit_ids import (
    CommitFault,
    commit_fault,
    object_kinds,
    sessions_fault,
    suggested_line,
)
from lw_coder.repository.git import Repository, list_refs
from lw_coder.repository.worktrees import BRANCH_PREFIX


class _Shared(Struct, frozen=True):
    """What the checks of several plans have in common.

    Attributes:
        kinds: the kind of each git_sha that is an object of the repository.
        branches: the full names of the plans' branches.
        sessions_fault: what `sessions_fault` returns for a commit, asked once for each.
        ids: the files in the tasks folder by their plan_id.
        depends_on: returns what a plan depends on, or None if there is no such plan.
    """

    kinds: Mapping[str, str]
    branches: Mapping[str, str]
    sessions_fault: Callable[[str], CommitFault | None]
    ids: Mapping[str, Sequence[Path]]
    depends_on: Callable[[str], Sequence[str] | None]


def load_plan(repository: Repository, name: str) -> PlanFile:
    """Find and read the plan called `name`, and check that no other has its id and that its commit exists.

    Raises:
        PlanError: as `find_plan`; or the plan breaks rules, and the error shows each on a line of its own.
    """
    read = _examine(repository, find_plan(repository.root, name))
    plan_id, sha = read.value("plan_id"), read.value("git_sha")
    problems = list(read.problems)
    if plan_id and plan_id != name:  # otherwise it was found by its id, which is unique
        found = shared_id(repository.root, read.path, plan_id)
        problems += [replace(found, line=read.line("plan_id"))] if found else []
    if sha and not _has_problem(read, "git_sha"):
        problems += _at_sha(read, commit_fault(repository, sha, object_kinds(repository, [sha])))
    if read.texts("depends_on") and not _has_problem(read, "depends_on"):
        root = repository.root
        find = _depends_on(lambda plan_id: plans_with_id(root, plan_id))
        problems += _order_problems(read, find, lambda: plan_ids(root / TASKS_FOLDER))
    return require_valid(replace(read, problems=tuple(problems)))


def check_plans(repository: Repository, paths: Sequence[Path]) -> list[ReadPlan]:
    """Read plan files, and find everything that is wrong with them in the repository."""
    plans = [_examine(repository, path) for path in paths]
    ids = _ids(repository.root / TASKS_FOLDER)
    shared = _Shared(
        object_kinds(repository, [sha for plan in plans if (sha := plan.value("git_sha"))]),
        list_refs(repository, f"refs/heads/{BRANCH_PREFIX.rstrip('/')}"),
        _sessions_fault(repository),
        ids,
        _depends_on(lambda plan_id: ids.get(plan_id, ())),
    )
    return [_checked(repository, plan, shared) for plan in plans]


def _sessions_fault(repository: Repository) -> Callable[[str], CommitFault | None]:
    if not list_refs(repository, "refs/lw_coder"):
        return lambda _: None
    return cache(lambda sha: sessions_fault(repository, sha))


def _examine(repository: Repository, path: Path) -> ReadPlan:
    @cache
    def git_sha(written: str) -> str:
        return suggested_line(repository, written)

    return examine_plan(path, Hints(path.stem, git_sha))


def _ids(folder: Path) -> dict[str, list[Path]]:
    ids: dict[str, list[Path]] = defaultdict(list)
    for name in plan_names(folder):
        path = folder / name
        if plan_id := usual_id(path) or plan_id_of(path):
            ids[plan_id].append(path)
    return ids


def _checked(repository: Repository, plan: ReadPlan, shared: _Shared) -> ReadPlan:
    more = [*_id_problems(repository, plan, shared), *_sha_problems(repository, plan, shared)]
    if not _has_problem(plan, "depends_on"):
        more += _order_problems(plan, shared.depends_on, shared.ids.keys)
    return replace(plan, problems=tuple(in_order([*plan.problems, *more])))


def _order_problems(
    plan: ReadPlan,
    depends_on: Callable[[str], Sequence[str] | None],
    known: Callable[[], Iterable[str]],
) -> list[Problem]:
    if not plan.texts("depends_on"):
        return []
    from lw_coder.plans.dependencies import dependency_problems

    return dependency_problems(plan, depends_on, known)


def _depends_on(find: Callable[[str], Sequence[Path]]) -> Callable[[str], Sequence[str] | None]:
    """Return what reads the dependencies of a plan, once for each."""

    @cache
    def depends_on(plan_id: str) -> Sequence[str] | None:
        from lw_coder.plans.dependencies import listed_dependencies

        paths = find(plan_id)
        return listed_dependencies(paths[0]) if paths else None

    return depends_on


def _id_problems(repository: Repository, plan: ReadPlan, shared: _Shared) -> list[Problem]:
    plan_id, own = plan.value("plan_id"), resolved(plan.path)
    others = [path for path in shared.ids.get(plan_id or "", ()) if resolved(path) != own]
    if not plan_id or not others:
        return []
    return [replace(shared_id_problem(repository.root, plan_id, others), line=plan.line("plan_id"))]


def _sha_problems(repository: Repository, plan: ReadPlan, shared: _Shared) -> list[Problem]:
    sha = plan.value("git_sha")
    if not sha or _has_problem(plan, "git_sha"):
        return []
    fault = commit_fault(repository, sha, shared.kinds)
    has_branch = f"refs/heads/{BRANCH_PREFIX}{plan.value('plan_id')}" in shared.branches
    if fault is None and not has_branch:
        fault = shared.sessions_fault(sha)
    return _at_sha(plan, fault)


def _has_problem(plan: ReadPlan, name: str) -> bool:
    return any(problem.field == name for problem in plan.problems)


def _at_sha(plan: ReadPlan, fault: CommitFault | None) -> list[Problem]:
    return [Problem(*fault, plan.line("git_sha"), "git_sha")] if fault else []
