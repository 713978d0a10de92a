"""Prompts as an earlier start would have kept them: no start then imports DSPy, which takes a second."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace
from pydantic_core import to_jsonable_python

from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.plans.plan_file import PlanMetadata, read_plan
from lw_coder.prompts import prompt_memo
from lw_coder.settings.environment import DEFAULT_MODEL
from lw_coder.settings.model_access import ModelAccess
from tests.support.agent_script import prompt_answer
from tests.support.patience import PATIENCE
from tests.support.sample_repository import SampleRepository, make_sample_repository
from tests.support.scripted_model import ScriptedModel

if TYPE_CHECKING:
    from tests.integration.conftest import Person


ROOT = Path(__file__).parents[2]
SHARED: list[Path] = []  # where the processes of one run keep the answer, if there is such a folder


def offer(person: Person, sample: SampleRepository, server: ScriptedModel, **more: str) -> None:
    """Write the env file for this server, and more variables; the prompts for the plan are known."""
    sample.write_env(server.base_url, **more)
    model = more.get("OPENROUTER_MODEL", DEFAULT_MODEL)
    know_plan_prompts(person.home, read_plan(sample.plan).metadata, server.base_url, model)


def know_prompts(home: Path, sample: SampleRepository, base_url: str) -> None:
    """Have the prompts for the sample's plan in somebody's cache, as this address's model writes them."""
    know_plan_prompts(home, read_plan(sample.plan).metadata, base_url)


def know_plan_prompts(home: Path, plan: PlanMetadata, base_url: str, model: str = DEFAULT_MODEL) -> None:
    """Have the prompts for a plan in somebody's cache, as this model at this address writes them."""
    memo = prompt_memo.memo_path(
        home / ".cache/lw_coder/dspy", plan, ModelAccess(model, base_url, "no key"), None
    )
    inputs = to_jsonable_python({"plan": dataclasses.asdict(plan)})
    prompt_memo.keep(memo, replace(_answer(), model=model, inputs=inputs))


@cache
def _answer() -> GeneratedPrompts:
    for folder in SHARED:
        with (folder / "prompts.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = folder / "prompts.json"
            if not kept.exists():
                kept.write_bytes(_ask())
            return GeneratedPrompts(**json.loads(kept.read_bytes()))
    return GeneratedPrompts(**json.loads(_ask()))


def _ask() -> bytes:
    """Ask as lw_coder does, in a process of its own: beside pytest DSPy takes 4 s more to import."""
    command = (sys.executable, "-m", __name__)
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=PATIENCE).stdout


def main() -> None:
    """Print the prompts that the scripted model writes, whatever the plan."""
    from lw_coder.dspy.prompt_orchestrator import generate_prompts

    with ScriptedModel(prompt_answer) as model, tempfile.TemporaryDirectory(prefix="lw_coder-") as folder:
        plan = make_sample_repository(Path(folder, "sample")).plan
        access = ModelAccess(DEFAULT_MODEL, model.base_url, "no key")
        written = generate_prompts(read_plan(plan).metadata, access, Path(folder, "cache"))
    sys.stdout.write(json.dumps(asdict(written)))


if __name__ == "__main__":
    main()
