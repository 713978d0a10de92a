"""Whatever a person or a model writes is read, or refused by an error of ours; nothing else comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lw_coder.commands.runs import export_command
from lw_coder.commands.runs_list import list_command
from lw_coder.containers.proxy import refused_hosts, render_filter
from lw_coder.dspy.answer_checks import fault_of_outputs, fault_of_wire
from lw_coder.foundation.errors import LwCoderError
from lw_coder.plans.find_plan import plan_ids, plans_with_id
from lw_coder.plans.plan_file import read_plan
from lw_coder.prompts.prompt_memo import recall
from lw_coder.repository.importing.refs import read_new_refs
from lw_coder.repository.private_git import PrivateGit, open_private_git
from lw_coder.runs.run_folders import RECORD, Run, read_record
from lw_coder.sessions.droid_files import factory_notes
from lw_coder.settings.allowed_hosts import parse_host
from lw_coder.settings.config import load_config
from lw_coder.settings.docker_flags import BUILD_FLAGS, RUN_FLAGS, parse_build_flags, parse_run_flags
from lw_coder.settings.environment import load_environment
from tests.support.sample_repository import run_git

# The same examples every time, and no clock: such a test fails for a reason, or not at all.
fixed = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# What parsers stumble over, beside what hypothesis thinks of by itself.
SNAGS = (
    *("", ",", ",,", "=", "==", "id=", "id=a,src=./x,", ":", "::", "-", "--", "'", '"', "\\", "$", "${", "%"),
    *("\0", "\t", "\n", "\r\n", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\U0001f600", "*", "?", "[", "]", "{"),
    *("0", "-1", "1-3000000000", "70000", "9" * 5000, "1e400", "nan", "inf", "0x10", "1_000", "\u00b2"),
    *("[" * 2000, "{" * 2000, "a." * 2000, "{" * 20_000, "type=bind", "type=", "true", "null", "~", "&a *a"),
)
words = st.one_of(st.sampled_from(SNAGS), st.text(max_size=20))
texts = st.lists(words, max_size=6).map("".join)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=9,
)


def like(valid: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects with some of the keys of a valid one right, some with anything, and some missing."""
    kept = st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in valid.items()})
    wrong = st.dictionaries(st.sampled_from(sorted(valid)), json_values, max_size=3)
    return st.builds(lambda first, second: {**first, **second}, kept, wrong)


def refused_or_read(read: Callable[[], object]) -> None:
    """Let an error of ours pass, if it says what is wrong and what to do; any other fails the test."""
    said = None
    try:
        read()
    except LwCoderError as error:
        said = error
    assert said is None or (said.message and said.remedy)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


FRONT = {
    "plan_id": "sample-plan",
    "git_sha": "a" * 40,
    "status": "ready",
    "evaluation_notes": "[]",
    "created_by": "someone",
}


@fixed
@given(
    front=st.dictionaries(st.one_of(st.sampled_from(sorted(FRONT)), words), words, max_size=6),
    body=texts,
    raw=st.none() | texts | st.binary(max_size=60).map(lambda data: data.decode("latin-1")),
)
def test_plan_files(tmp_path: Path, front: dict[str, str], body: str, raw: str | None) -> None:
    lines = "".join(f"{key}: {value}\n" for key, value in {**FRONT, **front}.items())
    path = tmp_path / ".lw_coder/tasks/plan.md"
    write(path, raw if raw is not None else f"---\n{lines}---\n{body}")
    refused_or_read(lambda: read_plan(path))
    plan_ids(path.parent)
    plans_with_id(tmp_path, "sample-plan")


flag_names = st.sampled_from(sorted({*RUN_FLAGS, *BUILD_FLAGS, "-v", "-e", "-m", "-p", "-t", "--nothing"}))
flags = st.lists(
    st.one_of(
        flag_names,
        words,
        texts,
        st.tuples(flag_names, texts).map("=".join),
        st.tuples(flag_names, st.sampled_from(["", ",", "a=b,", "a=b,,c=d", "id=x,src=y,"])).map("=".join),
    ),
    max_size=6,
)


@fixed
@given(arguments=flags)
def test_docker_flags(arguments: list[str]) -> None:
    refused_or_read(lambda: parse_run_flags(arguments))
    refused_or_read(lambda: parse_build_flags(arguments))


@pytest.mark.parametrize("parse", [parse_run_flags, parse_build_flags])
@pytest.mark.parametrize("snag", SNAGS)
def test_each_docker_flag_with_each_snag(parse: Callable[[list[str]], object], snag: str) -> None:
    for name in {**RUN_FLAGS, **BUILD_FLAGS}:
        refused_or_read(lambda flag=name: parse([flag, snag]))  # type: ignore[misc]
        refused_or_read(lambda flag=name: parse([f"{flag}={snag},"]))  # type: ignore[misc]


