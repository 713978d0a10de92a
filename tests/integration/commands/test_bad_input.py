"""What `lw_coder code` refuses: one line with its remedy, status 1, and everything as it was."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.integration.headless_session import beside, headless, replayed_by_hand
from tests.support.engine import docker
from tests.support.patience import PATIENCE
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import KEY, PLAN, PLAN_ID, SampleRepository
from tests.support.snapshot import changes, snapshot

BRANCH = f"lw/task/{PLAN_ID}"
CONFIG = Path(".lw_coder/config.toml")
DOCKERFILE = Path(".lw_coder/code.Dockerfile")
UNKNOWN_SHA = "0123456789abcdef0123456789abcdef01234567"

OLD_COMPOSE = f"lw_coder-test-old-compose:{os.getpid()}"
OLD_COMPOSE_DOCKERFILE = """FROM debian:trixie-slim AS downloaded
RUN apt-get update && cd /tmp && apt-get download docker-compose \\
    && dpkg-deb --extract docker-compose_*.deb /package \\
    && cp "$(find /package -type f -name docker-compose -perm /111 | head -n 1)" /docker-compose
FROM scratch
COPY --from=downloaded /docker-compose /docker-compose
"""

# A superuser reads and writes everything; without these two capabilities modes hold for it as for anyone.
HELD_BY_MODES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    if os.getuid() == 0
    else ()
)
# Mounts that only the command sees, and that end with it.
OWN_MOUNTS = ("unshare", "--mount", *(() if os.getuid() == 0 else ("--map-root-user",)))


def nothing(_: SampleRepository) -> None:
    """The repository is fine."""


@dataclass(frozen=True)
class Case:
    """A way to break things, and what is then said.

    Attributes:
        name: of the test.
        says: fragments of the line before its remedy: what is wrong, and where.
        remedy: a fragment of the remedy.
        breaks: changes the sample repository.
        plan: what is typed behind `lw_coder code`.
        under: a command that lw_coder is started by.
        env: further variables.
    """

    name: str
    says: tuple[str, ...]
    remedy: str
    breaks: Callable[[SampleRepository], object] = nothing
    plan: str = PLAN_ID
    under: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def plan_with(old: str, new: str) -> Callable[[SampleRepository], object]:
    """Make a change of the plan's text."""

    def change(sample: SampleRepository) -> None:
        text = sample.plan.read_text()
        assert old in text
        sample.plan.write_text(text.replace(old, new, 1))

    return change


def file_with(name: Path | str, text: str) -> Callable[[SampleRepository], object]:
    """Write a file of the repository."""
    return lambda sample: (sample.root / name).write_text(text)


def without(name: Path | str) -> Callable[[SampleRepository], object]:
    """Remove a file of the repository."""
    return lambda sample: (sample.root / name).unlink()


def more_env(text: str) -> Callable[[SampleRepository], object]:
    """Add to the env file."""

    def add(sample: SampleRepository) -> None:
        with (sample.root / ".env").open("a") as file:
            file.write(text)

    return add


def plan_from_a_tree(sample: SampleRepository) -> None:
    plan_with(sample.sha, sample.git("rev-parse", "HEAD^{tree}"))(sample)


def second_plan_of_that_id(sample: SampleRepository) -> None:
    shutil.copyfile(sample.plan, sample.plan.with_name("other.md"))


def folder_as_env_file(sample: SampleRepository) -> None:
    (sample.root / ".env").unlink()
    (sample.root / ".env").mkdir()


def foreign_folder(sample: SampleRepository) -> None:
    folder = sample.root / ".lw_coder/worktrees" / PLAN_ID
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine\n")


def diverged_branch(sample: SampleRepository) -> None:
    commit = sample.git("commit-tree", "-m", "elsewhere", "HEAD^{tree}")
    sample.git("branch", BRANCH, commit)


