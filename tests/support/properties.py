"""Whatever anybody writes is read, or refused by an error of ours; nothing else comes out.

Each property makes inputs for one reader. Two things have them read: the unit tests, with a few inputs that
are the same every time, and the torture, with many that its seed makes.
"""

from __future__ import annotations

import gzip
import json
import random
import signal
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lw_coder.batches.state_file import BatchFolder
from lw_coder.commands.runs import export_command
from lw_coder.commands.runs_list import list_command
from lw_coder.containers.build_context import context_sources
from lw_coder.containers.proxy import refused_hosts, render_filter
from lw_coder.dspy.answer_checks import fault_of_outputs, fault_of_wire
from lw_coder.dspy.answer_json import find_answers, is_closed, to_repair
from lw_coder.engines.job_document import read_job
from lw_coder.engines.node_order import read_order
from lw_coder.engines.sent_job import read_sent_job
from lw_coder.foundation.errors import LwCoderError
from lw_coder.foundation.redaction import Redaction
from lw_coder.gateway.spending import read_spending
from lw_coder.pages.run_files import RunFiles
from lw_coder.pages.transcript import read_transcript
from lw_coder.plans.find_plan import plan_ids, plans_with_id
from lw_coder.plans.named_files import named_files
from lw_coder.plans.plan_file import read_plan
from lw_coder.prompts.prompt_memo import recall
from lw_coder.repository.importing.refs import read_new_refs
from lw_coder.repository.index_file import read_index
from lw_coder.repository.private_git import PrivateGit, open_private_git
from lw_coder.runs.run_folders import NODE_RECORD, RECORD, Run, read_record
from lw_coder.runs.scores import SCORE_FILE, read_score
from lw_coder.scaffold.checks import guess_checks
from lw_coder.scaffold.kinds import extras_for_tests, find_kinds
from lw_coder.sessions.droid_events import Lines, parse
from lw_coder.sessions.droid_files import factory_notes
from lw_coder.settings.allowed_hosts import parse_host
from lw_coder.settings.config import load_config
from lw_coder.settings.docker_flags import BUILD_FLAGS, RUN_FLAGS, parse_build_flags, parse_run_flags
from lw_coder.settings.docker_variables import client_config
from lw_coder.settings.environment import load_environment
from lw_coder.verdicts.evaluation import judged_notes
from tests.support.hostile_results import PACK, a_home, entry
from tests.support.hostile_results import RECORD as RESULT_RECORD
from tests.support.sample_repository import run_git
from tests.support.snapshot import changes, snapshot

Json = dict[str, Any]
LONGEST = 5.0  # seconds of processor time for one input; what takes milliseconds is far from it

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
NESTED = tuple(opening * 5_000 for opening in ("[", '{"a":', "[{", '{"a":['))


def like(valid: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects with some of the keys of a valid one right, some with anything, and some missing."""
    kept = st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in valid.items()})
    wrong = st.dictionaries(st.sampled_from(sorted(valid)), json_values, max_size=3)
    return st.builds(lambda first, second: {**first, **second}, kept, wrong)


def documents(valid: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Make JSON that is nearly right, other JSON, what is no JSON, and what is nested deeply."""
    right = like(valid).map(json.dumps)
    deep = st.builds(_deep, st.just(valid), st.sampled_from(sorted(valid)), st.integers(20, 2000))
    return st.one_of(right, right, json_values.map(json.dumps), texts, deep, st.sampled_from(NESTED))


def _deep(valid: Mapping[str, Any], key: str, depth: int) -> str:
    """Make a document that is right but for one value, which is a list of a list of a list."""
    begun = json.dumps({**valid, key: "deep"})
    return begun.replace('"deep"', "[" * depth + "]" * depth)


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


@dataclass(frozen=True)
class Property:
    """A reader that no input may break.

    Attributes:
        name: what is read.
        inputs: what it is given, by the names that the functions know.
        read: reads the input; fails if anything but an error of ours comes out.
        put: writes the input below a folder first.
        prepare: makes in a folder what all inputs have in common.
        own: a folder below, in which reading may write.
    """

    name: str
    inputs: Mapping[str, st.SearchStrategy[Any]]
    read: Callable[..., None]
    put: Callable[..., object] | None = None
    prepare: Callable[[Path], object] | None = None
    own: str = ""

    def hold(self, folder: Path, wanted: settings, number: int | None = None) -> int:
        """Have inputs read; fail with the smallest that breaks it. Return how many there were.

        Args:
            folder: an empty one.
            wanted: how many, and what else hypothesis is told.
            number: the seed, if they are not the same every time.
        """
        if self.prepare is not None:
            self.prepare(folder)
        count = 0

        def once(**values: Any) -> None:
            nonlocal count
            count += 1
            self._once(folder, values)

        held = wanted(given(**self.inputs)(once))
        (held if number is None else seed(number)(held))()
        return count

    def _once(self, folder: Path, values: Mapping[str, Any]) -> None:
        if self.put is not None:
            self.put(folder, **values)
        before = self._state(folder)
        with processor_time_bound():
            self.read(folder, **values)
        assert changes(before, self._state(folder)) == [], "reading has changed files"

    def _state(self, folder: Path) -> dict[str, tuple[str, str, str]]:
        found = snapshot(folder)
        if not self.own:
            return found
        return {name: state for name, state in found.items() if not name.startswith(self.own)}


@contextmanager
def processor_time_bound(longest: float = LONGEST) -> Iterator[None]:
    """Fail if the block needs more seconds of this process's processor time, whatever the machine's load."""

    def too_long(*_: object) -> None:
        raise AssertionError(f"it takes more than {longest:g} s of processor time")

    former = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, longest)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def quiet(examples: int, *, repeats: bool) -> settings:
    """Return settings for so many inputs, without a clock and without a database.

    Args:
        examples: how many inputs, at most.
        repeats: whether they are the same every time.
    """
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        derandomize=repeats, deadline=None, database=None, max_examples=examples, suppress_health_check=checks
    )


