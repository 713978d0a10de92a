"""The agent's word on a plan's evaluation notes: what its plan-alignment-checker reported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JudgedNote:
    """An evaluation note, and what the agent's checker said of it.

    Attributes:
        note: the plan's text.
        result: `met`, `not met` or `not judged`.
        evidence: the checker's reason, or an empty text.
    """

    note: str
    result: str
    evidence: str
