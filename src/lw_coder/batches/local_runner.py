"""Runs on this machine: each is a process `lw_coder code PLAN --headless --json`, which outlives its batch.

It holds a lock as long as it lives. So the next batch finds a run of one that was killed, and waits for it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.batches.runner import PlanRun, Progress, RunEnd
from lw_coder.batches.state_file import BatchFolder, list_batches
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.locks import child_lock, holder_of_child_lock, note_child
from lw_coder.foundation.processes import Program, start_program
from lw_coder.gateway.spending import read_spending
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository
from lw_coder.runs.run_folders import Run, disk_error, list_runs
from lw_coder.settings.limits import Limits

_TAIL = 4096  # bytes of a log
_LONGEST_DOCUMENT = 64 << 20  # bytes
_LONGEST_EVENT = 200  # characters


class LocalRunner(Struct, frozen=True):
    """Starts runs on this machine.

    Attributes:
        repository: the person's.
        folder: the batch's.
    """

    repository: Repository
    folder: BatchFolder

    def start(self, plan: PlanFile, limits: Limits) -> PlanRun:
        """Start a child process; see `Runner`."""
        plan_id = plan.metadata.plan_id
        log, result = self.folder.log(plan_id), self.folder.result(plan_id)
        try:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with child_lock(self.repository.common_dir, plan_id) as lock:
                if lock is None:
                    raise RunError(f"{plan_id}: a run of it has just begun", "wait until it has ended")
                earlier = _newest_run(self.repository, plan_id)
                program = start_program(_command(plan.path, limits), self.repository.root, result, log, lock)
                note_child(lock, program.pid)
        except OSError as error:
            raise disk_error(Path(error.filename or log), error) from error
        is_own = partial(_is_later, earlier=earlier)
        return _ChildRun(_Files(self.repository, plan_id, log, result, is_own), program)

    def find(self, plan_id: str) -> PlanRun | None:
        """Find the process that an earlier batch has started; see `Runner`."""
        pid = holder_of_child_lock(self.repository.common_dir, plan_id)
        if pid is None:
            return None
        # The folder of the batch that started it is the newest one with a log of this plan.
        batches = [batch for batch in list_batches(self.repository.home) if batch.log(plan_id).exists()]
        batch = batches[-1] if batches else self.folder
        log = batch.log(plan_id)
        # Both files are created when the process is started; nothing else is ever in their folder.
        begun = datetime.fromtimestamp(log.parent.stat().st_mtime if log.exists() else time.time(), UTC)
        is_own = partial(_began_after, begun=begun.replace(microsecond=0))
        return _FoundRun(_Files(self.repository, plan_id, log, batch.result(plan_id), is_own), pid)


def _newest_run(repository: Repository, plan_id: str) -> Run | None:
    return next(reversed(list_runs(repository.home, plan_id)), None)


def _is_later(run: Run, *, earlier: Run | None) -> bool:
    return earlier is None or (run.started, run.number) > (earlier.started, earlier.number)


def _began_after(run: Run, *, begun: datetime) -> bool:
    return run.started >= begun


def _command(plan: Path, limits: Limits) -> list[str]:
    given = {name: value for name, value in limits.as_dict().items() if value is not None}
    options = (part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", repr(value)))
    return [sys.executable, "-m", "lw_coder", "code", str(plan), "--headless", "--json", *options]


class _Files(Struct, frozen=True):
    """The files of a run, as they grow."""

    repository: Repository
    plan_id: str
    log: Path
    result: Path
    is_own: Callable[[Run], bool]

    def document(self) -> Mapping[str, Any]:
        """Return what the process printed; empty if it was killed."""
        try:
            with self.result.open(encoding="utf-8", errors="replace") as file:
                found = read_json(file.read(_LONGEST_DOCUMENT))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def progress(self) -> Progress:
        run = self._run()
        spending = read_spending(run.folder) if run else None
        cost = spending.total.cost_usd if spending else None
        return Progress(run.identity if run else None, cost, self._last_line())

    def _run(self) -> Run | None:
        """Return the newest run of the plan, if it is the process's."""
        newest = _newest_run(self.repository, self.plan_id)
        return newest if newest is not None and self.is_own(newest) else None

    def _last_line(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.log.stat().st_size - _TAIL, 0))
                lines = file.read(_TAIL).decode(errors="replace").split("\n")
        except OSError:
            return ""
        said = next((line for line in reversed(lines) if line.strip()), "")
        return " ".join(said.split())[:_LONGEST_EVENT]


class _ChildRun(Struct, frozen=True):
    files: _Files
    program: Program

    def end(self) -> RunEnd | None:
        code = self.program.status()
        if code is None:
            return None
        return RunEnd(code if code >= 0 else None, self.files.document())

    def progress(self) -> Progress:
        return self.files.progress()

    def stop(self) -> None:
        self.program.terminate()


class _FoundRun(Struct, frozen=True):
    """A run that is no child of this process: its lock tells when it has ended."""

    files: _Files
    pid: int

    def end(self) -> RunEnd | None:
        if self._holder() is not None:
            return None
        document = self.files.document()
        code = document.get("exit_code")
        return RunEnd(code if isinstance(code, int) else None, document)

    def progress(self) -> Progress:
        return self.files.progress()

    def stop(self) -> None:
        # While the lock is held, the id is this process's.
        if self.pid and self._holder() == self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def _holder(self) -> int | None:
        return holder_of_child_lock(self.files.repository.common_dir, self.files.plan_id)
