"""docker, by its command: what is asked and built while python-on-whales is not imported yet.

That takes longer to import than docker takes to answer. All else is done through it, in engine.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lw_coder.containers.image_names import BASE_TAG
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.report import printable, say
from lw_coder.settings.docker_variables import client_environment

COMPOSE_FILE = "compose.yml"
SERVICES_FILE = "services.yml"  # what the other includes
BUILD_PROFILE = "build"

_VERDICT = "failed to solve: "  # BuildKit's
_LONGEST_REASON = 300
# What the engine says if `docker image prune` or `docker image rm` removes an image during a build.
_REMOVED_MEANWHILE = (
    "failed to get digest sha256:",
    "failed to get destination image",
    "No such image: sha256:",
)


@dataclass(frozen=True)
class LocalImage:
    """What a tag named when it was looked at.

    Attributes:
        id: `sha256:...`, which no later build can take away.
        labels: its own and those of the image that it starts from.
    """

    id: str
    labels: Mapping[str, str]


def environment_for(folder: Path | None = None) -> dict[str, str]:
    """Return what a docker client gets of this process's environment.

    Args:
        folder: holds the Compose files that it works on, if it does.
    """
    named_in = (folder / SERVICES_FILE).read_text(encoding="utf-8") if folder else ""
    return client_environment(os.environ, named_in)


class Question:
    """A docker command that is under way."""

    def __init__(self, *words: str) -> None:
        self._process = self._start(words)

    @staticmethod
    def _start(words: Sequence[str]) -> subprocess.Popen[str] | None:
        try:
            return subprocess.Popen(
                ["docker", *words],  # noqa: S607 - the docker on the person's PATH is the one to use
                env=environment_for(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            return None  # asked again, python-on-whales says what is wrong

    def answer(self) -> str:
        """Wait for what it prints; nothing where it fails."""
        if self._process is None:
            return ""
        answer, _ = self._process.communicate()
        return answer.strip() if self._process.returncode == 0 else ""

    def image(self) -> LocalImage | None:
        """Wait for what `ask_image` asked; None also where docker did not answer."""
        answer = self.answer()
        if not answer:
            return None
        found = json.loads(answer)
        return LocalImage(found["Id"], found["Config"].get("Labels") or {})


def ask_image(tag: str) -> Question:
    """Ask what a tag names."""
    return Question("image", "inspect", "--format", "{{json .}}", tag)


class EngineProbe:
    """The way to the engine: what every command asks first, under way while it looks at other things.

    Args:
        asks_compose: whether Compose is asked for its version too, which takes as long as all else. A build
            tells it as well: what Compose builds has COMPOSE_LABEL.
    """

    def __init__(self, *, asks_compose: bool) -> None:
        self._server = Question("version", "--format", "{{.Server.Version}}")
        self._compose = _ask_compose() if asks_compose else None
        self._base = ask_image(BASE_TAG)

    def server_version(self) -> str:
        """Wait for the engine's version; nothing where it does not answer."""
        return self._server.answer()

    def compose_version(self) -> str:
        """Wait for what the Compose plugin says of its version; nothing where there is none."""
        return (self._compose or _ask_compose()).answer()

    @cached_property
    def base_image(self) -> LocalImage | None:
        """What the base image's name meant when it was asked for; None if nothing, or no answer."""
        return self._base.image()


def _ask_compose() -> Question:
    return Question("compose", "version")


def compose_refusal(folder: Path) -> str | None:
    """Have Compose read a folder's files; return its reason where it cannot, None where it can."""
    compose = ("docker", "compose", "--file", str(folder / COMPOSE_FILE), "--profile", BUILD_PROFILE)
    result = subprocess.run(
        [*compose, "config", "--quiet"],
        env=environment_for(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode == 0:
        return None
    told = [line.strip() for line in result.stderr.split("\n") if line.strip()]
    return printable(_shortened(told[-1] if told else "it gave no reason"))


def build_image(
    folder: Path, project: str, service: str, log: Path, variables: Mapping[str, str] | None = None
) -> None:
    """Build a service's image.

    Args:
        folder: holds the compose.yml.
        project: Compose's project name.
        service: which of its services.
        log: gets everything that the build prints.
        variables: what the build takes from the environment, beside this process's.

    Raises:
        EngineError: the build failed; the message is the build's own last word. Or the log cannot be written.
    """
    reason = _build_once(folder, project, service, log, variables or {})
    if reason and any(word in reason for word in _REMOVED_MEANWHILE):
        say(f"Image: building {service} once more: an image was removed during the build")
        reason = _build_once(folder, project, service, log, variables or {})
    if reason:
        raise EngineError(f"the {service} image could not be built: {reason}", f"{log} has the full output")


def _build_once(folder: Path, project: str, service: str, log: Path, variables: Mapping[str, str]) -> str:
    """Build, and return why it failed; nothing where it did not."""
    lines: list[str] = []
    try:
        # By the line: a person may follow the log.
        with (
            log.open("a", encoding="utf-8", buffering=1) as file,
            _build(folder, project, service, variables) as build,
        ):
            for line in build.stdout or ():
                lines.append(line)
                file.write(line)
    except OSError as error:
        raise disk_error(log, error) from error
    return printable(_last_word(lines)) if build.returncode else ""


def _build(folder: Path, project: str, service: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    compose = ("docker", "compose", "--file", str(folder / COMPOSE_FILE), "--project-name", project)
    return subprocess.Popen(
        [*compose, "--profile", BUILD_PROFILE, "build", "--progress", "plain", service],
        env={**variables, **environment_for(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _last_word(lines: Sequence[str]) -> str:
    words = [line.strip() for line in lines if line.strip()]
    # What a command of the Dockerfile printed can look like an error too, and come later.
    verdicts = [word.partition(_VERDICT)[2] for word in words if _VERDICT in word]
    told = [word for word in words if "error" in word.lower() or "failed" in word.lower()]
    return _shortened((verdicts or told or words or ["no reason was given"])[-1])


def _shortened(text: str) -> str:
    # An exit status stands at the end, behind the command, which can be long.
    half = _LONGEST_REASON // 2
    return text if len(text) <= _LONGEST_REASON else f"{text[:half]} ... {text[-half:]}"


def disk_error(path: Path, error: OSError) -> EngineError:
    """Say that a file or a folder cannot be written."""
    reason = error.strerror or type(error).__name__
    return EngineError(f"{path}: cannot be written: {reason}", "free some space or correct its permissions")
