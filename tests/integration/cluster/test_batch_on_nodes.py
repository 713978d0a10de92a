"""`lw_coder batch` whose sessions run on the nodes of a cluster."""

from __future__ import annotations

import subprocess

from lw_coder.plans.plan_file import TASKS_FOLDER, read_plan
from tests.integration.cluster.remote import Remote
from tests.integration.conftest import LW_CODER
from tests.integration.known_prompts import know_plan_prompts
from tests.support.agent_script import prompt_answer
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE
from tests.support.plan_files import text
from tests.support.sample_repository import PLAN
from tests.support.scripted_model import ScriptedModel
from tests.support.stand_in import SCRIPT

# Two plans that start from the same commit add different files.
WORK = "mktemp done.XXXXXX; git add --all; git commit --quiet --message Work"


def carried_out(remote: Remote) -> subprocess.CompletedProcess[str]:
    """Carry out three plans, the last of which starts from what the others committed."""
    remote.configure('checks = ["ls done.*"]')
    remote.sample.write_env(remote.model, **{SCRIPT: f"'{WORK}'"})
    (remote.sample.root / PLAN).unlink()
    # The model writes the last one's prompts; those of the others are known.
    for plan_id, on in {"left": "", "right": "", "top": "left, right"}.items():
        path = remote.sample.root / TASKS_FOLDER / f"{plan_id}.md"
        path.write_text(text("# Do it\n", plan_id=plan_id, git_sha=remote.sample.sha, depends_on=f"[{on}]"))
        if not on:
            know_plan_prompts(remote.home, read_plan(path).metadata, remote.model)
    return subprocess.run(
        [LW_CODER, "batch", "--json", "--jobs", "2"],
        cwd=remote.sample.root,
        env=remote.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_dependent_plans_on_nodes(remote: Remote) -> None:
    with ScriptedModel(prompt_answer) as model:
        remote.model = model.base_url
        done = carried_out(remote)
    logs = [log.read_text() for log in remote.sample.root.glob(".lw_coder/batches/*/plans/*/log.txt")]
    assert done.returncode == 0, (done.stdout, done.stderr, logs)
    plans = {plan["plan_id"]: plan for plan in validated("batch", done.stdout)["plans"]}
    assert {plan_id: plan["state"] for plan_id, plan in plans.items()} == dict.fromkeys(plans, "passed")
    assert all("node-" in log for log in logs), logs
    committed = remote.sample.git("log", "--format=%s", f"{remote.sample.sha}..lw/task/top")
    assert committed.split("\n").count("Work") == 3
