"""Run folders, `.lw_coder/runs/<plan_id>/<UTC timestamp>/`: open, seal, list and prune them.

As long as a run is prepared, an empty file `.partial-<UTC timestamp>` is beside its folder. Such a run is not
listed. The folder has its name from the beginning: Docker looks up what a container mounts each time that it
starts it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.files import read_regular
from lw_coder.foundation.folders import entries_of, make_folder, remove_if_unused
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.system_errors import is_full, remedy_of
from lw_coder.runs.record_shape import SCHEMA, fault_of_record

RUNS_FOLDER = Path(".lw_coder/runs")
RECORD = "run.json"
NODE_RECORD = "node.json"  # of a run whose session was sent to a node
KEEP = timedelta(days=30)

_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(?P<time>\d{8}T\d{6}Z)(?:-\d+)?")
_PARTIAL = ".partial-"
_COPIES = ("quarantine-", "index-", ".context-")  # temporary folders in a run's folder
_DAMAGED_REMEDY = "if no other version of lw_coder wrote it, remove the run's folder"


class Run(Struct, frozen=True):
    """A run's folder.

    Attributes:
        plan_id: the plan that it carries out.
        name: its UTC timestamp, followed by a number if there already was a run in that second.
        folder: its folder.
        made: the parent folders that were created for it, the innermost first.
    """

    plan_id: str
    name: str
    folder: Path
    made: tuple[Path, ...] = ()

    @property
    def identity(self) -> str:
        """`<plan_id>/<name>`, which is also part of the names of its imported refs."""
        return f"{self.plan_id}/{self.name}"

    @property
    def record(self) -> Path:
        """run.json: what the run was made from, and how it ended."""
        return self.folder / RECORD

    @property
    def started(self) -> datetime:
        """The time in the folder's name, which pruning uses."""
        return _time_of(self.name)

    @property
    def number(self) -> int:
        """Which of the plan's runs of that second it is: 1, 2, ..."""
        return _order(self.name)[1]

    def is_there(self) -> bool:
        """Return whether its folder exists; another command can have removed it since it was listed."""
        return self.folder.is_dir()


def open_run(root: Path, plan_id: str, now: datetime | None = None) -> Run:
    """Create the folder of a new run, which is partial until it is sealed.

    Its name is the present time, or the time of the plan's newest run with the next number if the clock has
    been set back since: by their names, the runs have the order in which they began.

    Raises:
        RunError: the folder cannot be created.
    """
    runs, parent = root / RUNS_FOLDER, root / RUNS_FOLDER / plan_id
    made = tuple(folder for folder in (parent, runs) if not folder.exists())
    timestamp = (now or datetime.now(UTC)).strftime(_TIMESTAMP)
    try:
        name = _opened(parent, timestamp)
    except OSError as error:
        _remove_if_empty(*made)
        raise disk_error(runs, error) from error
    return Run(plan_id, name, parent / name, made)


def _opened(parent: Path, timestamp: str, attempts: int = 100) -> str:
    """Create the folders; another command that fails at this moment can remove those that it made."""
    try:
        make_private(parent.parent, gitignore=True)
        make_private(parent)
        name = _make_run(parent, timestamp)
    except FileNotFoundError:
        if attempts > 1:
            return _opened(parent, timestamp, attempts - 1)
        raise
    make_private(parent.parent, gitignore=True)
    return name


def make_private(folder: Path, *, gitignore: bool = False) -> None:
    """Create a folder that only its owner can read; with `gitignore`, git sees nothing that is in it.

    Raises:
        RunError: it is a symbolic link.
        OSError: it cannot be created.
    """
    if folder.is_symlink():
        raise RunError(f"{folder}: is a symbolic link", "replace it with a folder")
    make_folder(folder, gitignore=gitignore)  # private, because prompts and transcripts are


def remove_abandoned(root: Path, plan_id: str) -> None:
    """Remove what killed commands left of a plan's runs, as `abandoned_folders` lists it.

    The caller holds the plan's lock.
    """
    for folder in _abandoned(root / RUNS_FOLDER / plan_id):
        remove_abandoned_folder(folder)


def abandoned_folders(root: Path) -> list[tuple[str, Path]]:
    """List what killed commands left among the runs, with the ids of the plans: partial runs, and copies.

    The copies are of objects and indexes that were being imported. A command of the plan may still be using
    them: the caller makes sure that its lock is free.
    """
    return [(plan.name, folder) for plan in _folders(root / RUNS_FOLDER) for folder in _abandoned(plan)]


def _abandoned(plan: Path) -> list[Path]:
    return [
        *_partial(plan),
        *(copy for run in _sealed(plan) for copy in _folders(run) if copy.name.startswith(_COPIES)),
    ]


