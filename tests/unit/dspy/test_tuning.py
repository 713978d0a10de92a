"""GEPA over exported runs, by the code of the how-to page, against a model played over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest

from lw_coder.dspy import tuning
from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.dspy.prompt_orchestrator import generate_prompts
from lw_coder.foundation.errors import EnvironmentFileError, PromptError, RunError
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.plans.plan_file import PlanMetadata, read_plan
from lw_coder.prompts import generation
from lw_coder.runs.exported import exported_runs
from lw_coder.runs.run_folders import open_run, seal_run, write_record
from lw_coder.settings.config import load_config
from lw_coder.settings.environment import load_environment
from lw_coder.settings.model_access import ModelAccess
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import Conversation, Json, Reply, ScriptedModel
from tests.support.tuning_script import BETTER, FEEDBACK, OUTPUTS, TUNED, blocks_of_page, scripted_tuning

PLANS = (PLAN_ID, "second-plan", "third-plan", "fourth-plan")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(scripted_tuning, require_key=KEY) as served:
        yield served


@pytest.fixture
def sample(tmp_path: Path, model: ScriptedModel) -> SampleRepository:
    """Give a repository with a run of each of four plans, the first one with two."""
    made = make_sample_repository(tmp_path / "sample")
    made.write_env(model.base_url)
    for plan in (*plans(made), plans(made)[0]):
        add_run(made.root, generate_prompts(plan, access(made), tmp_path / "cache"))
    return made


def plans(sample: SampleRepository) -> list[PlanMetadata]:
    read = read_plan(sample.plan).metadata
    return [replace(read, plan_id=name, body=f"{read.body}\nFor {name}.\n") for name in PLANS]


def add_run(root: Path, prompts: GeneratedPrompts) -> None:
    """Add a run, as `lw_coder code` records it."""
    run = open_run(root, prompts.inputs["plan"]["plan_id"])
    signature = {"name": "CodePromptSignature", "inputs": prompts.inputs, "outputs": prompts.outputs}
    ended = {"schema": 1, "model": prompts.model, "ended": {"status": 0}}
    write_record(run, {**ended, "signature": signature})
    seal_run(run)


def access(sample: SampleRepository) -> ModelAccess:
    return load_environment(sample.root, None, (), {}).model


def typed_in(root: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def asked_for_prompts(model: ScriptedModel) -> list[Json]:
    """Give the requests for prompts, without those of the judge and of the reflection."""
    return [request.body for request in model.requests if "code_review_prompt" in request.conversation.system]


def written_by_code(sample: SampleRepository, plan: PlanMetadata) -> GeneratedPrompts:
    """Have the prompts written as `lw_coder code` has them written, with the configured program."""
    named = load_config(sample.root).prompt_program
    assert named is not None
    return generation.generate_prompts(plan, access(sample), sample.root / named)


def test_the_pages_code_tunes_on_the_text_that_is_sent(
    sample: SampleRepository, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent_before = asked_for_prompts(model)
    for block in blocks_of_page("sh"):
        typed_in(sample.root, "sh", "-ec", block)
    typed_in(sample.root, sys.executable, "-c", blocks_of_page("python")[0])
    tuned_on = asked_for_prompts(model)[len(sent_before) :]
    said = [request.conversation.text for request in model.requests]
    assert any(FEEDBACK in text for text in said if "new_instruction" in text)
    assert any(FEEDBACK in text and "0.4" in text for text in said if "critique" in text)

    saved = (sample.root / ".lw_coder/prompt_program.json").read_text(encoding="utf-8")
    assert TUNED in saved
    assert not [word for word in (KEY, model.base_url, str(sample.root)) if word in saved]

    (setting,) = blocks_of_page("toml")
    (sample.root / ".lw_coder/config.toml").write_text(setting, encoding="utf-8")
    before = len(model.requests)
    for plan in plans(sample):  # the cache of the tuning knows what is asked now
        prompts = written_by_code(sample, plan)
        assert (prompts.main_prompt, prompts.cache_hit) == (BETTER, True)
    assert len(model.requests) == before

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    for plan in plans(sample):
        written_by_code(sample, plan)
    sent_after = [request.body for request in model.requests[before:]]
    assert len(sent_after) == len(PLANS)
    assert [body for body in sent_after if body not in tuned_on or TUNED not in json.dumps(body)] == []
    assert [body for body in tuned_on if body not in sent_before + sent_after] == []


def test_the_pages_own_metric_can_be_called() -> None:
    names: dict[str, Any] = {}
    exec(blocks_of_page("python")[1], names)  # noqa: S102 - the page's
    result = names["metric"](None, dspy.Prediction(main_prompt="Do it."))
    assert result == dspy.Prediction(score=1.0, feedback="main_prompt has 2 words.")


def test_an_example_is_what_is_sent_and_what_is_known_of_the_run(sample: SampleRepository) -> None:
    typed_in(sample.root, "lw_coder", "runs", "score", PLAN_ID, "0.4", "--feedback", FEEDBACK)
    found = tuning.examples(exported_runs(sample.root))
    ours = [example for example in found if example.plan.plan_id == PLAN_ID]
    assert ours[-1].inputs().toDict() == {"plan": plans(sample)[0]}
    assert ours[-1].main_prompt == OUTPUTS["main_prompt"]
    assert ours[-1].feedback_summary.model_dump() == OUTPUTS["feedback_summary"]
    assert (ours[-1].score, ours[-1].feedback) == (0.4, FEEDBACK)
    assert ours[-1].run.startswith(f"{PLAN_ID}/")
    assert ours[-1].ended == {"status": 0}
    assert (ours[0].score, ours[0].feedback) == (None, None)


def test_demos_are_sent_as_they_were_tuned(sample: SampleRepository, model: ScriptedModel) -> None:
    data = tuning.examples(exported_runs(sample.root))
    few_shot = dspy.LabeledFewShot(k=2).compile(tuning.program(sample.root), trainset=data)
    tuning.save(few_shot, sample.root / "demos.json")
    plan = replace(plans(sample)[0], body="# Something else\n")
    with dspy.context(lm=tuning.language_model(sample.root), adapter=tuning.adapter()):
        few_shot(plan=plan)
    assert "step by step" in json.dumps(asked_for_prompts(model)[-1])
    before = len(model.requests)
    prompts = generate_prompts(plan, access(sample), prompt_cache_folder(), sample.root / "demos.json")
    assert (prompts.cache_hit, len(model.requests)) == (True, before)


def test_no_plan_is_for_training_and_for_validation(sample: SampleRepository) -> None:
    data = tuning.examples(exported_runs(sample.root))
    training, validation = tuning.split(data)
    assert sorted(map(id, training + validation)) == sorted(map(id, data))
    assert len(validation) == 1
    assert not {e.plan.plan_id for e in training} & {e.plan.plan_id for e in validation}
    one = [example for example in data if example.plan.plan_id == PLAN_ID]
    assert tuning.split(one) == (one, one)
    two = [example for example in data if example.plan.plan_id in PLANS[:2]]
    assert [[e.plan.plan_id for e in part] for part in tuning.split(two)] == [[PLAN_ID, PLAN_ID], [PLANS[1]]]


# The metric


def judged(sample: SampleRepository, answers: list[str], **outputs: Any) -> tuple[dspy.Prediction, int]:
    """Judge prompts by a model that answers so, and then only the last; also give the number of requests."""
    gold, left = tuning.examples(exported_runs(sample.root))[0], list(answers)

    def script(_: Conversation) -> Reply:
        return Reply(left.pop(0) if len(left) > 1 else left[0])

    with ScriptedModel(script) as judge:
        sample.write_env(judge.base_url)
        metric = tuning.sample_metric(tuning.language_model(sample.root))
        return metric(gold, dspy.Prediction(**{**OUTPUTS, **outputs})), len(judge.requests)


def test_prompts_that_would_be_refused_get_nothing_without_a_judge(sample: SampleRepository) -> None:
    result, requests = judged(sample, ["{}"], main_prompt="I am sorry, I cannot help with that.")
    assert (result.score, requests) == (0.0, 0)
    assert result.feedback == "The answer has a refusal in main_prompt: lw_coder refuses it."


def test_a_judgement_that_cannot_be_used_is_asked_for_again(sample: SampleRepository) -> None:
    wild = json.dumps({"critique": "Good.", "score": 7})
    good = json.dumps({"critique": "Good.", "score": 0.7})
    for answers in (["no", good], [wild, "", good]):
        result, _ = judged(sample, answers, main_prompt=f"Do it after {len(answers)} answers.")
        assert (result.score, result.feedback) == (0.7, "Good.")
    with pytest.raises(PromptError, match="gave no usable judgement in 3 answers"):
        judged(sample, [wild], main_prompt="Do something that is quite different.")


# What can be wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", "runs.jsonl, line 1: is not a run"),
        ('{"run": 1}\n[]\n', "runs.jsonl, line 2: is not a run"),
        ("", "runs.jsonl: there is no run with prompts"),
        (
            '{"run": "a/b", "inputs": {"plan": {"plan_id": "a"}}, "outputs": {}}\n',
            "there is no run with prompts",
        ),
    ],
)
def test_a_file_that_is_no_export(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "runs.jsonl").write_text(text, encoding="ascii")
    with pytest.raises(RunError) as caught:
        tuning.examples(tmp_path / "runs.jsonl")
    assert message in caught.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name, reason in (("nothing", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(RunError) as caught:
            tuning.examples(tmp_path / name)
        assert caught.value.message == f"{tmp_path / name}: cannot be read: {reason}"
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(RunError, match="is not UTF-8 text"):
        tuning.examples(str(tmp_path / "latin"))


def test_a_program_that_cannot_be_saved(tmp_path: Path, sample: SampleRepository) -> None:
    program = tuning.program(sample.root)
    with pytest.raises(PromptError, match="is not the name of a"):
        tuning.save(program, tmp_path / "program.pkl")
    with pytest.raises(PromptError, match="cannot be written: No such file or directory"):
        tuning.save(program, tmp_path / "nowhere/program.json")
    program.generate.demos = [dspy.Example(plan=object())]
    with pytest.raises(PromptError, match="cannot be written as JSON"):
        tuning.save(program, tmp_path / "program.json")
    assert [path.name for path in tmp_path.iterdir() if "program" in path.name] == []


def test_no_key_is_saved_with_a_program(tmp_path: Path, sample: SampleRepository) -> None:
    program = tuning.program(sample.root)
    lm = tuning.language_model(sample.root)
    program.set_lm(lm)
    tuning.save(program, tmp_path / "program.json")
    saved = (tmp_path / "program.json").read_text(encoding="utf-8")
    assert (KEY in saved, "scripted" in saved, '"lm": null' in saved) == (False, False, True)
    assert program.generate.lm is lm


def test_a_missing_key(sample: SampleRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample.root / ".env").write_text("", encoding="ascii")
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(EnvironmentFileError, match="OPENROUTER_API_KEY: is set neither"):
        tuning.language_model(sample.root)
