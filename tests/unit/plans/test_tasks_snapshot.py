"""What a session does to the tasks folder is found, and nothing of before is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.plans.tasks_snapshot import MOST_ENTRIES, Changes, TasksSnapshot, find_changes, take_snapshot


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.md").write_text("one")
    (folder / "sub/two.md").write_text("two")
    (folder / "link.md").symlink_to("one.md")
    return folder


@pytest.fixture
def kept(tasks: Path, tmp_path: Path) -> TasksSnapshot:
    return take_snapshot(tasks, tmp_path / "copies")


def test_every_plain_file_is_copied_and_no_link(kept: TasksSnapshot) -> None:
    copies = [path for path in kept.copies.rglob("*") if not path.is_dir()]
    assert sorted((path.name, path.read_text()) for path in copies) == [("one.md", "one"), ("two.md", "two")]


def test_an_untouched_folder_has_no_changes(tasks: Path, kept: TasksSnapshot) -> None:
    (tasks / "one.md").touch()
    (tasks / "empty").mkdir()
    assert find_changes(tasks, kept) == Changes()


def test_each_kind_of_change_is_told_apart(tasks: Path, kept: TasksSnapshot) -> None:
    (tasks / "one.md").write_text("two")
    (tasks / "sub/two.md").unlink()
    (tasks / "sub/new.md").write_text("new")
    (tasks / "passwd.md").symlink_to("/etc/passwd")
    (tasks / "elsewhere").symlink_to("/etc")
    os.mkfifo(tasks / "pipe.md")
    assert find_changes(tasks, kept) == Changes(
        new=("sub/new.md",),
        changed=("one.md",),
        removed=("sub/two.md",),
        odd=("elsewhere", "passwd.md", "pipe.md"),
    )


def test_a_setuid_file_is_odd(tasks: Path, kept: TasksSnapshot) -> None:
    (tasks / "shell.md").touch()
    (tasks / "shell.md").chmod(0o4755)
    assert find_changes(tasks, kept) == Changes(odd=("shell.md",))


def test_a_plan_that_became_a_link_is_changed_and_odd(tasks: Path, kept: TasksSnapshot) -> None:
    (tasks / "one.md").unlink()
    (tasks / "one.md").symlink_to("/etc/passwd")
    found = find_changes(tasks, kept)
    assert (found.changed, found.odd, found.new) == (("one.md",), ("one.md",), ())


def test_folders_deeper_than_python_recurses_are_no_trouble(tasks: Path, kept: TasksSnapshot) -> None:
    here = os.open(tasks, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert find_changes(tasks, kept).changed == ()
    _remove_deep(tasks / "d")


def test_a_folder_that_is_gone_has_everything_removed(tmp_path: Path, kept: TasksSnapshot) -> None:
    assert find_changes(tmp_path / "none", kept).removed == ("link.md", "one.md", "sub/two.md")


def test_what_was_there_is_looked_at_however_much_is_put_beside_it(tasks: Path, kept: TasksSnapshot) -> None:
    for number in range(MOST_ENTRIES + 1):
        (tasks / f"{number}.junk").touch()
    (tasks / "one.md").write_text("other")
    (tasks / "sub/two.md").unlink()
    found = find_changes(tasks, kept)
    assert (found.changed, found.removed, found.is_complete) == (("one.md",), ("sub/two.md",), False)


def test_a_folder_that_became_a_link_has_lost_its_files(
    tasks: Path, kept: TasksSnapshot, tmp_path: Path
) -> None:
    (tasks / "sub").rename(tmp_path / "elsewhere")
    (tasks / "sub").symlink_to(tmp_path / "elsewhere")
    found = find_changes(tasks, kept)
    assert (found.removed, found.odd) == (("sub/two.md",), ("sub",))


def test_what_is_too_large_for_a_plan_is_neither_read_nor_copied(tasks: Path, tmp_path: Path) -> None:
    with (tasks / "large").open("wb") as file:
        file.truncate(1 << 40)
    kept = take_snapshot(tasks, tmp_path / "copies")
    assert not (kept.copies / "large").exists()
    assert find_changes(tasks, kept) == Changes()
    before = (tasks / "large").stat()
    with (tasks / "large").open("r+b") as file:
        file.write(b"other")
    os.utime(tasks / "large", ns=(before.st_atime_ns, before.st_mtime_ns))  # as if it were the same
    assert find_changes(tasks, kept).changed == ("large",)


def _remove_deep(folder: Path) -> None:
    """Remove a chain of folders that is longer than a path may be, from its top."""
    while folder.exists():
        inner = folder / "d"
        if inner.exists():
            inner.rename(folder.with_name("next"))
        folder.rmdir()
        if folder.with_name("next").exists():
            folder.with_name("next").rename(folder)
