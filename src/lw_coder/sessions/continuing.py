"""Go on with the conversation of an earlier run: find it, and copy it for a new session."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lw_coder.foundation.errors import GitError, RunError
from lw_coder.foundation.json_text import read_json
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.runs.run_folders import Run, read_record, write_file
from lw_coder.sessions.transcripts import SESSIONS

if TYPE_CHECKING:
    from lw_coder.foundation.redaction import Redaction

LONGEST = 128 << 20  # bytes of a conversation; ten hours of work make about 20 MB
_FOLDER = f"{SESSIONS}/-workspace"  # droid names it after the session's working directory
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIRST_LINE = 1 << 16  # bytes
_SETTINGS = ".settings.json"


class Conversation(Struct, frozen=True):
    """The conversation of an earlier run.

    Attributes:
        run: the earlier run.
        name: droid's id of it, the name of its files.
    """

    run: Run
    name: str


def find_conversation(runs: Sequence[Run], what: str) -> Conversation:
    """Return the conversation of the newest of some runs that has one.

    Args:
        runs: the runs, the oldest first.
        what: what they are, for the message.

    Raises:
        RunError: none of them has a conversation that can be gone on with.
    """
    for run in reversed(runs):
        if name := _main_conversation(run):
            return Conversation(run, name)
    raise RunError(
        f"{what}: there is no conversation of droid's to go on with",
        "leave out --continue, to begin a new one",
    )


def copy_conversation(conversation: Conversation, target: Path, redaction: Redaction) -> None:
    """Copy a conversation's files, without secrets, into the folder of a new run.

    Raises:
        RunError: they cannot be read, or are too large.
    """
    folder = UntrustedFolder(conversation.run.folder)
    name = f"{_FOLDER}/{conversation.name}"
    for suffix in (".jsonl", _SETTINGS):
        try:
            content = folder.read(name + suffix, LONGEST)
        except GitError:
            raise RunError(
                f"{conversation.run.identity}: its conversation is longer than {LONGEST} bytes",
                "leave out --continue, to begin a new one",
            ) from None
        if content is not None:
            write_file(target, name + suffix, _without_secrets(content, redaction))


def _main_conversation(run: Run) -> str | None:
    """Return the id that is recorded, or that of the newest transcript that no other agent started."""
    folder = UntrustedFolder(run.folder)
    recorded = _recorded(run)
    if _ID.fullmatch(recorded) and _begins(folder, f"{recorded}.jsonl"):
        return recorded
    try:
        names = [entry.name for entry in folder.entries(_FOLDER) if entry.name.endswith(".jsonl")]
    except GitError:
        return None
    own = [name for name in names if _is_main(folder, name)]
    newest = max(own, key=lambda name: _modified(folder, name), default=None)
    return newest.removesuffix(".jsonl") if newest else None


def _recorded(run: Run) -> str:
    try:
        agent = (read_record(run).get("ended") or {}).get("agent")
    except RunError:
        return ""
    return str(agent.get("conversation", "")) if isinstance(agent, dict) else ""


def _begins(folder: UntrustedFolder, name: str) -> bytes:
    """Return the first line of a transcript; empty for a link, a pipe or an empty file."""
    return folder.read_part(f"{_FOLDER}/{name}", 0, _FIRST_LINE).partition(b"\n")[0]


def _is_main(folder: UntrustedFolder, name: str) -> bool:
    start = _json(_begins(folder, name).decode(errors="replace"))
    is_start = isinstance(start, dict) and start.get("type") == "session_start"
    return is_start and "callingSessionId" not in start and bool(_ID.fullmatch(name.removesuffix(".jsonl")))


def _modified(folder: UntrustedFolder, name: str) -> int:
    found = folder.stat(f"{_FOLDER}/{name}")
    return found.st_mtime_ns if found else 0


def _without_secrets(content: bytes, redaction: Redaction) -> str:
    lines = content.decode(errors="replace").split("\n")
    return "\n".join(_safe_line(line, redaction) for line in lines)


def _safe_line(line: str, redaction: Redaction) -> str:
    value = _json(line)
    if value is None:
        return redaction.text(line)
    safe = redaction.json(value)
    return line if safe == value else json.dumps(safe, ensure_ascii=False, separators=(",", ":"))


def _json(line: str) -> Any:
    try:
        return read_json(line)
    except ValueError:
        return None
