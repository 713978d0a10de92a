"""A session's variables on a node: in files in memory, which its containers mount.

What is in a container's environment is in its description too, and the engine keeps that on the node's disk.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.job_spec import NODE_MEMORY, RUNNER_MEMORY
from lw_coder.containers.specs import Mount, SessionSpec
from lw_coder.foundation.errors import ConfigError
from lw_coder.foundation.report import printable

if TYPE_CHECKING:
    from lw_coder.engines.job_document import JobDocument
    from lw_coder.engines.node_paths import NodeRun

TARGET = "/run/lw_coder/variables"  # start-session and the gateway read it
DROID, GATEWAY = "droid", "gateway"
_FOLDER = "node-variables"  # in a run's folder on a node: a link to the one in memory
_PREFIX = "lw_coder-"
_EXPORTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def require_exportable(names: Iterable[str]) -> None:
    """Refuse variables that a shell cannot export.

    Raises:
        ConfigError: there is one.
    """
    for name in names:
        if not _EXPORTABLE.fullmatch(name):
            raise ConfigError(
                f"{printable(name)}: a session on a node cannot have a variable with this name",
                "use letters, digits and underscores, or run the session on this machine with --engine local",
            )


def variables_mount(folder: Path, service: str) -> Mount:
    """Return the mount of a service's variables, in a run's folder."""
    return Mount(folder / _FOLDER / service, TARGET)


def variables_by_service(session: SessionSpec, more: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the variables of each service.

    Args:
        session: the containers.
        more: names that only droid's service has.
    """
    own = (*(name for name in session.forwarded if name not in session.fixed), *more)
    gateway = session.gateway
    return {DROID: own, **({GATEWAY: gateway.forwarded} if gateway else {})}


@contextmanager
def variables_in_memory(job: JobDocument, run: NodeRun, values: Mapping[str, str]) -> Iterator[None]:
    """Let a session's containers read their variables during the block.

    Args:
        job: names each service's.
        run: its folder gets a link to the files.
        values: of all of them.

    Raises:
        OSError: there is no memory left.
    """
    name = f"{_PREFIX}{run.work.name}"
    folder = Path(RUNNER_MEMORY, name)
    folder.mkdir(mode=0o711)
    try:
        for service, names in job.variables.items():
            own = {name: values[name] for name in names if name in values}
            _write(folder / service, _as_text(own), job.user)
        (run.folder / _FOLDER).symlink_to(Path(NODE_MEMORY, name))
        yield
    finally:
        remove_variables(run.work)


def remove_variables(work: Path) -> None:
    """Remove what an attempt has in memory, by its work folder."""
    shutil.rmtree(Path(RUNNER_MEMORY, f"{_PREFIX}{work.name}"), ignore_errors=True)


def _as_text(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _write(path: Path, text: str, user: str) -> None:
    uid, _, gid = user.partition(":")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        os.fchown(file.fileno(), int(uid), int(gid))
        file.write(text.encode("utf-8", "surrogateescape"))
