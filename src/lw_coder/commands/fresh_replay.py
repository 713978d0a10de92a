"""What `runs replay --fresh` works on: a copy of a run's folder, and a new worktree at the run's base."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lw_coder.containers.docker_command import COMPOSE_FILE, SERVICES_FILE
from lw_coder.containers.images import DOCKERFILE
from lw_coder.containers.labels import REPLAY_RUNS
from lw_coder.containers.proxy import FILTER_FILE
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.json_text import read_json
from lw_coder.gateway.settings import FOLDER as GATEWAY_FOLDER
from lw_coder.gateway.settings import SETTINGS_FILE
from lw_coder.repository.git import require_identity
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.private_git import PrivateGit, create_private_git, open_private_git
from lw_coder.repository.temporary_worktrees import temporary_worktree
from lw_coder.repository.worktrees import WORKTREES_FOLDER, Worktree
from lw_coder.runs.run_folders import Run, open_run, removed_on_failure, seal_run, write_file, write_record
from lw_coder.runs.temporary_runs import remove_abandoned_runs
from lw_coder.sessions.droid_settings import OVERRIDES_FILE
from lw_coder.sessions.login import POLICY_FILE
from lw_coder.sessions.session_watch import SETUP_FOLDER
from lw_coder.sessions.transcripts import SESSIONS
from lw_coder.verdicts.stub import write_stub

if TYPE_CHECKING:
    from lw_coder.repository.git import Repository

_COPIED = (
    *("prompts", "droids", SETUP_FOLDER),
    *("settings.json", OVERRIDES_FILE, POLICY_FILE, SETTINGS_FILE, FILTER_FILE),
    *(DOCKERFILE.name, f"{DOCKERFILE.name}.dockerignore"),
)
_KEPT = ("plan", "signature", "program_state", "model", "images", "login", "forwarded", "versions")


class FreshRun(Struct, frozen=True):
    """What a fresh replay works on.

    Attributes:
        run: its own folder.
        worktree: a temporary one.
        git: its private git folder.
    """

    run: Run
    worktree: Worktree
    git: PrivateGit

    def setup_commands(self) -> list[str]:
        """Return what is run in the container before the agent, if anything."""
        path = self.run.folder / SETUP_FOLDER / "commands.json"
        return list(read_json(path.read_text(encoding="utf-8"))["commands"]) if path.is_file() else []


@contextmanager
def fresh_run(repository: Repository, earlier: Run, record: dict[str, Any]) -> Iterator[FreshRun]:
    """Make a run folder and a temporary worktree for a fresh replay; the worktree is removed at the end.

    Args:
        repository: the person's.
        earlier: the run to replay.
        record: its run.json.

    Raises:
        RunError: the run goes on with an earlier conversation, or its files are not as lw_coder writes them.
        GitError: the commit that it started from is not there.
    """
    if record.get("continues"):
        raise RunError(
            f"{earlier.identity}: goes on with another run's conversation, which a fresh one does not have",
            "leave out --fresh",
        )
    head = open_private_git(earlier.folder).head
    remove_abandoned_runs(repository, REPLAY_RUNS)
    with temporary_worktree(repository, head) as worktree:
        with removed_on_failure(open_run(repository.home, REPLAY_RUNS)) as run:
            configured = read_configuration(worktree.place)
            git = create_private_git(
                repository, worktree, run.folder, require_identity(worktree.place, configured), configured
            )
            _copy_files(earlier, run)
            _write_compose_files(earlier, run, worktree)
            write_stub(run, str((record.get("images") or {}).get("repo", "")))
            write_record(run, _begun(earlier, record))
            sealed = seal_run(run)
        yield FreshRun(sealed, worktree, git)


def _begun(earlier: Run, record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in _KEPT if name in record}
    own = {"schema": record.get("schema"), "kind": "replay", "replays": earlier.identity, "ended": None}
    return {**kept, **own, "headless": record.get("headless") is True}


def _copy_files(earlier: Run, run: Run) -> None:
    """Copy what lw_coder wrote and the container could only read."""
    for name in _COPIED:
        source, target = earlier.folder / name, run.folder / name
        if source.is_symlink():
            raise _unexpected(source)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("out"))
        elif source.is_file():
            shutil.copy2(source, target)
    for name, wanted in {
        SESSIONS: True,
        GATEWAY_FOLDER: (run.folder / SETTINGS_FILE).is_file(),
        f"{SETUP_FOLDER}/out": (run.folder / SETUP_FOLDER).is_dir(),
    }.items():
        if wanted:
            (run.folder / name).mkdir(mode=0o700)


def _write_compose_files(earlier: Run, run: Run, worktree: Worktree) -> None:
    plans_own = run.folder.parents[3] / WORKTREES_FOLDER / earlier.plan_id
    before, after = (_mount(Path(os.path.relpath(path, run.folder))) for path in (plans_own, worktree.path))
    for name in (COMPOSE_FILE, SERVICES_FILE):
        text = (earlier.folder / name).read_text(encoding="utf-8").replace(earlier.identity, run.identity)
        text = text.replace(earlier.name, run.name).replace(earlier.name.lower(), run.name.lower())
        if name == SERVICES_FILE and text.count(before) != 1:
            raise _unexpected(earlier.folder / name)
        write_file(run.folder, name, text.replace(before, after))


def _mount(source: Path) -> str:
    return f'source: "{source}"\n      target: "/workspace"\n'


def _unexpected(path: Path) -> RunError:
    return RunError(f"{path}: is not as lw_coder wrote it", "replay the run without --fresh")
