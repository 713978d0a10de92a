"""The CLI reference, made from the commands themselves: `python -m tests.support.cli_reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from lw_coder.cli import cli

PAGE = Path(__file__).parents[2] / "docs/reference/cli.md"
_HEAD = """# Commands

The help text of each command. Diagnostics go to stderr, results to stdout. Exit codes:
[The run folder](run-folder.md#exit-codes).
"""


def render() -> str:
    """Return the page: each command's help, in the order of the names."""
    return "\n".join([_HEAD, *_sections(cli, _context(cli, "lw_coder"))])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            child = command.commands[name]
            yield from _sections(child, _context(child, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": 78}
    return click.Context(command, parent=parent, info_name=name, **settings)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="ascii")
