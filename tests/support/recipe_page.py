"""Put the Dockerfiles that `lw_coder init` writes into its page: `python -m tests.support.recipe_page`."""

from __future__ import annotations

import re
from pathlib import Path

from lw_coder.scaffold.kinds import KINDS, PLAIN
from lw_coder.scaffold.texts import dockerfile

PAGE = Path(__file__).parents[2] / "docs/how-to/recipes.md"
BY_HAND = "By hand"
_TITLES = {PLAIN: "Other projects"}


def section(page: str, title: str) -> str:
    """Return what is under a heading of the page."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(page: str, title: str, language: str) -> list[str]:
    """Return the code blocks of a language under a heading of the page."""
    return re.findall(rf"```{language}\n(.*?)```", section(page, title), re.DOTALL)


def with_recipes(page: str) -> str:
    """Return the page with the Dockerfiles as they are now."""
    for kind in KINDS:
        title = _TITLES.get(kind, kind)
        old = section(page, title)
        words = old.partition("```dockerfile")[0].strip("\n")
        new = f"\n{words}\n\n```dockerfile\n{dockerfile([kind])}```\n"
        page = page.replace(f"\n## {title}\n{old}", f"\n## {title}\n{new}", 1)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_recipes(PAGE.read_text(encoding="ascii")), encoding="ascii")
