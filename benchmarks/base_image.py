"""The base image: how large it is, and how long it takes to build, and to find that it need not be built."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.workplace import seconds

FOLDER = Path(__file__).parents[1] / "docker/droid"
TAG = f"lw_coder-bench-base:{os.getpid()}"


def measure(times: int) -> Iterator[Figure]:
    """Build under a name of its own, once without a cache; "nothing to do" is docker's own check."""
    user = ("--build-arg", f"UID={os.getuid()}", "--build-arg", f"GID={os.getgid()}")
    certificates = os.environ.get("SSL_CERT_FILE")
    secret = ("--secret", f"id=ca_bundle,src={certificates}") if certificates else ()
    build = ("docker", "build", "--quiet", "--tag", TAG, *user, *secret)
    try:
        yield Figure(
            "the base image, built from nothing", "figure", [seconds((*build, "--no-cache", str(FOLDER)))]
        )
        again = [seconds((*build, str(FOLDER))) for _ in range(times)]
        yield Figure("the base image, nothing to do", "figure", again)
        size = subprocess.run(
            ("docker", "image", "inspect", "--format", "{{.Size}}", TAG),
            check=True,
            capture_output=True,
            text=True,
        )
        yield Figure("the base image's size", "figure", [int(size.stdout) / 2**20], unit="MiB")
    finally:
        subprocess.run(("docker", "image", "rm", "--force", TAG), check=False, capture_output=True)
