"""Sessions and failures with a marker in every forwarded variable, and all that they leave, searched.

A marker is a random stem, the same in all of them, a hyphen and the variable's name.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lw_coder.containers.docker_command import COMPOSE_FILE
from lw_coder.containers.image_names import BASE_TAG, repo_hash
from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.foundation.errors import ExitCode
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.settings.environment import PROXY_NAMES
from tests.integration.conftest import LW_CODER, SUMMARY, Person, a_person, sessions_in
from tests.scan.searches import (
    CommandLines,
    Part,
    Search,
    Searched,
    container,
    files,
    git_objects,
    image,
    layers,
    names,
)
from tests.support.agent_script import scripted_alone
from tests.support.engine import bridge_address, containers, docker
from tests.support.plan_script import REVIEWED, SUMMARY_TITLE, scripted_planner
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, Script, ScriptedModel

# In the env file; FACTORY_AIRGAP_ENABLED lets droid do without Factory though there is a key for it.
IN_THE_FILE = ("OPENROUTER_API_KEY", "SCAN_IN_FILE")
EXPORTED = ("FACTORY_API_KEY", "SCAN_EXPORTED", "NO_PROXY", "no_proxy")
# Nobody is there, and nothing asks for it: the model is reached by plain http.
PROXY, PROXY_ADDRESS = "HTTPS_PROXY", "http://person:{}@127.0.0.1:9"
NEVER_FORWARDED = ("SCAN_BUILD_SECRET",)
CONFIG = """\
[code]
forward_env = ["OPENROUTER_*", "SCAN_IN_*", "SCAN_EXP*"]
docker_build_args = ["--secret", "id=scan,env=SCAN_BUILD_SECRET"]
"""
DOCKERFILE = """\
RUN --mount=type=secret,id=scan test -s /run/secrets/scan
COPY . /copied
"""
CRASH = """\
import os
from lw_coder.cli import cli, main
@cli.command()
def crash():
    raise ValueError(os.environ["SCAN_EXPORTED"])
main()
"""
BUILDKIT = Path("/var/lib/docker/buildkit")  # nothing is there where the engine is elsewhere
ENGINES_LOG = Path("/var/log/lw_coder-dockerd.log")
OTHER_MODEL = "other/model"  # for which no answer is kept


@dataclass
class Scene:
    """A person with secrets, their repository, and what was printed to them.

    Attributes:
        stem: what every marker begins with.
        folder: all of it is below.
        sample: the repository.
        person: its home and temporary folder are in the folder.
        older: layers of the base image that are older than the stem.
        printed: the terminal's text of each command, by what was done.
        as_json: what programs would read, likewise.
    """

    stem: str
    folder: Path
    sample: SampleRepository
    person: Person
    older: list[str]
    printed: dict[str, bytes] = field(default_factory=dict)
    as_json: dict[str, bytes] = field(default_factory=dict)

    def marker(self, name: str) -> str:
        return f"{self.stem}-{name}"

    def markers(self, *variables: str) -> dict[str, str]:
        return {name: self.marker(name) for name in variables}

    @property
    def exported(self) -> dict[str, str]:
        return {**self.markers(*EXPORTED), PROXY: PROXY_ADDRESS.format(self.marker(PROXY))}

    def write_env(self, model: ScriptedModel, **more: str) -> None:
        values = {**self.markers(*IN_THE_FILE), "FACTORY_AIRGAP_ENABLED": "true", **more}
        self.sample.write_env(model.base_url, **values)

    @property
    def identity(self) -> str:
        repository = find_repository(self.sample.root)
        return repo_hash(root_commit(repository), repository.common_dir)

    @property
    def env_file(self) -> Path:
        return self.sample.root / ".env"

    @property
    def run(self) -> Path:
        return max(self.sample.root.glob(f".lw_coder/runs/{PLAN_ID}/2*"))

    def fails(self, what: str, *arguments: str, status: ExitCode = ExitCode.ERROR) -> None:
        """Type a command that has to fail, with --debug."""
        self._ends(what, status, LW_CODER, "--debug", *arguments)

    def crashes(self) -> None:
        """Meet a bug of lw_coder's own, in an exception that has a value in its text."""
        self._ends("a bug", ExitCode.BUG, sys.executable, "-c", CRASH, "--debug", "crash")

    def _ends(self, what: str, status: ExitCode, *command: str) -> None:
        with self.person.types(*command) as terminal:
            found = terminal.wait()
            self.printed[what] = terminal.transcript
        assert found == status, terminal.text

    def prints_json(self, *arguments: str) -> None:
        with self.person.types(LW_CODER, *arguments) as terminal:
            assert terminal.wait() == ExitCode.OK, terminal.text
            self.as_json[" ".join(arguments)] = terminal.transcript


