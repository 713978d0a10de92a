"""What a runner does on its node: `lw_coder node-run`."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers import engine
from lw_coder.containers.image_transport import transferred
from lw_coder.containers.labels import PLAN_LABEL, RUN_LABEL
from lw_coder.containers.specs import GatewaySpec, SessionSpec
from lw_coder.engines.job_document import JOB_FILE, RESULT_KIND, RESULTS, JobDocument, read_job
from lw_coder.engines.node_fetch import fetch_run, rebuild
from lw_coder.engines.node_order import NodeOrder, read_order, result_tag
from lw_coder.engines.node_paths import NodeRun
from lw_coder.engines.node_variables import remove_variables, variables_in_memory
from lw_coder.engines.node_work import BEGUN, left_work, own_work, remove_work
from lw_coder.engines.results import write_result
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import EngineError, ExitCode, LwCoderError
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import say, tell, warn
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.cleanup import remove_idle_proxies
from lw_coder.sessions.headless import run_headless
from lw_coder.sessions.progress import Progress
from lw_coder.settings.docker_variables import config_folder

if TYPE_CHECKING:
    from lw_coder.containers.registry import Registry

_KILLED = 137  # the status of a session whose runner was killed
_MEMORY = Path("/dev/shm")  # noqa: S108 - never written to a disk
_SENDING = 600.0  # seconds
_KEPT = 7 * 86_400  # seconds; what could not be sent for so long is removed


def node_run() -> ExitCode:
    """Carry out the session of a job on this node, and send what it left; before, what killed runners left.

    Raises:
        LwCoderError: it could not be carried out, or not be sent.
        SystemExit: a signal came before the session.
    """
    order = read_order(os.environ)
    registry = order.registry
    with _logged_in(order), own_work(result_tag(order.job, order.task)) as work:
        if not order.run:
            _send_what_is_left(registry, order.job, work)
            return ExitCode.OK
        sweep(registry)
        job = fetch_run(registry, order.run, work)
        run = NodeRun(work, job.plan_id, job.run)
        rebuild(registry, job, run)
        for image in job.images:
            _pull(image)
        (work / BEGUN).touch()
        result = _carried_out(order, job, run)
        send(registry, job, run, result, order.task)
    return ExitCode.OK


def _carried_out(order: NodeOrder, job: JobDocument, run: NodeRun) -> SessionResult:
    redaction = Redaction(order.values)
    progress = Progress(run.folder, str(job.branch), redaction)
    with variables_in_memory(job, run, order.values):
        return run_headless(run.folder, _session(job), job.limits, redaction, progress)


def _session(job: JobDocument) -> SessionSpec:
    """Return the session's container, as far as it matters besides its Compose files."""
    return SessionSpec(
        job.project,
        job.user,
        mounts=(),
        forwarded=(),
        fixed={},
        labels=job.labels,
        allowed=() if job.is_confined else None,
        gateway=GatewaySpec((), (), {}) if job.has_gateway else None,
    )


@contextmanager
def _in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let docker's client have these variables; nothing else runs meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _logged_in(order: NodeOrder) -> Iterator[None]:
    """Let docker's client have the login for the registry, from memory."""
    if order.login is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="docker-", dir=_MEMORY) as folder:
        auth = base64.b64encode(":".join(order.login).encode()).decode("ascii")
        config = {"auths": {order.place.host: {"auth": auth}}}
        plugins = config_folder(os.environ) / "cli-plugins"
        Path(folder, "config.json").write_text(json.dumps(config), encoding="ascii")
        if plugins.is_dir():
            Path(folder, "cli-plugins").symlink_to(plugins)
        with _in_environment({"DOCKER_CONFIG": folder}):
            yield


def _pull(image: str) -> None:
    say(f"Image:    {image}")
    outcome = transferred("pull", "--quiet", image)
    if outcome.status:
        raise EngineError(f"{image}: was not pulled: {outcome.reason}", "check the registry from this node")


def send(registry: Registry, job: JobDocument, run: NodeRun, result: SessionResult, task: str) -> None:
    """Send what a session left.

    Raises:
        LwCoderError: the registry does not take it.
        OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="result-", dir=run.work) as temporary:
        file = Path(temporary, "result")
        with file.open("wb") as target:
            write_result(run.folder, job.worktree, result, job.name, target)
        registry.push(RESULTS, result_tag(job.name, task), file, RESULT_KIND)
    tell(f"Result:   {result.outcome}, sent")


def _send_what_is_left(registry: Registry, job: str, own: Path) -> None:
    """Send what earlier attempts of a job left; another runner may be doing so, or the registry fail."""
    deadline = time.monotonic() + _SENDING
    while True:
        sweep(registry, job)
        is_done = set(own.parent.glob(result_tag(job, "*"))) <= {own}
        if is_done or time.monotonic() > deadline:
            return
        time.sleep(1)


def sweep(registry: Registry, job: str = "") -> None:
    """Remove what other runners left on this node, after what their sessions did has been sent.

    Args:
        registry: where that comes to.
        job: the only job that matters, or empty.
    """
    with left_work(job=job) as folders:
        for folder in folders:
            try:
                _swept(registry, folder)
            except (LwCoderError, OSError) as error:
                warn(f"{folder.name}: was left by a runner, and is kept: {error}")
                if datetime.now(UTC).timestamp() - folder.stat().st_mtime > _KEPT:
                    remove_work(folder)


def _swept(registry: Registry, folder: Path) -> None:
    remove_variables(folder)
    if (folder / BEGUN).exists():
        with suppress(ValueError):  # of another lw_coder
            job = read_job((folder / JOB_FILE).read_bytes())
            run = NodeRun(folder, job.plan_id, job.run)
            engine.remove_containers_with({name: job.labels[name] for name in (PLAN_LABEL, RUN_LABEL)})
            remove_idle_proxies(job.labels[PLAN_LABEL])
            begun = datetime.fromtimestamp((folder / BEGUN).stat().st_mtime, UTC)
            killed = SessionResult(_KILLED, begun, not_before(begun))
            send(registry, job, run, killed, folder.name.removeprefix(f"{job.name}-"))
    remove_work(folder)
