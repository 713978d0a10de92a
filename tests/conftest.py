"""Every test has a home of its own; one that changes the real home fails."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lw_coder.runs.run_folders import remove_tree
from tests.support.isolated_home import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator

_REAL_HOME = Path.home()
_DEEPEST = 100
_WATCHED = (
    ".gitconfig",
    ".config/git",
    ".config/lw_coder",
    ".cache/lw_coder",
    ".local/state/lw_coder",
    ".factory",
)


# Children inherit that a shell has what it starts in the background ignore Ctrl+C, and nohup a hangup.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give fixtures that several tests share a home too: they are made before any test's own."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        isolate(monkeypatch, tmp_path_factory.mktemp("shared-home"))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    isolate(monkeypatch, folder)
    before = _snapshot()
    yield folder
    assert _snapshot() == before, f"the test changed the real home {_REAL_HOME}"


def _snapshot() -> dict[str, tuple[int, int] | None]:
    return {name: _state(_REAL_HOME / name) for name in _WATCHED}


def _state(path: Path) -> tuple[int, int] | None:
    if not path.exists():
        return None
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@pytest.fixture(scope="session", autouse=True)
def shallow_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave no folder so deep that pytest, which removes those of old sessions, cannot."""
    yield
    waiting = [(tmp_path_factory.getbasetemp(), 0)]
    while waiting:
        folder, depth = waiting.pop()
        if depth > _DEEPEST:
            remove_tree(folder)
        else:
            with suppress(OSError):
                inner = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
                waiting += [(Path(entry.path), depth + 1) for entry in inner]