def scan(folder: Path) -> list[Searched]:
    """Work with secrets in a new folder; search what that leaves, during it and afterwards."""
    older = layers(BASE_TAG)
    stem = f"q{secrets.token_hex(12)}"
    search = Search(stem)
    with (
        CommandLines() as lines,
        ScriptedModel(scripted_alone, host=bridge_address()) as model,
        _prepared(folder, stem, older) as scene,
    ):
        found = _all_of_it(scene, model, search)
        assert any(b"compose" in line and scene.run.name.encode() in line for line in lines.seen)
    return [*found, search.parts("command lines of all processes", lines.parts())]


def _all_of_it(scene: Scene, model: ScriptedModel, search: Search) -> list[Searched]:
    scene.write_env(model)
    session = _session(scene, search)
    key = scene.marker("OPENROUTER_API_KEY")
    assert {request.authorization for request in model.requests} == {f"Bearer {key}"}
    replay = _replay(scene, search)
    confined = [*_confined_session(scene, search), *_session_with_a_gateway(scene, search)]
    _plan_session(scene)
    scene.write_env(model)
    _failures(scene, model)
    listed = (("runs", "list"), ("runs", "show", PLAN_ID), ("doctor",))
    _prepared_sessions(scene)
    for arguments in listed:
        scene.prints_json(*arguments, "--json")
    scene.prints_json("runs", "export")
    return [*session, *replay, *confined, *_afterwards(scene, search)]


@contextmanager
def _prepared(folder: Path, stem: str, older: list[str]) -> Iterator[Scene]:
    (folder / "home").mkdir()
    (folder / "tmp").mkdir()
    sample = make_sample_repository(folder / "sample")
    (sample.root / ".lw_coder/config.toml").write_text(CONFIG, encoding="ascii")
    with (sample.root / ".lw_coder/code.Dockerfile").open("a") as file:
        file.write(DOCKERFILE)
    with a_person(folder / "home", sample.root) as person:
        scene = Scene(stem, folder, sample, person, older)
        person.extra |= {**scene.exported, **scene.markers(*NEVER_FORWARDED), "TMPDIR": str(folder / "tmp")}
        yield scene


