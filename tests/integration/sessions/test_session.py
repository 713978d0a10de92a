"""The session itself: the terminal, prompts of every length, and the person whom it runs as."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from lw_coder.containers.image_names import BASE_LABEL
from lw_coder.plans.plan_file import MAX_PLAN_BYTES
from lw_coder.sessions.container_paths import HOME, MAIN_PROMPT
from lw_coder.sessions.droid_settings import TOOLS
from tests.integration.conftest import Person, a_person, sessions_in
from tests.integration.headless_session import headless, held
from tests.integration.played_session import Played, played
from tests.support.engine import docker
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import ScriptedModel, ToolCall
from tests.support.shell_agent import shell_agent
from tests.support.terminal import ROWS, Terminal

# What a shell, a template or droid's command line could take for something else.
ODD = "- `id` $(id) $HOME ${PATH} \"two\" 'one' \\n \\ %s {plan} $$ ; | & < > * ~ \u00e9\u6f22 --help"
LONGEST_ARGUMENT = 120_000  # bytes of a prompt that start-session hands over as it is
CHARACTERS_A_READ = 50_000  # droid gives 60,000 at most
FRAME_LINES = 60  # so many at least stand around the plan

OTHER_ENV_FILE = '[code]\nenv_file = ".env.local"\nforward_env = ["OPENROUTER_*", "GOGC"]\n'
EXPORTED = {
    "OPENROUTER_API_KEY": "sk-or-exported-key",
    "NOT_FORWARDED": "a",
    "TZ": "Pacific/Auckland",
    "COLORTERM": "truecolor",
}

OTHER_USER = 12_345
MADE_BY_OTHER = "echo made > made.txt && git add made.txt && git commit -q -m 'Made by somebody else'"


def test_the_terminal_is_the_persons_and_so_are_the_variables(
    sample: SampleRepository, person: Person
) -> None:
    write_plan(sample, 1_024, ODD)
    (sample.root / ".lw_coder/config.toml").write_text(OTHER_ENV_FILE, encoding="ascii")
    (sample.root / ".env").unlink()
    person.extra.update(EXPORTED)
    answer = Event()

    def shows_what_it_waits_for(terminal: Terminal, model: ScriptedModel) -> None:
        spinner = "Writing the prompts with anthropic/claude-sonnet-4.5 ..."
        asking = "asking anthropic/claude-sonnet-4.5 for the prompts"
        terminal.wait_until(lambda: model.count("dspy") == 1, "the request for the prompts")
        terminal.wait_until(lambda: asking in terminal.screen.splitlines(), asking)
        terminal.wait_until(lambda: spinner in terminal.screen.rpartition("\n")[2], spinner)
        assert "Prompts: written." not in terminal.screen
        answer.set()

    script = shell_agent([], allowed=answer)
    begun = played(
        person,
        sample,
        script,
        meanwhile=shows_what_it_waits_for,
        offers=lambda _, sample, model: sample.write_env(model.base_url, ".env.local", GOGC="50"),
    )
    with begun as session:
        _has_the_persons_variables(session)
        assert set(session.agent.tool_names) <= set(TOOLS)
        assert {"Execute", "Edit", "Read", "Task"} <= set(session.agent.tool_names)
        _follows_the_window(session.execution.terminal)
        _stays_at_one_ctrl_c(session)
        assert session.execution.end() == 0
    assert ODD in main_prompt(session)
    assert main_prompt(session) in session.agent.text
    files = [path for path in sample.root.glob(".lw_coder/runs/**/*") if path.is_file()]
    assert not [path for path in files if EXPORTED["OPENROUTER_API_KEY"].encode() in path.read_bytes()]


def _has_the_persons_variables(session: Played) -> None:
    """One that is exported wins over the env file, by dotenv's rule and Compose's, whatever the file's name.

    What lw_coder sets for docker's clients, GOGC, is no such variable.
    """
    seen = session.execution.inside("env").splitlines()
    key, zone = EXPORTED["OPENROUTER_API_KEY"], EXPORTED["TZ"]
    assert f"OPENROUTER_API_KEY={key}" in seen
    assert f"OPENROUTER_BASE_URL={session.model.base_url}" in seen
    assert "GOGC=50" in seen
    assert {f"TZ={zone}", "COLORTERM=truecolor"} <= set(seen)
    when = session.execution.inside("date", "--date=2026-07-01T00:00Z", "+%Z %H:%M")
    assert when.strip() == "NZST 12:00"
    assert not [line for line in seen if line.startswith("NOT_FORWARDED")]
    assert {request.authorization for request in session.model.requests} == {f"Bearer {key}"}


def _follows_the_window(terminal: Terminal) -> None:
    for columns in (200, 90):
        terminal.resize(ROWS, columns)
        _waits_for_box(terminal, columns)


def _waits_for_box(terminal: Terminal, columns: int) -> None:
    terminal.wait_until(lambda: _box(terminal) == columns, f"a box {columns} columns wide")


def _box(terminal: Terminal) -> int:
    """Give the width of the box that the person types in, with both of its corners."""
    boxes = re.findall("^\u256d\u2500+\u256e$", terminal.screen, re.MULTILINE)
    return len(boxes[-1]) if boxes else 0


def _stays_at_one_ctrl_c(session: Played) -> None:
    terminal = session.execution.terminal
    terminal.press_ctrl_c()
    terminal.wait_for("Press Ctrl+C again to exit")
    assert terminal.settle(4)
    assert session.execution.inside("echo", "still here") == "still here"


def test_droid_is_started_again_with_the_longest_prompt_where_its_second_process_is_too_slow(
    sample: SampleRepository, person: Person
) -> None:
    write_plan(sample, 114_000, "Words of the plan.")
    # Asked from inside, again and again without a pause: it is there for a moment before it answers.
    stop = "until pkill -STOP --full '[d]roid exec --input-format stream-jsonrpc'; do :; done"

    def is_stopped() -> bool:
        commands = (("docker", "exec", one, "sh", "-c", stop) for one in sessions_in(sample.root))
        return any(subprocess.run(one, capture_output=True, check=False).returncode == 0 for one in commands)

    def stops_it(terminal: Terminal, _: ScriptedModel) -> None:
        terminal.wait_until(is_stopped, "droid's second process")

    with played(person, sample, shell_agent([]), meanwhile=stops_it) as session:
        shown = session.execution.terminal.transcript.decode(errors="replace")
        assert "it is started again (attempt 2 of 3)" in shown
        prompt = main_prompt(session)
        assert LONGEST_ARGUMENT - 4_000 < len(prompt) < LONGEST_ARGUMENT
        assert prompt in session.agent.text


@pytest.mark.parametrize(
    ("size", "words", "reads"),
    [
        (126 * 1_024, "W\u00f6rter \u6f22\u5b57 \u6f22\u5b57 \u6f22\u5b57", 2),
        (MAX_PLAN_BYTES, "Words of the plan. " * 4, 1),
    ],
    ids=["126-KB", "1-MB"],
)
def test_a_longer_prompt_is_read_from_its_file(
    sample: SampleRepository, person: Person, size: int, words: str, reads: int
) -> None:
    lines = write_plan(sample, size, words)
    a_read, last = CHARACTERS_A_READ // (len(words) + 7), lines + FRAME_LINES
    starts = range(max(1, last - reads * a_read), last, a_read)
    with played(person, sample, shell_agent([_read(start, a_read) for start in starts])) as session:
        assert f"Read the whole of {MAIN_PROMPT}" in session.agent.text
        prompt = session.execution.run / "prompts/main.md"
        assert prompt.stat().st_size > LONGEST_ARGUMENT
        inside = session.execution.inside("sha256sum", MAIN_PROMPT).split()[0]
        assert inside == hashlib.sha256(prompt.read_bytes()).hexdigest()
        whole = prompt.read_text(encoding="utf-8").splitlines()
        got = "\n".join(session.results)
        assert [line for line in whole[starts[0] - 1 :] if line not in got] == []


def _read(start: int, lines: int) -> ToolCall:
    return ToolCall("Read", {"file_path": MAIN_PROMPT, "offset": start, "limit": lines + FRAME_LINES})


def write_plan(sample: SampleRepository, size: int, words: str) -> int:
    """Make the plan's file this many bytes long, by lines with these words; return how many there are."""
    front = sample.plan.read_text(encoding="utf-8").partition("# Greet")[0] + "# A long plan\n\n"
    room, lines = size - len(front.encode()), [f"{words}\n"]
    while (room := room - len(lines[-1].encode())) > len(words.encode()) + 10:
        lines.append(f"{len(lines):05} {words}\n")
    sample.plan.write_text(front + "".join(lines) + "." * room, encoding="utf-8")
    assert sample.plan.stat().st_size == size
    return len(lines)


