"""What a person sees of a command that gives up, and whether it is what was promised."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.support.terminal import Terminal

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")
_ERROR = "error: "


def shown_lines(terminal: Terminal) -> list[str]:
    """All that was printed, line by line, however wide the terminal is."""
    plain = _ESCAPES.sub("", terminal.transcript.decode(errors="replace"))
    return [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def assert_refused(lines: Sequence[str], what: Sequence[str], remedy: str = "") -> None:
    """The last line, and no other, is an error; it names all of `what`, then a remedy."""
    told = "\n".join(lines)
    assert "Traceback" not in told, told
    assert [line for line in lines if line.startswith(_ERROR)] == list(lines[-1:]), told
    problem, separator, advice = lines[-1].removeprefix(_ERROR).partition("; ")
    assert separator, told
    assert len(advice) > 10, told
    for fragment in what:
        assert fragment in problem, f"{fragment!r} is not said:\n{told}"
    assert remedy in advice, f"{remedy!r} is not advised:\n{told}"
