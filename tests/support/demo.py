"""The demo: `lw_coder code` in a sample repository, as a person would type it, with a scripted model.

    python -m tests.support.demo [--folder FOLDER]

Everything except the model is real. In a terminal the person uses droid; without one, what a person
would see is printed. Nothing outside the demo's folder is written, except images in the engine.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.agent_script import ACTIONS, CHECKER, COMMIT_MESSAGE, scripted_demo
from tests.support.engine import bridge_address, docker
from tests.support.prompt_cache import StalePromptCacheError, unpack_prompt_cache
from tests.support.sample_repository import PLAN, PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import ScriptedModel
from tests.support.terminal import ScreenTimeoutError, Terminal

CHECKOUT = Path(__file__).parents[2]
LW_CODER = str(Path(sys.executable).with_name("lw_coder"))
COMMAND = (LW_CODER, "code", PLAN_ID)
BRANCH = f"lw/task/{PLAN_ID}"
PORT = 8765  # the same each time, so that a later replay finds the model where it was
LAST_WORDS = ACTIONS[CHECKER]
SCREEN = (40, 100)  # rows and columns that read well in a log
BUILD_TIMEOUT = 900.0  # seconds; the base image may have to be built first
INTERRUPTED = 130

# The person's own settings would win over the demo's.
_LEFT_OUT = ("OPENROUTER_", "FACTORY_", "GIT_", "COMPOSE_", "XDG_")


class DemoError(Exception):
    """What the person is told in one line."""


@dataclass(frozen=True)
class Demo:
    """A sample repository with a home of its own, and the model that it names."""

    folder: Path
    sample: SampleRepository
    model: ScriptedModel

    @property
    def env(self) -> dict[str, str]:
        """The person's environment, with the demo's home in place of theirs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
        return {**kept, **_docker_config(), "HOME": str(self.folder / "home")}

    @property
    def run(self) -> Path:
        """The run's folder, relative to the repository's root."""
        found = sorted(self.sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/run.json"))
        if not found:
            raise DemoError("the run left no record")
        return found[-1].parent.relative_to(self.sample.root)


def main() -> int:
    """Run the demo; its status is 0 only if the plan's commit is on the plan's branch."""
    parser = argparse.ArgumentParser(description="Carry out a sample plan with a scripted model.")
    parser.add_argument("--folder", type=Path, help="where to make it, and leave it; new or empty")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that `finally` runs
    try:
        show(options.folder)
    except KeyboardInterrupt:
        _tell("\ndemo: interrupted; no container and no server is left")
        return INTERRUPTED
    except (DemoError, StalePromptCacheError, ScreenTimeoutError) as error:
        _tell(f"\ndemo: failed: {error}")
        return 1
    return 0


def show(folder: Path | None) -> None:
    """Prepare, introduce, run, check and explain."""
    with _serving() as model:
        demo = _prepare(_new_folder(folder), model)
        at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        _introduce(demo, at_terminal=at_terminal)
        try:
            status = _at_the_terminal(demo) if at_terminal else _played_through(demo)
        finally:
            _remove_containers(demo)
    _check(demo, status)
    _explain(demo)


@contextmanager
def demo_session(folder: Path) -> Iterator[Demo]:
    """Yield what the demo's command is typed in; leave no container of it."""
    with _serving() as model:
        demo = _prepare(_new_folder(folder), model)
        try:
            yield demo
        finally:
            _remove_containers(demo)


# What it needs


@contextmanager
def _serving() -> Iterator[ScriptedModel]:
    """Serve the model where both this machine and a container reach it."""
    try:
        host = bridge_address()
    except (AssertionError, OSError, subprocess.TimeoutExpired):
        raise DemoError("no Docker engine answers; `nox -s demo` sets one up on Debian, as root") from None
    with _model_at(host) as model:
        yield model


def _model_at(host: str) -> ScriptedModel:
    for port in (PORT, 0):
        try:
            return ScriptedModel(scripted_demo, host=host, port=port)
        except OSError:
            continue
    raise DemoError(
        f"the engine's bridge address {host} is not an address of this machine; the demo needs a local engine"
    )


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="lw_coder-demo-")).resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DemoError(f"{folder}: is not empty; choose a new or an empty folder")
    return folder.resolve()


def _prepare(folder: Path, model: ScriptedModel) -> Demo:
    sample = make_sample_repository(folder / "sample")
    sample.write_env(model.base_url)
    unpack_prompt_cache(folder / "home/.cache")
    return Demo(folder, sample, model)


def _docker_config() -> Mapping[str, str]:
    """Keep the person's contexts and plugins, which docker looks for in the home."""
    config = Path.home() / ".docker"
    return {"DOCKER_CONFIG": str(config)} if "DOCKER_CONFIG" not in os.environ and config.is_dir() else {}