def main_prompt(session: Played) -> str:
    """Give the run's prompt as a shell hands it over: without the line feeds at its end."""
    return (session.execution.run / "prompts/main.md").read_text(encoding="utf-8").rstrip("\n")


# Root and somebody else on one machine. Where the tests are run by somebody else, all others show that.


@pytest.fixture
def other() -> Iterator[Person]:
    if os.getuid() != 0:
        pytest.skip("only root may act as somebody else")
    # Not below pytest's own folder, which is closed to all but root.
    with tempfile.TemporaryDirectory(prefix="lw_coder-other-") as folder:
        home = Path(folder, "home")
        home.mkdir()
        sample = make_sample_repository(Path(folder, "sample"))
        with a_person(home, sample.root) as person:
            _give(Path(folder), OTHER_USER)
            yield person
            _give(Path(folder), 0)  # git asks who owns a repository


def test_two_users_work_at_the_same_time(sample: SampleRepository, person: Person, other: Person) -> None:
    theirs = SampleRepository(other.cwd, sample.sha)
    own, allowed = held("id -u && stat --format=%u /home/droiduser")

    def meanwhile(*_: object) -> None:
        try:
            _somebody_else_works(other, theirs)
        finally:
            allowed.set()

    ended = headless(person, sample, own, meanwhile=meanwhile)
    assert ended.status == 0, ended.stderr
    assert ended.results[0].split()[:2] == ["0", "0"]
    labels = [_base_label(sample.root), _base_label(theirs.root)]
    assert len(set(labels)) == 2
    assert docker("image", "ls", "--quiet", "lw_coder_droid:latest")


