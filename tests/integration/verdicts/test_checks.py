"""`lw_coder verify` with a real engine: what each result means, and that a check sees the commit alone."""

from __future__ import annotations

import json
import stat

from lw_coder.foundation.errors import ExitCode
from tests.integration.verdicts.scene import PLAN_ID, Scene, check_containers, told


def test_what_each_result_means(scene: Scene) -> None:
    scene.configure(
        "test -f good",
        "test -f new",
        "test -f bad",
        "test -f never",
        "no-such-command",
        plan=["true", "test -f new"],
    )
    tip = scene.agent_commits({"new": "yes\n", "bad": None})
    verdict = scene.verdict()
    assert told(verdict) == {
        "test -f good": "passes",
        "test -f new": "fixed",
        "test -f bad": "broken",
        "test -f never": "still failing",
        "no-such-command": "missing command",
        "true": "passes",
    }
    assert [check["from"] for check in verdict["checks"]] == [*["config"] * 5, "plan"]
    assert (verdict["passed"], verdict["tip"], verdict["base"], verdict["commits"]) == (
        False,
        tip,
        scene.base,
        1,
    )
    assert [reason.partition(":")[0] for reason in verdict["reasons"]] == [
        "broken",
        "still failing",
        "missing command",
    ]
    broken = verdict["checks"][2]
    assert (broken["base"]["status"], broken["tip"]["status"]) == (0, 1)
    assert broken["tip"]["seconds"] >= 0
    assert not check_containers(scene.root)


def test_a_result_that_passes(scene: Scene) -> None:
    scene.configure("test -f new")
    scene.agent_commits({"new": "yes\n"})
    status, table, _ = scene.verify()
    assert status == ExitCode.OK
    assert "Verdict:  passed" in table
    assert "fixed" in table


def test_nothing_committed_is_no_success(scene: Scene) -> None:
    scene.configure("true")
    verdict = scene.verdict()
    assert (verdict["passed"], verdict["reasons"]) == (False, ["nothing was committed"])


def test_a_check_that_takes_too_long(scene: Scene) -> None:
    scene.configure("echo begun; sleep 36000", "true", checks_minutes=0.5)
    scene.agent_commits({"new": "yes\n"})
    verdict = scene.verdict()
    assert told(verdict) == {"echo begun; sleep 36000": "timed out", "true": "passes"}
    outcome = verdict["checks"][0]["tip"]
    assert (outcome["status"], outcome["timed_out"]) == (None, True)
    assert scene.log(outcome).strip() == "begun"
    assert not check_containers(scene.root)


def test_the_checkout_is_clean_and_has_its_history_and_logs_are_private_and_small(scene: Scene) -> None:
    """The run is named by its plan's file."""
    scene.git("tag", "v1.0", scene.base)
    scene.configure(
        "git status --porcelain",
        "test \"$(git status --porcelain)\" = ''",
        "git describe --tags | grep -x 'v1.0-1-g.*'",
        'test "$(git config user.email)" != agent@example.com',
        "test ! -e untracked",
        "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo last",
    )
    (scene.root / "untracked").write_text("not committed")
    scene.git("config", "user.email", "agent@example.com")
    scene.agent_commits({"new": "yes\n"})
    verdict = scene.verdict(name=f".lw_coder/tasks/{PLAN_ID}.md")
    assert verdict["passed"]
    assert set(told(verdict).values()) <= {"passes", "fixed"}, verdict
    assert scene.log(verdict["checks"][0]["tip"]) == ""
    outcome = verdict["checks"][-1]["tip"]
    path = scene.run / outcome["log"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 2_000_000
    log = scene.log(outcome)
    assert log.startswith("first\n")
    assert log.endswith("last\n")
    assert "bytes left out" in log


def test_replayed_by_compose(scene: Scene) -> None:
    scene.configure("test -f new", "cat good")
    before = scene.replay()
    assert "Type: lw_coder verify" in before.stderr
    assert before.returncode == 1
    scene.agent_commits({"new": "yes\n"})
    scene.verdict()
    whole = scene.replay()
    assert (whole.returncode, whole.stdout.count("status 0")) == (0, 2), whole
    assert scene.replay("run-check", "base", "001").returncode == 1
    assert scene.replay("run-check", "tip", "002").stdout.endswith("yes\n")


def test_without_checks(scene: Scene) -> None:
    status, _, messages = scene.verify()
    assert status == ExitCode.ERROR
    assert "[code] checks: there are none" in messages


def test_an_unknown_run(scene: Scene) -> None:
    assert scene.verify(name="no-such-run")[0] == ExitCode.ERROR


def test_commits_of_a_person_count(scene: Scene) -> None:
    scene.configure("test -f by-hand")
    scene.agent_commits({"new": "yes\n"})
    assert not scene.verdict()["passed"]
    tip = scene.agent_commits({"by-hand": "yes\n"})
    verdict = scene.verdict()
    assert (verdict["passed"], verdict["tip"], verdict["commits"]) == (True, tip, 2)


def test_an_image_that_is_gone(scene: Scene) -> None:
    record = json.loads((scene.run / "run.json").read_text())
    record["images"]["repo"] = f"sha256:{'0' * 64}"
    (scene.run / "run.json").write_text(json.dumps(record))
    scene.configure("true")
    status, _, messages = scene.verify()
    assert status == ExitCode.ERROR
    assert "is no longer in the engine" in messages


def test_what_the_agent_says_is_shown_apart(scene: Scene) -> None:
    transcript = scene.run / "sessions/-workspace/a.jsonl"
    transcript.parent.mkdir(parents=True)
    text = "<evaluation-notes>\n1. met: the key is sk-123456\n</evaluation-notes>"
    message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    transcript.write_text(json.dumps({"type": "message", "message": message}) + "\n")
    (scene.root / ".env").write_text("OPENROUTER_API_KEY=sk-123456\n")
    scene.configure("false", notes=["It is fast", "It is kind"])
    scene.agent_commits({"new": "yes\n"})
    verdict = scene.verdict()
    assert verdict["notes"] == [
        {"note": "It is fast", "result": "met", "evidence": "the key is [OPENROUTER_API_KEY]"},
        {"note": "It is kind", "result": "not judged", "evidence": ""},
    ]
    assert not verdict["passed"]
    assert "lw_coder has not checked it" in scene.verify()[1]
