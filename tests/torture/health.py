"""What is wrong with a repository after a command was struck, and after the next one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from lw_coder.foundation.errors import LwCoderError
from lw_coder.repository.importing.commits import pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.runs.run_folders import Run, abandoned_folders, list_runs, read_record
from tests.support.living import is_held
from tests.torture.scenes import Persons, Scene

_LOCKS = ".git/lw_coder-*"
_CHECKS = (("fsck", "--strict", "--no-dangling"), ("worktree", "list"), ("status", "--porcelain"))


def sick(scene: Scene) -> Iterator[str]:
    """Name what is wrong at any time: git's complaints, runs that are half-written, locks that are held."""
    for words in _CHECKS:
        asked = scene.git(*words)
        if asked.returncode or asked.stderr:
            yield f"git {words[0]}: {asked.returncode} {asked.stderr}"
    yield from (f"lock {path.name} is held" for path in _held_locks(scene.root))
    for run in list_runs(scene.root):
        yield from _half_written(run)


def left(scene: Scene) -> Iterator[str]:
    """Name what a command must not leave that a signal has ended in good order, nor the next one after it."""
    yield from in_the_engine(scene)
    yield from (f"left: {folder}" for _, folder in abandoned_folders(scene.root))
    for pattern in ("temp-worktrees/*/", "temp-worktrees/*.lock", "worktrees/.*/"):
        yield from (f"left: {path}" for path in (scene.root / ".lw_coder").glob(pattern))
    yield from (f"left: {path.name}" for path in scene.root.glob(_LOCKS))
    yield from (f"left: {path}" for path in scene.tmp.glob("lw_coder-*"))


def temporary(scene: Scene) -> Iterator[str]:
    """Name the temporary files that are left; only SIGKILL may leave some, until the next command."""
    yield from (f"left: {path}" for path in scene.tmp.iterdir())


def not_imported(scene: Scene) -> Iterator[str]:
    """Name the runs that have no end, or whose commits are not in the repository, on the plan's branch."""
    repository = scene.repository
    for run in list_runs(scene.root):
        ended = read_record(run).get("ended")
        if ended is None:
            yield f"{run.identity} has no end"
        elif ended.get("problem"):
            yield f"{run.identity}: {ended['problem']}"
        try:
            if pending(repository, open_private_git(run.folder)):
                yield f"{run.identity}: its commits are not imported"
        except LwCoderError as error:
            yield f"{run.identity}: {error.message}"
        yield from _not_on_the_branch(scene, run)


def _not_on_the_branch(scene: Scene, run: Run) -> Iterator[str]:
    """A branch of the session's that the plan's branch does not contain; a session of `plan` has none."""
    branch = f"refs/heads/lw/task/{run.plan_id}"
    file = run.folder / "git" / branch
    if file.is_file() and scene.git("rev-parse", "--verify", "--quiet", branch).returncode == 0:
        tip = file.read_text(encoding="ascii").strip()
        if scene.git("merge-base", "--is-ancestor", tip, branch).returncode:
            yield f"{run.identity}: {tip} is not on {branch}"


def in_the_engine(scene: Scene) -> Iterator[str]:
    """List the containers and networks of the repository's sessions and checks, ended ones included."""
    for kind, words in (("container", ("ps", "--all")), ("network", ("network", "ls"))):
        command = ["docker", *words, "--no-trunc", "--format", "{{.ID}} {{.Labels}}"]
        told = subprocess.run(command, env=scene.env, capture_output=True, text=True, check=True).stdout
        yield from (f"{kind} {line[:12]}" for line in told.splitlines() if scene.identity in line)


def changed(scene: Scene, before: Persons) -> list[str]:
    """Name what is not as it was of what the person has."""
    return before.changes(scene.persons())


def _half_written(run: Run) -> Iterator[str]:
    try:
        read_record(run)
    except LwCoderError as error:
        yield f"{run.identity} counts as a run: {error.message}"
    for name in ("compose.yml", "services.yml"):
        try:
            document = yaml.safe_load((run.folder / name).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            yield f"{run.identity}: {name}: {error}"
            continue
        if not isinstance(document, dict):
            yield f"{run.identity}: {name} is half-written"


def _held_locks(root: Path) -> Iterator[Path]:
    return filter(is_held, sorted(root.glob(_LOCKS)))
