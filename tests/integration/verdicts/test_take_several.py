"""Several plans are taken if the checks pass on what they make together, and not at all otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.labels import TAKE_RUNS
from tests.integration.verdicts.scene import check_containers
from tests.support.engine import docker
from tests.support.finished_plans import FinishedPlans, finished_plans
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE, wait_until

TOGETHER = "test $(cat *.txt | wc -l) -le 2"  # each plan adds a line


@pytest.fixture
def plans(tmp_path: Path, engine: str) -> FinishedPlans:
    """Three plans, each of which passed by itself."""
    assert engine
    made = finished_plans(tmp_path / "repository")
    images = {name: docker("image", "inspect", "--format", "{{.Id}}", BASE_TAG) for name in ("base", "repo")}
    for name, on in (("first", []), ("second", ["first"]), ("third", [])):
        made.add(name, {f"{name}.txt": f"{name}\n"}, on=on, images=images)
    return made


def configure(plans: FinishedPlans, *checks: str) -> None:
    lines = f"[code]\nchecks = {json.dumps(list(checks))}\n"
    (plans.root / ".lw_coder/config.toml").write_text(lines, encoding="ascii")


def command(home: Path, root: Path, *words: str) -> subprocess.Popen[str]:
    own = {f"XDG_{name}_HOME": str(home / name) for name in ("CONFIG", "CACHE", "STATE", "DATA")}
    return subprocess.Popen(
        [sys.executable, "-m", "lw_coder", *words],
        cwd=root,
        env={**os.environ, "HOME": str(home), **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def take(home: Path, plans: FinishedPlans, *names: str, code: int) -> dict[str, Any]:
    with command(home, plans.root, "take", *names, "--yes", "--json") as process:
        out, messages = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, messages
    assert "Traceback" not in messages
    found: dict[str, Any] = validated("take", out)
    return found


def shown(home: Path, plans: FinishedPlans, *words: str) -> Any:
    with command(home, plans.root, *words) as process:
        out, messages = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, messages
    return out


def test_all_of_them_or_none(home: Path, plans: FinishedPlans) -> None:
    configure(plans, TOGETHER, "true")
    before = plans.state()
    document = take(home, plans, "third", "second", "first", code=6)
    assert plans.state() == before
    assert (document["outcome"], document["commit"]) == ("error", None)
    assert document["verdict"]["reasons"] == [f"broken: {TOGETHER}"]
    assert "nothing was merged" in document["error"]["message"]
    assert {plan["outcome"] for plan in document["plans"]} == {"not_taken"}
    run = plans.root / ".lw_coder/runs" / document["run"]
    assert run.parent.name == TAKE_RUNS
    assert (run / "verdict/logs/001-tip.log").is_file()
    record = json.loads(shown(home, plans, "runs", "show", "--json", document["run"]))
    assert [each["plan_id"] for each in record["takes"]] == ["third", "first", "second"]
    assert "not passed" in shown(home, plans, "runs", "show", document["run"])
    validated("runs-list", shown(home, plans, "runs", "list", "--json"))

    document = take(home, plans, "second", "first", code=0)
    assert document["verdict"]["passed"]
    assert document["verdict"]["tip"] == document["commit"] == plans.git.head()
    assert sorted(path.name for path in plans.root.glob("*.txt")) == ["first.txt", "second.txt"]
    assert plans.git.run("status", "--porcelain") == ""
    assert plans.is_taken("first")
    assert plans.is_taken("second")
    assert check_containers(plans.root, TAKE_RUNS) == []
    plans.check()


def test_a_signal_during_the_checks_leaves_all_as_it_was(home: Path, plans: FinishedPlans) -> None:
    configure(plans, "sleep 3600")
    before = plans.state()
    with command(home, plans.root, "take", "first", "third", "--yes") as process:
        wait_until(lambda: check_containers(plans.root, TAKE_RUNS), "a check")
        process.terminate()
        _, messages = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, messages
    assert plans.state() == before
    assert check_containers(plans.root, TAKE_RUNS) == []
    assert not list((plans.root / ".lw_coder/runs").glob(f"{TAKE_RUNS}/*/"))
    plans.check()
