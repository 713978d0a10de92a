"""The base image and the repository's image: whether they are current, and their builds."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path

from msgspec import Struct

from lw_coder.containers import docker_command, engine
from lw_coder.containers.compose_files import ImageBuild
from lw_coder.containers.docker_command import LocalImage
from lw_coder.containers.engine_kind import warn_of_kind
from lw_coder.containers.image_names import BASE_LABEL, BASE_TAG, COMPOSE_LABEL, INPUTS_LABEL, repo_tag
from lw_coder.containers.labels import REPO_LABEL
from lw_coder.foundation.errors import BuildError, ConfigError, EngineError
from lw_coder.foundation.files import read_regular, resolved
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.foundation.state import log_folder
from lw_coder.settings.docker_flags import BuildOptions, RunOptions
from lw_coder.settings.environment import PROXY_NAMES

DOCKERFILE = Path(".lw_coder/code.Dockerfile")
IGNORE_FILE = Path(".lw_coder/.dockerignore")

# Compose labels an image with its project; a project for each run would make each build a new image.
_PROJECT = "lw_coder"

_LOGS_KEPT = 30 * 86_400.0  # seconds
_MOST_LOGS = 40  # of a repository; more builds than that are not under way at once

# Two users of one machine can replace each other's base image; repeated builds are quick.
_ATTEMPTS = 4

# Last in the ignore file, so that the repository's own patterns cannot re-include them: secrets would
# end up in the image, and a run's folder would invalidate the build cache.
_NEVER_IN_AN_IMAGE = (
    "**/.git",
    "**/.env*",
    ".lw_coder/runs",
    ".lw_coder/worktrees",
    ".lw_coder/temp-worktrees",
    ".lw_coder/batches",
)


_MARKS = re.compile(r"[\\*?\[\]!#]")  # what an ignore file does not take for itself
# Frontends from before 1.1 read no ignore file beside the Dockerfile.
_SYNTAX = re.compile(r"(?:#|//)\s*syntax\s*=\s*(\S+)\s*", re.IGNORECASE)
_OLD_SYNTAX = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?:(?:v?1\.0\b|experimental\b).*")


class Images(Struct, frozen=True):
    """The images that a run uses: their ids (`sha256:...`), or their names before they are built."""

    base: str
    repo: str


class Built(Struct, frozen=True):
    """The images of a run, and the version of the Compose that built them, or would have."""

    images: Images
    compose_version: str


class RepoBuildFiles(Struct, frozen=True):
    """What the repository's image is built from; the run folder has a copy.

    Attributes:
        dockerfile: text of .lw_coder/code.Dockerfile.
        ignore: text of .lw_coder/.dockerignore, and what must never be in an image.
    """

    dockerfile: str
    ignore: str


def base_fingerprint() -> str:
    """Return a hash of everything that the base image is built from, including the host's user."""
    return _fingerprint(os.getuid(), os.getgid())


@cache  # a start asks several times
def _fingerprint(user: int, group: int) -> str:
    digest = hashlib.sha256(f"{user}:{group}".encode())
    folder = shipped_folder("docker") / "droid"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":
            digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def base_build() -> ImageBuild:
    """Describe the base image's build."""
    folder = shipped_folder("docker") / "droid"
    args: dict[str, str | None] = {"UID": str(os.getuid()), "GID": str(os.getgid()), **_proxies()}
    return ImageBuild(
        BASE_TAG, folder, folder / "Dockerfile", args, {BASE_LABEL: base_fingerprint()}, BuildOptions()
    )


def repo_build(
    root: Path, folder: Path, tag: str, options: BuildOptions, digest: str | None = None
) -> ImageBuild:
    """Describe the build of the repository's image, from the files in the run's folder.

    Args:
        root: the repository's root.
        folder: the run's.
        tag: the image's name.
        options: docker_build_args.
        digest: what the image is built from now, if that is known. It is no part of a run's own files: they
            can be built at any later time, from other files of the repository.
    """
    labels = {REPO_LABEL: tag.rpartition(":")[2], **({INPUTS_LABEL: digest} if digest else {})}
    return ImageBuild(tag, root, folder / DOCKERFILE.name, _proxies(), labels, options)


def build_images(
    folder: Path, identity: str, base: LocalImage | None = None, variables: Mapping[str, str] | None = None
) -> Built:
    """Build the base image if it is missing or out of date, and always the repository's image.

    Args:
        folder: the run's, which contains the Compose files.
        identity: the repository's, from `repo_hash`.
        base: the base image a moment ago, if it is known.
        variables: variables for the repository's build, in addition to this process's.

    Raises:
        EngineError: a build failed, or Compose is missing or too old.
    """
    tag, log = repo_tag(identity), new_log(log_folder() / f"build-{identity}.log")
    known = _current(base)
    for _ in range(_ATTEMPTS):
        base_id = known or _ensure_base(folder, log)
        say(f"Image: building {tag} from {DOCKERFILE} (log: {log})")
        _build_repo(folder, log, variables)
        repo = engine.find_image(tag)
        if repo and _is_this_users(repo):
            return Built(Images(base_id, repo.id), _compose_version(repo))
        known = None  # another user is building too: inspect again
    # An image with another base's label contains another user's uid and home.
    raise EngineError(
        f"{tag}: is not based on this user's {BASE_TAG}",
        f"start {DOCKERFILE} with FROM {BASE_TAG}; if it does, another user is building too: try again",
    )


def _build_repo(folder: Path, log: Path, variables: Mapping[str, str] | None) -> None:
    try:
        docker_command.build_image(folder, _PROJECT, "repo", log, variables)
    except EngineError:
        engine.installed_compose()  # without Compose, docker only complains about a flag
        warn_of_kind(RunOptions(), of_build=True)
        raise


