"""What a failed build printed: the reason, the end of the failing step, and what to do about known causes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click
from msgspec import Struct

from lw_coder.containers.build_hints import find_hint

_VERDICT = "failed to solve: "  # BuildKit's
_FAILED_STEP = re.compile(r"#(\d+) ERROR: (?!.*context canceled)")
_STEP_OUTPUT = re.compile(r"#(\d+) \d+\.\d+ ?(.*)")  # the step's number, seconds, and what it printed
_LONGEST_REASON = 300
_LONGEST_LINE = 300
_LINES_SHOWN = 10
_LINES_SEARCHED = 60


class BuildFailure(Struct, frozen=True):
    """Why a build failed.

    Attributes:
        reason: the builder's last error, in one line.
        tail: the last lines that the failing step printed, up to ten; empty if no step ran.
        hint: what to do, if the cause is a known one; else empty.
    """

    reason: str
    tail: tuple[str, ...] = ()
    hint: str = ""


def read_failure(lines: Sequence[str]) -> BuildFailure:
    """Find out why a build failed, from its output in BuildKit's plain format."""
    plain = [click.unstyle(line).rstrip() for line in lines]
    reason, printed = _last_word(plain), _failing_step(plain)
    searched = "\n".join([*printed[-_LINES_SEARCHED:], reason])
    return BuildFailure(reason, last_lines(printed), find_hint(searched))


def last_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the last lines of an output, up to ten that are not blank, without styles and shortened."""
    plain = [click.unstyle(line).rstrip() for line in lines if line.strip()]
    return tuple(map(_clipped, plain[-_LINES_SHOWN:]))


def _failing_step(lines: Sequence[str]) -> list[str]:
    failed = [found[1] for line in lines if (found := _FAILED_STEP.match(line))]
    outputs = [found for line in lines if failed and (found := _STEP_OUTPUT.fullmatch(line))]
    return [found[2] for found in outputs if found[1] == failed[-1] and found[2].strip()]


def _last_word(lines: Sequence[str]) -> str:
    words = [line.strip() for line in lines if line.strip()]
    # Output of a command in the Dockerfile can look like an error too, and come later.
    verdicts = [word.partition(_VERDICT)[2] for word in words if _VERDICT in word]
    failures = [word for word in words if "error" in word.lower() or "failed" in word.lower()]
    return shortened((verdicts or failures or words or ["no reason was given"])[-1])


def shortened(text: str) -> str:
    """Leave out the middle of a long reason: the exit status is at the end, after the command."""
    half = _LONGEST_REASON // 2
    return text if len(text) <= _LONGEST_REASON else f"{text[:half]} ... {text[-half:]}"


def _clipped(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
