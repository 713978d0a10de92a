"""Find files in a worktree's .factory that a session does not use: hooks, and reviewers by the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

DROIDS = ".factory/droids"
HOOK_FILES = (
    ".factory/settings.json",
    ".factory/settings.local.json",
    ".factory/hooks.json",
    ".factory/hooks/hooks.json",
)

_LIMIT = 1 << 20  # bytes of a file; droid's own are a few thousand
_MOST = 1000  # files of a folder
_HOOK = re.compile(
    rb'"(PreToolUse|PostToolUse|Notification|UserPromptSubmit|Stop|SubagentStop|PreCompact|SessionStart'
    rb'|SessionEnd)"'
)
_NAME = re.compile(rb"^name:[ \t]*[\"']?([^\"'\r\n#]{1,100})", re.MULTILINE)


def steering_notes(worktree: Path, reviewers: Sequence[str], *, hooks_run: bool) -> list[str]:
    """Describe what sessions ignore in the worktree's .factory, one line each.

    Args:
        worktree: the folder, which an agent may have had; nothing in it is followed or run.
        reviewers: names of the run's subagents.
        hooks_run: whether droid runs the repository's hooks.
    """
    folder = UntrustedFolder(worktree)
    hooks = [name for name in HOOK_FILES if _HOOK.search(_read(folder, name))]
    what = (
        "its hooks run in this session, also for the reviewers: check the file"
        if hooks_run
        else "its hooks do not run in sessions, because they could change the reviewers' prompts"
    )
    lines = [f"{name}: {what}" for name in hooks]
    return lines + [
        f"{printable(name)}: has the name of lw_coder's reviewer {reviewer}; sessions use lw_coder's"
        for name, reviewer in _namesakes(folder, reviewers)
    ]


def _namesakes(folder: UntrustedFolder, reviewers: Sequence[str]) -> Iterator[tuple[str, str]]:
    try:
        entries = folder.entries(DROIDS)[:_MOST]
    except GitError:
        return
    for entry in entries:
        name = f"{DROIDS}/{entry.name}"
        called = _called(folder, name) if entry.name.endswith(".md") and not entry.is_folder else ""
        if called in reviewers:
            yield name, called


def _called(folder: UntrustedFolder, name: str) -> str:
    found = _NAME.search(_read(folder, name))
    # droid takes `Code Review Auditor` for the same name.
    text = found[1].decode(errors="replace") if found else PurePosixPath(name).stem
    return re.sub(r"[^a-z0-9_]+", "-", text.strip().lower())


def _read(folder: UntrustedFolder, name: str) -> bytes:
    try:
        return folder.read(name, _LIMIT) or b""
    except GitError:  # too long for what it should be; droid reads it, and its hooks do not run
        return b""
