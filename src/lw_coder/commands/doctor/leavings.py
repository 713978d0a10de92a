"""Checks of what sessions left: commits, worktrees, planted repositories, containers and networks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.counting import counted
from lw_coder.foundation.folders import entries_of, real_path
from lw_coder.plans.find_plan import plan_names
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository import git
from lw_coder.repository.importing.nested_repositories import (
    find_nested_repositories,
    find_repositories_in,
    nested_repositories_note,
)
from lw_coder.repository.incomplete_worktrees import is_incomplete
from lw_coder.repository.worktrees import WORKTREES_FOLDER, plan_worktree
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs
from lw_coder.sessions.leftovers import Leftovers, find_leftovers


def check_leavings(checks: Checks, repository: git.Repository) -> None:
    """Look at the plans, and for what sessions left in the repository."""
    tasks = repository.root / TASKS_FOLDER
    checks.run("plans", lambda: plan_names(tasks), _describe_plans)
    checks.run("runs", lambda: _pending_runs(repository), _describe_runs)
    checks.run("worktrees", lambda: _incomplete_worktrees(repository), _describe_incomplete)
    checks.run("nested repositories", lambda: _nested_repositories(repository), _describe_nested_repositories)


def check_leftovers(checks: Checks, repository: git.Repository) -> None:
    """Look for what sessions left in the engine."""
    checks.run("leftovers", lambda: _leftovers(repository), _describe_leftovers)


def _describe_plans(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'plan')} in {TASKS_FOLDER}"


def _pending_runs(repository: git.Repository) -> list[Run]:
    return [run for run in list_runs(repository.home) if has_pending(repository, run)]


def _describe_runs(runs: Sequence[Run]) -> str | Finding:
    if not runs:
        return "all commits of sessions are in the repository"
    names = ", ".join(run.identity for run in runs)
    remedy = " && ".join(f"lw_coder runs import {run.identity}" for run in runs)
    return Finding("runs", f"{names}: commits that are not in the repository", remedy)


def _incomplete_worktrees(repository: git.Repository) -> list[str]:
    folder = real_path(repository.home / WORKTREES_FOLDER)
    return [path.name for path in _folders(folder) if is_incomplete(repository, path)]


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in entries_of(folder) if entry.is_dir(follow_symlinks=False)]


def _describe_incomplete(names: Sequence[str]) -> str | Finding:
    if not names:
        return "no worktree is incomplete"
    remedy = " && ".join(f"lw_coder code {shlex.quote(name)}" for name in names)
    found = (
        f"{', '.join(names)}: git was stopped while it created the worktree; the next start creates it again"
    )
    return Finding("worktrees", found, remedy)


def _nested_repositories(repository: git.Repository) -> list[str]:
    """Find repositories in the folders that agents write, except bare ones that HEAD contains."""
    tasks, worktrees = repository.root / TASKS_FOLDER, repository.home / WORKTREES_FOLDER
    found = {tasks: find_repositories_in(tasks)} if tasks.is_dir() else {}
    for folder in _folders(worktrees):
        worktree = plan_worktree(repository, folder.name)
        top = () if worktree is None or worktree.has_own_pointer() else (".git",)
        nested = find_nested_repositories(folder)
        # No commit contains a `.git`, so only the HEAD of a bare repository, such as test data, is left out.
        own = git.committed_files(repository, "HEAD") if nested else {}
        found[folder] = (*top, *(name for name in nested if name not in own))
    return [nested_repositories_note(place, names) for place, names in found.items() if names]


def _describe_nested_repositories(notes: Sequence[str]) -> str | Finding:
    if not notes:
        return "none among the plans or in their worktrees"
    return Finding("nested repositories", "; ".join(notes), "inspect each without git, and remove it")


def _leftovers(repository: git.Repository) -> Leftovers:
    return find_leftovers(repo_hash(git.root_commit(repository), repository.common_dir))


def _describe_leftovers(left: Leftovers) -> str | Finding:
    if not left:
        return "no session has left a container or a network"
    parts = (
        (left.sessions, "stopped container", " with the variables' values"),
        (left.proxies, "idle proxy container", ""),
        (left.networks, "unused network", ""),
    )
    result = ", ".join(f"{counted(len(found), what)}{more}" for found, what, more in parts if found)
    return Finding("leftovers", f"{result}, left by replays or by an lw_coder that was killed", left.removal)