def _session(scene: Scene, search: Search) -> list[Searched]:
    with scene.person.types(LW_CODER, "--debug", "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        (session,) = sessions_in(scene.sample.root)
        environment = docker("inspect", "--format", "{{json .Config.Env}}", session)
        for name, value in {**scene.markers(*IN_THE_FILE), **scene.exported}.items():
            assert f"{name}={value}" in environment, f"the session has no {name}, so nothing is shown"
        copied = docker("exec", session, "find", "/copied", "-type", "f")
        assert "/copied/greeting.py" in copied
        assert "/copied/.env" not in copied
        used = docker("inspect", "--format", "{{.Image}}", session)
        found = [
            search.parts("docker inspect and logs, a session at work", _told_of(session)),
            search.parts("files, a session at work", files(scene.folder, besides=[scene.env_file])),
            search.parts("image: layers, settings, history", image(used, scene.older)),
        ]
        assert terminal.leave() == 0, terminal.text
        scene.printed["a session"] = terminal.transcript
    return found


def _told_of(session: str) -> Iterator[Part]:
    yield from container(session)
    yield "its log", docker("logs", session).encode()


def _replay(scene: Scene, search: Search) -> list[Searched]:
    """Replay by hand and leave the ended container there, as without --rm."""
    command = ("docker", "compose", "-f", str(scene.run / COMPOSE_FILE), "run", "-T", "--entrypoint", "true")
    with scene.person.types(*command, "droid") as terminal:
        assert terminal.wait() == 0, terminal.text
        scene.printed["a replay"] = terminal.transcript
    (ended,) = sessions_in(scene.sample.root)
    try:
        return [search.parts("docker inspect, what a replay left", container(ended))]
    finally:
        docker("rm", ended)


def _confined_session(scene: Scene, search: Search) -> list[Searched]:
    """Work behind a proxy of the session's own, which no value is any business of."""
    config = scene.sample.root / ".lw_coder/config.toml"
    with (
        _changed(config, f"{CONFIG}allow_hosts = []\n"),
        scene.person.types(LW_CODER, "--debug", "code", PLAN_ID) as terminal,
    ):
        terminal.wait_for(SUMMARY)
        (proxy,) = containers(f"{PROXY_LABEL}={scene.identity}/{PLAN_ID}")
        found = search.parts("docker inspect and logs, a session's proxy", _told_of(proxy))
        assert f'"{PROXY}=' not in docker("inspect", "--format", "{{json .Config.Env}}", proxy)
        assert terminal.leave() == 0, terminal.text
        scene.printed["a confined session"] = terminal.transcript
    return [found]


def _session_with_a_gateway(scene: Scene, search: Search) -> list[Searched]:
    """Work behind a gateway, which alone has the key, and keeps what passes."""
    config = scene.sample.root / ".lw_coder/config.toml"
    with (
        _changed(config, f"{CONFIG}gateway = true\nrecord_requests = true\n"),
        scene.person.types(LW_CODER, "--debug", "code", PLAN_ID) as terminal,
    ):
        terminal.wait_for(SUMMARY)
        (session,) = sessions_in(scene.sample.root)
        (gateway,) = containers(f"{PROXY_LABEL}={scene.identity}/{PLAN_ID}")
        key = f"OPENROUTER_API_KEY={scene.marker('OPENROUTER_API_KEY')}"
        environments = {
            one: docker("inspect", "--format", "{{json .Config.Env}}", one) for one in (session, gateway)
        }
        assert key in environments[gateway]
        assert key not in environments[session]
        found = [
            search.parts("docker inspect and logs, a session with a gateway", _told_of(session)),
            search.parts("docker inspect and logs, its gateway", _told_of(gateway)),
        ]
        assert terminal.leave() == 0, terminal.text
        scene.printed["a session with a gateway"] = terminal.transcript
    assert (scene.run / "gateway/bodies.jsonl").stat().st_size > 0
    return found


def _prepared_sessions(scene: Scene) -> None:
    """Work without a terminal after setup commands that print all variables; and see one of them fail."""
    config = scene.sample.root / ".lw_coder/config.toml"
    with _changed(config, f'{CONFIG}setup = ["env", "env >&2"]\n'):
        scene.prints_json("code", PLAN_ID, "--headless", "--json")
    log = (scene.run / "setup.log").read_text()
    for name in (*IN_THE_FILE, *EXPORTED):
        assert f"{name}=[{name}]\n" in log, f"{name} was not printed, so nothing is shown"
    with _changed(config, f'{CONFIG}setup = ["env; exit 3"]\n'):
        scene.fails("a setup command", "code", PLAN_ID, "--headless", "--json", status=ExitCode.SETUP)


def _plan_session(scene: Scene) -> None:
    with ScriptedModel(scripted_planner, host=bridge_address()) as model:
        scene.write_env(model)
        idea = f"Let it be shouted. {REVIEWED}"
        with scene.person.types(LW_CODER, "--debug", "plan", "--text", idea) as terminal:
            terminal.wait_for(SUMMARY_TITLE.removeprefix("# "))
            assert terminal.leave() == 0, terminal.text
            scene.printed["a session of plan"] = terminal.transcript


def _failures(scene: Scene, model: ScriptedModel) -> None:
    """Have each part fail that has seen a value."""
    dockerfile = scene.sample.root / ".lw_coder/code.Dockerfile"
    with _changed(dockerfile, dockerfile.read_text() + "RUN false\n"):
        scene.fails("a build", "code", PLAN_ID)
    scene.write_env(model, SCAN_IN_ODD=f'"{scene.marker("SCAN_IN_ODD")}-${{HOME}}"')
    scene.fails("an env file that Compose reads otherwise", "code", PLAN_ID)
    scene.write_env(model, **{"no name": scene.marker("SCAN_IN_ODD")})
    scene.fails("an env file that Compose cannot read", "code", PLAN_ID)
    scene.write_env(model)
    scene.person.extra["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    scene.fails("the engine", "code", PLAN_ID)
    del scene.person.extra["DOCKER_HOST"]
    with ScriptedModel(_refusing(scene), host=bridge_address()) as refusing:
        scene.write_env(refusing, OPENROUTER_MODEL=OTHER_MODEL)
        scene.fails("a model that repeats the key", "code", PLAN_ID)
    scene.fails("a model that is not there", "code", PLAN_ID)
    scene.write_env(model)
    scene.crashes()


def _refusing(scene: Scene) -> Script:
    def refuse(_: Conversation) -> Reply:
        told = f'{{"error": {{"message": "no luck with {scene.marker("OPENROUTER_API_KEY")}"}}}}'
        return Reply(failure=HttpFailure(401, told))

    return refuse


@contextmanager
def _changed(file: Path, text: str) -> Iterator[None]:
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def _afterwards(scene: Scene, search: Search) -> list[Searched]:
    assert not sessions_in(scene.sample.root)
    root, home = scene.sample.root, scene.person.home
    places: Mapping[str, Iterator[Part]] = {
        "run folders": files(root / ".lw_coder/runs"),
        "transcripts, the agent's own": files(*root.glob(".lw_coder/runs/*/*/sessions")),
        "repository and worktree, but its env file": files(root, besides=[scene.env_file]),
        "git objects": git_objects(root / ".git", scene.run / "git"),
        "logs": files(home / ".local/state"),
        "prompt caches, unpacked": files(home / ".cache"),
        "home, temporary files": files(home, scene.folder / "tmp"),
        "names of files": names(scene.folder),
        "the engine's log": files(ENGINES_LOG),
        "what was printed, with --debug": iter(scene.printed.items()),
        "JSON output": iter(scene.as_json.items()),
    }
    records = search.parts("BuildKit's records of builds", files(BUILDKIT), besides=PROXY_NAMES)
    return [*(search.parts(place, parts) for place, parts in places.items()), records]
