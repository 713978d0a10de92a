"""A slim image that stands for the base image: its droid runs a script, and says what droid says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lw_coder.containers.image_names import BASE_LABEL, BASE_TAG
from lw_coder.containers.image_transport import RUNNER_TAG, ensure_runner
from lw_coder.containers.images import base_fingerprint
from lw_coder.foundation.shipped import shipped_folder
from tests.support.cluster import Cluster
from tests.support.engine import docker
from tests.support.patience import PATIENCE

SCRIPT = "OPENROUTER_SCRIPT"  # forwarded by the name's beginning
_DROID = """#!/bin/bash
printf '{"type":"system","subtype":"init","session_id":"conversation-1"}\\n'
mkdir -p "$HOME/.factory/sessions/-workspace"
echo '{"type":"session_start"}' > "$HOME/.factory/sessions/-workspace/conversation-1.jsonl"
bash -e -c "$OPENROUTER_SCRIPT" >&2 || { echo '{"type":"error","message":"the script failed"}'; exit 1; }
printf '{"type":"completion","finalText":"All of it is done.","numTurns":1,"session_id":"conversation-1"}\\n'
"""
_DOCKERFILE = """FROM debian:trixie-slim
RUN apt-get update \\
    && apt-get install -y --no-install-recommends bash ca-certificates git procps tinyproxy-bin \\
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 droid start-session /usr/local/bin/
COPY tinyproxy.conf /etc/tinyproxy.conf
RUN install -d -m 0777 /home/droiduser /home/droiduser/.factory /workspace /tmp/lw_coder
ENV HOME=/home/droiduser
WORKDIR /workspace
"""


def give_images(cluster: Cluster, folder: Path) -> None:
    """Let the manager's engine have the stand-in as its base image, and the runner.

    Args:
        cluster: its nodes have no way to a package mirror, so both are built by the machine's own engine.
        folder: an empty one.
    """
    give_base_image(cluster.manager.host, folder)
    ca_bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    ensure_runner(ca_bundle if ca_bundle.is_file() else None)
    copy(RUNNER_TAG, cluster.manager.host, RUNNER_TAG)


def give_base_image(host: str, folder: Path, fingerprint: str | None = None) -> None:
    """Let an engine have the stand-in as its base image; the machine's own engine builds it.

    Args:
        host: the engine's DOCKER_HOST.
        folder: an empty one.
        fingerprint: of the base image, which is another one for another user; None for this user's.
    """
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(_DOCKERFILE, encoding="ascii")
    (folder / "droid").write_text(_DROID, encoding="ascii")
    for name in ("start-session", "tinyproxy.conf"):
        shutil.copyfile(shipped_folder("docker") / "droid" / name, folder / name)
    fingerprint = fingerprint or base_fingerprint()
    tag, label = stand_in_tag(fingerprint), f"{BASE_LABEL}={fingerprint}"
    build = ["docker", "build", "--quiet", "--label", label, "--tag", tag, str(folder)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    copy(tag, host, BASE_TAG)


def stand_in_tag(fingerprint: str) -> str:
    """Return the image's tag in the machine's own engine; another user's has another one."""
    return f"lw_coder_stand_in:{fingerprint[:12]}"


def copy(image: str, host: str, tag: str) -> None:
    """Copy an image from the machine's own engine to another."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        load = ["docker", "--host", host, "load", "--quiet"]
        subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
        assert saved.wait(PATIENCE) == 0
    docker("--host", host, "tag", image, tag)