def _partial(plan: Path) -> Iterator[Path]:
    """Yield the folders of runs that are not sealed, and those that are being removed."""
    for entry in entries_of(plan):
        if entry.name.startswith(_PARTIAL):
            is_folder = entry.is_dir(follow_symlinks=False)
            yield Path(entry.path) if is_folder else plan / entry.name.removeprefix(_PARTIAL)


def remove_abandoned_folder(folder: Path) -> bool:
    """Remove a folder that `abandoned_folders` has listed; return whether nothing is left of it.

    A run that has been sealed since then stays. One that lacked nothing but its seal is sealed: its plan's
    next start finds how it ended.
    """
    if not _is_run_name(folder.name):
        return remove_tree(folder)
    is_done = _is_sealed(folder) or (folder / RECORD).is_file() or remove_tree(folder)
    if is_done:
        _marker(folder).unlink(missing_ok=True)
    return is_done


@contextmanager
def removed_on_failure(run: Run) -> Iterator[Run]:
    """Remove the run if the block fails before it is sealed."""
    try:
        yield run
    except BaseException as error:
        if _marker(run.folder).exists():
            _remove_partial(run)
        _remove_if_empty(*run.made)
        if isinstance(error, OSError):
            raise _unusable(error, run) from error
        raise


def _remove_partial(run: Run) -> None:
    # The record first: with it, a run that is not sealed counts as complete.
    run.record.unlink(missing_ok=True)
    if remove_tree(run.folder):
        _marker(run.folder).unlink(missing_ok=True)


def has_partial_runs(root: Path) -> bool:
    """Return whether a run is being prepared, or was when its command was killed."""
    return any(_marker(folder).exists() for _, folder in abandoned_folders(root))


def seal_run(run: Run) -> Run:
    """Let a complete run be listed, atomically."""
    _marker(run.folder).unlink()
    return Run(run.plan_id, run.name, run.folder)


def write_file(folder: Path, relative: str, text: str) -> Path:
    """Write a file of a run atomically, readable by its owner only.

    Raises:
        RunError: the text cannot be encoded, for example because of a path that is not UTF-8.
    """
    path, content = folder / relative, _encoded(relative, text)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # a killed process may have left it
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        remedy = "find the path or name that is not UTF-8, and rename it"
        raise RunError(f"{name}: would contain text that is not UTF-8", remedy) from None


def write_record(run: Run, record: Mapping[str, Any]) -> None:
    """Write run.json."""
    write_file(run.folder, RECORD, json.dumps(record, indent=2, ensure_ascii=True, sort_keys=True) + "\n")


def read_record(run: Run) -> dict[str, Any]:
    """Read run.json.

    Raises:
        RunError: it is missing or damaged, or a newer lw_coder wrote it.
    """
    try:
        text = read_regular(run.record).decode()
        # No number of ours is infinite; JSON that is printed has none.
        document = read_json(text, finite=True)
    except (OSError, ValueError) as error:
        raise RunError(f"{run.record}: cannot be read", _DAMAGED_REMEDY) from error
    if isinstance(document, dict):
        _require_known_schema(run, document.get("schema"))
    if fault := fault_of_record(document):
        raise RunError(f"{run.record}: is not a run record: {fault}", _DAMAGED_REMEDY)
    return dict(document)


def _require_known_schema(run: Run, schema: object) -> None:
    if isinstance(schema, int) and schema > SCHEMA:
        raise RunError(
            f"{run.record}: was written by a newer lw_coder: its schema is {schema}",
            "use the newer lw_coder for this run",
        )


def list_runs(root: Path, plan_id: str | None = None) -> list[Run]:
    """List the sealed runs, of one plan or of all, oldest first within a plan.

    Raises:
        FolderError: a folder of runs cannot be read, or a file is in its place.
    """
    plans = [root / RUNS_FOLDER / plan_id] if plan_id else _folders(root / RUNS_FOLDER)
    return [Run(plan.name, run.name, run) for plan in plans for run in _sealed(plan)]


def newest_record(root: Path, plan_id: str) -> tuple[Run, dict[str, Any]] | None:
    """Return a plan's newest run and its record, or None; one that is being removed does not count.

    Raises:
        RunError: the record is damaged.
        FolderError: as `list_runs`.
    """
    for run in reversed(list_runs(root, plan_id)):
        try:
            return run, read_record(run)
        except RunError:
            if run.is_there():
                raise
    return None


def _sealed(plan: Path) -> list[Path]:
    runs = (run for run in _folders(plan) if _is_run_name(run.name) and _is_sealed(run))
    return sorted(runs, key=lambda run: _order(run.name))


