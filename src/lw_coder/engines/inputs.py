"""What a run sends to a node: its folder, the plans, and the commits that the node does not have yet."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.images import Images
from lw_coder.engines.job_document import JOB_FILE, RUN_KIND, RUNS, JobDocument, encode
from lw_coder.engines.node_paths import CACHED_TARGET, CERTIFICATES, OBJECTS_FOLDER, OWN_TARGET
from lw_coder.engines.node_session import node_files
from lw_coder.engines.node_variables import variables_by_service
from lw_coder.engines.objects import SentObjects, add_packs
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.plain_tar import Entry, TarWriter
from lw_coder.foundation.report import printable
from lw_coder.foundation.temporary import temporary_folder
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.git_settings import read_configuration
from lw_coder.runs.run_folders import read_record

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact, Registry
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.limits import Limits

_CHECKED_OUT_BY = ("core.autocrlf", "core.eol", "core.filemode", "core.symlinks")
_INDEX = "index"  # a node makes its own, with the times of its own files


def images_of(setup: SessionSetup) -> Images:
    """Return the ids of the images of a sealed run.

    Raises:
        RunError: its record is damaged.
    """
    try:
        return Images(**read_record(setup.run)["images"])
    except (KeyError, TypeError):
        raise RunError(f"{setup.run.record}: names no images", "start the plan again") from None


def push_run(
    registry: Registry,
    setup: SessionSetup,
    session: SessionSpec,
    name: str,
    limits: Limits,
    images: tuple[str, str],
) -> Artifact:
    """Push everything that a node needs for a run, except the images.

    Args:
        registry: where to.
        setup: the session's folders; its run is sealed.
        session: its container.
        name: the job's.
        limits: what ends it.
        images: full names of the session's image and of the base image.

    Raises:
        LwCoderError: it cannot be sent, or the registry does not take it.
    """
    with temporary_folder() as (temporary, _):
        packs, tar = temporary / "packs", temporary / "tar"
        packs.mkdir()
        sent = SentObjects(setup.context.repository, setup.context.identity, registry)
        objects = sent.ensure([setup.git.head, *setup.git.refs.values()], packs)
        files = node_files(setup, session, objects.layer, images)
        job = _document(setup, session, name, limits, objects, images)
        with tar.open("wb") as stream:
            writer = TarWriter(stream)
            _add_text(writer, JOB_FILE, encode(job))
            add_packs(writer, packs, f"root/{OBJECTS_FOLDER}/pack/")
            _add_run(writer, setup, files)
            writer.end()
        return registry.push(RUNS, name, tar, RUN_KIND)


def _document(
    setup: SessionSetup,
    session: SessionSpec,
    name: str,
    limits: Limits,
    objects: Artifact,
    images: tuple[str, str],
) -> JobDocument:
    git, run = setup.git, setup.run
    configured = read_configuration(setup.worktree.place)
    return JobDocument(
        name=name,
        plan_id=run.plan_id,
        run=run.name,
        branch=git.branch,
        head=git.head,
        worktree=git.worktree_name,
        object_format=setup.context.repository.object_format,
        objects=objects.manifest,
        layer=objects.layer,
        images=tuple(dict.fromkeys(images)),
        folders=tuple(sorted(folder for folder, _ in _tree(run.folder))),
        project=session.project,
        labels=dict(session.labels),
        is_confined=session.allowed is not None,
        has_gateway=session.gateway is not None,
        user=session.user,
        limits=limits,
        variables=variables_by_service(session, setup.context.config.run_options.variables),
        eol={key: configured[key] for key in _CHECKED_OUT_BY if key in configured},
    )


def _add_run(writer: TarWriter, setup: SessionSetup, made: Mapping[str, str]) -> None:
    """Add the run's folder, with some files as a node needs them, and the plans."""
    repository, run = setup.context.repository, setup.run.folder
    own = dict(made) | {"alternates": f"{OWN_TARGET}\n{CACHED_TARGET}\n"}
    prefix = f"root/{run.relative_to(repository.home)}"
    for name, text in own.items():
        _add_text(writer, f"{prefix}/{name}", text.encode())
    if setup.context.ca_bundle:
        _add_file(writer, f"{prefix}/{CERTIFICATES}", setup.context.ca_bundle)
    index = f"git/worktrees/{setup.git.worktree_name}/{_INDEX}"
    _add_files(writer, prefix, run, without={*own, index})
    _add_files(writer, f"root/{TASKS_FOLDER}", repository.root / TASKS_FOLDER, without=set())


def _add_files(writer: TarWriter, prefix: str, folder: Path, without: set[str]) -> None:
    for inner, names in _tree(folder):
        for name in names:
            relative = f"{inner}/{name}" if inner else name
            if relative not in without:
                _add_file(writer, f"{prefix}/{relative}", folder / relative)


def _tree(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below one, relative to it, and its regular files."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        inner = os.path.relpath(place, folder)
        plain = [name for name in sorted(files) if stat.S_ISREG(os.lstat(f"{place}/{name}").st_mode)]
        yield "" if inner == "." else inner, plain


def _add_text(writer: TarWriter, name: str, content: bytes) -> None:
    writer.add(Entry(name, len(content)), io.BytesIO(content))


def _add_file(writer: TarWriter, name: str, path: Path) -> None:
    with path.open("rb") as content:
        found = os.fstat(content.fileno())
        entry = Entry(name, found.st_size, is_program=bool(found.st_mode & 0o100))
        try:
            writer.add(entry, content)
        except ValueError as error:
            raise RunError(
                f"{printable(str(path))}: cannot be sent to a node: {error}",
                "shorten or correct its name, or run the session on this machine with --engine local",
            ) from None