SETTINGS = {
    "env_file": ".env",
    "forward_env": ["OPENROUTER_*"],
    "docker_build_args": ["--pull"],
    "docker_run_args": ["--init"],
    "ca_bundle": "ca.pem",
    "prompt_program": "program.json",
    "allow_hosts": ["example.org"],
}
toml_values = st.one_of(
    json_values.map(json.dumps),
    words,
    st.sampled_from(["[" * 2000 + "]" * 2000, "9" * 5000, "{a=" * 2000, "'''", "1979-05-27", "[[], [[]]]"]),
    st.lists(words, max_size=4).map(json.dumps),
)


@fixed
@given(
    table=st.dictionaries(st.one_of(st.sampled_from(sorted(SETTINGS)), words), toml_values, max_size=4),
    head=st.sampled_from(
        ["[code]", "[code]", "[code]", "[[code]]", "[code", "", "a." * 2000 + "b=1", "\ufeff"]
    ),
    tail=texts,
)
def test_config(tmp_path: Path, table: dict[str, str], head: str, tail: str) -> None:
    lines = "".join(f"{key} = {value}\n" for key, value in table.items())
    write(tmp_path / ".lw_coder/config.toml", f"{head}\n{lines}{tail}")

    def read() -> None:
        config = load_config(tmp_path)
        config.warnings()
        config.find_ca_bundle(tmp_path, {})
        render_filter(config.allowed_hosts or ())

    refused_or_read(read)


@fixed
@given(
    lines=st.lists(
        st.tuples(st.one_of(st.just("OPENROUTER_API_KEY"), words), words).map("=".join), max_size=5
    ),
    url=words,
    forward=st.lists(words, max_size=3),
)
def test_env_files(tmp_path: Path, lines: list[str], url: str, forward: list[str]) -> None:
    write(tmp_path / ".env", "\n".join(["OPENROUTER_API_KEY=key", f"OPENROUTER_BASE_URL={url}", *lines]))
    refused_or_read(lambda: load_environment(tmp_path, None, forward, {}))


@fixed
@given(entry=texts)
def test_allowed_hosts_and_what_a_proxy_says(entry: str) -> None:
    with suppress(ValueError):  # the config's loader makes an error of ours of it, with the key's name
        render_filter([parse_host(entry)])
    refused_hosts(f'Proxying refused on filtered url "{entry}"')


@fixed
@given(text=texts, plan=texts, reason=words)
def test_answers_of_a_model(text: str, plan: str, reason: str) -> None:
    fault_of_wire(text, reason)
    fault_of_outputs({"main_prompt": text, "feedback_summary": {"title": text, "items": [text]}}, plan)


RUN = {
    "schema": 1,
    "model": "a/b",
    "ended": {"status": 0, "commits": 1},
    "signature": {"inputs": {}},
    "kind": "code",
}


@fixed
@given(record=st.one_of(like(RUN).map(json.dumps), json_values.map(json.dumps), texts))
def test_records(tmp_path: Path, record: str) -> None:
    if not (tmp_path / ".git").exists():
        run_git(tmp_path, "init", "--quiet", "--template=")
    run = Run("sample-plan", "20260101T000000Z", tmp_path / ".lw_coder/runs/sample-plan/20260101T000000Z")
    write(run.folder / RECORD, record)
    refused_or_read(lambda: read_record(run))
    refused_or_read(lambda: list_command(tmp_path, None, None, as_json=False))
    refused_or_read(lambda: export_command(tmp_path, None))


REFS = {
    "worktree": "w",
    "branch": "b",
    "head": "a" * 40,
    "object_dirs": ["/o"],
    "refs": {"refs/heads/b": "a" * 40},
}


@fixed
@given(record=st.one_of(like(REFS).map(json.dumps), json_values.map(json.dumps), texts))
def test_records_of_refs(tmp_path: Path, record: str) -> None:
    write(tmp_path / "git-refs.json", record)

    def read() -> None:
        session = open_private_git(tmp_path)
        session.mounts()
        read_new_refs(session)

    (tmp_path / "git").mkdir(exist_ok=True)
    refused_or_read(read)


@fixed
@given(packed=texts, head=texts, name=st.text("ab\u2028\x85\x1b .", min_size=1, max_size=6))
def test_refs_of_a_session(tmp_path: Path, packed: str, head: str, name: str) -> None:
    write(tmp_path / "git/packed-refs", f"{'a' * 40} refs/heads/{name}\n{packed}")
    write(tmp_path / "git/worktrees/w/HEAD", head)
    session = PrivateGit(tmp_path, "w", "b", "a" * 40, (tmp_path,), {})
    refused_or_read(lambda: read_new_refs(session))


@fixed
@given(known=st.one_of(json_values.map(json.dumps), texts))
def test_remembered_answers(tmp_path: Path, known: str) -> None:
    write(tmp_path / "answer.json", known)
    recall(tmp_path / "answer.json")


@fixed
@given(droid=texts, hooks=texts)
def test_droid_files_of_a_worktree(tmp_path: Path, droid: str, hooks: str) -> None:
    write(tmp_path / ".factory/droids/a.md", f"---\nname: {droid}")
    write(tmp_path / ".factory/hooks.json", hooks)
    factory_notes(tmp_path, ["a"], hooks_run=False)
