"""What lw_coder reads of a gateway's files, whatever a killed container has left of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lw_coder.gateway.spending import Spending, Spent, read_spending
from lw_coder.gateway.state import GatewayState, read_state

ENTRY: dict[str, Any] = {
    "number": 1,
    "model": "some/model",
    "conversation": "one",
    "input_tokens": 100,
    "output_tokens": 20,
    "cached_tokens": 40,
    "cost_usd": 0.25,
    "is_estimated": False,
}


def written(run: Path, entries: list[dict[str, Any]], state: dict[str, Any] | None = None) -> Spending:
    folder = run / "gateway"
    folder.mkdir()
    text = "".join(f"{json.dumps(entry)}\n" for entry in entries)
    (folder / "requests.jsonl").write_text(text, encoding="utf-8")
    if state is not None:
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    spending = read_spending(run)
    assert spending is not None
    return spending


def test_a_run_without_a_gateway_has_none(tmp_path: Path) -> None:
    assert read_spending(tmp_path) is None


def test_a_gateway_that_was_asked_nothing(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    assert read_spending(tmp_path) == Spending()


def test_requests_are_added_up_by_model_and_by_conversation(tmp_path: Path) -> None:
    other = {**ENTRY, "model": "another", "conversation": "two", "cost_usd": 0.5}
    spending = written(tmp_path, [ENTRY, other, ENTRY])
    assert spending.total == Spent(3, 300, 60, 120, 1.0)
    assert {name: spent.requests for name, spent in spending.models.items()} == {
        "some/model": 2,
        "another": 1,
    }
    assert [spent.requests for spent in spending.conversations.values()] == [2, 1]
    assert spending.total.line() == "3 requests, 300 tokens in (120 cached), 60 out, 1.0000 USD"


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_one_unknown_cost_makes_the_sum_unknown(tmp_path: Path, order: list[int]) -> None:
    entries = [ENTRY, {**ENTRY, "cost_usd": None}]
    spending = written(tmp_path, [entries[number] for number in order])
    assert spending.total.cost_usd is None
    assert "cost unknown" in spending.total.line()


def test_a_request_under_way_counts_with_the_most_that_it_can_use(tmp_path: Path) -> None:
    entry = {**ENTRY, "number": 2, "input_tokens": 0, "cost_usd": None}
    open_one = {"entry": entry, "tokens": 5000, "cost_usd": 0.5}
    just_ended = {"entry": ENTRY, "tokens": 5000, "cost_usd": 0.5}
    total = written(tmp_path, [ENTRY], {"open": [just_ended, open_one], "limit": None}).total
    assert (total.requests, total.output_tokens, total.cost_usd, total.estimated) == (2, 5020, 0.75, 1)
    assert total.line().endswith("0.7500 USD; 1 estimated")


def test_what_was_cut_off_with_its_container_is_left_out(tmp_path: Path) -> None:
    written(tmp_path, [ENTRY], {"limit": "lw_coder: limit reached: limits.tokens = 100"})
    with (tmp_path / "gateway/requests.jsonl").open("a") as file:
        file.write('{"number": 2, "input_tok')
    spending = read_spending(tmp_path)
    assert spending is not None
    assert spending.total.requests == 1
    assert spending.state.limit == "lw_coder: limit reached: limits.tokens = 100"
    (tmp_path / "gateway/state.json").write_text('{"limit": "lw_')
    spending = read_spending(tmp_path)
    assert spending is not None
    assert spending.state.limit is None


def test_waits_are_added_up(tmp_path: Path) -> None:
    total = written(tmp_path, [{**ENTRY, "waited_seconds": 61.5}, {**ENTRY, "waited_seconds": 100.2}]).total
    assert total.waited_seconds == 161.7
    assert total.line().endswith("; waited 162 s for the provider")


WRONG_STATES = [
    *("", "[]", "[" * 100_000, '"text"', '{"paused": 5, "limit": [], "waiting_until": {}}'),
    *('{"paused": {}}', '{"paused": {"until": "soon"}, "waiting_until": "9999-12-31T23:59:59-23:59"}'),
]


@pytest.mark.parametrize("text", WRONG_STATES)
def test_a_state_that_makes_no_sense_says_nothing(tmp_path: Path, text: str) -> None:
    assert read_state(tmp_path) == GatewayState()
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/state.json").write_text(text)
    assert read_state(tmp_path) == GatewayState()


def test_a_pause_as_it_is_recorded(tmp_path: Path) -> None:
    paused = {"until": "2025-01-02T15:00:00+02:00", "why": "the provider answers \x1b[2J"}
    spending = written(tmp_path, [], {"paused": paused})
    assert spending.as_record()["paused_until"] == "2025-01-02T13:00:00+00:00"
    assert spending.state.pause
    assert "\x1b" not in spending.state.pause.reason


def test_a_limit_that_cannot_be_kept_says_so(tmp_path: Path) -> None:
    told = "limits.cost_usd cannot be kept: the provider reports no cost, and [code] prices has none"
    assert written(tmp_path, [], {"limit": told}).state.cannot_be_kept == told


@pytest.mark.parametrize(
    "damaged", [{"input_tokens": "many"}, {"output_tokens": -1}, {"cost_usd": []}, {"waited_seconds": "long"}]
)
def test_a_damaged_entry_is_a_request_of_unknown_cost(tmp_path: Path, damaged: dict[str, Any]) -> None:
    total = written(tmp_path, [ENTRY, {**ENTRY, **damaged}]).total
    assert (total.requests, total.input_tokens, total.cost_usd) == (2, 100, None)


@pytest.mark.parametrize("open_one", [3, "x", [None], [{"entry": 5}], [[1]], {"a": "b"}])
def test_a_damaged_state_is_no_error(tmp_path: Path, open_one: object) -> None:
    assert written(tmp_path, [ENTRY], {"open": open_one}).total.input_tokens == 100
