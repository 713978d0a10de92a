"""How deeply text is nested, before a parser that recurses is let at it."""

import re

DEEPEST = 50  # no setting and no front matter of ours needs more than three


def bracket_depth(text: str) -> int:
    """Count how many brackets and braces are open at most; those within quotes count as well."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
