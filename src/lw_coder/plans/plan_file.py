"""A plan file: Markdown with YAML front matter, which names the commit that it starts from."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lw_coder.foundation.errors import PlanError
from lw_coder.foundation.nesting import DEEPEST, bracket_depth
from lw_coder.foundation.report import printable

STATUSES = ("draft", "ready", "coding", "review", "done", "abandoned")
TASKS_FOLDER = Path(".lw_coder/tasks")
MAX_PLAN_BYTES = 1_000_000

_LONGEST_FRONT = 100_000  # characters, which take a second to parse
_HEAD = 4096  # bytes; most front matter ends within them

_FENCE = re.compile(r"\A---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_FRONT = re.compile(rb"\A(?:\xef\xbb\xbf)?---.*?^---[ \t]*\r?(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_ID_LINE = re.compile(rb"^plan_id:[ \t]*[\"']?([A-Za-z0-9._-]{3,100})[\"']?[ \t\r]*$", re.MULTILINE)
_PLAN_ID = re.compile(r"[A-Za-z0-9._-]{3,100}")
_GIT_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class PlanMetadata:
    """What a plan says: nothing in it depends on the machine or on the time of the run.

    Attributes:
        plan_id: the plan's name among the repository's plans; also names its branch and folders.
        git_sha: full hex id of the commit that the plan starts from.
        status: one of STATUSES.
        evaluation_notes: what a good outcome is judged by; may be empty.
        body: the Markdown below the front matter.
        linear_issue_id: the ticket that it came from, or None.
        created_by: who wrote the plan, or None.
        created_at: when, as the file says it, or None.
        notes: free text for people, or None.
    """

    plan_id: str
    git_sha: str
    status: str
    evaluation_notes: tuple[str, ...]
    body: str
    linear_issue_id: str | None = None
    created_by: str | None = None
    created_at: str | None = None
    notes: str | None = None


_OPTIONAL = tuple(field.name for field in fields(PlanMetadata) if field.default is None)
_REQUIRED = ("plan_id", "git_sha", "status", "evaluation_notes")
_SHOWN_LENGTH = 60  # characters of a wrong value that a message repeats
_SHOWN_PATH_LENGTH = 300
_WRITE_KEYS = f"write {', '.join(_REQUIRED)} as key: value"


@dataclass(frozen=True)
class PlanFile:
    """A validated plan and where it was read from."""

    path: Path
    text: str
    metadata: PlanMetadata


def read_plan(path: Path) -> PlanFile:
    """Read and validate one plan file, without git and without other plans.

    Raises:
        PlanError: the file cannot be read, or breaks a rule; the message names the file and the field.
    """
    text = _read_text(path)
    front, body = _split(path, text)
    return PlanFile(path, text, _metadata(path, front, body))


def load_plan(root: Path, name: str) -> PlanFile:
    """Find and read the plan called `name`, and check that no other has its id.

    Raises:
        PlanError: as `find_plan`, `read_plan` and `require_unique_id`.
    """
    plan = read_plan(find_plan(root, name))
    if Path(name).is_file():  # otherwise it was found by its id, which is unique
        require_unique_id(root, plan)
    return plan


def find_plan(root: Path, name: str) -> Path:
    """Find the file of a plan: `name` is a path, or the id of a plan in the repository's tasks folder.

    Raises:
        PlanError: there is no such file and no plan with that id, or more than one.
    """
    path = Path(name)
    try:
        if path.is_file():
            return path.resolve()
        is_folder = path.is_dir()
    except OSError as error:
        raise _unreadable(name, error) from error
    matches = plans_with_id(root, name)
    if not matches and is_folder:
        raise PlanError(f"{printable(name)}: is a folder, not a plan", "name a Markdown file or a plan id")
    if not matches:
        raise PlanError(
            f"{printable(name)}: no such file, and no plan with that id in {TASKS_FOLDER}/",
            f"name a plan file, or one of the ids in {TASKS_FOLDER}/",
        )
    if len(matches) > 1:
        raise PlanError(_duplicate_message(root, name, matches), "give each plan its own plan_id")
    return matches[0]


def require_unique_id(root: Path, plan: PlanFile) -> None:
    """Raise an error if another plan in the repository's tasks folder has the same id.

    Raises:
        PlanError: it names the files that share the id.
    """
    own = plan.path.resolve()
    others = [path for path in plans_with_id(root, plan.metadata.plan_id) if path.resolve() != own]
    if others:
        message = _duplicate_message(root, plan.metadata.plan_id, [plan.path, *others])
        raise PlanError(message, "give each plan its own plan_id")


def plans_with_id(root: Path, plan_id: str) -> list[Path]:
    """List the files in the tasks folder whose front matter has this plan_id; skip invalid ones."""
    folder, wanted = root / TASKS_FOLDER, plan_id.encode(errors="surrogateescape")
    names = [name for name in plan_names(folder) if _may_hold(f"{folder}/{name}", wanted)]
    return [folder / name for name in names if _plan_id_of(folder / name) == plan_id]


def plan_names(folder: Path) -> list[str]:
    """List the names of the Markdown files in a folder, sorted; there may be thousands."""
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".md"))
    except OSError:
        return []


def plan_ids(folder: Path) -> set[str]:
    """Return the plan ids in a folder that are written in the usual way, without validation."""
    heads = (_read_head(f"{folder}/{name}") for name in plan_names(folder))
    fronts = (front[0] for head in heads if (front := _FRONT.match(head)))
    return {found[1].decode() for front in fronts if (found := _ID_LINE.search(front))}


def _may_hold(path: str, word: bytes) -> bool:
    """Return, without parsing YAML, whether front matter may contain a word, literally or escaped."""
    head = _read_head(path)
    front = _FRONT.match(head)
    if front is None:
        return len(head) == _HEAD  # its end may come later
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


def _plan_id_of(path: Path) -> str | None:
    try:
        front, _ = _split(path, _read_text(path))
    except PlanError:
        return None
    found = front.get("plan_id")
    return found if isinstance(found, str) else None


def _duplicate_message(root: Path, plan_id: str, paths: list[Path]) -> str:
    names = ", ".join(_relative(root, path) for path in paths)
    return f"plan_id: {plan_id!r} is used by more than one plan: {names}"


def _relative(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _read_text(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe would block, a device would never end
            raise PlanError(f"{path}: is not a file", "name a Markdown file")
        if found.st_size > MAX_PLAN_BYTES:
            raise PlanError(f"{path}: is too large for a plan", "keep it below a megabyte")
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: is not UTF-8 text", "save the plan as UTF-8") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | str, error: OSError) -> PlanError:
    name = printable(str(path))
    if len(name) > _SHOWN_PATH_LENGTH:
        name = f"...{name[-_SHOWN_PATH_LENGTH:]}"  # the end of a path is the distinctive part
    return PlanError(f"{name}: cannot be read: {error.strerror}", "check the path and its permissions")


def _split(path: Path, text: str) -> tuple[dict[str, Any], str]:
    match = _FENCE.match(text)
    if match is None:
        raise PlanError(
            f"{path}: has no front matter between two lines of ---",
            f"begin the file with ---, the keys {', '.join(_REQUIRED)}, and ---",
        )
    return _parse_front_matter(path, match["front"]), match["body"].strip()


def _parse_front_matter(path: Path, front: str) -> dict[str, Any]:
    import yaml

    if len(front) > _LONGEST_FRONT:  # libyaml would be faster, but deep nesting overflows its stack
        raise PlanError(f"{path}: the front matter is too long", "put the plan itself below it")
    if bracket_depth(front) > DEEPEST:  # PyYAML would take a second, and much of the stack
        raise PlanError(f"{path}: the front matter is nested too deeply", _WRITE_KEYS)
    try:
        # BaseLoader does not convert scalars to numbers or dates: a sha with only digits stays text.
        node = yaml.compose(front, yaml.BaseLoader)
        if not isinstance(node, yaml.MappingNode):
            raise PlanError(f"{path}: the front matter is not a mapping", _WRITE_KEYS)
        _refuse_repeated_keys(path, [key.value for key, _ in node.value])
        return dict(yaml.load(front, yaml.BaseLoader))  # noqa: S506 - BaseLoader creates only text, lists and mappings
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 2}" if mark else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise PlanError(
            f"{path}{line}: the front matter is not valid YAML: {problem}", "correct that line"
        ) from error
    except RecursionError as error:
        raise PlanError(f"{path}: the front matter is nested too deeply", _WRITE_KEYS) from error


def _refuse_repeated_keys(path: Path, keys: list[Any]) -> None:
    seen: set[str] = set()
    for key in keys:
        if str(key) in seen:
            raise PlanError(
                f"{path}: {_quoted_key(key)}: appears twice in the front matter", "keep one of the two"
            )
        seen.add(str(key))  # a key can be a list, which is not hashable


def _metadata(path: Path, front: dict[str, Any], body: str) -> PlanMetadata:
    _refuse_unknown_and_missing(path, front)
    _check_id(path, front["plan_id"])
    _check_sha(path, front["git_sha"])
    _check_status(path, front["status"])
    notes = _evaluation_notes(path, front["evaluation_notes"])
    if not body:
        raise PlanError(f"{path}: there is no plan below the front matter", "write what to do, in Markdown")
    optional = {key: _optional_text(path, key, front[key]) for key in _OPTIONAL if key in front}
    return PlanMetadata(front["plan_id"], front["git_sha"], front["status"], notes, body, **optional)


def _refuse_unknown_and_missing(path: Path, front: dict[str, Any]) -> None:
    known = (*_REQUIRED, *_OPTIONAL)
    for key in front:
        if key not in known:
            raise PlanError(
                f"{path}: {_quoted_key(key)}: unknown key", f"remove it; known keys: {', '.join(known)}"
            )
    for key in _REQUIRED:
        if key not in front:
            raise PlanError(f"{path}: {key}: is missing", f"add {key} to the front matter")


def _check_id(path: Path, plan_id: Any) -> None:
    if not isinstance(plan_id, str) or not _PLAN_ID.fullmatch(plan_id) or ".." in plan_id:
        raise PlanError(
            f"{path}: plan_id: {_quoted(plan_id)} is not a valid id",
            "use 3 to 100 letters, digits, dots, underscores or hyphens, without two dots in a row",
        )
    if plan_id.startswith(".") or plan_id.endswith((".", ".lock")):
        raise PlanError(
            f"{path}: plan_id: {_quoted(plan_id)} is not valid in a branch name",
            "choose one that neither begins nor ends with a dot, and does not end in .lock",
        )


def _check_sha(path: Path, sha: Any) -> None:
    if not isinstance(sha, str) or not _GIT_SHA.fullmatch(sha):
        raise PlanError(
            f"{path}: git_sha: {_quoted(sha)} is not a full commit id",
            "write the 40 lower-case hex digits that `git rev-parse HEAD` prints (64 in a sha256 repository)",
        )


def _check_status(path: Path, status: Any) -> None:
    if status not in STATUSES:
        raise PlanError(f"{path}: status: {_quoted(status)} is unknown", f"use one of {', '.join(STATUSES)}")


def _evaluation_notes(path: Path, notes: Any) -> tuple[str, ...]:
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise PlanError(f"{path}: evaluation_notes: is not a list of strings", "write a list, or [] for none")
    return tuple(notes)


def _optional_text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{path}: {key}: is not a string", f"write {key} as one line, or remove it")
    return value


def _quoted(value: Any) -> str:
    # Show only text: YAML's aliases can turn a few lines into a list of billions.
    return _shortened(ascii(value)) if isinstance(value, str) else f"a {type(value).__name__}"


def _quoted_key(key: Any) -> str:
    return _shortened(printable(key)) if isinstance(key, str) else _quoted(key)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "..."
