"""The commands of checks, in config.toml and in a plan."""

from __future__ import annotations

from lw_coder.foundation.report import is_utf8

LONGEST_CHECK = 4000  # characters


def check_problem(command: str) -> str | None:
    """Say why a text cannot be the command of a check, or return None."""
    if not command.strip():
        return "contains an empty command"
    if "\0" in command:
        return "contains a command with a NUL character"
    if len(command) > LONGEST_CHECK:
        return f"contains a command of more than {LONGEST_CHECK} characters"
    return None if is_utf8(command) else "contains a command that is not UTF-8 text"
