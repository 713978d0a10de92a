"""A batch's page in a real browser: it says what became of each plan, and nothing in it acts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.pages.batch_page import RunPage, render_batch_page
from lw_coder.plans.named_files import Overlap
from lw_coder.repository.tree_merges import Pair
from tests.integration.pages.browsing import (
    ACTIVE,
    DESKTOP,
    HANDLERS,
    PHONE,
    STICKING_OUT,
    THEMES,
    Theme,
    opened,
    violations,
)
from tests.support.hostile_texts import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JUDGED = {"verdict": {"passed": True}}


def state(plan_id: str, state: State, *on: str, **more: object) -> PlanState:
    known: dict[str, object] = {"plan_id": plan_id, "file": f"{plan_id}.md", "depends_on": on, "state": state}
    return PlanState(**{**known, **more})  # type: ignore[arg-type]


def batch(*plans: PlanState, **more: object) -> Batch:
    known: dict[str, object] = {"batch": "20260102T030405Z", "started_at": START, "jobs": 2, "plans": plans}
    return Batch(**{**known, **more})  # type: ignore[arg-type]


def ordinary() -> str:
    """A batch such as people have, with a bit of everything."""
    ran = {"started_at": START, "ended_at": START + timedelta(minutes=3, seconds=20), "cost_usd": 0.25}
    made = batch(
        state("top", State.PASSED, run="top/20260102T030405Z", commits=2, **ran),
        state("left", State.KEPT, "top", run="left/20260101T000000Z", commits=1),
        state("right", State.FAILED, "top", reason="broken: pytest -q", exit_code=6, commits=1, **ran),
        state("under", State.BLOCKED, "left", "right", reason="right has not passed"),
        state("a-plan-with-a-name-of-some-length-as-people-write-them", State.LIMIT, reason="turns: 9"),
        state("waits", State.WAITING),
        state("paused", State.PAUSED),
        ended_at=START + timedelta(hours=1, minutes=2),
        exit_code=6,
        max_cost_usd=5.0,
        max_minutes=90.0,
    )
    runs = {
        "top": RunPage(JUDGED, "top-20260102T030405Z.html"),
        "right": RunPage({"verdict": {"passed": False}}, ""),
    }
    files = tuple(f"src/some/folder/file_{number}.py" for number in range(30))
    pairs = (
        Pair("top", "left", merges=True),
        Pair("left", "right", merges=False, files=files, count=300),
        Pair("top", "right", None),
    )
    overlaps = (Overlap("left", "waits", ("src/a.py", "README.md")),)
    return render_batch_page(replace(made, pairs=pairs, overlaps=overlaps), runs)


def hostile() -> str:
    """A batch of which each text is hostile, as a repository, a plan or a server may have it."""
    texts = list(HOSTILE.values())
    plans = [
        state(
            words[:3000],
            State.FAILED,
            *(texts[number - 1 : number] if number % 3 else ()),
            reason=words[:3000],
            run=words[:100],
            last_event=words[:100],
        )
        for number, words in enumerate(texts)
    ]
    runs = {words[:3000]: RunPage({"verdict": {"passed": words}}, words[:200]) for words in texts}
    pairs = [
        Pair(words[:2000], words[:2000], merges=False, files=(words[:2000],), count=9) for words in texts
    ]
    overlaps = [Overlap(words[:2000], words[:2000], (words[:2000],)) for words in texts]
    made = batch(*plans, ended_at=START, pairs=tuple(pairs), overlaps=tuple(overlaps))
    return render_batch_page(made, runs)


def written(folder: Path, page: str) -> Path:
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return file


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_everybody_can_read_it(browser: Browser, tmp_path: Path, width: int, theme: Theme) -> None:
    shown = opened(browser, written(tmp_path, ordinary()), width, theme)
    assert shown.page.evaluate("document.documentElement.scrollWidth") == width
    assert shown.page.evaluate(STICKING_OUT) == []
    assert violations(shown.page) == []
    assert shown.messages == []
    shown.page.close()


def test_what_a_person_looks_for_is_there(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path, ordinary())).page
    overview = page.locator("#overview").inner_text()
    for words in ("2026-01-02 03:04:05 UTC", "1 h 02 min", "$0.50", "$5.00", "90 min"):
        assert words in overview
    rows = {
        row.locator("td").first.inner_text().split("\n")[0]: row
        for row in page.locator("#plans tbody tr").all()
    }
    cells = rows["top"].locator("td").all_inner_texts()
    assert cells == ["top", "passed", "passed", "its git_sha", "2", "3 min 20 s", "$0.25"]
    assert rows["under"].locator("td").nth(3).inner_text() == "left, right"
    assert "broken: pytest -q" in rows["right"].inner_text()
    links = page.locator("#plans a").evaluate_all("found => found.map(one => one.getAttribute('href'))")
    assert links == ["top-20260102T030405Z.html"]
    assert page.locator("header .badge").all_inner_texts()[:2] == ["1 waiting", "1 passed"]
    assert page.locator("#order svg rect").count() == 4
    assert page.locator("#order svg .line").count() == 4
    merging = page.locator("#merging").inner_text()
    assert "1 of 3 pairs" in merging
    assert "and 280 more" in merging
    assert page.locator("#merging tbody tr").count() == 2
    assert "README.md" in page.locator("#named").inner_text()
    page.close()


def test_nothing_hostile_acts(browser: Browser, tmp_path: Path) -> None:
    file = written(tmp_path, hostile())
    shown = opened(browser, file)
    page = shown.page
    page.mouse.move(200, 200)
    assert page.evaluate("document.documentElement.dataset.ran") is None
    assert shown.requests == [file.as_uri()]
    assert shown.messages == []
    active = ACTIVE.replace(" svg,", "")
    assert page.locator(active).evaluate_all("found => found.map(one => one.outerHTML)") == []
    drawn = page.locator("svg *").evaluate_all(
        "found => [...new Set(found.map(one => one.localName))].sort()"
    )
    assert drawn == ["path", "rect", "text"]
    assert page.locator("svg").count() == page.locator("h1").count() == 1
    assert page.evaluate(HANDLERS) == []
    told = page.evaluate("document.body.textContent")
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", told) == []
    for address in page.locator("#plans a").evaluate_all("found => found.map(one => one.href)"):
        assert address.startswith(tmp_path.as_uri())
    page.close()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_hostile_sticks_out(browser: Browser, tmp_path: Path, width: int) -> None:
    page = opened(browser, written(tmp_path, hostile()), width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(STICKING_OUT) == []
    page.close()
