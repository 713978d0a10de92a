"""Several files are written, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import SetUpError
from lw_coder.scaffold.changes import Action, Change
from lw_coder.scaffold.writing import written
from tests.support.snapshot import changes, snapshot

NEW = Change(Path("folder/inner/new.txt"), Action.CREATE, b"new\n")
REPLACED = Change(Path("old.txt"), Action.REPLACE, b"replaced\n")
KEPT = Change(Path("kept.txt"), Action.KEEP)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("old.txt", "kept.txt"):
        (tmp_path / name).write_text("old\n", encoding="ascii")
    (tmp_path / "old.txt").chmod(0o600)
    return tmp_path


def test_all_are_written(root: Path) -> None:
    with written(root, [NEW, REPLACED, KEPT]):
        pass
    assert (root / NEW.path).read_bytes() == b"new\n"
    assert (root / "old.txt").read_bytes() == b"replaced\n"
    assert (root / "old.txt").stat().st_mode & 0o777 == 0o600
    assert (root / "kept.txt").read_bytes() == b"old\n"
    assert sorted(path.name for path in root.rglob("*")) == [
        "folder",
        "inner",
        "kept.txt",
        "new.txt",
        "old.txt",
    ]


def test_none_is_written_where_one_cannot_be(root: Path) -> None:
    before = snapshot(root)
    impossible = Change(Path("kept.txt/below.txt"), Action.CREATE, b"")
    with pytest.raises(SetUpError, match="cannot be written"), written(root, [NEW, REPLACED, impossible]):
        pytest.fail("the block is not reached")
    assert changes(before, snapshot(root)) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten(root: Path) -> None:
    before = snapshot(root)
    taken = Change(Path("kept.txt"), Action.CREATE, b"mine\n")
    with pytest.raises(SetUpError, match="created meanwhile"), written(root, [REPLACED, NEW, taken]):
        pytest.fail("the block is not reached")
    assert changes(before, snapshot(root)) == []


@pytest.mark.parametrize("error", [SetUpError("no", "commit"), KeyboardInterrupt()])
def test_all_is_undone_if_what_follows_fails(root: Path, error: BaseException) -> None:
    before = snapshot(root)
    with pytest.raises(type(error)):
        write_and_raise(root, error)
    assert changes(before, snapshot(root)) == []


def write_and_raise(root: Path, error: BaseException) -> None:
    with written(root, [NEW, REPLACED]):
        assert (root / NEW.path).exists()
        raise error
