"""What changed between two commits, whatever the agent's attributes and the person's settings are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.repository.git import find_repository
from lw_coder.repository.patches import Patch, has_both, read_commits, read_patches
from tests.support.sample_repository import SampleRepository, make_sample_repository

NAMES = [
    "a b.py",
    'quote".py',
    "tab\there.py",
    "line\nfeed.py",
    "\u202egnp.py",
    "\u00fc.py",
    ":(glob)*",
    "-p",
]


@pytest.fixture
def sample(tmp_path: Path) -> SampleRepository:
    return make_sample_repository(tmp_path / "sample")


def patches(sample: SampleRepository) -> dict[str, Patch]:
    """Commit what is in the working tree, and read what the commit has changed."""
    before = sample.git("rev-parse", "HEAD")
    sample.git("add", "--all")
    sample.git("commit", "--quiet", "--message", "A change")
    found = read_patches(find_repository(sample.root), before, "HEAD")
    return {patch.file.path: patch for patch in found}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_found_by_any_name(sample: SampleRepository, name: str) -> None:
    (sample.root / name).write_text("one\ndiff --git a/x b/x\n+two\n", encoding="utf-8")
    (patch,) = patches(sample).values()
    assert patch.file.path == name
    assert patch.hunks == ("@@ -0,0 +1,3 @@", "+one", "+diff --git a/x b/x", "++two")
    assert (patch.added, patch.removed) == (3, 0)


def test_each_kind_of_change(sample: SampleRepository) -> None:
    (sample.root / "greeting.py").rename(sample.root / "greetings.py")
    (sample.root / "README.md").unlink()
    (sample.root / "large.txt").write_text("x" * (2 << 20))
    (sample.root / "binary").write_bytes(b"\0\1")
    (sample.root / "empty").touch()
    found = patches(sample)
    assert (found["greetings.py"].file.old_path, found["greetings.py"].hunks) == ("greeting.py", ())
    assert found["README.md"].file.is_gone
    assert found["README.md"].removed > 0
    assert found["large.txt"].hunks is None
    assert found["binary"].hunks is None
    assert found["empty"].hunks == ()


def test_neither_attributes_nor_drivers_hide_or_run_anything(
    sample: SampleRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\necho other\n")
    program.chmod(0o700)
    for key in ("diff.evil.command", "diff.evil.textconv", "diff.external"):
        sample.git("config", key, str(program))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    (sample.root / ".gitattributes").write_text("*.py binary\n*.txt diff=evil\n")
    (sample.root / "hidden.py").write_text("import os\n")
    (sample.root / "told.txt").write_text("told\n")
    found = patches(sample)
    assert found["hidden.py"].hunks == ("@@ -0,0 +1 @@", "+import os")
    assert found["told.txt"].hunks == ("@@ -0,0 +1 @@", "+told")
    assert not mark.exists()


def test_commits_are_listed_with_their_subjects(sample: SampleRepository) -> None:
    repository = find_repository(sample.root)
    sample.git("commit", "--quiet", "--allow-empty", "--message", "One\n\nBody")
    sample.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", "")
    tip = sample.git("rev-parse", "HEAD")
    newest, oldest, plan = read_commits(repository, sample.sha, tip)
    assert (newest.sha, newest.subject) == (tip, "")
    assert (oldest.subject, plan.subject) == ("One", "Plan to greet the world")


@pytest.mark.parametrize("tip", ["HEAD", "0" * 40, "--output=x", ""])
def test_only_ids_of_objects_are_asked_for(sample: SampleRepository, tip: str) -> None:
    repository = find_repository(sample.root)
    assert not has_both(repository, sample.sha, tip)
    assert has_both(repository, sample.sha, sample.git("rev-parse", "HEAD"))
