"""Plan files of many shapes, as people and models write them: each is accepted, or becomes valid.

A refused plan is corrected by doing what the messages say, and nothing else, until it is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lw_coder.plans.find_plan import find_plan
from lw_coder.plans.plan_checks import check_plans, load_plan
from lw_coder.plans.plan_file import STATUSES, TASKS_FOLDER, ReadPlan
from lw_coder.plans.problems import Problem
from lw_coder.repository.git import find_repository
from tests.support.git_repository import GitRepository, make_repository

BODY = """
# Task Plan: Drive the workflow

## Objectives
- Extend `tool code` to drive a session; see #12 & !important.
- [ ] Not front matter: just text

---

```yaml
---
plan_id: an-example
---
```

## Test scenarios
```gherkin
Scenario: It works
  Given a file
  Then it is read
```
"""
ODD_NOTES = (
    *(
        "Issue #12 is fixed",
        "#12 is fixed",
        "&name is kept",
        "!important",
        "*All* tests pass",
        "Note: it works",
    ),
    *(
        "Trailing colon:",
        "[ ] Tests pass",
        "[x] Done",
        "[a, b]",
        "`make test` passes",
        '"quoted" at the start',
    ),
    *(
        "'single' at the start",
        '"unclosed',
        "@decorators work",
        "%s is replaced",
        "> 90 % coverage",
        ">= 3.11",
    ),
    *("| a | table |", "{name} is replaced", "- nested", "? what", '"C:\\dir"', "x: y # z", "text # comment"),
    *(": colon", "'unclosed", "<a>: b", "https://example.com/#a #b", "key: [a", "- [ ] nested task", "*"),
)


# What stands for the id of HEAD, and for other ways to write it.
IDS: dict[str, Callable[[str], str]] = {
    "@full@": lambda sha: sha,
    "@short@": lambda sha: sha[:7],
    "@upper@": lambda sha: sha.upper(),
    "@long@": lambda sha: sha + sha,
}


def front(
    notes: str = " []", *more: str, sha: str = "@full@", plan_id: str = "a-plan", status: str = "draft"
) -> str:
    lines = [
        f"plan_id: {plan_id}",
        f"git_sha: {sha}",
        f"status: {status}",
        f"evaluation_notes:{notes}",
        *more,
    ]
    return "---\n" + "\n".join(lines) + f"\n---\n{BODY}"


def with_notes(*notes: str, indent: str = "  ") -> str:
    return "".join(f"\n{indent}- {note}" for note in notes)


RIGHT = {
    "as in the task plan": front(),
    **{f"status {status}": front(status=status) for status in STATUSES},
    "quoted values": front(sha='"@full@"', plan_id="'a-plan'", status='"draft"'),
    "comments": front(" # none yet\n  - a\n  # more\n  - b").replace("draft", "draft # or ready"),
    "every key": front(
        *(with_notes("a", "b"), "linear_issue_id: ENG-12", "created_by: A Person <a@example.com>"),
        *("created_at: 2025-10-01T12:00:00+02:00", "notes: more text"),
    ),
    "keys without a value": front(" []", "linear_issue_id:", "created_by: null", "notes: ~"),
    "a date as id": front(plan_id="2025-10-01"),
    "a number as id": front(plan_id="12345"),
    "block scalars": front(with_notes("|\n    - [ ] a: b # c\n    & d", ">-\n    e\n    f")),
    "notes in a block": front(" []", "notes: |\n  - a\n  key: b # c"),
    "long notes": front(with_notes("word " * 400, "first line\n    second line")),
    "dashes in the first column": front(with_notes("a", "b", indent="")),
    "notes in brackets": front(' [a, "b: c", d]'),
    "signs within notes": front(
        with_notes("C:\\new\\path", "caf\u00e9 \u2013 \U0001f600", "100%", "a & b! c*")
    ),
    "blank lines": front("\n\n  - a\n\n  - b\n").replace("plan_id", "\nplan_id"),
    "keys in another order": (
        f"---\nevaluation_notes: []\nstatus: ready\ngit_sha: @full@\nplan_id: a-plan\n---\n{BODY}"
    ),
    "line ends of Windows": front(with_notes("a", "b")).replace("\n", "\r\n"),
    "line ends of an old Mac": front(with_notes("a", "b")).replace("\n", "\r"),
    "a byte order mark": "\ufeff" + front(),
    "spaces behind everything": front(with_notes("a", "b")).replace("\n", "  \n"),
    "tabs in the body": front() + "\tcode\n",
}
WRONG = {
    **{f"note {note}": front(with_notes("first", note, "last")) for note in ODD_NOTES},
    "all odd notes": front(with_notes(*ODD_NOTES)),
    "odd notes with Windows's line ends": front(with_notes(*ODD_NOTES[:5])).replace("\n", "\r\n"),
    "odd notes in the first column": front(with_notes(*ODD_NOTES[:5], indent="")),
    "an odd note behind a byte order mark": "\ufeff" + front(with_notes(ODD_NOTES[0])),
    "an empty note": front("\n  - a\n  -\n  - b"),
    "an empty note between quotes": front('\n  - a\n  - ""\n  - b'),
    "notes as a text": front(" Tests pass"),
    "notes as nothing": front(""),
    "notes with a tab": front("\n\t- a\n\t- b"),
    "a lone tab": front("\n  -\ta"),
    "an odd text": front(" []", "notes: see #12: it works", "created_by: @me"),
    "a table": front(" []", "notes:\n  a: b"),
    "a key within a text": front(" []", "notes: a: b"),
    "sha HEAD": front(sha="HEAD"),
    "sha short": front(sha="@short@"),
    "sha upper": front(sha="@upper@"),
    "sha of another length": front(sha="@long@"),
    "sha branch": front(sha="main"),
    "sha placeholder": front(sha="<git sha>"),
    "sha braces": front(sha="{{git_sha}}"),
    "sha brackets": front(sha="[git_sha]"),
    "sha at signs": front(sha="@GIT_SHA@"),
    "sha TODO": front(sha="TODO"),
    "sha command": front(sha="$(git rev-parse HEAD)"),
    "sha backticks": front(sha="`git rev-parse HEAD`"),
    "sha none": front(sha=""),
    "sha anchor": front(sha="&sha @full@"),
    "sha unknown": front(sha="de528997b23028fdd0732ae6d17a8c11ad6c6348"),
    "status Done": front(status="Done"),
    "status implemented": front(status="implemented"),
    "status none": front(status=""),
    "status several": front(status="[draft, ready]"),
    "id with spaces": front(plan_id="a plan of mine"),
    "id with a slash": front(plan_id="feature/x"),
    "id with an end": front(plan_id="a-plan."),
    "id with a colon": front(plan_id="a: plan"),
    "id placeholder": front(plan_id="<plan_id>"),
    "id none": front(plan_id=""),
    "unknown keys": front(" []", "title: x", "priority: high", "tags: [a, b]"),
    "misspelt keys": front().replace("plan_id", "planId").replace("evaluation_notes", "evaluation-notes"),
    "a repeated key": front(" []", "status: draft"),
    "missing keys": f"---\nplan_id: a-plan\n---\n{BODY}",
    "nothing in it": f"---\n---\n{BODY}",
    "no front matter": BODY.replace("---\n", ""),
    "front matter in a code block": BODY.replace("---\n", "") + "```yaml\nplan_id: x\n```\n",
    "no end": front().replace("\n---\n", "\n").replace("```", ""),
    "no beginning": front().removeprefix("---\n"),
    "a blank line first": "\n" + front(),
    "no space after the colon": front().replace("status: ", "status:"),
    "no space after the dash": front("\n  - a\n  -b"),
    "an indented key": front().replace("\nstatus", "\n  status"),
    "an equals sign": front().replace("plan_id: ", "plan_id = "),
    "a key as an item": front().replace("plan_id: ", "- plan_id: "),
    "two beginnings": "---\n" + front(),
    "four dashes": "-" + front(),
    "an indented beginning": "  " + front(),
    "a comment above": "<!-- a plan -->\n" + front(),
    "odd notes in brackets": front(' [a, "b", @c]'),
    "a line separator": front(" []", "notes: a\u2028b"),
    "a control character": front(" []", "notes: a\x00b"),
}


def filled(text: str, sha: str) -> str:
    for name, written in IDS.items():
        text = text.replace(name, written(sha))
    return text


def repaired(text: str, problems: tuple[Problem, ...]) -> str:
    """Do what each message says to type, from the last line to the first."""
    lines = text.split("\n")
    for problem in sorted(problems, key=lambda found: -(found.line or 0)):
        assert problem.remedy, problem
        _repair(lines, problem, problem.remedy)
    return "\n".join(lines)


def _repair(lines: list[str], problem: Problem, remedy: str) -> None:
    at = (problem.line or 1) - 1
    for pattern, step in STEPS.items():
        if found := re.search(pattern, remedy):
            step(lines, at, found)
            return
    raise AssertionError(remedy)


def _begin(lines: list[str], _at: int, found: re.Match[str]) -> None:
    lines[:0] = ["---", *found[1].split(", "), "---"]


def _end(lines: list[str], _at: int, found: re.Match[str]) -> None:
    lines.insert(int(found[2]) - (found[1] == "above"), "---")


def _write(lines: list[str], at: int, found: re.Match[str]) -> None:
    had_tab = "\t" in lines[at]
    lines[at] = found[1]
    lines[:] = [line.replace("\t", "  ") if had_tab else line for line in lines]


def _without_nul(lines: list[str], at: int, _found: re.Match[str]) -> None:
    lines[at] = lines[at].replace("\0", "")


def _rename(lines: list[str], at: int, found: re.Match[str]) -> None:
    lines[at] = re.sub(r"^[^:]+", found[1], lines[at])


def _first_status(lines: list[str], at: int, found: re.Match[str]) -> None:
    _replace(lines, at, re.match(r"(status: \w+)", f"status: {found[1]}"))


def _replace(lines: list[str], at: int, found: re.Match[str] | None) -> None:
    assert found is not None
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    lines[at] = indent + found[1]
    while len(lines) > at + 1 and re.match(rf"{indent}  ", lines[at + 1]):
        del lines[at + 1]


KEYS = "plan_id|git_sha|status|evaluation_notes"
STEPS: dict[str, Callable[[list[str], int, re.Match[str]], object]] = {
    r"put it between quotes: (.*?)(?:, or remove it)?$": _replace,
    r"add the line (\w+: .*?)(?: \(that is HEAD\))?$": lambda lines, _, found: lines.insert(1, found[1]),
    r"begin the file with ---, (.*), ---$": _begin,
    r"write a line with --- (above|below) line (\d+)": _end,
    r"write (\w+) instead, or remove it": _rename,
    rf"(?:write|none:) ((?:{KEYS}): \S.*?)(?: \(that| for none|$)": _replace,
    r"use one of (\w+)": _first_status,
    r"put each item between quotes: (.*)": _replace,
    r"write: (.*)": _write,
    r"remove the character": _without_nul,
    r"remove the lines above|remove line": lambda lines, *_: lines.pop(0),
    r"remove|keep one": lambda lines, at, _: lines.pop(at),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    return make_repository(tmp_path_factory.mktemp("shapes") / "repo")


def check(made: GitRepository, text: str) -> tuple[Path, ReadPlan]:
    path = made.write(f"{TASKS_FOLDER}/a-plan.md", "")
    path.write_bytes(text.encode())
    (read,) = check_plans(find_repository(made.path), [path])
    return path, read


@pytest.mark.parametrize("shape", RIGHT)
def test_plans_that_are_right(made: GitRepository, shape: str) -> None:
    path, read = check(made, filled(RIGHT[shape], made.head()))
    assert read.problems == ()
    assert read.plan is not None
    assert read.plan.metadata.body.startswith("# Task Plan: Drive the workflow")
    assert load_plan(find_repository(made.path), str(path)) == read.plan


@pytest.mark.parametrize("shape", WRONG)
def test_plans_that_are_right_after_what_the_messages_say(made: GitRepository, shape: str) -> None:
    text = filled(WRONG[shape], made.head())
    path, read = check(made, text)
    assert read.problems, text
    for _ in range(3):
        assert all("\n" not in problem.described("x") + problem.remedy for problem in read.problems)
        assert find_plan(made.path, "a-plan") == path
        text = repaired(text, read.problems)
        _, read = check(made, text)
        if not read.problems:
            return
    raise AssertionError(f"{read.problems}\n{text}")


def test_there_are_as_many_shapes_as_plans_of_the_first_lw_coder() -> None:
    assert len(RIGHT) + len(WRONG) >= 96


def test_all_odd_notes_are_kept_word_for_word(made: GitRepository) -> None:
    text = filled(WRONG["all odd notes"], made.head())
    _, read = check(made, repaired(text, check(made, text)[1].problems))
    assert read.plan is not None
    unquoted = {'"unclosed': "unclosed", '"C:\\dir"': "C:\\dir"}
    assert read.plan.metadata.evaluation_notes == tuple(unquoted.get(note, note) for note in ODD_NOTES)