# The run


def _at_the_terminal(demo: Demo) -> int:
    """Run droid in the person's terminal; return the command's status."""
    process = subprocess.Popen(COMMAND, cwd=demo.sample.root, env=demo.env)
    try:
        return _ended(process)
    finally:
        if process.poll() is None:
            process.terminate()
            _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # it got the same Ctrl+C, and tidies up


def _played_through(demo: Demo) -> int:
    """Do what a person would do, and print what a person would see; return the command's status."""
    with Terminal(COMMAND, demo.sample.root, demo.env) as terminal:
        try:
            terminal.wait_until(lambda: _has_begun(terminal), "prompts and image", BUILD_TIMEOUT)
            _tell(_plain(terminal.text))
            terminal.resize(*SCREEN)
            terminal.wait_for(LAST_WORDS, BUILD_TIMEOUT)
            terminal.settle(1)
            _tell(f"\n{_framed(terminal.screen)}\n\n(Ctrl+C twice)\n")
            status = terminal.leave()
        finally:
            terminal.end()
    _tell(_plain(terminal.text.rpartition("for help")[2].partition("\n")[2]))
    return status


def _has_begun(terminal: Terminal) -> bool:
    return all(word in terminal.screen for word in ("Image: building", "Prompts: "))


def _plain(text: str) -> str:
    """Keep lines that lw_coder wrote: no spinner, and none of what the emulator makes of droid's farewell."""
    lines = (re.sub(r"^u+(?=[A-Z]|$)", "", line) for line in text.splitlines())
    return "\n".join(line for line in lines if line.isascii() and line.strip() not in {"", "^C"})


def _framed(screen: str) -> str:
    return "\n".join(f"  | {line}".rstrip() for line in screen.splitlines())


def _remove_containers(demo: Demo) -> None:
    """Leave none, however the run ended. lw_coder sees to it; this is for when it was killed."""
    worktree = demo.sample.root / ".lw_coder/worktrees" / PLAN_ID
    left = docker("ps", "--all", "--quiet", "--filter", f"volume={worktree}").split()
    if left:
        docker("rm", "--force", *left)


def _check(demo: Demo, status: int) -> None:
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise DemoError(f"`lw_coder code` ended with status {status}; the demo is in {demo.folder}")
    if COMMIT_MESSAGE not in demo.sample.git("log", "--format=%s", f"{demo.sample.sha}..{BRANCH}"):
        raise DemoError(f"the plan's commit is not on {BRANCH}: did you leave droid before its summary?")


# What the person reads


def _introduce(demo: Demo, *, at_terminal: bool) -> None:
    if at_terminal:
        you = "droid starts now and works by itself. When it shows its summary, press Ctrl+C twice to leave."
    else:
        you = "There is no terminal, so the demo runs droid for you and prints what you would see."
    _tell(f"""\
lw_coder: the demo

The real command carries out a plan, with the real git, Docker engine, container and droid.
THE MODEL IS SCRIPTED: its answers were written in advance, and no language model is called. The
prompts come from a cache that ships with the demo.

  folder  {demo.folder} (none of your files are changed)
  plan    {demo.sample.root / PLAN}
  model   {demo.model.base_url} (a script)

{you}

$ cd {shlex.quote(str(demo.sample.root))}
$ lw_coder code {PLAN_ID}""")


def _explain(demo: Demo) -> None:
    root, run = demo.sample.root, demo.run
    host, port = demo.model.origin.removeprefix("http://").split(":")
    serve = f"{sys.executable} -m tests.support.scripted_model --host {host} --port {port}"
    _tell(f"""
The plan's commit is on {BRANCH}. No container and no server is running any more.

To see the results, type: cd {shlex.quote(str(root))}

  the changes            git log -p {demo.sample.sha[:12]}..{BRANCH}
  the agent's prompt     {run}/prompts/main.md
  the subagents' prompts {run}/droids/
  the container's spec   {run}/compose.yml, services.yml
  the record             {run}/run.json

To replay it on the worktree as it is now (it has the change, so the script's edit is refused):

  1. start the same scripted model in another terminal, until Ctrl+C:
     cd {shlex.quote(str(CHECKOUT))} && {serve}
  2. docker compose -f {run}/compose.yml run --rm droid

To run it with a real model:

  1. start over: git worktree remove .lw_coder/worktrees/{PLAN_ID} && git branch -D {BRANCH}
  2. make OPENROUTER_API_KEY=<your key> the only line of .env
  3. {LW_CODER} code {PLAN_ID}

To remove everything: rm -rf {shlex.quote(str(demo.folder))}; docker image rm {_image(root / run)}""")


def _image(run: Path) -> str:
    services = yaml.safe_load((run / "services.yml").read_text(encoding="utf-8"))["services"]
    return str(services["repo"]["image"])


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
