"""A home for tests: what lw_coder, git and droid keep per user is written there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder the home of this process and its children, and remove git's variables."""
    monkeypatch.setenv("HOME", str(folder))
    for name, below in (
        ("CONFIG", ".config"),
        ("CACHE", ".cache"),
        ("STATE", ".local/state"),
        ("DATA", ".local/share"),
    ):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / below))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
