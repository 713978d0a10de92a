"""A cache of complete answers in front of DSPy's cache, so that a known plan needs no import of DSPy.

The key covers everything that DSPy's own key is made from: the question (plan, model, saved program, the
source of what words it) and what turns it into a request (every installed library, by version). If any of it
changed, DSPy is asked, which has its own cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import fields, replace

import lw_coder
from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.foundation.json_text import read_json

if TYPE_CHECKING:
    from lw_coder.plans.plan_file import PlanMetadata
    from lw_coder.settings.model_access import ModelAccess

_FOLDER = "answers"
_KEPT = 90 * 86_400.0  # seconds
_TEXTS = ("main_prompt", "code_review_prompt", "plan_alignment_prompt", "model", "dspy_version")
WORDING = ("dspy", "plans", "settings")  # DSPy's questions, and what their parts are made of
_TABLES = ("feedback_summary", "program_state", "inputs")


def memo_path(cache: Path, plan: PlanMetadata, access: ModelAccess, program: Path | None) -> Path:
    """Return the path of the cached answer to this question.

    Args:
        cache: the folder of DSPy's cache; these answers are removed with it.
        plan: the signature's input.
        access: access to the model. Its key and time limits are not part of the question.
        program: a saved program, or None.
    """
    asked = [access.model, access.base_url, access.max_tokens]
    question = json.dumps([asdict(plan), asked], sort_keys=True, ensure_ascii=True)
    digest = hashlib.sha256(question.encode())
    for part in (_content(program) if program else b"", _own_text(), _libraries()):
        digest.update(hashlib.sha256(part).digest())
    return cache / _FOLDER / f"{digest.hexdigest()}.json"


def recall(path: Path) -> GeneratedPrompts | None:
    """Return a cached answer, with no usage; None if there is none, or it is incomplete."""
    try:
        known = read_json(path.read_bytes())
        prompts = GeneratedPrompts(**known)
    except (OSError, ValueError, TypeError):
        return None
    is_whole = all(isinstance(getattr(prompts, name), str) for name in _TEXTS) and all(
        isinstance(getattr(prompts, name), dict) for name in _TABLES
    )
    return replace(prompts, cache_hit=True, usage={}) if is_whole else None


def keep(path: Path, prompts: GeneratedPrompts) -> None:
    """Store an answer, readable by its owner only, and remove very old ones; ignore a full disk."""
    values = {field.name: getattr(prompts, field.name) for field in fields(prompts)}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(values, file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _forget_old(path.parent)


def _forget_old(folder: Path) -> None:
    oldest = time.time() - _KEPT
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def _content(program: Path) -> bytes:
    try:
        return program.read_bytes()
    except OSError:
        return os.urandom(16)  # nothing is cached for it: DSPy is asked, and reports the problem


def _own_text() -> bytes:
    """The source of what words the questions."""
    files = (path for name in WORDING for path in Path(lw_coder.__file__).with_name(name).glob("*.py"))
    return b"\0".join(path.read_bytes() for path in sorted(files))


def _libraries() -> bytes:
    """The names and versions of all installed packages, from the names of their metadata folders."""
    places = [Path(place) for place in sys.path]
    names = {entry.name for place in places if place.is_dir() for entry in os.scandir(place)}
    return "\n".join(sorted(name for name in names if name.endswith((".dist-info", ".egg-info")))).encode()
