"""`lw_coder docs`: list and print the pages of the documentation, which is installed with lw_coder.

docs/README.md is the index: each row of its table is a page. The design decisions have an index of their own,
the page `adr`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import click
from msgspec import Struct

from lw_coder.foundation.errors import DocsError, ExitCode
from lw_coder.foundation.report import colour_system, output, printable
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.foundation.signals import leave_interrupts_to_session

_INDEX = "README.md"
_ROW = re.compile(r"^\| \[[^]]+\]\((?P<file>[^)#]+)\) \| (?P<about>.+) \|$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?P<target>[^)\s]+)\)")
_WIDEST = 100  # columns; longer lines are hard to read
_STYLES = {"markdown.code": "cyan", "markdown.code_block": "cyan"}  # rich's have a black background


class Page(Struct, frozen=True):
    """A page of the documentation.

    Attributes:
        name: what is typed after `lw_coder docs`.
        file: its Markdown file.
        about: what it is about, in a few words; empty for a design decision.
    """

    name: str
    file: Path
    about: str


def docs_command(name: str | None, *, as_path: bool) -> ExitCode:
    """Print a page, or the list of pages; at a terminal through a pager.

    Args:
        name: the page's name, its path in a link, or the number of a design decision; None for the list.
        as_path: print only the path of the page's file, or of the folder with all pages.

    Raises:
        DocsError: there is no such page.
    """
    page = find_page(name) if name is not None else None
    if as_path:
        click.echo(page.file if page else shipped_folder("docs"))
    elif page is None:
        _show(_listed())
    elif sys.stdout.isatty():
        _show(_rendered(page.file.read_text(encoding="utf-8")))
    else:
        _show(page.file.read_text(encoding="utf-8"))
    return ExitCode.OK


def all_pages() -> list[Page]:
    """List the pages: those of the index in its order, then the design decisions."""
    folder = shipped_folder("docs")
    index = (folder / _INDEX).read_text(encoding="utf-8")
    listed = [_page(folder / row["file"], row["about"]) for row in _ROW.finditer(index)]
    known = {page.file for page in listed}
    return listed + [_page(file) for file in sorted(folder.glob("adr/*.md")) if file not in known]


def find_page(name: str) -> Page:
    """Find a page by its name, by a link to it in another page, or a design decision by its number.

    Raises:
        DocsError: there is no such page.
    """
    pages = {page.name: page for page in all_pages()}
    wanted = page_name(name)
    if wanted.isascii() and wanted.isdigit():
        wanted = next((known for known in pages if known.startswith(f"{int(wanted):04}-")), wanted)
    if wanted not in pages:
        close = get_close_matches(wanted, pages, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DocsError(f"{printable(name)}: no such page", f"{hint}`lw_coder docs` lists the pages")
    return pages[wanted]


def page_name(link: str) -> str:
    """Return the name of the page that a link names; a name is a link as well.

    A page is called as its file; a README as its folder, and the one at the top `readme`.
    """
    path = PurePosixPath(link.partition("#")[0].removesuffix(".md"))
    name = path.name.lower()
    return path.parent.name.strip(".") or name if name == "readme" else name


def _page(file: Path, about: str = "") -> Page:
    file = Path(os.path.normpath(file))
    inside = file.relative_to(shipped_folder("docs").parent)
    return Page(page_name(inside.as_posix()), file, about.replace("`", ""))


def _listed() -> str:
    pages = [page for page in all_pages() if page.about]
    width = max(len(page.name) for page in pages)
    rows = [f"  {page.name.ljust(width)}  {page.about}\n" for page in pages]
    return "".join(["Pages, which `lw_coder docs PAGE` shows:\n\n", *rows])


def _rendered(text: str) -> str:
    """Return Markdown as text for this terminal; its links say what to type."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    width = min(shutil.get_terminal_size().columns, _WIDEST)
    colours = colour_system(sys.stdout)
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, theme=Theme(_STYLES), color_system=colours
    )
    with console.capture() as captured:
        console.print(Markdown(_LINK.sub(_typed, text), hyperlinks=False, code_theme="ansi_dark"))
    return "".join(_without_padding(captured.get()))


def _typed(link: re.Match[str]) -> str:
    text, target = link["text"], link["target"]
    if "://" in target:
        return link[0]
    return text if target.startswith("#") else f"{text} (`lw_coder docs {page_name(target)}`)"


def _without_padding(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield f"{line.rstrip()}\n"


def _show(text: str) -> None:
    """Print to a terminal through the pager, as git does; elsewhere as it is."""
    text = text.rstrip("\n")
    if sys.stdout.isatty() and os.environ.get("PAGER") != "":
        os.environ.setdefault("LESS", "-FRX")  # git's: a short page is printed, and stays on the screen
        leave_interrupts_to_session()  # Ctrl+C is the pager's
        click.echo_via_pager(text)
        return
    output(f"{text}\n")
