"""Look for secrets at rest: `python -m tests.scan` prints what was searched, how much, and what was found."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tests.integration.conftest import IMAGES
from tests.scan.plants import PLANTS
from tests.scan.scene import scan
from tests.scan.searches import Search, Searched
from tests.support.engine import remove_images

NOT_SEARCHED = (
    "Not searched, for the values have to be there: the env file; a container's Config.Env; and, in"
    " BuildKit's own records, the proxies, which are arguments of each build."
)


def main() -> int:
    """Scan; the status is 0 only if nothing was found but what was planted, and all of that."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-scan-") as folder:
        searched = scan(Path(folder))
    remove_images(IMAGES)
    planted = list(_planted())
    console = Console()
    console.print(_table("Values of forwarded variables", searched), _table("Planted, to be found", planted))
    for find in (find for one in searched for find in one.finds):
        console.print(f"found: {find}", markup=False, highlight=False)
    console.print(NOT_SEARCHED)
    missed = [one.place for one in planted if not one.finds]
    finds = sum(len(one.finds) for one in searched)
    console.print(f"{finds} found; {len(planted) - len(missed)} of {len(planted)} planted ones found")
    return 1 if finds or missed else 0


def _planted() -> Iterator[Searched]:
    for plant in PLANTS:
        value = f"q{secrets.token_hex(12)}"
        with tempfile.TemporaryDirectory(prefix="lw_coder-scan-") as folder:
            yield Search(value).parts(plant.__name__.replace("_", " "), plant(Path(folder), value))


def _table(title: str, rows: Sequence[Searched]) -> Table:
    table = Table(title=title, box=box.ASCII2, title_justify="left")
    table.add_column("searched")
    for name in ("items", "KiB", "found"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.place, f"{row.items:,}", f"{row.size / 1024:,.1f}", str(len(row.finds)))
    return table


if __name__ == "__main__":
    sys.exit(main())
