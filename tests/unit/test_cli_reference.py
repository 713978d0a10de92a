from __future__ import annotations

from tests.support.cli_reference import PAGE, render


def test_the_reference_says_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="ascii") == render(), "run: nox -s cli_reference"
