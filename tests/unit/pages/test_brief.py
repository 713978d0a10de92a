"""What `lw_coder runs show` says of a run at a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lw_coder.pages.brief import brief
from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import Run, open_run, seal_run
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository


def ended(sample: SampleRepository, **more: Any) -> dict[str, Any]:
    times = {"started_at": "2026-01-02T03:04:05+00:00", "ended_at": "2026-01-02T04:06:05+00:00"}
    tip = sample.git("rev-parse", "HEAD")
    return {"plan": {"git_sha": sample.sha}, "ended": {"outcome": "completed", "tip": tip, **times, **more}}


def shown(sample: SampleRepository, run: Run, record: dict[str, Any]) -> str:
    return "\n".join(brief(find_repository(sample.root), run, record))


def test_what_a_person_asks_first(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    (sample.root / "greeting.py").write_text("def greet():\n    return 'Hi'\n")
    sample.git("commit", "--quiet", "--all", "--message", "Greet")
    run = seal_run(open_run(sample.root, PLAN_ID))
    (run.folder / "summary.md").write_text("\n# Done \x1b[2J\n\n" + "Line\n" * 10)
    record = {
        **ended(sample, outcome="limit", limit={"name": "turns", "value": 9}, refused={"evil.test:443": 3}),
        "limits": {"minutes": 60.0, "turns": 9, "tokens": None},
        "verdict": {"passed": False, "reasons": ["broken: pytest"]},
    }
    text = shown(sample, run, record)
    assert "ended:    ended by the limit turns\n" in text
    assert "verdict:  not passed: broken: pytest\n" in text
    assert "limits:   minutes 60, turns 9\n" in text
    assert "took:     1 h 02 min\n" in text
    assert "greeting.py" in text
    assert "refused:  evil.test:443 (3x)\n" in text
    assert "says:     # Done \\x1b[2J\n          Line\n" in text
    assert text.count("Line") == 4


def test_a_session_that_its_provider_paused(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    run = seal_run(open_run(sample.root, PLAN_ID))
    spent = {"paused_until": "2026-01-02T16:05:00+02:00"}
    text = shown(sample, run, ended(sample, outcome="paused", spent=spent))
    assert "ended:    paused until 2026-01-02 14:05 UTC\n" in f"{text}\n"


def test_a_record_of_which_nothing_fits_shows_nothing(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    run = seal_run(open_run(sample.root, PLAN_ID))
    (run.folder / "summary.md").symlink_to(sample.root / "README.md")
    wrong: list[Any] = [None, 1, "x\n", [], {"name": []}, [{}], float("nan"), True]
    for value in wrong:
        names = ("plan", "verdict", "limits", "ended", "agent")
        text = shown(sample, run, dict.fromkeys(names, value))
        assert text in {"", "ended:    its end is not known\nverdict:  not passed"}
        inner = {name: {name: value} for name in names}
        text = shown(sample, run, {**inner, "ended": ended(sample, limit=value, refused=value)["ended"]})
        assert "greet" not in text.lower()
