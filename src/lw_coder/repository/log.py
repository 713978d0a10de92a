"""The commits between two others, as lines for a message."""

from __future__ import annotations

from lw_coder.foundation.report import printable
from lw_coder.repository.git import Repository, run_git

_MOST, _LONGEST = 50, 200  # commits, and characters of a subject


def subjects(repository: Repository, base: str, tip: str) -> list[str]:
    """Return the subjects of the commits that one has and another has not, oldest first, escaped and cut.

    Raises:
        GitError: git failed.
    """
    asked = ("log", "-z", f"--max-count={_MOST}", "--format=%s", tip, f"^{base}", "--")
    found = run_git(*asked, place=repository.place).stdout.split("\0")
    return [printable(subject)[:_LONGEST] for subject in reversed(found) if subject]
