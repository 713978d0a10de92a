"""The base image: its size, the time to build it, and the time to find that it is current."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import PYTHON, seconds

FOLDER = Path(__file__).parents[1] / "docker/droid"
TAG = f"lw_coder-bench-base:{os.getpid()}"

_CHECK = """
import time
from lw_coder.containers.docker_command import ask_image
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.images import is_current
began = time.perf_counter()
assert is_current(ask_image(BASE_TAG).image())
print(time.perf_counter() - began)
"""


def measure(times: int) -> Iterator[Figure]:
    """Build under a separate tag, once without a cache; "nothing to do" times lw_coder's own check."""
    user = ("--build-arg", f"UID={os.getuid()}", "--build-arg", f"GID={os.getgid()}")
    certificates = os.environ.get("SSL_CERT_FILE")
    secret = ("--secret", f"id=ca_bundle,src={certificates}") if certificates else ()
    build = ("docker", "build", "--quiet", "--tag", TAG, *user, *secret)
    try:
        yield Figure(
            "the base image, built from nothing", "figure", [seconds((*build, "--no-cache", str(FOLDER)))]
        )
        own, again = in_turns(times, _own_check, lambda: seconds((*build, str(FOLDER))))
        yield Figure("the base image, nothing to do", "ratio", own, again, "docker build")
        size = subprocess.run(
            ("docker", "image", "inspect", "--format", "{{.Size}}", TAG),
            check=True,
            capture_output=True,
            text=True,
        )
        yield Figure("the base image's size", "figure", [int(size.stdout) / 2**20], unit="MiB")
    finally:
        subprocess.run(("docker", "image", "rm", "--force", TAG), check=False, capture_output=True)


def _own_check() -> float:
    """Time the check alone: the imports are part of every figure of a whole start."""
    done = subprocess.run([PYTHON, "-c", _CHECK], check=True, capture_output=True, text=True)
    return float(done.stdout)