def repeated(
    inputs: Mapping[str, st.SearchStrategy[Any]], once: Callable[..., None], count: int, number: int
) -> None:
    """Call a function with exactly so many inputs, which the seed repeats."""
    done = 0

    def counted(**values: Any) -> None:
        nonlocal done
        done += 1
        once(**values)

    while done < count:  # hypothesis stops early where it has tried all that there are
        seed(number + done)(quiet(count - done, repeats=False)(given(**inputs)(counted)))()


# Plan files.

FRONT = {
    "plan_id": "sample-plan",
    "git_sha": "a" * 40,
    "status": "ready",
    "evaluation_notes": "[]",
    "created_by": "someone",
}
PLAN_INPUTS = {
    "front": st.dictionaries(st.one_of(st.sampled_from([*FRONT, "depends_on"]), words), words, max_size=6),
    "body": texts,
    "raw": st.none() | texts | st.binary(max_size=60).map(lambda data: data.decode("latin-1")),
}
_PLAN = Path(".lw_coder/tasks/plan.md")


def plan_text(front: dict[str, str], body: str, raw: str | None) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in {**FRONT, **front}.items())
    return raw if raw is not None else f"---\n{lines}---\n{body}"


def _read_plan(folder: Path, **values: Any) -> None:
    refused_or_read(lambda: read_plan(folder / _PLAN))
    plan_ids(folder / _PLAN.parent)
    plans_with_id(folder, "sample-plan")
    named_files(values["body"], ["plan.md", "a", ".lw_coder/tasks/plan.md"])


# Settings.

FLAG_NAMES = st.sampled_from(sorted({*RUN_FLAGS, *BUILD_FLAGS, "-v", "-e", "-m", "-p", "-t", "--nothing"}))
FLAGS = st.lists(
    st.one_of(
        FLAG_NAMES,
        words,
        texts,
        st.tuples(FLAG_NAMES, texts).map("=".join),
        st.tuples(FLAG_NAMES, st.sampled_from(["", ",", "a=b,", "a=b,,c=d", "id=x,src=y,"])).map("=".join),
    ),
    max_size=6,
)


def _parse_flags(_: Path, arguments: list[str]) -> None:
    refused_or_read(lambda: parse_run_flags(arguments))
    refused_or_read(lambda: parse_build_flags(arguments))


SETTINGS = {
    "env_file": ".env",
    "forward_env": ["OPENROUTER_*"],
    "docker_build_args": ["--pull"],
    "docker_run_args": ["--init"],
    "ca_bundle": "ca.pem",
    "prompt_program": "program.json",
    "allow_hosts": ["example.org"],
    "setup": ["true"],
    "checks": ["true"],
    "notify": ["true"],
    "limits": {"minutes": 5},
    "prices": {"a/b": {"input": 1, "output": 2}},
    "swarm": {"registry": "localhost:5000"},
}
TOML_VALUES = st.one_of(
    json_values.map(json.dumps),
    words,
    st.sampled_from(["[" * 2000 + "]" * 2000, "9" * 5000, "{a=" * 2000, "'''", "1979-05-27", "[[], [[]]]"]),
    st.lists(words, max_size=4).map(json.dumps),
)
TOML_HEADS = ("[code]", "[code]", "[code]", "[[code]]", "[code", "", "a." * 2000 + "b=1", "\ufeff")
CONFIG_INPUTS = {
    "table": st.dictionaries(st.one_of(st.sampled_from(sorted(SETTINGS)), words), TOML_VALUES, max_size=4),
    "head": st.sampled_from(TOML_HEADS),
    "tail": texts,
}