def branch_elsewhere(sample: SampleRepository) -> None:
    sample.git("worktree", "add", "--quiet", "-b", BRANCH, str(sample.root.parent / "elsewhere"), sample.sha)


def unreadable(name: Path | str) -> Callable[[SampleRepository], object]:
    return lambda sample: (sample.root / name).chmod(0)


def own_ignore_file_and_broken_dockerfile(sample: SampleRepository) -> None:
    for name in ("runs", "worktrees"):
        (sample.root / ".lw_coder" / name).mkdir(mode=0o700)
        (sample.root / ".lw_coder" / name / ".gitignore").write_text("*\n!.gitignore\n")
    (sample.root / DOCKERFILE).write_text("RUNN true\n")


def nobody(sample: SampleRepository) -> None:
    for name in ("user.name", "user.email"):
        sample.git("config", "--unset", name)
    sample.git("config", "user.useConfigOnly", "true")  # a machine can have an address for everyone


def unwritable(sample: SampleRepository) -> None:
    for folder, _, _ in os.walk(sample.root):
        Path(folder).chmod(0o555)


READ_ONLY = (
    *OWN_MOUNTS,
    "sh",
    "-c",
    'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && exec "$@"',
    "sh",
)

PLANS = (
    Case(
        "unknown plan id",
        ("no-such-plan: no such file, and no plan with that id",),
        "name a plan",
        plan="no-such-plan",
    ),
    Case("a folder as plan", (".lw_coder: is a folder",), "name a Markdown file", plan=".lw_coder"),
    Case("not a plan", ("README.md: has no front matter",), "begin the file with ---", plan="README.md"),
    Case(
        "broken YAML",
        (f"{PLAN}, line 4: status: '[ready' is unknown",),
        "use one of draft",
        plan_with("status: ready", "status: [ready"),
        plan=str(PLAN),
    ),
    Case(
        "broken YAML, by id",
        (f"{PLAN}, line 6: evaluation_notes, item 1: YAML reads",),
        'put it between quotes: - "[ ] Both tests in test_greeting.py pass."',
        plan_with("- Both", "- [ ] Both"),
    ),
    Case(
        "a text that YAML cuts, by the file's name",
        (f"{PLAN}, line 6: evaluation_notes, item 1: YAML reads '#1 pass.' as a comment",),
        'put it between quotes: - "Both tests of #1 pass."',
        plan_with("tests in test_greeting.py", "tests of #1"),
        plan=PLAN.name,
    ),
    Case(
        "unknown key",
        (f"{PLAN}, line 4: priority: unknown key",),
        "known keys",
        plan_with("status:", "priority: high\nstatus:"),
        plan=str(PLAN),
    ),
    Case(
        "no body",
        (f"{PLAN}: there is no plan below",),
        "write what to do",
        lambda sample: sample.plan.write_text(sample.plan.read_text().split("\n# Greet")[0]),
        plan=str(PLAN),
    ),
    Case(
        "not text",
        (f"{PLAN}: is not UTF-8",),
        "UTF-8",
        lambda sample: sample.plan.write_bytes(b"\xff\xfe---\n"),
        plan=str(PLAN),
    ),
    Case(
        "duplicate plan id",
        (PLAN_ID, "other.md", "sample-plan.md"),
        "its own plan_id",
        second_plan_of_that_id,
    ),
    Case(
        "duplicate plan id, by path",
        (PLAN_ID, "other.md", "sample-plan.md"),
        "its own plan_id",
        second_plan_of_that_id,
        plan=str(PLAN),
    ),
    Case(
        "unknown sha",
        ("sample-plan.md, line 3: git_sha", UNKNOWN_SHA),
        "(that is HEAD)",
        lambda sample: plan_with(sample.sha, UNKNOWN_SHA)(sample),
    ),
    Case("sha of a tree", ("line 3: git_sha", "is a tree"), "(that is HEAD)", plan_from_a_tree),
    Case(
        "short sha",
        ("git_sha", "not a full commit id"),
        "write git_sha: ",
        lambda sample: plan_with(sample.sha, sample.sha[:12])(sample),
        plan=str(PLAN),
    ),
    Case(
        "unreadable plan",
        (f"{PLAN}: cannot be read: Permission denied",),
        "permissions",
        unreadable(PLAN),
        plan=str(PLAN),
        under=HELD_BY_MODES,
    ),
)

