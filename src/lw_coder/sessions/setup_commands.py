"""The commands of `[code] setup`, which run in a session's container before its agent is started."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.containers.build_output import last_lines, shortened
from lw_coder.containers.specs import Mount
from lw_coder.foundation import bounded_log, redaction
from lw_coder.foundation.bounded_log import KEPT
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import printable, tell, warn
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.runs.run_folders import remove_tree, write_file
from lw_coder.runs.session_result import SessionResult, SetupFailure
from lw_coder.sessions.event_log import SETUP_LOG as LOG_FILE
from lw_coder.sessions.session_watch import SETUP_END as _END
from lw_coder.sessions.session_watch import SETUP_FOLDER as FOLDER

if TYPE_CHECKING:
    from lw_coder.foundation.redaction import Redaction

_TARGET = "/lw_coder-setup"
_SCRIPT = "run-setup"
_OUT = "out"  # the only folder of these that the container can write to
_FAILED = 79  # the status of a container whose setup failed; compose/run_setup.py knows it
_LONGEST_END = 1000  # bytes
_LONGEST_LOG = 4 * KEPT  # bytes; the container's own log is shorter


def write_setup_files(folder: Path, commands: Sequence[str], variables: Iterable[str]) -> None:
    """Write what runs the commands in the container, and what it uses of lw_coder.

    Args:
        folder: the run's.
        commands: what is run.
        variables: names of those whose values are removed from what is kept.
    """
    given = {"commands": list(commands), "variables": sorted(set(variables))}
    write_file(folder, f"{FOLDER}/commands.json", json.dumps(given, indent=2) + "\n")
    program = (shipped_folder("compose") / "run_setup.py").read_text(encoding="ascii")
    write_file(folder, f"{FOLDER}/{_SCRIPT}", program).chmod(0o700)
    for module in (bounded_log, redaction):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        write_file(folder, f"{FOLDER}/{module.__name__.replace('.', '/')}.py", text)
    (folder / FOLDER / _OUT).mkdir(mode=0o700)


def setup_mounts(folder: Path) -> tuple[Mount, ...]:
    """List the mounts that the commands need.

    Args:
        folder: the run's.
    """
    own = folder / FOLDER
    return Mount(own, _TARGET), Mount(own / _OUT, f"{_TARGET}/{_OUT}", read_only=False)


def with_setup(
    folder: Path, commands: Sequence[str], hidden: Redaction, result: SessionResult
) -> SessionResult:
    """Keep what the commands printed, as setup.log; add to a session's result that one of them failed.

    The container could write anything to the folder that it had. So nothing is followed, and little is read.

    Args:
        folder: the run's.
        commands: what was run.
        hidden: removes the values of the session's variables, also those of several lines.
        result: how the session ended.
    """
    untrusted = UntrustedFolder(folder)
    printed = untrusted.read_part(f"{FOLDER}/{_OUT}/log", 0, _LONGEST_LOG)
    text, end = hidden.text(printed.decode(errors="replace")), _end(untrusted)
    try:
        write_file(folder, LOG_FILE, text)
        remove_tree(folder / FOLDER / _OUT)
        (folder / FOLDER / _OUT).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        warn(f"{printable(str(folder / LOG_FILE))}: cannot be written: {error.strerror}")
    if result.status != _FAILED:
        if end is None and result.outcome in {"completed", "failed"}:
            warn("setup: the image has a start-session of its own, which has not run the setup commands")
        return result
    return replace(result, setup=_failure(end, commands, text, hidden))


class _End(Struct, frozen=True):
    """The number of the command that failed, from 1, or 0; and its status."""

    number: int
    status: int


def _end(folder: UntrustedFolder) -> _End | None:
    with suppress(GitError, ValueError, KeyError, TypeError):
        told: dict[str, Any] = read_json(folder.read(_END, _LONGEST_END) or b"")
        return _End(int(told["failed"]), int(told["status"]))
    return None


def _failure(end: _End | None, commands: Sequence[str], text: str, hidden: Redaction) -> SetupFailure:
    """Describe the failure; a container that says nothing about it could not run the commands at all."""
    if end is None or not 0 < end.number <= len(commands):
        return SetupFailure("the commands of [code] setup could not be run", last_lines(text.split("\n")))
    command = shortened(printable(hidden.text(commands[end.number - 1])))
    *lines, _ = text.rstrip("\n").split("\n")  # the last one says what is told here
    what = f"the setup command failed with status {end.status}: {command}"
    return SetupFailure(what, last_lines(lines))


def report_setup_failure(failure: SetupFailure) -> None:
    """Show the last lines that the failed command printed."""
    if failure.tail:
        tell("Setup:    the command that failed printed at its end:")
    for line in failure.tail:
        tell(f"  | {line}")
