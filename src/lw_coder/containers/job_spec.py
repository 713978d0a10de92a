"""The job of a cluster that carries one session to a node."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from lw_coder.foundation.values import Secret

NODE_FOLDER = "/var/lib/lw_coder"  # on each node, and at the same path in a runner
NODE_SOCKET = "/var/run/docker.sock"  # likewise
NODE_MEMORY = "/dev/shm"  # noqa: S108 - on each node a file system in memory, which nothing else there is part of
RUNNER_MEMORY = "/run/node-memory"  # the same in a runner
KEYS_SECRET = "lw_coder"  # noqa: S105 - /run/secrets/lw_coder in a runner, whatever the secret's own name is
SLOT = "lw-slot"  # the generic resource that nodes offer to sessions
STOP_GRACE = 60  # seconds that a runner has to end its session and to send the result home
JOB_LABEL = "lw_coder.job"  # the run's identity, on the service and on its secret
REPO_LABEL = "lw_coder.repo"  # the repository's, likewise


class NodeJob(Secret, frozen=True):
    """A job with one task, which is not restarted by itself.

    Its task is a runner: trusted, root on its node, with NODE_SOCKET, NODE_FOLDER and NODE_MEMORY mounted.

    Attributes:
        name: the service's and the secret's name.
        image: the runner's, as `<registry>/<repository>@sha256:...`.
        words: the runner's command.
        labels: of the service and of the secret: JOB_LABEL and REPO_LABEL.
        memory: bytes to reserve: of the session, and of the runner.
        slot: the generic resource of which one is reserved, or None.
        environment: variables of the runner, none of them secret. Swarm's templates can be used.
        secret: what the runner reads as KEYS_SECRET; it goes to the engine through a pipe alone.
    """

    name: str
    image: str
    words: tuple[str, ...]
    labels: Mapping[str, str]
    memory: int
    slot: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secret: bytes = b""
