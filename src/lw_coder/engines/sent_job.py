"""node.json in a run's folder: what has been sent where, for a command that comes later."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.json_text import read_json_as
from lw_coder.runs.run_folders import NODE_RECORD, write_file


class SentJob(msgspec.Struct, frozen=True, kw_only=True):
    """What has been sent.

    Attributes:
        engine: the value of `[code] engine`.
        job: the job's name.
        registry: where its result comes to.
        run: digest of the manifest of what was sent.
        attempts: names of the attempts that are known, oldest first.
        is_closed: whether no result of it is wanted any more: one was taken, or it was given up.
    """

    engine: str
    job: str
    registry: str
    run: str
    attempts: tuple[str, ...] = ()
    is_closed: bool = False


def write_sent_job(folder: Path, sent: SentJob) -> None:
    """Write the file.

    Args:
        folder: the run's.
        sent: what it says.
    """
    write_file(folder, NODE_RECORD, msgspec.json.format(msgspec.json.encode(sent)).decode() + "\n")


def read_sent_job(folder: Path) -> SentJob | None:
    """Read the file; None if the run's session was not sent anywhere.

    Args:
        folder: the run's.

    Raises:
        RunError: it is damaged.
    """
    path = folder / NODE_RECORD
    try:
        return read_json_as(path.read_bytes(), SentJob)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise RunError(f"{path}: cannot be read", "remove the run's folder if it is damaged") from None