CONFIGS = (
    Case("config missing", (f"{CONFIG}: file not found",), "[code]", without(CONFIG)),
    Case(
        "config not TOML",
        (f"{CONFIG}: is not valid TOML", "line 2"),
        "correct that line",
        file_with(CONFIG, "[code]\nenv_file = .env\n"),
    ),
    Case(
        "config without its table", (f"{CONFIG}: there is no [code] table",), "[code]", file_with(CONFIG, "")
    ),
    Case(
        "unknown setting",
        (f"{CONFIG}: [code] envfile: unknown key",),
        "env_file",
        file_with(CONFIG, '[code]\nenvfile = ".env"\n'),
    ),
    Case(
        "setting of a wrong type",
        (f"{CONFIG}: [code] forward_env",),
        "lw_coder docs configuration",
        file_with(CONFIG, '[code]\nforward_env = "A"\n'),
    ),
    Case(
        "unknown docker flag",
        ("docker_run_args", "--no-such-flag"),
        "",
        file_with(CONFIG, '[code]\ndocker_run_args = ["--no-such-flag"]\n'),
    ),
    Case(
        "config unreadable",
        (f"{CONFIG}: cannot be read: Permission denied",),
        "permissions",
        unreadable(CONFIG),
        under=HELD_BY_MODES,
    ),
    Case(
        "prompt program missing",
        (f"{CONFIG}: prompt_program: none.json: file not found",),
        "CodePromptProgram.save",
        file_with(CONFIG, '[code]\nprompt_program = "none.json"\n'),
    ),
    Case(
        "ca_bundle missing",
        (f"{CONFIG}: ca_bundle: none.pem: file not found",),
        "correct the path",
        file_with(CONFIG, '[code]\nca_bundle = "none.pem"\n'),
    ),
)

ENV_FILES = (
    Case(
        "env file missing",
        (".lw_coder/config.toml: env_file: .env: file not found",),
        "create it",
        without(".env"),
    ),
    Case(
        "env file a folder",
        (".lw_coder/config.toml: env_file: .env: is not a file",),
        "create it",
        folder_as_env_file,
    ),
    Case(
        "env file unreadable",
        (".env: cannot be read: Permission denied",),
        "permissions",
        unreadable(".env"),
        under=HELD_BY_MODES,
    ),
    Case(
        "env file unreadable for Compose",
        (".env, line 3: Docker Compose cannot read it",),
        "NAME='value'",
        more_env("a key=1\n"),
    ),
    Case(
        "env value that Compose expands",
        (".env: OPENROUTER_MODEL: Docker Compose reads a different value",),
        "single quotes",
        more_env("OPENROUTER_MODEL=a$b\n"),
    ),
    Case(
        "key missing",
        ("OPENROUTER_API_KEY: is set neither in .env",),
        "openrouter.ai/keys",
        file_with(".env", "OPENROUTER_MODEL=x/y\n"),
    ),
    Case(
        "address without a scheme",
        ("OPENROUTER_BASE_URL: is not an http(s) URL",),
        "https://",
        more_env("OPENROUTER_BASE_URL=openrouter.ai\n"),
    ),
)

WORKTREES = (
    Case("worktree taken", (f"worktrees/{PLAN_ID}: exists, but is not a worktree",), "mv ", foreign_folder),
    Case(
        "branch diverged",
        (f"branch {BRANCH} does not descend from the plan's git_sha",),
        "git branch -m",
        diverged_branch,
    ),
    Case(
        "branch checked out elsewhere",
        (f"branch {BRANCH} is checked out at", "/elsewhere"),
        "switch",
        branch_elsewhere,
    ),
    Case("modes forbid writing", ("Permission denied",), "permissions", unwritable, under=HELD_BY_MODES),
    Case("read-only file system", ("Read-only file system",), "", under=READ_ONLY),
)

