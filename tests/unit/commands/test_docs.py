"""`lw_coder docs`, as a person types it: piped, at a terminal, with a wrong name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lw_coder.commands.docs import find_page
from lw_coder.foundation.errors import DocsError, ExitCode
from tests.support.installed import LW_CODER, typed
from tests.support.patience import PATIENCE
from tests.support.terminal import Terminal

DOCS = Path(__file__).parents[3] / "docs"
OF_A_TERMINAL = {"PAGER", "LESS", "COLUMNS", "LINES"}  # the terminal's own size counts
LAST_OF_CONFIGURATION = "which does not use yours"


def docs(*words: str) -> subprocess.CompletedProcess[str]:
    return typed("docs", *words, cwd=Path.cwd())


@contextmanager
def at_a_terminal(*words: str, **variables: str) -> Iterator[Terminal]:
    env = {name: value for name, value in os.environ.items() if name not in OF_A_TERMINAL}
    with Terminal([LW_CODER, "docs", *words], Path.cwd(), {**env, **variables}) as terminal:
        yield terminal


def test_the_list() -> None:
    result = docs()
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")
    for name in ("readme", "first-plan", "configuration", "troubleshooting", "run-folder", "adr"):
        assert f"\n  {name} " in result.stdout
    assert "0001-" not in result.stdout


def test_a_page_is_printed_as_it_is() -> None:
    result = docs("configuration")
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")
    assert result.stdout == (DOCS / "configuration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("configuration", "configuration.md"),
        ("Configuration", "configuration.md"),
        ("reference/docker.md", "reference/docker.md"),
        ("../configuration.md#allow_hosts", "configuration.md"),
        ("docs/how-to/troubleshooting.md", "how-to/troubleshooting.md"),
        ("36", "adr/0036-a-build-is-repeated-once.md"),
        ("0036", "adr/0036-a-build-is-repeated-once.md"),
        ("adr/0036-a-build-is-repeated-once.md", "adr/0036-a-build-is-repeated-once.md"),
        ("adr", "adr/README.md"),
        ("adr/README.md", "adr/README.md"),
        ("readme", "../README.md"),
        ("../CHANGELOG.md", "../CHANGELOG.md"),
    ],
)
def test_names_of_pages(name: str, file: str) -> None:
    assert find_page(name).file == (DOCS / file).resolve()


@pytest.mark.parametrize(
    "name", ["", "/", "..", "36.", "9999", "\u00b2", "../pyproject.toml", "README.md/x", "\n"]
)
def test_what_is_no_page(name: str) -> None:
    with pytest.raises(DocsError) as caught:
        find_page(name)
    assert "\n" not in caught.value.message + caught.value.remedy


def test_a_wrong_name_is_one_line() -> None:
    result = docs("confguration")
    assert (result.returncode, result.stdout) == (ExitCode.ERROR, "")
    assert result.stderr == (
        "error: confguration: no such page; did you mean configuration? `lw_coder docs` lists the pages\n"
    )


def test_all_pages_are_installed() -> None:
    installed = Path(docs("--path").stdout.removesuffix("\n"))
    assert docs("plans", "--path").stdout == f"{installed / 'reference/plans.md'}\n"
    assert pages_in(installed) == pages_in(DOCS)
    for name in ("README.md", "CHANGELOG.md"):
        assert (installed.parent / name).read_bytes() == (DOCS.parent / name).read_bytes()


def pages_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.md")}


def test_a_reader_that_stops_early() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    result = subprocess.run(
        [LW_CODER, "docs", "configuration"],
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    os.close(writes)
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")


def test_a_long_page_is_shown_in_a_pager_which_gets_the_keys() -> None:
    with at_a_terminal("configuration") as terminal:
        terminal.wait_for("Configuration")
        terminal.wait_until(lambda: terminal.screen.endswith("\n:"), "the pager's prompt")
        assert LAST_OF_CONFIGURATION not in terminal.screen
        terminal.press_ctrl_c()

        def shows_the_end() -> bool:
            terminal.type("G")  # again and again: less gives up a command if it only then notices the Ctrl+C
            return LAST_OF_CONFIGURATION in terminal.screen

        terminal.wait_until(shows_the_end, "the end of the page")
        assert terminal.is_running
        terminal.type("q")
        assert terminal.wait() == ExitCode.OK
    assert "interrupted" not in terminal.text


def test_the_list_fits_on_the_screen_and_needs_no_key() -> None:
    with at_a_terminal() as terminal:
        assert terminal.wait() == ExitCode.OK
        assert "\n  configuration " in terminal.text


@pytest.mark.parametrize("pager", ["cat", ""])
def test_the_persons_pager_is_used(pager: str) -> None:
    with at_a_terminal("configuration", PAGER=pager) as terminal:
        assert terminal.wait() == ExitCode.OK
    assert LAST_OF_CONFIGURATION in terminal.text


def test_at_a_terminal_links_say_what_to_type_and_tables_are_drawn() -> None:
    with at_a_terminal("run-folder", PAGER="cat") as terminal:
        assert terminal.wait() == ExitCode.OK
    text = " ".join(terminal.text.split())
    assert "lw_coder docs docker" in text
    assert "docker.md" not in text
    assert "|---" not in text
