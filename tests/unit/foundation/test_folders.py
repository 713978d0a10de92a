"""Folders that are not there, that cannot be read, and what stands in their place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lw_coder.foundation.errors import FolderError
from lw_coder.foundation.folders import entries_of, real_path

INNER = Path(".own/tasks")


def a_file(place: Path) -> None:
    place.write_text("", encoding="ascii")


IN_PLACE: dict[str, tuple[Callable[[Path], object], str]] = {
    "file": (a_file, "is not a folder"),
    "pipe": (os.mkfifo, "is not a folder"),
    "loop": (lambda place: place.symlink_to(place), "cannot be read: Too many levels of symbolic links"),
    "dangling link": (lambda place: place.symlink_to("gone"), "is a link that leads to no folder"),
    "link to a file": (lambda place: place.symlink_to("/etc/passwd"), "is a link that leads to no folder"),
}


@pytest.mark.parametrize("place", [INNER.parent, INNER])
@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_folder(tmp_path: Path, place: Path, kind: str) -> None:
    make, problem = IN_PLACE[kind]
    (tmp_path / place).parent.mkdir(exist_ok=True)
    make(tmp_path / place)
    for ask in (entries_of, real_path):
        with pytest.raises(FolderError) as caught:
            ask(tmp_path / INNER)
        assert problem in caught.value.message
        assert str(tmp_path / place) in caught.value.message


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert entries_of(tmp_path / INNER) == []
    assert real_path(tmp_path / INNER) == tmp_path / INNER


def test_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real/tasks/b").mkdir(parents=True)
    a_file(tmp_path / "real/tasks/a")
    (tmp_path / INNER.parent).symlink_to("real")
    assert [entry.name for entry in entries_of(tmp_path / INNER)] == ["a", "b"]
    assert real_path(tmp_path / INNER) == tmp_path / "real/tasks"