ENGINES = (
    Case("no client", ("docker: command not found",), "install Docker", env={"PATH": "{bin}"}),
    Case(
        "no daemon behind the socket",
        ("the Docker engine does not answer", "/nonexistent.sock"),
        "start Docker",
        env={"DOCKER_HOST": "unix:///nonexistent.sock"},
    ),
    Case(
        "no daemon at the address",
        ("the Docker engine does not answer", "{closed}"),
        "DOCKER_HOST",
        env={"DOCKER_HOST": "tcp://{closed}"},
    ),
    Case(
        "a socket that is not for this person",
        ("the Docker engine does not answer: permission denied",),
        "join the docker group",
        under=HELD_BY_MODES,
        env={"DOCKER_HOST": "unix://{denied}"},
    ),
    Case(
        "DOCKER_HOST is nonsense",
        ("the Docker engine does not answer",),
        "DOCKER_HOST",
        env={"DOCKER_HOST": "nonsense"},
    ),
    Case(
        "Compose missing",
        ("docker compose: the plugin is missing",),
        "install Docker's Compose plugin",
        under=(*OWN_MOUNTS, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', "{plugins}"),
    ),
    Case(
        "Compose missing where it would read the env file",
        ("docker compose: the plugin is missing",),
        "install Docker's Compose plugin",
        more_env("OTHER='a b'\n"),
        under=(*OWN_MOUNTS, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', "{plugins}"),
    ),
    Case(
        "Compose too old",
        ("docker compose: 2.2", "is too old"),
        "Compose plugin 2.30 or later",
        env={"DOCKER_CONFIG": "{old}"},
    ),
    Case(
        "Dockerfile missing",
        (f"{DOCKERFILE}: file not found",),
        "FROM lw_coder_droid:latest",
        without(DOCKERFILE),
    ),
    Case(
        "Dockerfile not Dockerfile",
        ("the repo image could not be built", "unknown instruction"),
        "build-",
        file_with(DOCKERFILE, "FROM lw_coder_droid:latest\nRUNN true\n"),
    ),
    Case(
        "Dockerfile with a command that fails",
        ("the repo image could not be built", "exit code: 7"),
        "build-",
        file_with(DOCKERFILE, "FROM lw_coder_droid:latest\nRUN echo 'error: no luck' && exit 7\n"),
    ),
    Case(
        "a failure beside folders that were there",
        ("the repo image could not be built",),
        "build-",
        own_ignore_file_and_broken_dockerfile,
    ),
    Case(
        "home cannot be written",
        ("/proc/nowhere", "cannot be created"),
        "XDG_STATE_HOME",
        env={"XDG_STATE_HOME": "/proc/nowhere/state"},
    ),
    Case(
        "base cannot be pulled",
        ("the repo image could not be built", "lw-coder-no-such-image"),
        "build-",
        file_with(DOCKERFILE, "FROM lw-coder-no-such-image:none\n"),
    ),
)

PERSONS = (
    Case(
        "git does not know who commits",
        ("git does not know who commits here",),
        "git config --global user.email",
        nobody,
    ),
    *(
        Case(
            f"a flag with a part that is empty: {flag}",
            (str(CONFIG), "'--secret'" if setting == "docker_build_args" else flag.partition("=")[0]),
            "",
            file_with(CONFIG, f'[code]\n{setting} = ["{flag}"]\n'),
        )
        for setting, flag in (
            ("docker_build_args", "--secret="),
            ("docker_build_args", "--secret=id=npm,src=./x,"),
            ("docker_build_args", "--secret=id=npm,,src=./x"),
            ("docker_run_args", "--mount=type=tmpfs,,dst=/x"),
            ("docker_run_args", "--ulimit=nofile=,"),
            ("docker_run_args", "--gpus=device"),
            ("docker_run_args", "--device-read-bps=/dev/x:,y"),
            ("docker_run_args", "--expose=1-3000000000"),
            ("docker_run_args", "--publish=1-3000000000"),
        )
    ),
    Case(
        "config.toml is nested deeply",
        (str(CONFIG), "nested too deeply"),
        "lw_coder docs configuration",
        file_with(CONFIG, f"[code]\nforward_env = {'[' * 2000}{']' * 2000}\n"),
    ),
    Case(
        "config.toml holds a long number",
        (str(CONFIG), "a number that is too long"),
        "lw_coder docs configuration",
        file_with(CONFIG, f"[code]\nforward_env = {'9' * 5000}\n"),
    ),
)
CASES = (*PLANS, *CONFIGS, *ENV_FILES, *WORKTREES, *ENGINES, *PERSONS)


@pytest.fixture(scope="session")
def old_compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A docker configuration with Debian 13's Compose, 2.26, which docker prefers to the machine's own."""
    folder = tmp_path_factory.mktemp("docker-config")
    (folder / "cli-plugins").mkdir()
    build = ("docker", "build", "--quiet", "--tag", OLD_COMPOSE, "-")
    subprocess.run(
        build, input=OLD_COMPOSE_DOCKERFILE, text=True, check=True, capture_output=True, timeout=PATIENCE
    )
    container = docker("create", OLD_COMPOSE, "none")
    docker("cp", f"{container}:/docker-compose", f"{folder}/cli-plugins/docker-compose")
    docker("rm", container)
    yield str(folder)
    docker("image", "rm", "--force", OLD_COMPOSE)


@pytest.fixture
def denied_socket() -> Iterator[str]:
    """A socket that somebody listens at, and that nobody may write to; its path is short enough for one."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "docker.sock")
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        yield str(path)


@pytest.fixture
def closed_address() -> Iterator[str]:
    """An address of this machine that nobody listens at, nor anybody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_in_one_line_and_leaves_everything_as_it_was(
    case: Case,
    sample: SampleRepository,
    person: Person,
    denied_socket: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    is_asked = case.name == "Dockerfile with a command that fails"  # the model, while the build fails
    request.getfixturevalue("model" if is_asked else "known_prompts")
    case.breaks(sample)
    places = {
        "{bin}": _path_without_docker(tmp_path),
        "{closed}": request.getfixturevalue("closed_address"),
        "{denied}": denied_socket,
        "{old}": request.getfixturevalue("old_compose") if "{old}" in case.env.values() else "",
        "{plugins}": _plugins() if "{plugins}" in case.under else "",
    }
    person.extra = {name: _filled(value, places) for name, value in case.env.items()}
    under = [_filled(word, places) for word in case.under]
    before = snapshot(tmp_path)
    with person.types(*under, LW_CODER, "code", case.plan) as terminal:
        status = terminal.wait()
    assert_refused(shown_lines(terminal), [_filled(text, places) for text in case.says], case.remedy)
    assert status == 1
    assert changes(before, snapshot(tmp_path)) == []
    assert KEY not in terminal.text


def test_all_problems_of_a_plan_are_shown_each_in_one_line(sample: SampleRepository, person: Person) -> None:
    plan_with("status:", "stauts:")(sample)
    plan_with(sample.sha, "HEAD")(sample)
    line, before = f"git_sha: {sample.git('rev-parse', 'HEAD')} (that is HEAD)", snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait() == 1
    assert shown_lines(terminal) == [
        f"error: {PLAN}, line 3: git_sha: 'HEAD' is not a full commit id; write {line}",
        f"error: {PLAN}, line 4: stauts: unknown key; write status instead, or remove it",
        f"error: {PLAN}: status: is missing; add the line status: draft",
    ]
    assert changes(before, snapshot(sample.root)) == []


@pytest.mark.parametrize(("typed", "code"), [("\r", 1), ("n\r", 1), ("\x03", 130)])
def test_a_plan_that_is_done_is_not_started_without_a_yes(
    sample: SampleRepository, person: Person, typed: str, code: int
) -> None:
    plan_with("status: ready", "status: done")(sample)
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(f"The status of {PLAN_ID} is done. Carry it out all the same? [y/N]:")
        terminal.type(typed)
        assert terminal.wait() == code
    assert changes(before, snapshot(sample.root)) == []


def test_there_is_no_repository(person: Person, tmp_path: Path) -> None:
    person.cwd = tmp_path / "empty"
    person.cwd.mkdir()
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait() == 1
    assert_refused(shown_lines(terminal), [f"{person.cwd}: is not in a git repository"], "git init")
    assert not list(person.cwd.iterdir())


def test_there_is_no_terminal(sample: SampleRepository, person: Person) -> None:
    before = snapshot(sample.root)
    done = person.runs_alone("code", PLAN_ID)
    assert (done.returncode, done.stdout) == (1, "")
    assert_refused(done.stderr.splitlines(), ["there is no terminal"], "in a terminal")
    assert changes(before, snapshot(sample.root)) == []


def test_a_second_session_and_one_beside_a_replay_are_refused(
    sample: SampleRepository, person: Person
) -> None:
    def beside_a_session() -> None:
        _refused_beside(sample, person, f"{PLAN_ID}: a session is already running on this plan (process ")
        _kept_beside(sample, person, "its plan is in use")

    def beside_a_replay() -> None:
        _refused_beside(sample, person, f"{PLAN_ID}: a replay is running on this plan's worktree (container ")
        at_work = f"{PLAN_ID}: a session is running on its worktree (container "
        _refused_beside(sample, person, at_work, "runs", "import", PLAN_ID)
        _kept_beside(sample, person, at_work)

    script, meanwhile = beside(beside_a_session)
    first = headless(person, sample, script, meanwhile=meanwhile)
    assert first.status == 0, first.stderr
    script, meanwhile = beside(beside_a_replay)
    replayed_by_hand(person, first, script, meanwhile)
    assert person.runs_to_the_end("runs", "import", PLAN_ID)[0] == 0


def _refused_beside(sample: SampleRepository, person: Person, what: str, *arguments: str) -> None:
    (running,) = sessions_in(sample.root)
    before = snapshot(sample.root / ".git"), _folders(sample)
    with person.types(LW_CODER, *(arguments or ("code", PLAN_ID))) as terminal:
        assert terminal.wait() == 1
    assert_refused(shown_lines(terminal), [what], "leave that session first")
    assert (snapshot(sample.root / ".git"), _folders(sample)) == before
    assert docker("inspect", "--format", "{{.State.Running}}", running) == "true"


def _kept_beside(sample: SampleRepository, person: Person, reason: str) -> None:
    (run,) = sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/run.json")
    status, shown = person.runs_to_the_end("runs", "prune", "--older-than", "0", "--scored")
    assert status == 0
    assert f"Kept:     {PLAN_ID}/{run.parent.name}: {reason}" in shown
    assert run.is_file()


def _folders(sample: SampleRepository) -> list[str]:
    """The runs and worktrees; what the session at work writes into them is its own affair."""
    return sorted(
        str(path)
        for name in ("runs", "worktrees")
        for path in sample.root.glob(f".lw_coder/{name}/**/*")
        if "sessions" not in path.parts
    )


def _filled(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(name, value)
    return text


def _path_without_docker(folder: Path) -> str:
    """Make a PATH on which there is git and nothing else."""
    path = folder / "bin"
    path.mkdir()
    (path / "git").symlink_to(str(shutil.which("git")))
    return str(path)


def _plugins() -> str:
    """The folder that the docker client finds Compose in."""
    info = docker(
        "info", "--format", '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}'
    )
    return str(Path(info).parent)