def _compose_version(built: LocalImage) -> str:
    version = built.labels.get(COMPOSE_LABEL)
    return engine.require_compose(version) if version else engine.installed_compose()


def are_current(base: LocalImage, repo: LocalImage, digest: str | None) -> bool:
    """Return whether neither image need be built.

    Args:
        base: the base image.
        repo: the repository's, which counts only if it was built from that base image.
        digest: what it would be built from now; None if only a build can tell.
    """
    if digest is None or repo.labels.get(INPUTS_LABEL) != digest or not is_current(base):
        return False
    same_base = bool(base.layers) and repo.layers[: len(base.layers)] == base.layers
    return same_base and _is_this_users(repo)


def _is_this_users(repo: LocalImage) -> bool:
    return repo.labels.get(BASE_LABEL) in {None, base_fingerprint()}


def build_base(folder: Path, log: Path) -> str:
    """Build the base image if it is missing or out of date; return its id.

    Another user of this machine has their own base image under the same name, and can build it at any
    moment: so the id is returned, and the name is not resolved again.

    Args:
        folder: the run's, which contains the Compose files.
        log: receives the build's output; this process's id is added to its name.

    Raises:
        EngineError: the build failed.
    """
    return _ensure_base(folder, new_log(log))


def new_log(log: Path) -> Path:
    """Return a log path that no other process uses; remove old logs of the same kind.

    Raises:
        EngineError: an old log cannot be removed.
    """
    own, oldest = log.with_stem(f"{log.stem}-{os.getpid()}"), time.time() - _LOGS_KEPT
    try:
        written = [(_written_at(path), path) for path in log.parent.glob(f"{log.stem}-*{log.suffix}")]
        for number, (when, path) in enumerate(sorted(written, reverse=True), 1):
            if path == own or when < oldest or number >= _MOST_LOGS:
                path.unlink(missing_ok=True)  # another process removes old ones too
    except OSError as error:
        reason = f"{error.filename}: cannot be removed: {error.strerror}"
        raise EngineError(reason, "correct its owner and permissions") from error
    return own


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _ensure_base(folder: Path, log: Path) -> str:
    builds = 0
    while (base := _current(engine.find_image(BASE_TAG))) is None:
        if builds == _ATTEMPTS:
            raise EngineError(f"{BASE_TAG}: other users keep replacing it", "wait a moment and try again")
        say(f"Image: building {BASE_TAG}, which is missing or out of date (log: {log})")
        _build_base(folder, log)
        builds += 1
    return base


def _build_base(folder: Path, log: Path) -> None:
    try:
        docker_command.build_image(folder, _PROJECT, "base", log)
    except BuildError as error:
        warn_of_kind(RunOptions(), of_build=True)
        script = shipped_folder("docker") / "droid/import-base.sh"
        remedy = f"{error.remedy}; where no registry can be reached, type: sudo sh {script}"
        raise BuildError(error.message, remedy, error.details) from None


def is_current(base: LocalImage | None) -> bool:
    """Return whether the base image was built from this lw_coder's files, for this user."""
    return base is not None and base.labels.get(BASE_LABEL) == base_fingerprint()


def _current(base: LocalImage | None) -> str | None:
    return base.id if base and is_current(base) else None


def read_build_files(
    root: Path, env_file: Path | None, options: BuildOptions | None = None
) -> RepoBuildFiles:
    """Read what the repository's image is built from.

    Args:
        root: the repository's root.
        env_file: the session's env file, which must never reach the build.
        options: docker_build_args, which can name the Dockerfile's syntax.

    Raises:
        ConfigError: the Dockerfile is missing or unreadable, or its syntax is one that reads no ignore file.
    """
    dockerfile = _read(root / DOCKERFILE, DOCKERFILE)
    _require_syntax(dockerfile, (options or BuildOptions()).keys.get("args", {}))
    ignore = _read(root / IGNORE_FILE, IGNORE_FILE) if (root / IGNORE_FILE).exists() else ""
    never = [*_NEVER_IN_AN_IMAGE, *(_inside(root, env_file) if env_file else [])]
    return RepoBuildFiles(dockerfile, "\n".join([ignore, *never, ""]).lstrip("\n"))


def _require_syntax(dockerfile: str, args: Mapping[str, str | None]) -> None:
    lines = dockerfile.lstrip("\ufeff").split("\n")
    head = takewhile(lambda line: line.startswith(("#", "//")), lines)
    named = next((found[1] for line in head if (found := _SYNTAX.fullmatch(line))), "")
    syntax = args.get("BUILDKIT_SYNTAX") or named
    if _OLD_SYNTAX.fullmatch(syntax):
        raise ConfigError(
            f"{DOCKERFILE}: its syntax {printable(syntax)} reads no ignore file: .env would be in the image",
            "remove the line, or use docker/dockerfile:1",
        )


def _inside(root: Path, path: Path) -> list[str]:
    """Return the ignore pattern of a file in the repository, and that of its target if it is a link."""
    places = ((path, root), (resolved(path), resolved(root)))
    names = [str(place.relative_to(top)) for place, top in places if place.is_relative_to(top)]
    return [_MARKS.sub(r"\\\g<0>", name) for name in dict.fromkeys(names)]


def _read(path: Path, name: Path) -> str:
    try:
        return read_regular(path).decode()
    except FileNotFoundError:
        remedy = f"type lw_coder init, or create it; the line FROM {BASE_TAG} is enough"
        raise ConfigError(f"{name}: file not found", remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read: {type(error).__name__}", "check the file") from error


def _proxies() -> dict[str, str | None]:
    # No value: Docker takes it from the environment, so that no file contains it.
    return {name: None for name in PROXY_NAMES if os.environ.get(name)}
