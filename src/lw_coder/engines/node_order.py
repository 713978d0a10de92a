"""What a runner is told: by its environment, and by the secret that it reads as a file in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import field

from lw_coder.containers.job_spec import KEYS_SECRET
from lw_coder.containers.registry import Registry
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.values import Secret
from lw_coder.settings.registry_place import RegistryPlace, parse_place

SECRET_FILE = Path("/run/secrets", KEYS_SECRET)
_REGISTRY, _RUN, _JOB, _TASK = "LW_CODER_REGISTRY", "LW_CODER_RUN", "LW_CODER_JOB", "LW_CODER_TASK"


class NodeOrder(Secret, frozen=True):
    """What a runner is to do.

    Attributes:
        place: the registry.
        run: digest of the run's manifest; empty if only what other runners left on the node is sent.
        job: the job's name.
        task: the name of this attempt, which no other has.
        login: user and password for the registry, or None. Secret.
        values: the session's variables. Secret.
    """

    place: RegistryPlace
    run: str
    job: str
    task: str
    login: tuple[str, str] | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        """A client of the registry."""
        return Registry(self.place, self.login)

    def environment(self) -> dict[str, str]:
        """Return the runner's variables; none is secret."""
        scheme = "http://" if self.place.is_plain else ""
        return {_REGISTRY: f"{scheme}{self.place.name('')}", _RUN: self.run, _JOB: self.job, _TASK: self.task}

    def secret(self) -> bytes:
        """Return the contents of the secret."""
        return json.dumps({"login": self.login, "values": dict(self.values)}).encode()


SENDS_WHAT_IS_LEFT = {_RUN: ""}
"""What a runner has in its environment that carries out no session."""


def result_tag(job: str, task: str) -> str:
    """Return the tag of an attempt's result."""
    return f"{job}-{task}"


def read_order(variables: Mapping[str, str], secret: Path = SECRET_FILE) -> NodeOrder:
    """Read what a runner is told.

    Raises:
        EngineError: this process is not the runner of a job.
    """
    try:
        told = read_json(secret.read_bytes())
        login = told["login"]
        return NodeOrder(
            parse_place(variables[_REGISTRY].rstrip("/")),
            variables[_RUN],
            variables[_JOB],
            variables[_TASK],
            tuple(login) if login else None,
            {str(name): str(value) for name, value in told["values"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise EngineError(
            "node-run: this is not the runner of a job",
            "a cluster starts it by itself: type lw_coder code PLAN --headless --engine swarm",
        ) from None
