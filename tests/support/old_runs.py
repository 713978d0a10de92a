"""Runs that began in the past, in whatever order a test makes them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lw_coder.runs.run_folders import RUNS_FOLDER, Run, make_private, open_run, seal_run, write_record


def old_run(root: Path, plan_id: str, began: datetime, record: Mapping[str, Any]) -> Run:
    """Make a run that began then; lw_coder itself makes none that is older than the plan's newest."""
    with tempfile.TemporaryDirectory(dir=root.parent) as elsewhere:
        run = open_run(Path(elsewhere), plan_id, began)
        write_record(run, record)
        folder = root / RUNS_FOLDER / plan_id / run.name
        make_private(root / RUNS_FOLDER, gitignore=True)
        make_private(folder.parent)
        seal_run(run).folder.rename(folder)
    return Run(plan_id, run.name, folder)
