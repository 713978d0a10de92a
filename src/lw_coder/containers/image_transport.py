"""Images in a registry, and the runner's, which only a cluster needs."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import lw_coder
from lw_coder.containers.docker_command import Outcome, carry_out
from lw_coder.containers.engine import find_image
from lw_coder.containers.registry import PAUSES
from lw_coder.foundation.errors import BuildError, EngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import say
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.state import log_folder
from lw_coder.settings.environment import PROXY_NAMES

if TYPE_CHECKING:
    from lw_coder.containers.registry import Registry

SESSION, BASE, RUNNER = "lw_coder/session", "lw_coder/base", "lw_coder/runner"  # repositories of a registry
RUNNER_TAG = "lw_coder_runner:latest"
RUNNER_LABEL = "lw_coder.runner"  # a hash of what it was built from

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHORT = 20  # hex digits of an id in a tag
_REMEDY = (
    "type docker login for that registry, and see that Docker knows it (insecure-registries without TLS)"
)


def ensure_image(registry: Registry, image: str, repository: str) -> str:
    """Push an image, unless it is there; return its full name with its digest.

    Args:
        registry: where to.
        image: its id.
        repository: its name there, without the registry's prefix.

    Raises:
        EngineError: it was not taken.
    """
    name = registry.place.name(repository)
    digest = _pushed_digest(image, name)
    if digest is None or not registry.has_image(repository, digest):
        say(f"Image:    pushing {repository} to {registry.place.host}")
        tag = f"{name}:{image.removeprefix('sha256:')[:_SHORT]}"
        for words in (("tag", image, tag), ("push", "--quiet", tag)):
            outcome = transferred(*words)
            if outcome.status:
                raise EngineError(f"{name}: was not pushed: {outcome.reason}", _REMEDY)
        digest = _pushed_digest(image, name)
    if digest is None:
        raise EngineError(f"{name}: has no digest after it was pushed", _REMEDY)
    return f"{name}@{digest}"


def transferred(*words: str) -> Outcome:
    """Push or pull an image, once more after a failure that is not about the login.

    A registry can fail while another client pushes the same image: distribution reads a tag's file that it is
    writing (https://github.com/distribution/distribution, storage/driver/filesystem), and answers with 500.

    Args:
        words: the arguments of docker.

    Raises:
        EngineError: docker cannot be started.
    """
    for pause in PAUSES:
        outcome = carry_out(*words)
        if not outcome.status or _is_refused(outcome.reason):
            return outcome
        with interruptible():
            time.sleep(pause)
    return carry_out(*words)


def _is_refused(reason: str) -> bool:
    return any(word in reason.lower() for word in ("denied", "unauthorized", "no basic auth"))


def _pushed_digest(image: str, name: str) -> str | None:
    told = carry_out("image", "inspect", "--format", "{{json .RepoDigests}}", image).told
    found = read_json(told or "[]") or []
    digests = (one.removeprefix(f"{name}@") for one in found if one.startswith(f"{name}@"))
    return next(filter(_DIGEST.fullmatch, digests), None)


def ensure_runner(ca_bundle: Path | None) -> str:
    """Build the runner's image if it is missing or out of date; return its id.

    Args:
        ca_bundle: certificates to trust during the build, or None.

    Raises:
        BuildError: it could not be built.
    """
    fingerprint = runner_fingerprint()
    found = find_image(RUNNER_TAG)
    if found is None or found.labels.get(RUNNER_LABEL) != fingerprint:
        _build(fingerprint, ca_bundle)
        found = find_image(RUNNER_TAG)
    if found is None:
        raise EngineError(f"{RUNNER_TAG}: was removed meanwhile", "start the plan again")
    return found.id


def runner_fingerprint() -> str:
    """Return a hash of everything that the runner's image is built from."""
    digest = hashlib.sha256()
    for folder in (_recipe(), _package()):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _recipe() -> Path:
    return shipped_folder("docker") / "runner"


def _package() -> Path:
    return Path(lw_coder.__file__).parent


def _build(fingerprint: str, ca_bundle: Path | None) -> None:
    log = log_folder() / f"build-runner-{os.getpid()}.log"
    say(f"Image: building {RUNNER_TAG}, which is missing or out of date (log: {log})")
    secret = ("--secret", f"id=ca_bundle,src={ca_bundle}") if ca_bundle else ()
    proxies = [word for name in PROXY_NAMES if os.environ.get(name) for word in ("--build-arg", name)]
    named = ("--tag", RUNNER_TAG, "--label", f"{RUNNER_LABEL}={fingerprint}")
    context = ("--build-context", f"package={_package()}", str(_recipe()))
    outcome = carry_out("build", "--progress", "plain", *named, *secret, *proxies, *context)
    log.write_text(f"{outcome.told}\n{outcome.reason}\n", encoding="utf-8", errors="replace")
    if outcome.status:
        raise BuildError(f"{RUNNER_TAG} could not be built: {outcome.reason}", f"{log} has the output", ())
