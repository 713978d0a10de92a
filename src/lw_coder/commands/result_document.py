"""The JSON document that a command prints at its end; docs/reference has a schema for each command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from lw_coder.foundation.errors import LwCoderError
from lw_coder.foundation.report import printable
from lw_coder.foundation.system_errors import expected_error
from lw_coder.plans.find_plan import find_plan, plan_id_of
from lw_coder.plans.plan_rules import is_plan_id
from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import RECORD
from lw_coder.sessions.event_log import EVENTS_FILE, SETUP_LOG, SUMMARY_FILE

if TYPE_CHECKING:
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.repository.importing.uncommitted import Uncommitted
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.limits import Limits

SCHEMA = 1
_UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("plan_id", "run", "ended", "commits", "branch", "uncommitted", "verdict", "limits")),
    **dict.fromkeys(("usage", "spent", "paths")),
}


class Document:
    """What is known of a command's result; given to its receivers once, at its end.

    Attributes:
        values: by the names of the command's schema.
        receivers: what is called with its text.
    """

    def __init__(self, unknown: Mapping[str, Any], *receivers: Callable[[str], object]) -> None:
        self.receivers = list(receivers)
        self.values: dict[str, Any] = {"schema": SCHEMA, "outcome": "error", **unknown, "error": None}

    def end(self, code: int, error: LwCoderError | None = None) -> None:
        """Give it to its receivers.

        Args:
            code: the command's exit code.
            error: why it is not zero, if that is an error.
        """
        told = None if error is None else _error(error)
        text = json.dumps({**self.values, "exit_code": code, "error": told}, indent=2)
        for receive in self.receivers:
            receive(text)


class ResultDocument(Document):
    """What is known of a headless session's result."""

    def __init__(self, *receivers: Callable[[str], object]) -> None:
        super().__init__({**_UNKNOWN, "earlier_runs": []}, *receivers)

    def begin(self, plan_id: str, limits: Limits) -> None:
        """Add what is known before the session."""
        self.values |= {"plan_id": plan_id, "limits": limits.as_dict()}

    def name_plan(self, start: Path, typed: str) -> None:
        """Add the plan's id, as far as it can be read, if there will be no session."""
        with suppress(LwCoderError):
            plan_id = plan_id_of(find_plan(find_repository(start).root, typed)) or ""
            self.values["plan_id"] = plan_id if is_plan_id(plan_id) else None

    def complete(
        self,
        setup: SessionSetup,
        result: SessionResult,
        imported: ImportResult,
        left: Uncommitted | None,
        verdict: Mapping[str, Any] | None,
    ) -> None:
        """Add what is known after it; a run that it goes on with is then an earlier one."""
        root, run = setup.context.repository.root, setup.run
        if self.values["run"] not in {None, run.identity}:
            self.values["earlier_runs"].append(self.values["run"])
        self.values |= {
            "limits": setup.limits.as_dict(),
            "run": run.identity,
            "outcome": result.outcome,
            "ended": _ended(result),
            "commits": _commits(imported),
            "branch": str(setup.worktree.branch),
            "uncommitted": None if left is None else asdict(left),
            "verdict": None if verdict is None else dict(verdict),
            "usage": dict(result.report.usage) if result.report else None,
            "spent": result.spending.as_record() if result.spending else None,
            "paths": _paths(root, setup.worktree.path, run),
        }


@contextmanager
def ended_on_failure(document: Document | None) -> Iterator[None]:
    """End the document if the block fails with an expected error or a signal.

    Args:
        document: None if none was asked for.
    """
    try:
        yield
    except LwCoderError as error:
        if document:
            document.end(error.exit_code, error)
        raise
    except OSError as error:
        if document and (expected := expected_error(error)):
            document.end(expected.exit_code, expected)
        raise
    except SystemExit as signalled:
        if document:
            document.values["outcome"] = "signal"
            document.end(int(str(signalled.code)))
        raise


def _error(error: LwCoderError) -> dict[str, Any]:
    """Return an error, and what else was wrong."""
    lines = dict.fromkeys((each.message, each.remedy) for each in (error, *error.parts))
    first, *more = ({"message": message, "remedy": remedy} for message, remedy in lines)
    return {**first, "more": more}


def _ended(result: SessionResult) -> dict[str, Any]:
    report = result.report
    return {
        "status": result.status,
        "reason": printable(result.failure) if result.failure else None,
        "limit": asdict(result.limit) if result.limit else None,
        "turns": report.turns if report else None,
        "started_at": result.started.isoformat(),
        "ended_at": result.ended.isoformat(),
    }


def _commits(imported: ImportResult) -> dict[str, Any]:
    return {
        "count": imported.commits,
        "tip": imported.tip,
        "branch_moved": imported.moved,
        "refs": list(imported.refs),
        "notes": list(imported.notes),
    }


def _paths(root: Path, worktree: Path, run: Run) -> dict[str, str | None]:
    names = {"record": RECORD, "summary": SUMMARY_FILE, "events": EVENTS_FILE, "setup_log": SETUP_LOG}
    files = {key: run.folder / name for key, name in names.items()}
    present = {key: str(path) if path.is_file() else None for key, path in files.items()}
    return {"repository": str(root), "worktree": str(worktree), "run": str(run.folder), **present}
