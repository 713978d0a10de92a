"""A plan file: Markdown with YAML front matter, which names the commit that it starts from."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import InvalidPlanError
from lw_coder.plans.front_matter import FrontMatter, parse
from lw_coder.plans.plan_rules import (
    STATUSES,
    Hints,
    all_problems,
    any_commit,
    metadata_values,
)
from lw_coder.plans.problems import Problem, shown_path

__all__ = ["MAX_PLAN_BYTES", "STATUSES", "TASKS_FOLDER", "PlanFile", "PlanMetadata", "read_plan"]

TASKS_FOLDER = Path(".lw_coder/tasks")
MAX_PLAN_BYTES = 1_000_000


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


class PlanFile(Struct, frozen=True):
    """A validated plan and where it was read from.

    Attributes:
        path: its file.
        text: the file's text.
        metadata: what the plan says to the model and the agent.
        checks: commands that lw_coder runs over the result, in addition to those of the repository.
        depends_on: ids of the plans whose results it starts from.
    """

    path: Path
    text: str
    metadata: PlanMetadata
    checks: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


class ReadPlan(Struct, frozen=True):
    """A plan file as it was read, valid or not.

    Attributes:
        path: the file.
        text: its text.
        front: its front matter.
        problems: what is wrong with it.
        plan: the plan, if nothing is.
    """

    path: Path
    text: str
    front: FrontMatter
    problems: tuple[Problem, ...]
    plan: PlanFile | None

    def value(self, name: str) -> str | None:
        """Return the text of a key that is in the front matter once or more, as it was read."""
        found = (entry.value for entry in self.front.entries or () if entry.key.text == name)
        return next((value.text for value in found if value.kind == "text"), None)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a key whose value is a list, as they were read."""
        found = (entry.value for entry in self.front.entries or () if entry.key.text == name)
        return next((tuple(item.text for item in value.items) for value in found), ())

    def line(self, name: str) -> int | None:
        """Return the line of a key."""
        found = (entry.key.line for entry in self.front.entries or () if entry.key.text == name)
        return next(found, None)


def read_plan(path: Path) -> PlanFile:
    """Read and validate one plan file, without git and without other plans.

    Raises:
        PlanError: the file cannot be read, or breaks a rule; the message names the file and the field.
    """
    return require_valid(examine_plan(path, Hints(path.stem, any_commit)))


def examine_plan(path: Path, hints: Hints) -> ReadPlan:
    """Read one plan file, and find everything that is wrong with it, without git and without other plans."""
    text = read_text(path)
    if isinstance(text, Problem):
        return ReadPlan(path, "", FrontMatter(None, ""), (text,), None)
    front = parse(text)
    problems = tuple(all_problems(front, hints))
    if problems or front.entries is None:
        return ReadPlan(path, text, front, problems, None)
    values = metadata_values(front.entries)
    beside = {name: values.pop(name, ()) for name in ("checks", "depends_on")}
    metadata = PlanMetadata(**values, body=front.body)
    return ReadPlan(path, text, front, (), PlanFile(path, text, metadata, **beside))


def require_valid(read: ReadPlan) -> PlanFile:
    """Return the plan of a file.

    Raises:
        PlanError: something is wrong with it; it shows each problem on a line of its own.
    """
    if read.plan is None or read.problems:
        place = shown_path(read.path)
        raise InvalidPlanError([problem.error(place) for problem in read.problems])
    return read.plan


def read_text(path: Path) -> str | Problem:
    r"""Return a plan's text, with \n at the end of each line, or why it cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe would block, a device would never end
            return Problem("is not a file", "name a Markdown file")
        if found.st_size > MAX_PLAN_BYTES:
            return Problem("is too large for a plan", "keep it below a megabyte")
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return Problem("is not UTF-8 text", "save the plan as UTF-8")
    except OSError as error:
        return unreadable(error)
    return text if "\n" in text else text.replace("\r", "\n")


def unreadable(error: OSError) -> Problem:
    """Return the problem of a file that cannot be read."""
    return Problem(f"cannot be read: {error.strerror}", "check the path and its permissions")