def _is_sealed(run: Path) -> bool:
    # A command that fails removes the folder, then the marker; the next one can get the same name at once.
    return not _marker(run).exists() and run.is_dir() and not _marker(run).exists()


def _marker(run: Path) -> Path:
    return run.with_name(f"{_PARTIAL}{run.name}")


def oldest_first(runs: Iterable[Run]) -> list[Run]:
    """Sort runs of several plans by the times in their names."""
    return sorted(runs, key=lambda run: (run.started, run.number, run.plan_id))


def runs_to_prune(root: Path, now: datetime | None = None, keep: timedelta = KEEP) -> list[Run]:
    """List the sealed runs that are older than `keep`, by the timestamp in their names."""
    oldest = (now or datetime.now(UTC)) - keep
    return [run for run in list_runs(root) if run.started < oldest]


def remove_run(run: Run) -> bool:
    """Remove a run's folder, and its plan's folder if that was the last; return whether nothing is left.

    One that another command has removed is no error.
    """
    # Renamed first: a partly removed run must not look like a complete one.
    doomed = run.folder.with_name(f"{_PARTIAL}{run.name}-removed")
    try:
        run.folder.rename(doomed)
    except FileNotFoundError:
        return True
    is_gone = remove_tree(doomed)
    _remove_if_empty(run.folder.parent)
    return is_gone


def remove_tree(folder: Path) -> bool:
    """Remove a folder that an agent may have made hard to remove: read-only, deep, with symlinks.

    Returns:
        Whether nothing is left of it.
    """
    if folder.is_symlink():
        folder.unlink()
        return True
    emptied, waiting = [], [folder]
    while waiting:
        emptied.append(waiting.pop())
        waiting += _emptied(emptied[-1], folder)
    for inner in reversed(emptied):
        with suppress(OSError):
            inner.rmdir()
    return not os.path.lexists(folder)


def _emptied(folder: Path, top: Path) -> list[Path]:
    """Remove a folder's files and move its folders to the top, which avoids long paths and recursion."""
    moved: list[Path] = []
    entries: list[os.DirEntry[str]] = []
    with suppress(OSError):
        folder.chmod(0o700)
        entries += os.scandir(folder)
    for entry in entries:
        with suppress(OSError):  # another command may be removing it too
            if entry.is_dir(follow_symlinks=False):
                Path(entry.path).chmod(0o700)
                moved.append(Path(entry.path).rename(top / secrets.token_hex(8)))
            else:
                Path(entry.path).unlink()
    return moved


def _make_run(parent: Path, timestamp: str) -> str:
    """Create the folder under the first free name after all others, safely with other processes."""
    names = (entry.name for entry in entries_of(parent))
    newest, last = max((_order(name) for name in names if _is_run_name(name)), default=("", 0))
    timestamp, number = (timestamp, 1) if timestamp > newest else (newest, last + 1)
    while not _is_made(parent, name := timestamp if number == 1 else f"{timestamp}-{number}"):
        number += 1
    return name


def _order(name: str) -> tuple[str, int]:
    """Return what sorts the names of a plan's runs: the time, and which run of that second it is."""
    timestamp, _, number = name.partition("-")
    return timestamp, int(number or 1)


def _is_made(parent: Path, name: str) -> bool:
    folder = parent / name
    if folder.exists():
        return False
    try:
        _marker(folder).touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        _marker(folder).unlink()
        if isinstance(error, FileExistsError):  # another command has made and sealed it meanwhile
            return False
        raise
    return True


def _time_of(name: str) -> datetime:
    match = _NAME.fullmatch(name)
    try:
        return datetime.strptime(match["time"] if match else "", _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:  # not a run name, or not a valid date
        raise RunError(f"{name}: is not the name of a run", "`lw_coder runs list` shows all runs") from None


def _is_run_name(name: str) -> bool:
    try:
        _time_of(name)
    except RunError:
        return False
    return True


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in entries_of(folder) if entry.is_dir(follow_symlinks=False)]


def _remove_if_empty(*folders: Path) -> None:
    """Remove folders, the innermost first, that contain nothing except lw_coder's .gitignore."""
    for folder in folders:
        remove_if_unused(folder)


def _unusable(error: OSError, run: Run) -> RunError:
    """Make the error for what could not be read or written while a run was prepared."""
    path = Path(os.fsdecode(error.filename2 or error.filename or run.folder))
    if is_full(error):
        return disk_error(path, error)
    return RunError(f"{path}: {error.strerror or type(error).__name__}", remedy_of(error))


def disk_error(path: Path, error: OSError) -> RunError:
    """Make the error for a file or folder of a run that cannot be written."""
    reason = error.strerror or type(error).__name__
    return RunError(f"{path}: cannot be written: {reason}", remedy_of(error))
