"""Folders that are not there, that cannot be read, and what stands in their place."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from lw_coder.foundation.errors import FolderError
from lw_coder.foundation.folders import entries_of, make_folder, real_path, remove_if_unused

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


@pytest.mark.parametrize("options", [{}, {"gitignore": True}])
def test_a_folder_is_created_while_others_remove_it(tmp_path: Path, options: dict[str, bool]) -> None:
    folder, is_enough = tmp_path / "runs/plan", Event()

    def remove() -> None:
        while not is_enough.wait(0.0001):
            remove_if_unused(folder)
            remove_if_unused(folder.parent)

    with ThreadPoolExecutor(1) as pool:
        removing = pool.submit(remove)
        try:
            for _ in range(2000):
                make_folder(folder, **options)
        finally:
            is_enough.set()
        removing.result()


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file/folder")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
