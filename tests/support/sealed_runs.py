"""The runs of a repository that are sealed, without lw_coder's own code."""

from __future__ import annotations

from pathlib import Path


def sealed_records(root: Path, plan: str = "*") -> list[Path]:
    """List the run.json of each run of a plan that is not being prepared any more."""
    records = (root / ".lw_coder/runs").glob(f"{plan}/2*/run.json")
    return [one for one in records if not one.parent.with_name(f".partial-{one.parent.name}").exists()]
