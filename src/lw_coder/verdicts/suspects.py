"""Changes that can make a check pass for another reason than that the work is right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suspect:
    """A changed file that a person should look at before trusting the verdict.

    Attributes:
        path: the file.
        what: what was done to it, in a few words.
    """

    path: str
    what: str
