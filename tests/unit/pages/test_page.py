"""A page is made of whatever a run's folder has, and has a size that a browser can open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lw_coder.foundation.redaction import Redaction
from lw_coder.pages.brief import brief
from lw_coder.pages.page import render_page
from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import Run, open_run, read_record, seal_run
from tests.support.recorded_run import Recorded, call, make_run, said, text
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository

LARGEST = 40_000_000  # bytes, as the documentation says
LONGEST_MARKUP = chr(0xE0001)  # one character, ten on the page


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRepository:
    return make_sample_repository(tmp_path_factory.mktemp("made") / "sample")


@pytest.fixture(scope="module")
def empty(sample: SampleRepository) -> Run:
    return seal_run(open_run(sample.root, PLAN_ID))


def rendered(sample: SampleRepository, run: Run, record: dict[str, Any]) -> str:
    return render_page(find_repository(sample.root), run, record, {}, Redaction({}))


KEYS = ("plan", "signature", "ended", "verdict", "limits", "versions", "images", "forwarded", "kind", "model")
INNER = (
    *("checks", "changes", "notes", "reasons", "remarks", "tip", "base", "spent", "total", "agent", "usage"),
    *("refused", "uncommitted", "refs", "limit", "inputs", "plan", "body", "outcome", "passed", "started_at"),
)


@pytest.mark.parametrize(
    "value", [None, 1, 1e400, "text\x1b", [], [1, "a", {}], {}, {"a": []}, True], ids=repr
)
def test_a_record_of_which_nothing_fits_makes_a_page(
    sample: SampleRepository, empty: Run, value: Any
) -> None:
    wrong = dict.fromkeys(INNER, value)
    for inner in (value, wrong, dict.fromkeys(INNER, wrong), {name: [wrong] for name in INNER}):
        page = rendered(sample, empty, dict.fromkeys(KEYS, inner))
        assert page.endswith("</html>\n")
        assert "\x1b" not in page


def test_a_run_that_has_not_ended(sample: SampleRepository, empty: Run) -> None:
    page = rendered(sample, empty, {"kind": "code", "ended": None})
    assert "<dd>not ended</dd>" in page
    assert 'id="changes"' not in page
    assert 'id="transcript"' not in page


def test_a_history_of_which_a_part_is_missing(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    run = make_run(sample, Recorded())
    record, tree = read_record(run), sample.git("rev-parse", "HEAD^{tree}")
    (sample.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    assert "The repository does not have the run's commits" in rendered(sample, run, record)
    assert "changes:  not known: git diff-tree: " in "\n".join(
        brief(find_repository(sample.root), run, record)
    )


def test_the_largest_page(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    for number in range(600):
        (sample.root / f"{number}.py").write_text(f"{LONGEST_MARKUP * 900}\n" * 20)
    sample.git("add", "--all")
    sample.git("commit", "--quiet", "--message", "Much")
    long = LONGEST_MARKUP * 100_000
    parameters = {f"parameter {number}": LONGEST_MARKUP * 5000 for number in range(20)}
    agent = [
        said(text("Much"), *(call(number, "Tool", **parameters) for number in range(3))) for _ in range(10)
    ]
    files = dict.fromkeys(("prompts/main.md", "services.yml", "droids/a.md", "droids/b.md"), long)
    run = make_run(sample, Recorded(agent=agent, files=files, summary=long, body=long))
    page = rendered(sample, run, read_record(run))
    assert 10_000_000 < len(page.encode()) < LARGEST
    assert "more lines are not shown" in page
    assert "parts are left out here" in page