def config_text(table: dict[str, str], head: str, tail: str) -> str:
    return f"{head}\n" + "".join(f"{key} = {value}\n" for key, value in table.items()) + tail


def _read_config(folder: Path, **_: Any) -> None:
    def read() -> None:
        config = load_config(folder)
        config.warnings()
        config.find_ca_bundle(folder, {})
        render_filter(config.allowed_hosts or ())

    refused_or_read(read)


ENV_LINES = st.lists(
    st.tuples(st.one_of(st.just("OPENROUTER_API_KEY"), words), words).map("=".join), max_size=5
)


def _put_env(folder: Path, lines: list[str], url: str, **_: Any) -> None:
    write(folder / ".env", "\n".join(["OPENROUTER_API_KEY=key", f"OPENROUTER_BASE_URL={url}", *lines]))


def _read_env(folder: Path, forward: list[str], **_: Any) -> None:
    refused_or_read(lambda: load_environment(folder, None, forward, {}))


def _parse_host(_: Path, entry: str) -> None:
    with suppress(ValueError):  # the config's loader makes an error of ours of it, with the key's name
        render_filter([parse_host(entry)])
    refused_hosts(f'Proxying refused on filtered url "{entry}"')


def _read_client_config(folder: Path, **_: Any) -> None:
    client_config({"DOCKER_CONFIG": str(folder)})


# What a project has.

_DOCKER_WORDS = (
    "FROM a\n",
    "COPY ",
    "ADD ",
    "RUN --mount=",
    "--from=x ",
    '["a", "b"]',
    "\\\n",
    "<<EOF\n",
    "ENV ",
)


def _read_project(folder: Path, **_: Any) -> None:
    kinds = find_kinds(folder)
    extras_for_tests(folder)
    guess_checks(folder, [*kinds, "node", "python"])


# What a model says.


def _read_answer(_: Path, text: str, plan: str, reason: str) -> None:
    fault_of_wire(text, reason)
    fault_of_outputs({"main_prompt": text, "feedback_summary": {"title": text, "items": [text]}}, plan)
    find_answers(text, ["main_prompt", "a"])
    is_closed(text)
    to_repair(text, ["main_prompt", "a"])


EVENT = {
    "type": "tool_call",
    "session_id": "a",
    "id": "b",
    "messageId": "c",
    "role": "assistant",
    "toolName": "Task",
    "parameters": {"subagent_type": "x", "command": "true"},
    "usage": {"output_tokens": 3},
    "finalText": "Done.",
}
_EVENT_SNAGS = st.binary(max_size=30) | texts.map(lambda text: text.encode("utf-8", "replace"))


def _read_events(_: Path, lines: list[str], rest: bytes) -> None:
    reader = Lines()
    for line in [
        *reader.feed("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n" + rest),
        *reader.end(),
    ]:
        event = parse(line)
        repr((event.kind, event.session, event.answer, event.is_step, event.message))
        repr((event.usage, event.call, event.subagent))


MESSAGE: Json = {"role": "assistant", "content": [{"type": "text", "text": "1. met: yes"}], "id": "a"}
LINE: Json = {
    "type": "message",
    "id": "m",
    "timestamp": "2026-01-02T03:04:05.000Z",
    "message": MESSAGE,
    "title": "a",
}
START = {"type": "session_start", "id": "a", "title": "b", "callingSessionId": "c", "callingToolUseId": "d"}
_PARTS = st.lists(
    st.one_of(
        json_values,
        like({"type": "text", "text": "<evaluation>\n1. met: yes\n</evaluation>"}),
        like({"type": "tool_use", "id": "c", "name": "Task", "input": {"subagent_type": "x"}}),
        like({"type": "tool_result", "tool_use_id": "c", "is_error": True, "content": "no"}),
    ),
    max_size=4,
)
LINES = st.one_of(
    documents(LINE),
    _PARTS.map(lambda parts: json.dumps({**LINE, "message": {**MESSAGE, "content": parts}})),
    like(
        {"type": "session_start", "id": "a", "title": "b", "callingSessionId": "c", "callingToolUseId": "d"}
    ).map(json.dumps),
)


