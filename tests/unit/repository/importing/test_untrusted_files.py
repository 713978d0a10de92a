"""What an agent wrote is looked at without following links."""

from __future__ import annotations

from pathlib import Path

from lw_coder.repository.importing.untrusted_files import UntrustedFolder


def test_sizes_are_those_of_files_alone(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    for name, size in {"one": 1, "a/two": 2, "a/b/three": 3}.items():
        (top / name).write_bytes(b"x" * size)
    (top / "a/link").symlink_to("two")
    (top / "away").symlink_to(tmp_path)
    names = [
        "a/b/three",
        "a/link",
        "a/missing",
        "a/two",
        "a/b",
        "away/outside",
        "no/folder",
        "one",
        "../outside",
    ]
    assert list(UntrustedFolder(top).sizes(names)) == [3, 0, 0, 2, 0, 0, 0, 1, 0]
