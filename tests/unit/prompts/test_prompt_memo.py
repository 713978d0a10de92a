"""Whole answers that are kept: what they depend on, and what does not stop a run."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.prompts import prompt_memo
from lw_coder.prompts.prompt_memo import keep, memo_path, recall
from lw_coder.settings.model_access import ModelAccess

ACCESS = ModelAccess("a/model", "http://127.0.0.1/v1", "a-secret-key")
PLAN = PlanMetadata("a-plan", "0" * 40, "ready", ("It works.",), "Do it.")
PROMPTS = GeneratedPrompts(
    main_prompt="Main",
    code_review_prompt="Review",
    plan_alignment_prompt="Align",
    feedback_summary={"a": "layout"},
    model="a/model",
    usage={"total_tokens": 7},
    cache_hit=False,
    attempts=2,
    program_state={},
    dspy_version="3",
    inputs={"plan": {}},
)


def test_what_is_kept_comes_back_as_a_hit_that_cost_nothing(tmp_path: Path) -> None:
    path = memo_path(tmp_path, PLAN, ACCESS, None)
    assert recall(path) is None
    keep(path, PROMPTS)
    assert recall(path) == replace(PROMPTS, usage={}, cache_hit=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("plan", "access"),
    [
        (dataclasses.replace(PLAN, body="Do more."), ACCESS),
        (dataclasses.replace(PLAN, evaluation_notes=()), ACCESS),
        (dataclasses.replace(PLAN, notes="A note."), ACCESS),
        (PLAN, replace(ACCESS, model="another/model")),
        (PLAN, replace(ACCESS, base_url="http://127.0.0.2/v1")),
        (PLAN, replace(ACCESS, max_tokens=9)),
    ],
)
def test_another_question_has_another_answer(tmp_path: Path, plan: PlanMetadata, access: ModelAccess) -> None:
    assert memo_path(tmp_path, plan, access, None) != memo_path(tmp_path, PLAN, ACCESS, None)


def test_time_limits_do_not_matter(tmp_path: Path) -> None:
    slower = replace(ACCESS, deadline=900.0, backoff=9.0)
    assert memo_path(tmp_path, PLAN, slower, None) == memo_path(tmp_path, PLAN, ACCESS, None)


def test_the_key_is_neither_asked_for_nor_kept(tmp_path: Path) -> None:
    path = memo_path(tmp_path, PLAN, ACCESS, None)
    assert path == memo_path(tmp_path, PLAN, replace(ACCESS, api_key="another"), None)
    keep(path, PROMPTS)
    assert "a-secret-key" not in path.read_text(encoding="ascii")


def test_a_saved_program_counts_by_its_content(tmp_path: Path) -> None:
    program = tmp_path / "program.json"
    program.write_text("{}", encoding="ascii")
    path = memo_path(tmp_path, PLAN, ACCESS, program)
    assert path == memo_path(tmp_path, PLAN, ACCESS, program) != memo_path(tmp_path, PLAN, ACCESS, None)
    program.write_text("[]", encoding="ascii")
    assert path != memo_path(tmp_path, PLAN, ACCESS, program)
    program.unlink()
    assert memo_path(tmp_path, PLAN, ACCESS, program) != memo_path(tmp_path, PLAN, ACCESS, program)


def test_a_library_of_another_version_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library-1.dist-info"
    library.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    path = memo_path(tmp_path, PLAN, ACCESS, None)
    library.rename(tmp_path / "library-2.dist-info")
    assert path != memo_path(tmp_path, PLAN, ACCESS, None)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"main_prompt": 1}', "null"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "answer.json"
    path.write_text(damage, encoding="ascii")
    assert recall(path) is None


def test_half_of_one_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    keep(path, PROMPTS)
    path.write_text(json.dumps({**json.loads(path.read_text()), "feedback_summary": None}), encoding="ascii")
    assert recall(path) is None


def test_what_cannot_be_kept_is_no_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("", encoding="ascii")
    keep(tmp_path / "a-file/answers/answer.json", PROMPTS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a-file"]


def test_very_old_ones_go(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    keep(old, PROMPTS)
    os.utime(old, (time.time() - 100 * 86_400,) * 2)
    keep(new, PROMPTS)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_key_covers_the_source_of_what_words_a_question() -> None:
    package = Path(prompt_memo.__file__).parents[1]
    texts = "".join(path.read_text(encoding="utf-8") for path in (package / "dspy").glob("*.py"))
    used = set(re.findall(r"(?:from|import) lw_coder\.(\w+)", texts))
    assert used - {"foundation", "repository"} == set(prompt_memo.WORDING)
    assert [path for name in prompt_memo.WORDING for path in (package / name).glob("*/*.py")] == []
