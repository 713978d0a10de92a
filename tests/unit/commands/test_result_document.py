"""The JSON document of a headless session, as its reference and its schema have it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import ValidationError

from lw_coder.commands.result_document import ResultDocument, ended_on_failure
from lw_coder.foundation.errors import InvalidPlanError, PlanError
from lw_coder.settings.limits import UNATTENDED
from tests.support.result_schema import document_of, result_of

REFERENCE = Path(__file__).parents[3] / "docs/reference/result.md"


def test_the_example_of_the_reference_is_what_the_schema_says() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    example, *_ = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    result = result_of(example)
    table = text.partition("| key | what it is |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.strip().split("\n")))
    assert set(named) == set(result)


@pytest.mark.parametrize("command", ["take", "drop", "clean"])
def test_the_example_of_each_command_is_what_its_schema_says(command: str) -> None:
    section = REFERENCE.read_text(encoding="utf-8").partition(f"\n## The document of {command}\n")[2]
    example = re.findall(r"```json\n(.*?)```", section, re.DOTALL)[0]
    document = document_of(command, example)
    named = re.findall(r"`(\w+)`", section.partition("```json")[0])
    assert document.keys() - {"schema", "exit_code", "error", "plan_id"} <= set(named)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    example = ResultDocument().values
    for wrong in ({"exit_code": "0"}, {"exit_code": 0, "more": 1}, {"exit_code": 0, "outcome": "fine"}):
        with pytest.raises(ValidationError):
            result_of(json.dumps({**example, "error": None, **wrong}))


def test_an_error_before_the_session(capsys: pytest.CaptureFixture[str]) -> None:
    document = ResultDocument(print)
    document.begin("a-plan", UNATTENDED)
    with pytest.raises(PlanError), ended_on_failure(document):
        raise PlanError("it is wrong", "correct it")
    result = result_of(capsys.readouterr().out)
    assert (result["exit_code"], result["outcome"], result["plan_id"]) == (1, "error", "a-plan")
    assert result["error"] == {"message": "it is wrong", "remedy": "correct it", "more": []}
    assert result["limits"]["minutes"] == 120


def test_all_problems_that_were_found(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = PlanError("it is wrong", "correct it"), PlanError("so is this", "correct that")
    with pytest.raises(InvalidPlanError), ended_on_failure(ResultDocument(print)):
        raise InvalidPlanError([first, second])
    error = result_of(capsys.readouterr().out)["error"]
    assert (error["message"], error["more"]) == (
        "it is wrong",
        [{"message": "so is this", "remedy": "correct that"}],
    )


def test_a_signal_before_the_session(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), ended_on_failure(ResultDocument(print)):
        raise SystemExit(143)
    result = result_of(capsys.readouterr().out)
    assert (result["exit_code"], result["outcome"], result["ended"]) == (143, "signal", None)


def test_nothing_is_printed_where_no_document_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PlanError), ended_on_failure(None):
        raise PlanError("it is wrong", "correct it")
    assert capsys.readouterr().out == ""
