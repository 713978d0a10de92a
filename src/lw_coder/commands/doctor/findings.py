"""What the checks of `lw_coder doctor` find."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from lw_coder.foundation.errors import LwCoderError

T = TypeVar("T")


class Finding(Struct, frozen=True):
    """The result of a check.

    Attributes:
        subject: what was checked.
        result: the state, or the problem.
        remedy: what to do about it; empty if there is no problem.
    """

    subject: str
    result: str
    remedy: str = ""


class Checks:
    """Collects findings, and continues after a problem."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def run(
        self, subject: str, find: Callable[[], T], describe: Callable[[T], str | Finding], *, needed: str = ""
    ) -> T | None:
        """Run one check and record its finding; return None if it found a problem.

        Args:
            subject: what is checked.
            find: finds what is described, or raises LwCoderError.
            describe: says what was found.
            needed: what cannot be checked after a problem, if anything.
        """
        try:
            found = find()
            result = describe(found)
        except LwCoderError as error:
            so = f"; {needed} not checked" if needed else ""
            self.findings.append(Finding(subject, f"{error.message}{so}", error.remedy))
            return None
        self.findings.append(result if isinstance(result, Finding) else Finding(subject, result))
        return found