def _somebody_else_works(other: Person, sample: SampleRepository) -> None:
    steps = ["id", "getent passwd $(id -u)", "pwd > $HOME/mine && ls -ln $HOME/mine", MADE_BY_OTHER]
    with played(other, sample, shell_agent(steps), under=_as_other()) as session:
        who, entry, made, committed = session.results
        assert f"uid={OTHER_USER}(droiduser) gid={OTHER_USER}" in who
        assert f":{HOME}:/bin/bash" in entry
        assert f"{OTHER_USER} {OTHER_USER}" in made
        assert "code 0" in committed, committed
        assert session.execution.end() == 0
    worktree = sample.root / ".lw_coder/worktrees" / PLAN_ID
    assert (worktree / "made.txt").read_text() == "made\n"
    owners = {path.lstat().st_uid for path in sample.root.rglob("*") if path.name != ".env"}
    assert owners == {OTHER_USER}
    assert f"1 new on lw/task/{PLAN_ID}" in session.text


def _as_other() -> tuple[str, ...]:
    """Start a command as an ordinary user who may use the engine.

    The interpreter and this checkout can stand in root's own closed home, so they may read what is closed.
    They write nothing but their own.
    """
    group = Path(urlsplit(_engine_address()).path).stat().st_gid
    ids = (f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", f"--groups={group}")
    return ("setpriv", *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def _engine_address() -> str:
    named = os.environ.get("DOCKER_HOST")
    return named or docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


def _give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _base_label(root: Path) -> str:
    (record,) = root.glob(f".lw_coder/runs/{PLAN_ID}/*/run.json")
    image = json.loads(record.read_text())["images"]["repo"]
    return docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{BASE_LABEL}"}}}}', image)
