"""Find plans by path, by id and by file name. A tasks folder may hold thousands: few files are parsed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lw_coder.foundation.errors import PlanError
from lw_coder.foundation.files import resolved
from lw_coder.foundation.folders import entries_of
from lw_coder.foundation.report import printable
from lw_coder.plans.front_matter import loose_text, parse
from lw_coder.plans.plan_file import TASKS_FOLDER, read_text, unreadable
from lw_coder.plans.problems import Problem, shown_path

_HEAD = 4096  # bytes; most front matter ends within them
_SUFFIX = ".md"

_FRONT = re.compile(rb"\A(?:\xef\xbb\xbf)?---.*?^---[ \t]*\r?(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_ID_LINE = re.compile(rb"^plan_id:[ \t]*[\"']?([A-Za-z0-9._-]{3,100})[\"']?[ \t\r]*$", re.MULTILINE)


def find_plan(root: Path, name: str) -> Path:
    """Find the file of a plan, which may be invalid.

    Args:
        root: the repository's root.
        name: a path, the id of a plan in the tasks folder, or the name of a file there, with or without .md.

    A name without a slash and without .md is first an id: a file of that name in the current folder hides no
    plan.

    Raises:
        PlanError: there is no such plan, or more than one.
    """
    path = Path(name)
    try:
        is_folder = path.is_dir()
        if (path.name != name or path.suffix == _SUFFIX) and os.path.lexists(path) and not is_folder:
            return resolved(path)
        found = _in_tasks(root, name) or (resolved(path) if path.is_file() else None)
    except OSError as error:
        raise unreadable(error).error(shown_path(path)) from error
    if found is None:
        raise _not_found(root, name, is_folder=is_folder)
    return found


def _in_tasks(root: Path, name: str) -> Path | None:
    matches = plans_with_id(root, name)
    if len(matches) > 1:
        raise PlanError(_shared_message(root, name, matches), "give each plan its own plan_id")
    if matches:
        return matches[0]
    stem = name.removesuffix(_SUFFIX)
    return root / TASKS_FOLDER / f"{stem}{_SUFFIX}" if f"{stem}{_SUFFIX}" in _names(root) else None


def _not_found(root: Path, name: str, *, is_folder: bool) -> PlanError:
    from lw_coder.foundation.known_names import did_you_mean, listed

    if is_folder:
        return PlanError(f"{printable(name)}: is a folder, not a plan", "name a Markdown file or a plan id")
    known = sorted({*plan_ids(root / TASKS_FOLDER), *(Path(file).stem for file in _names(root))})
    there_are = f"name a plan file, or one of: {listed(known)}" if known else "there are no plans yet"
    message = f"{printable(name)}: no such file, and no plan with that id or file name in {TASKS_FOLDER}/"
    return PlanError(message, f"{did_you_mean(name, known)} {there_are}".strip())


def _names(root: Path) -> list[str]:
    return plan_names(root / TASKS_FOLDER)


def shared_id(root: Path, path: Path, plan_id: str) -> Problem | None:
    """Return the problem if another plan in the tasks folder has the same id."""
    own = resolved(path)
    others = [other for other in plans_with_id(root, plan_id) if resolved(other) != own]
    return shared_id_problem(root, plan_id, others) if others else None


def shared_id_problem(root: Path, plan_id: str, others: list[Path]) -> Problem:
    """Return the problem of an id that other plans have too."""
    names = ", ".join(_relative(root, path) for path in others)
    problem = f"{plan_id!r} is used by more than one plan: also by {names}"
    return Problem(problem, "give each plan its own plan_id", field="plan_id")


def plans_with_id(root: Path, plan_id: str) -> list[Path]:
    """List the files in the tasks folder with this plan_id, also those that are not valid."""
    folder, wanted = root / TASKS_FOLDER, plan_id.encode(errors="surrogateescape")
    names = [name for name in plan_names(folder) if _may_hold(f"{folder}/{name}", wanted)]
    return [folder / name for name in names if plan_id_of(folder / name) == plan_id]


def plan_id_of(path: Path) -> str | None:
    """Return the plan_id in a file, as far as it can be read."""
    text = read_text(path)
    return None if isinstance(text, Problem) else _id_in(text)


def plan_names(folder: Path) -> list[str]:
    """List the names of the Markdown files in a folder, sorted; there may be thousands.

    Raises:
        FolderError: it cannot be read, or a file is in its place.
    """
    return [entry.name for entry in entries_of(folder) if entry.name.endswith(_SUFFIX)]


def plan_ids(folder: Path) -> set[str]:
    """Return the plan ids in a folder that are written in the usual way, without validation."""
    found = (usual_id(folder / name) for name in plan_names(folder))
    return {plan_id for plan_id in found if plan_id}


def usual_id(path: Path) -> str | None:
    """Return a file's plan_id if it is written in the usual way, without reading all of the file."""
    front = _FRONT.match(_read_head(str(path)))
    found = _ID_LINE.search(front[0]) if front else None
    return found[1].decode() if found else None


def _id_in(text: str) -> str | None:
    front = parse(text)
    if front.entries is None:
        return loose_text(text, "plan_id")
    values = (entry.value for entry in front.entries if entry.key.text == "plan_id")
    return next((value.text for value in values if value.kind == "text"), None)


def _may_hold(path: str, word: bytes) -> bool:
    """Return, without parsing YAML, whether front matter may contain a word, literally or escaped."""
    head = _read_head(path)
    front = _FRONT.match(head)
    if front is None:  # its end may come later, or be missing
        return len(head) == _HEAD or word in head
    return word in front[0] or b"\\" in front[0]


def _read_head(path: str) -> bytes:
    """Read the beginning of a file; empty if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # do not wait for a pipe
    except OSError:
        return b""
    try:
        return os.read(descriptor, _HEAD)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _shared_message(root: Path, plan_id: str, paths: list[Path]) -> str:
    names = ", ".join(_relative(root, path) for path in paths)
    return f"plan_id: {plan_id!r} is used by more than one plan: {names}"


def _relative(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
