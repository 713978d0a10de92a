"""Measure how deeply a text is nested, before a recursive parser reads it."""

import re

DEEPEST = 50  # settings and front matter need at most three


def bracket_depth(text: str) -> int:
    """Return the largest number of open brackets and braces; those within quotes count too."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