def _put_transcript(folder: Path, lines: list[str]) -> None:
    write(folder / "sessions/-workspace/a.jsonl", "\n".join(lines))


def _read_transcript(folder: Path, **_: Any) -> None:
    read_transcript(RunFiles(folder))
    judged_notes(folder, ["It is done."], Redaction({}))


# Run folders and records.

RUN = {
    "schema": 1,
    "model": "a/b",
    "ended": {"status": 0, "commits": 1},
    "signature": {"inputs": {}},
    "kind": "code",
    "plan": {"git_sha": "a" * 40, "plan_id": "sample-plan"},
    "verdict": {"passed": True, "reasons": [], "tip": "a" * 40, "changes": []},
}
SCORE = {"score": 0.5, "feedback": "good", "scored_at": "2026-01-02T03:04:05+00:00"}
_RUN = Run("sample-plan", "20260101T000000Z", Path(".lw_coder/runs/sample-plan/20260101T000000Z"))


def _init(folder: Path) -> None:
    run_git(folder, "init", "--quiet", "--template=")


def _run_in(folder: Path) -> Run:
    return Run(_RUN.plan_id, _RUN.name, folder / _RUN.folder)


def _put_run(folder: Path, record: str, score: str) -> None:
    write(folder / _RUN.folder / RECORD, record)
    write(folder / _RUN.folder / SCORE_FILE, score)


def _read_run(folder: Path, **_: Any) -> None:
    refused_or_read(lambda: read_record(_run_in(folder)))
    refused_or_read(lambda: read_score(_run_in(folder)))
    refused_or_read(lambda: list_command(folder, None, None, as_json=False))
    refused_or_read(lambda: list_command(folder, None, None, as_json=True))
    refused_or_read(lambda: export_command(folder, None))


REFS = {
    "worktree": "w",
    "branch": "b",
    "head": "a" * 40,
    "object_dirs": ["/o"],
    "refs": {"refs/heads/b": "a" * 40},
    "submodules": {"a": "b"},
    "lfs_objects": "/l",
}


def _put_refs_record(folder: Path, record: str) -> None:
    write(folder / "git-refs.json", record)
    (folder / "git").mkdir(exist_ok=True)


def _read_refs_record(folder: Path, **_: Any) -> None:
    def read() -> None:
        session = open_private_git(folder)
        session.mounts()
        read_new_refs(session)

    refused_or_read(read)


def _put_refs(folder: Path, packed: str, head: str, name: str) -> None:
    write(folder / "git/packed-refs", f"{'a' * 40} refs/heads/{name}\n{packed}")
    write(folder / "git/worktrees/w/HEAD", head)


def _read_refs(folder: Path, **_: Any) -> None:
    session = PrivateGit(folder, "w", "b", "a" * 40, (folder,), {})
    refused_or_read(lambda: read_new_refs(session))


def _index(count: int, version: int, rest: bytes) -> bytes:
    return b"DIRC" + version.to_bytes(4) + count.to_bytes(4) + rest


INDEXES = st.binary(max_size=200) | st.builds(
    _index, st.integers(0, 1 << 31), st.integers(1, 5), st.binary(max_size=400)
)


def _read_index(_: Path, data: bytes, size: int) -> None:
    refused_or_read(lambda: read_index(data, size))


REQUEST = {
    "number": 1,
    "model": "a/b",
    "conversation": "c",
    "input_tokens": 3,
    "output_tokens": 4,
    "cached_tokens": 0,
    "cost_usd": 0.01,
    "is_estimated": False,
    "waited_seconds": 0.5,
}
STATE = {
    "limit": "cost",
    "paused": {"until": "2026-01-02T03:04:05+00:00", "why": "busy"},
    "waiting_until": "2026-01-02T03:04:05+00:00",
    "open": [{"entry": REQUEST, "tokens": 5, "cost_usd": 0.1}],
}


def _put_gateway(folder: Path, state: str, requests: list[str]) -> None:
    write(folder / "gateway/state.json", state)
    write(folder / "gateway/requests.jsonl", "\n".join(requests))


def _read_gateway(folder: Path, **_: Any) -> None:
    spending = read_spending(folder)
    assert spending is not None
    json.dumps(spending.as_record())
    spending.total.line()


