"""The folder of a batch, `.lw_coder/batches/<UTC time>/`, and its state file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from lw_coder.batches.states import Batch
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.json_text import read_json_as
from lw_coder.runs.run_folders import KEEP, disk_error, make_private, remove_tree, write_file

BATCHES_FOLDER = Path(".lw_coder/batches")
STATE_FILE = "batch.json"

_TIMESTAMP = "%Y%m%dT%H%M%SZ"


class BatchFolder(Struct, frozen=True):
    """Where a batch keeps what it knows; only the owner can read it.

    Attributes:
        folder: its path, which ends in the batch's UTC timestamp.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The batch's UTC timestamp, followed by a number if there already was one in that second."""
        return self.folder.name

    @property
    def state_file(self) -> Path:
        """The state of each plan."""
        return self.folder / STATE_FILE

    def log(self, plan_id: str) -> Path:
        """What the run of a plan printed on standard error."""
        return self.folder / "plans" / plan_id / "log.txt"

    def result(self, plan_id: str) -> Path:
        """The JSON document that the run of a plan printed; empty until it has ended."""
        return self.folder / "plans" / plan_id / "result.json"

    def write(self, batch: Batch) -> None:
        """Replace the state file, atomically.

        Raises:
            RunError: it cannot be written.
        """
        try:
            write_file(self.folder, STATE_FILE, json.dumps(batch.as_json(), indent=2) + "\n")
        except OSError as error:
            raise disk_error(self.state_file, error) from error

    def read(self) -> Batch:
        """Read the state file.

        Raises:
            RunError: it is missing or damaged.
        """
        try:
            return read_json_as(self.state_file.read_bytes(), Batch)
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.state_file}: cannot be read", "remove the batch's folder if it is damaged"
            ) from error


def open_batch(root: Path, now: datetime | None = None) -> BatchFolder:
    """Create the folder of a new batch.

    Raises:
        RunError: it cannot be created.
    """
    parent = root / BATCHES_FOLDER
    name = (now or datetime.now(UTC)).strftime(_TIMESTAMP)
    try:
        make_private(parent, gitignore=True)
        return BatchFolder(_made(parent, name))
    except OSError as error:
        raise disk_error(parent, error) from error


def list_batches(root: Path) -> list[BatchFolder]:
    """List the batches that have a state file, oldest first."""
    return [BatchFolder(file.parent) for file in sorted((root / BATCHES_FOLDER).glob(f"*/{STATE_FILE}"))]


def prune_batches(root: Path, keep: timedelta = KEEP) -> None:
    """Remove the batches that are older than that, as runs are; what they carried out is in the runs."""
    oldest = f"{datetime.now(UTC) - keep:{_TIMESTAMP}}"
    for batch in list_batches(root):
        if batch.name < oldest:
            remove_tree(batch.folder)


def _made(parent: Path, name: str) -> Path:
    folder, number = parent / name, 1
    while True:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
            folder = parent / f"{name}-{number}"
        else:
            return folder
