"""Batches of real headless sessions, and what ends them; see also test_batch_of_twelve."""

from __future__ import annotations

import signal

from lw_coder.batches.state_file import list_batches
from lw_coder.batches.states import State
from tests.integration.batch_run import batch_scene, commit, wait_for_go
from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.support.living import is_living
from tests.support.patience import wait_until
from tests.support.sample_repository import SampleRepository


def test_a_batch_that_is_killed_goes_on(sample: SampleRepository, person: Person) -> None:
    steps = {"first": [commit("first"), wait_for_go(), commit("more")], "next": [commit("next")]}
    with batch_scene(person, sample, steps) as scene:
        scene.plan("first")
        scene.plan("next", "first")
        killed = scene.starts("--json")
        scene.waits_for("first", "first")
        killed.kill()
        killed.communicate()
        state = list_batches(scene.root)[-1].read()
        assert [plan.state for plan in state.plans] == [State.RUNNING, State.WAITING]
        refused = scene.starts("first", "--json")  # while the run of the first goes on
        wait_until(lambda: len(list_batches(scene.root)) > 1, "the second batch")
        refused.kill()
        refused.communicate()
        third = scene.starts("--json")
        wait_until(lambda: len(list_batches(scene.root)) > 2, "the third batch")
        scene.let_go("first")
        plans = scene.ends(third, 0)
        assert [plan["state"] for plan in plans.values()] == ["passed", "passed"]
        assert scene.files("next") == {"first", "more", "next"}
        answers = scene.answers()
        assert sorted(set(answers)) == sorted(answers), "no answer was asked for twice"
        assert len(list((scene.root / ".lw_coder/runs/first").glob("2*"))) == 1


def test_ctrl_c_once_and_twice(sample: SampleRepository, person: Person) -> None:
    steps = {
        "one-plan": [commit("one"), wait_for_go()],
        "two-plan": [commit("two"), wait_for_go()],
    }
    with batch_scene(person, sample, steps) as scene:
        for plan_id in steps:
            scene.plan(plan_id)
        with person.types(LW_CODER, "batch", "--jobs", "1") as terminal:
            scene.waits_for("one-plan", "one")
            terminal.wait_for("one-plan")
            terminal.wait_for("running")
            terminal.type("\x03")
            terminal.wait_for("waiting for one-plan")
            scene.let_go("one-plan")
            assert terminal.wait() == 130, terminal.text
            assert "1 passed, 1 cancelled" in terminal.text
        assert not scene.worktree("two-plan").exists()
        stopped = scene.starts("--json")
        scene.waits_for("two-plan", "two")
        pid = scene.run_of(stopped)
        stopped.send_signal(signal.SIGINT)
        wait_until(lambda: "waiting for two-plan" in scene.told(), "the first Ctrl+C")
        stopped.send_signal(signal.SIGINT)
        plans = scene.ends(stopped, 130)
        assert {name: plan["state"] for name, plan in plans.items()} == {
            "one-plan": "kept",
            "two-plan": "cancelled",
        }
        assert scene.files("two-plan") == {"two"}, "its commit was imported"
        assert not is_living(pid)
    assert sessions_in(sample.root) == []


def test_fail_fast_and_a_limit_of_the_batch(sample: SampleRepository, person: Person) -> None:
    steps = {"a-broken": [commit("broken")], "b-plan": [commit("b"), wait_for_go()]}
    with batch_scene(person, sample, steps) as scene:
        for plan_id in steps:
            scene.plan(plan_id)
        plans = scene.ends(scene.starts("--jobs", "1", "--fail-fast", "--json"), 6)
        assert [plan["state"] for plan in plans.values()] == ["failed", "cancelled"]
        assert plans["b-plan"]["reason"] == "not started: --fail-fast: a-broken is failed"
        limited = scene.starts("b-plan", "--max-minutes", "0.2", "--json")
        (plan,) = scene.ends(limited, 5).values()
        assert plan["state"] == "limit"
        assert plan["reason"] == "the batch's --max-minutes 0.2 is reached"
    assert sessions_in(sample.root) == []


def test_the_costs_of_all_sessions_are_limited(sample: SampleRepository, person: Person) -> None:
    steps = {"a-plan": [commit("a")], "b-plan": [commit("b"), *[f"echo {number}" for number in range(500)]]}
    config = 'gateway = true\nprices = { "anthropic/claude-sonnet-4.5" = { input = 3000, output = 3000 } }\n'
    with batch_scene(person, sample, steps, config) as scene:
        scene.plan("a-plan")
        (first,) = scene.ends(scene.starts("--max-cost", "1000", "--json"), 0).values()
        assert first["cost_usd"] > 0
        scene.plan("b-plan", "a-plan")
        most = str(first["cost_usd"])
        plans = scene.ends(scene.starts("--max-cost", most, "--json"), 5)
        assert {name: plan["state"] for name, plan in plans.items()} == {"a-plan": "kept", "b-plan": "limit"}
        assert plans["b-plan"]["cost_usd"] >= first["cost_usd"], (
            "what an earlier batch has paid is not counted"
        )
    assert sessions_in(sample.root) == []