PLAN_STATE: Json = {
    "plan_id": "a",
    "file": "a.md",
    "state": "waiting",
    "depends_on": [],
    "commits": 1,
    "cost_usd": 1.5,
}
BATCH: Json = {
    "started_at": "2026-01-02T03:04:05+00:00",
    "jobs": 2,
    "plans": [PLAN_STATE],
    "pairs": [],
    "overlaps": [],
    "schema": 1,
}


def _read_batch(folder: Path, **_: Any) -> None:
    refused_or_read(lambda: BatchFolder(folder).read())


SENT = {"engine": "swarm", "job": "lw-1", "registry": "a", "run": "b", "attempts": ["c"], "is_closed": False}


def _read_sent(folder: Path, **_: Any) -> None:
    refused_or_read(lambda: read_sent_job(folder))


# Nodes.

JOB_DOCUMENT = {
    "schema": 1,
    "name": "lw-1",
    "plan_id": "a",
    "run": "b",
    "branch": None,
    "head": "a" * 40,
    "worktree": "w",
    "object_format": "sha1",
    "objects": "c",
    "layer": "d",
    "images": [],
    "folders": [],
    "project": "p",
    "labels": {},
    "is_confined": True,
    "has_gateway": False,
    "user": "0:0",
    "limits": {},
}
ORDER = {"login": ["a", "b"], "values": {"c": "d"}}


def _read_job(_: Path, record: str) -> None:
    with suppress(ValueError):  # what fetches it makes an error of ours of it
        read_job(record.encode("utf-8", "surrogatepass"))


def _read_order(folder: Path, **_: Any) -> None:
    names = ("LW_CODER_REGISTRY", "LW_CODER_RUN", "LW_CODER_JOB", "LW_CODER_TASK")
    refused_or_read(lambda: read_order(dict.fromkeys(names, "a"), folder / "record"))


KINDS = (tarfile.REGTYPE, b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"L", b"K", b"S", b"g", b"x", b"Z")
NAMES = (
    *("git/HEAD", "git/packed-refs", "git/refs/heads/a", "git/config", "git/hooks/a", PACK, "result.json"),
    *("events.jsonl", "summary.md", "sessions/a.jsonl", "gateway/requests.jsonl", "gateway/state.json"),
    *("run.json", "../outside", "/etc/passwd", "sessions/../../a", "git/worktrees/sample-plan/HEAD"),
)


def _entry(name: str, content: bytes, kind: bytes, link: str) -> bytes:
    try:
        return entry(name, content, kind, linkname=link)
    except (ValueError, UnicodeError):  # tar has no room for it
        return b""


TAR_NAMES = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), words.map("sessions/{}".format), words)
ENTRIES = st.builds(
    _entry,
    TAR_NAMES.map(lambda name: name.replace("\0", "0")),
    st.one_of(st.binary(max_size=90), documents(REQUEST).map(lambda text: text.encode("utf-8", "replace"))),
    st.sampled_from((tarfile.REGTYPE, tarfile.REGTYPE, *KINDS)),
    st.sampled_from(("", "/etc/passwd", "../x")),
)
RECORDS = st.one_of(
    st.just(RESULT_RECORD),
    st.just(RESULT_RECORD),
    documents(json.loads(RESULT_RECORD)).map(lambda text: text.encode("utf-8", "replace")),
)


def result_bundle(entries: Sequence[bytes], record: bytes, damage: int | None) -> bytes:
    """Make a result; where there is damage, some of its bytes are others."""
    plain = b"".join([*entries, entry("result.json", record), bytes(1024)])
    if damage is None:
        return gzip.compress(plain)
    chance, changed = random.Random(damage), bytearray(plain)  # noqa: S311 - to be repeated
    for _ in range(3):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    packed = gzip.compress(bytes(changed))
    return packed if damage % 3 else packed[: chance.randrange(len(packed))]


def _take_result(folder: Path, **values: Any) -> None:
    home = a_home_again(folder)
    refused_or_read(lambda: home.takes(result_bundle(**values)))


def a_home_again(folder: Path) -> Any:
    """Return the home in a folder, which is made once for all inputs."""
    if folder not in _HOMES:
        _HOMES[folder] = a_home(folder)
    return _HOMES[folder]


_HOMES: dict[Path, Any] = {}


def _file(name: str) -> Callable[..., object]:
    """Return what writes the input `record` into a file."""
    return lambda folder, record: write(folder / name, record)


def _sources(_: Path, text: str) -> None:
    context_sources(text)


