"""The picture of a session in the README: the demo's terminal as it really was, as SVG.

python -m tests.support.session_picture
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tests.support.demo import BUILD_TIMEOUT, COMMAND, LAST_WORDS, demo_session
from tests.support.terminal import Terminal

PICTURE = Path(__file__).parents[2] / "docs/images/session.svg"
_ROWS, _COLUMNS = 34, 108
# No fonts from the network: a reader's own are used.
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the demo's session, and draw what its terminal shows when the agent has finished."""
    with (
        tempfile.TemporaryDirectory(prefix="lw_coder-picture-") as folder,
        demo_session(Path(folder)) as demo,
        Terminal(COMMAND, demo.sample.root, demo.env) as terminal,
    ):
        try:
            terminal.resize(_ROWS, _COLUMNS)
            terminal.wait_for(LAST_WORDS, BUILD_TIMEOUT)
            terminal.settle(2)
            drawn = _drawn(terminal)
            terminal.leave()
        finally:
            terminal.end()
    PICTURE.write_text(drawn, encoding="utf-8")


def _drawn(terminal: Terminal) -> str:
    console = Console(record=True, width=_COLUMNS, file=StringIO())
    for row in terminal.cells:
        runs = ((style, "".join(cell.data for cell in cells)) for style, cells in groupby(row, _style))
        console.print(Text.assemble(*((text, style) for style, text in runs)), soft_wrap=True)
    return console.export_svg(title="lw_coder code sample-plan", code_format=_FORMAT, unique_id="session")


def _style(cell: Any) -> str:
    """Return rich's style of one of pyte's cells."""
    names: Mapping[str, bool] = {"bold": cell.bold, "italic": cell.italics, "underline": cell.underscore}
    colours = (_colour(cell.fg), "on " + _colour(cell.bg))
    if cell.reverse:
        colours = (_colour(cell.bg), "on " + _colour(cell.fg))
    return " ".join([*(name for name, is_set in names.items() if is_set), *colours])


def _colour(name: str) -> str:
    if name == "default":
        return "default"
    is_hex = len(name) == 6 and all(digit in "0123456789abcdef" for digit in name)
    return f"#{name}" if is_hex else name.replace("bright", "bright_").replace("brown", "yellow")


if __name__ == "__main__":
    main()
