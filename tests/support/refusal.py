"""What a person sees of a command that gives up, and whether it is what was promised."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.support.terminal import Terminal

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")
_ERROR = "error: "
# What a command says of its progress; a spinner may stand before it.
_PROGRESS = re.compile(
    r"(?:[\u2800-\u28ff] )?"
    r"(?:(?:Agent|Image|Prompts|Removed|warning): |Writing the prompts with "
    r"|\| |(?:Building|Preparing) the image |asking |the answer |the server is not ready)"
)


def shown_lines(terminal: Terminal) -> list[str]:
    """All that was printed, line by line, however wide the terminal is."""
    plain = _ESCAPES.sub("", terminal.transcript.decode(errors="replace"))
    return [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def assert_refused(lines: Sequence[str], what: Sequence[str], remedy: str = "") -> None:
    """The last line alone is an error: all of `what`, a remedy. The others tell of progress."""
    told = "\n".join(lines)
    assert "Traceback" not in told, told
    assert [line for line in lines if line.startswith(_ERROR)] == list(lines[-1:]), told
    assert [line for line in lines[:-1] if not _PROGRESS.match(line)] == [], told
    problem, separator, advice = lines[-1].removeprefix(_ERROR).partition("; ")
    assert separator, told
    assert len(advice) > 10, told
    for fragment in what:
        assert fragment in problem, f"{fragment!r} is not said:\n{told}"
    assert remedy in advice, f"{remedy!r} is not advised:\n{told}"