def _recall(folder: Path, **_: Any) -> None:
    recall(folder / "answer.json")


def _put_factory(folder: Path, droid: str, hooks: str) -> None:
    write(folder / ".factory/droids/a.md", f"---\nname: {droid}")
    write(folder / ".factory/hooks.json", hooks)


def _factory_notes(folder: Path, **_: Any) -> None:
    factory_notes(folder, ["a"], hooks_run=False)


PROPERTIES = (
    Property(
        "plan files",
        PLAN_INPUTS,
        _read_plan,
        lambda folder, **values: write(folder / _PLAN, plan_text(**values)),
    ),
    Property("docker flags", {"arguments": FLAGS}, _parse_flags),
    Property(
        "config.toml",
        CONFIG_INPUTS,
        _read_config,
        lambda folder, **values: write(folder / ".lw_coder/config.toml", config_text(**values)),
    ),
    Property(
        "env files",
        {"lines": ENV_LINES, "url": words, "forward": st.lists(words, max_size=3)},
        _read_env,
        _put_env,
    ),
    Property("allowed hosts, and what a proxy says", {"entry": texts}, _parse_host),
    Property(
        "docker's client configuration",
        {"record": documents({"proxies": {}, "credsStore": "a", "auths": {}})},
        _read_client_config,
        _file("config.json"),
    ),
    Property(
        "Dockerfiles",
        {
            "text": st.lists(
                st.sampled_from(_DOCKER_WORDS) | words | st.sampled_from(NESTED), max_size=8
            ).map("".join)
        },
        _sources,
    ),
    Property(
        "package.json",
        {"record": documents({"scripts": {"test": "a"}, "packageManager": "pnpm"})},
        _read_project,
        _file("package.json"),
    ),
    Property(
        "pyproject.toml",
        {
            "record": st.builds(
                config_text,
                st.dictionaries(
                    st.sampled_from(["name", "dependencies", "optional-dependencies"]), TOML_VALUES
                ),
                st.sampled_from(["[project]", "[tool]", "project = 1", "[[project]]", "[tool.pytest"]),
                texts,
            )
        },
        _read_project,
        _file("pyproject.toml"),
    ),
    Property(
        "answers of a model",
        {
            "text": st.one_of(texts, documents({"main_prompt": "a", "a": "b"}), st.sampled_from(NESTED)),
            "plan": texts,
            "reason": words,
        },
        _read_answer,
    ),
    Property(
        "events of an agent",
        {"lines": st.lists(documents(EVENT), max_size=4), "rest": _EVENT_SNAGS},
        _read_events,
    ),
    Property("transcripts", {"lines": st.lists(LINES, max_size=5)}, _read_transcript, _put_transcript),
    Property(
        "records of runs, and their scores",
        {"record": documents(RUN), "score": documents(SCORE)},
        _read_run,
        _put_run,
        _init,
    ),
    Property("records of refs", {"record": documents(REFS)}, _read_refs_record, _put_refs_record),
    Property(
        "refs of a session",
        {"packed": texts, "head": texts, "name": st.text("ab\u2028\x85\x1b .", min_size=1, max_size=6)},
        _read_refs,
        _put_refs,
    ),
    Property("indexes of a session", {"data": INDEXES, "size": st.sampled_from([20, 32])}, _read_index),
    Property(
        "what a gateway has counted",
        {"state": documents(STATE), "requests": st.lists(documents(REQUEST), max_size=4)},
        _read_gateway,
        _put_gateway,
    ),
    Property(
        "remembered answers",
        {"record": documents({"main_prompt": "a", "model": "b", "usage": {}, "inputs": {}})},
        _recall,
        _file("answer.json"),
    ),
    Property(
        "droid's files in a worktree",
        {"droid": texts, "hooks": documents({"hooks": {}, "PreToolUse": []})},
        _factory_notes,
        _put_factory,
    ),
    Property("states of batches", {"record": documents(BATCH)}, _read_batch, _file("batch.json")),
    Property("records of jobs", {"record": documents(SENT)}, _read_sent, _file(NODE_RECORD)),
    Property("jobs for a node", {"record": documents(JOB_DOCUMENT)}, _read_job),
    Property("orders for a node", {"record": documents(ORDER)}, _read_order, _file("record")),
    Property(
        "results of a node",
        {
            "entries": st.lists(ENTRIES, max_size=4),
            "record": RECORDS,
            "damage": st.none() | st.none() | st.integers(0, 1 << 30),
        },
        _take_result,
        prepare=a_home_again,
        own="run",
    ),
)
