"""The names of images: the base image, and a repository's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

BASE_TAG = "lw_coder_droid:latest"
BASE_LABEL = "lw_coder.base"
INPUTS_LABEL = "lw_coder.inputs"  # on a repository's image: the result of `build_digest`
COMPOSE_LABEL = "com.docker.compose.version"  # on all that Compose builds


def repo_hash(root_commit: str, common_dir: Path) -> str:
    """Return a repository's identity: the same for all of its worktrees, 12 hex digits.

    Args:
        root_commit: the first commit of HEAD's main line.
        common_dir: its git folder, so that each clone has its own image.
    """
    return hashlib.sha256(os.fsencode(f"{root_commit}\0{common_dir}")).hexdigest()[:12]


def repo_tag(identity: str) -> str:
    """Return the name of a repository's image."""
    return f"lw_coder_droid:{identity}"
