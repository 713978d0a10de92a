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
from lw_coder.foundation.report import printable

COMPOSE_FILE = "compose.yml"
SERVICES_FILE = "services.yml"  # what the other includes
BUILD_PROFILE = "build"

_VERDICT = "failed to solve: "  # BuildKit's
_LONGEST_REASON = 300
_QUICKLY = {
    # A client ends before it has made much garbage; with Go's usual 100, a fifth of its time is collecting.
    "GOGC": "400",
    # Compose's own builder, while it has one, takes half the time of Bake, a plugin with a start of its own.
    "COMPOSE_BAKE": "false",
    # Nobody asks an image for the repository's branch and remote, which seven calls of git would tell it.
    "BUILDX_GIT_INFO": "false",
}


@dataclass(frozen=True)
class LocalImage:
    """What a tag named when it was looked at.

    Attributes:
        id: `sha256:...`, which no later build can take away.
        labels: its own and those of the image that it starts from.
    """

    id: str
    labels: Mapping[str, str]


def quick_environment(folder: Path | None = None) -> dict[str, str]:
    """Return this process's environment, with variables by which docker's clients take less time.

    Args:
        folder: holds the Compose files that a client works on, if it does. A variable that they name goes on
            to a build or a session, and is the person's alone.
    """
    named = (folder / SERVICES_FILE).read_text(encoding="utf-8") if folder else ""
    return {**{name: value for name, value in _QUICKLY.items() if name not in named}, **os.environ}


class Question:
    """A docker command that is under way."""

    def __init__(self, *words: str) -> None:
        self._process = self._start(words)

    @staticmethod
    def _start(words: Sequence[str]) -> subprocess.Popen[str] | None:
        try:
            return subprocess.Popen(
                ["docker", *words],  # noqa: S607 - the docker on the person's PATH is the one to use
                env=quick_environment(),
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


def build_image(folder: Path, project: str, service: str, log: Path) -> None:
    """Build a service's image.

    Args:
        folder: holds the compose.yml.
        project: Compose's project name.
        service: which of its services.
        log: gets everything that the build prints.

    Raises:
        EngineError: the build failed; the message is the build's own last word. Or the log cannot be written.
    """
    lines: list[str] = []
    try:
        # By the line: a person may follow the log.
        with log.open("a", encoding="utf-8", buffering=1) as file, _build(folder, project, service) as build:
            for line in build.stdout or ():
                lines.append(line)
                file.write(line)
    except OSError as error:
        raise disk_error(log, error) from error
    if build.returncode != 0:
        reason = printable(_last_word(lines))
        raise EngineError(f"the {service} image could not be built: {reason}", f"{log} has the full output")


def _build(folder: Path, project: str, service: str) -> subprocess.Popen[str]:
    compose = ("docker", "compose", "--file", str(folder / COMPOSE_FILE), "--project-name", project)
    return subprocess.Popen(
        [*compose, "--profile", BUILD_PROFILE, "build", "--progress", "plain", service],
        env=quick_environment(folder),
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
