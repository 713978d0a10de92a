"""job.json: what a node is told of a run."""

from __future__ import annotations

from typing import Any

import msgspec

from lw_coder.foundation.json_text import read_json_as
from lw_coder.settings.limits import Limits

SCHEMA = 1
JOB_FILE = "job.json"

RUNS, OBJECTS, RESULTS = "lw_coder/runs", "lw_coder/objects", "lw_coder/results"  # repositories of a registry
RUN_KIND = "application/vnd.lw-coder.run.v1"
OBJECTS_KIND = "application/vnd.lw-coder.objects.v1"
RESULT_KIND = "application/vnd.lw-coder.result.v1"


class JobDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is told of a run, apart from its files.

    Attributes:
        schema: of this document.
        name: the job's.
        plan_id: the plan's.
        run: the run's name.
        branch: short name of the plan's branch, or None if its HEAD is detached.
        head: the commit to check out.
        worktree: name below `worktrees/` in the run's git folder.
        object_format: "sha1" or "sha256".
        objects: digest of the manifest of the repository's objects.
        layer: digest of these objects' own file, which nodes keep under it.
        images: what the run's Compose files use.
        folders: of the run, also empty ones.
        project: the Compose project's name.
        labels: of the session's container.
        is_confined: whether it has a proxy.
        has_gateway: whether it has a model gateway.
        user: `uid:gid` of the session.
        limits: what ends it.
        variables: names of each service's variables, whose values a node has in memory.
        eol: git's settings that change what is checked out.
    """

    schema: int = SCHEMA
    name: str
    plan_id: str
    run: str
    branch: str | None
    head: str
    worktree: str
    object_format: str
    objects: str
    layer: str
    images: tuple[str, ...]
    folders: tuple[str, ...]
    project: str
    labels: dict[str, str]
    is_confined: bool
    has_gateway: bool
    user: str
    limits: Limits
    variables: dict[str, tuple[str, ...]]
    eol: dict[str, str] = {}


def encode(document: Any) -> bytes:
    """Format a document."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def read_job(content: bytes) -> JobDocument:
    """Read a job.json.

    Raises:
        ValueError: it is not one, or one of another lw_coder.
    """
    job = read_json_as(content, JobDocument)
    if job.schema != SCHEMA:
        raise ValueError(f"schema {job.schema} is not {SCHEMA}")
    return job
