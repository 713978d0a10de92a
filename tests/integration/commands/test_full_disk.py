"""The repository's disk is full: whatever could not be written, the person is told and nothing is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.integration.known_prompts import know_prompts
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import ScriptedModel
from tests.support.small_disk import mounted_disk
from tests.support.snapshot import changes, snapshot

PAGE = 4096

# A tmpfs counts by the page, a file at a time: so many are left when the command starts. A whole start takes
# under 40, most of them for the worktree, the private git folder and the prompts.
FREE_PAGES = (0, 1, 2, 3, 5, 8, 10, 14, 16, 20, 24, 28, 32, 36)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root may mount a disk")
    with mounted_disk(tmp_path / "disk", "16m") as folder:
        yield folder


def test_whatever_is_written_last_it_is_told_and_taken_back(
    small_disk: Path, person: Person, model: ScriptedModel
) -> None:
    sample = make_sample_repository(small_disk / "sample")
    sample.write_env(model.base_url)
    know_prompts(person.home, sample, model.base_url)
    person.cwd = sample.root
    told = {_with_free_pages(small_disk, sample, person, free) for free in FREE_PAGES}
    assert {"worktrees", "runs"} <= {word for line in told for word in line.split("/")}, told


def _with_free_pages(disk: Path, sample: SampleRepository, person: Person, free: int) -> str:
    ballast = disk / "ballast"
    _fill(disk, ballast, free)
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        status = terminal.wait()
    lines = shown_lines(terminal)
    assert_refused(lines, [": "])
    assert status == 1, f"with {free} pages free:\n{terminal.text}"
    assert changes(before, snapshot(sample.root)) == [], f"with {free} pages free:\n{terminal.text}"
    ballast.unlink()
    return lines[-1]


def _fill(disk: Path, ballast: Path, free: int) -> None:
    """Write a file that leaves so many pages free."""
    left = os.statvfs(disk).f_bavail - free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left * PAGE)
    assert os.statvfs(disk).f_bavail == free
