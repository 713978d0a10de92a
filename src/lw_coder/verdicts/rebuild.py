"""Build an image from the tip for the checks: the user's Dockerfile over the tip's files, without secrets."""

from __future__ import annotations

import os
import selectors
import time
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.containers import engine
from lw_coder.containers.build_output import read_failure
from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.docker_command import COMPOSE_FILE
from lw_coder.containers.image_names import repo_tag
from lw_coder.containers.images import DOCKERFILE, read_build_files
from lw_coder.containers.labels import REPO_LABEL
from lw_coder.containers.service_call import ComposeCall, build_service
from lw_coder.foundation.bounded_log import BoundedLog
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.signals import interruptible
from lw_coder.repository.changed_files import changed_files
from lw_coder.repository.checkouts import exported
from lw_coder.runs.run_folders import write_file
from lw_coder.settings.docker_flags import BuildOptions, RunOptions
from lw_coder.settings.environment import PROXY_NAMES
from lw_coder.verdicts.subject import Subject

BUILD_LOG = "rebuild.log"  # in the run's folder
BUILD_SECONDS = 3600.0

_PROJECT = "lw_coder"
_LONGEST_OUTPUT = 1 << 20
# What the build's result is kept under, or that reaches more than the build needs.
_DROPPED = ("args", "cache_to", "network", "secrets", "ssh", "tags")


class Rebuilt(Struct, frozen=True):
    """The result of a build.

    Attributes:
        image: the image's id; empty if there is none.
        remarks: lines to show, escaped.
        problem: why there is no image, in one line, or None.
    """

    image: str
    remarks: tuple[str, ...] = ()
    problem: str | None = None


def rebuilt(subject: Subject) -> Rebuilt:
    """Build the image of the tip.

    Raises:
        ConfigError: there is no Dockerfile in the user's main worktree.
        EngineError: docker does not answer.
        GitError: the tip's files cannot be written.
        OSError: the disk is full.
    """
    remarks = tuple(_remarks(subject))
    with exported(subject.repository, subject.tip, subject.run.folder) as files:
        _write_build(subject, files)
        say(f"Image: building the tip's, from {DOCKERFILE} (log: {subject.run.folder / BUILD_LOG})")
        problem = _built(files.parent, subject.run.folder / BUILD_LOG)
    found = engine.find_image(_tag(subject))
    if problem is not None or found is None:
        return Rebuilt("", remarks, f"the tip's image could not be built: {problem}")
    return Rebuilt(found.id, remarks)


def _tag(subject: Subject) -> str:
    return f"{repo_tag(subject.identity)}-check"


def _remarks(subject: Subject) -> list[str]:
    changed = changed_files(subject.repository, subject.base, subject.tip)
    if str(DOCKERFILE) not in {file.path for file in changed}:
        return []
    return [
        f"the image was built with {DOCKERFILE} of your main worktree, not with the one that the tip changed"
    ]


def _write_build(subject: Subject, files: Path) -> None:
    folder, options = files.parent, subject.config.build_options
    texts = read_build_files(subject.repository.root, None, options)
    write_file(folder, DOCKERFILE.name, texts.dockerfile)
    write_file(folder, f"{DOCKERFILE.name}.dockerignore", texts.ignore)
    build = ImageBuild(
        _tag(subject),
        files,
        folder / DOCKERFILE.name,
        _arguments(subject, options),
        {REPO_LABEL: subject.identity},
        _without_secrets(options),
    )
    spec = ComposeSpec(folder, files, None, RunOptions(), {"repo": build}, None, subject.ca_bundle)
    for name, text in render(spec).items():
        write_file(folder, name, text)


def _without_secrets(options: BuildOptions) -> BuildOptions:
    keys = {name: value for name, value in options.keys.items() if name not in _DROPPED}
    return replace(options, keys=keys, secrets={})


def _arguments(subject: Subject, options: BuildOptions) -> dict[str, str | None]:
    """Return the build's arguments: those whose values are in config.toml, and proxies without a password."""
    written = {name: value for name, value in options.keys.get("args", {}).items() if value is not None}
    proxies = {name: None for name in PROXY_NAMES if "@" not in os.environ.get(name, "@")}
    # What a RUN --mount=type=cache keeps would be used by the next build of the user's own image.
    return {**proxies, **written, "BUILDKIT_CACHE_MOUNT_NS": f"check-{subject.identity}"}


def _built(folder: Path, log: Path) -> str | None:
    """Build; return why it failed, or None."""
    call = build_service(folder / COMPOSE_FILE, _PROJECT, "repo")
    output, deadline = bytearray(), time.monotonic() + BUILD_SECONDS
    data: bytes | None = b""
    with BoundedLog(log) as file, call.ended_on_failure():
        while data := _read(call, deadline):
            file.write(data)
            output = (output + data)[-_LONGEST_OUTPUT:]
    if data is None:
        call.end()
        return f"it took more than {BUILD_SECONDS / 60:.0f} minutes"
    if call.wait() == 0:
        return None
    return printable(read_failure(output.decode(errors="replace").split("\n")).reason)


def _read(call: ComposeCall, deadline: float) -> bytes | None:
    """Wait for output; empty at its end, None at the deadline."""
    with selectors.DefaultSelector() as selector, interruptible():
        selector.register(call, selectors.EVENT_READ)
        return call.read() if selector.select(max(0.0, deadline - time.monotonic())) else None
