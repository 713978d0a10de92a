"""From generated text to the files of a run. Pure; it never imports DSPy."""

from __future__ import annotations

from pathlib import PurePosixPath
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from lw_coder.foundation.errors import PromptError
from lw_coder.foundation.shipped import PACKAGE
from lw_coder.foundation.yaml_text import read_own_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lw_coder.dspy.generated_prompts import GeneratedPrompts
    from lw_coder.plans.plan_file import PlanMetadata

MAIN_PROMPT_FILE = "prompts/main.md"
DROIDS_FOLDER = "droids"
CODE_REVIEW_DROID = "code-review-auditor"
PLAN_ALIGNMENT_DROID = "plan-alignment-checker"

# droid silently accepts an unknown tool, and then runs without it.
KNOWN_TOOLS = frozenset(
    {"Read", "LS", "Grep", "Glob", "Execute", "Create", "Edit", "ApplyPatch", "WebSearch", "FetchUrl"}
)

_NO_IDEA = "The person has not said yet. Begin by asking what is to be planned, and wait for the answer."


class Droid(Struct, frozen=True):
    """A custom droid: its front matter as text and its body."""

    front_matter: str
    body: str


class Subagent(NamedTuple):
    """A droid file of a run: its path below the run's folder, its front matter's keys, and its body."""

    path: str
    front: dict[str, Any]
    body: str


def run_files(plan: PlanMetadata, prompts: GeneratedPrompts) -> dict[str, str]:
    """Render every prompt file of a run, by its path below the run's folder.

    Shipped coding droids without generated text are used unchanged.

    Raises:
        PromptError: droid could not use one of the droid files.
    """
    generated = {
        CODE_REVIEW_DROID: prompts.code_review_prompt,
        PLAN_ALIGNMENT_DROID: prompts.plan_alignment_prompt,
    }
    droids = {
        f"{DROIDS_FOLDER}/{name}.md": render_droid(name, generated.get(name, "")) for name in code_droids()
    }
    return {MAIN_PROMPT_FILE: render_main_prompt(plan, prompts), **droids}


def plan_run_files(git_sha: str, idea: str | None) -> dict[str, str]:
    """Render every prompt file of a run of the plan command, by its path below the run's folder.

    Args:
        git_sha: the commit that the plans are to start from.
        idea: the person's idea, or None: then the agent asks for it.

    Raises:
        PromptError: a droid file would not be one that droid can use.
    """
    droids = {f"{DROIDS_FOLDER}/{name}.md": plan_droid_text(name) for name in plan_droids()}
    frame = Template(_shipped("prompts/plan_frame.md"))
    main = frame.substitute(
        git_sha=git_sha,
        idea=_enclosed("idea", idea) if idea else _NO_IDEA,
        reviewers="\n".join(f"   - `{name}`" for name in plan_droids()),
    )
    return {MAIN_PROMPT_FILE: main, **droids}


def render_main_prompt(plan: PlanMetadata, prompts: GeneratedPrompts) -> str:
    """Insert the plan, word for word, and the generated guidance into the fixed frame.

    The frame contains every duty, so that no answer of a model can lose one. Markers in inserted text are
    not replaced.
    """
    frame = Template(_shipped("prompts/main_frame.md"))
    return frame.substitute(
        plan_id=plan.plan_id,
        git_sha=plan.git_sha,
        outcome=_outcome(plan.evaluation_notes),
        plan=_enclosed("plan", plan.body),
        guidance=_enclosed("guidance", prompts.main_prompt),
        layout=_layout(prompts.feedback_summary),
        code_review=CODE_REVIEW_DROID,
        plan_alignment=PLAN_ALIGNMENT_DROID,
    )


def render_droid(name: str, body: str) -> str:
    """Render the file of a shipped coding droid: its front matter, its ground rules, and `body`.

    The ground rules (read only, verify, how to report) are always included, whatever a model wrote in `body`.

    Raises:
        PromptError: the result is not a droid file of that name with known tools.
    """
    droid = _split(name, _shipped(f"{DROIDS_FOLDER}/{name}.md"))
    addition = f"\n## This plan\n\n{body.strip()}\n" if body.strip() else ""
    text = f"---\n{droid.front_matter}---\n\n{droid.body.strip()}\n{addition}"
    validate_droid(name, text)
    return text


def validate_droid(name: str, text: str) -> None:
    """Check what droid itself would silently accept.

    Raises:
        PromptError: the front matter is not valid YAML, or name, description, model or tools are wrong.
    """
    front = _parse(name, _split(name, text).front_matter)
    tools = front.get("tools")
    if front.get("name") != name:
        raise _broken(name, "its name is not the file's name")
    if not all(isinstance(front.get(key), str) and front[key].strip() for key in ("description", "model")):
        raise _broken(name, "description or model is missing")
    if not isinstance(tools, list) or not tools or not KNOWN_TOOLS.issuperset(map(str, tools)):
        raise _broken(name, f"its tools are not a list of {', '.join(sorted(KNOWN_TOOLS))}")


def subagents(texts: Mapping[str, str]) -> list[Subagent]:
    """Read the droid files among a run's files, which are given by their paths below its folder."""
    return [_subagent(path, text) for path, text in texts.items() if path.startswith(f"{DROIDS_FOLDER}/")]


def _subagent(path: str, text: str) -> Subagent:
    name = PurePosixPath(path).stem
    droid = _split(name, text)
    return Subagent(path, _parse(name, droid.front_matter), droid.body.strip())


def code_droids() -> tuple[str, ...]:
    """Names of the shipped droids of a coding run, sorted, without those of the plan command."""
    return _droid_names(DROIDS_FOLDER)


def plan_droids() -> tuple[str, ...]:
    """Names of the shipped droids of the plan command, sorted."""
    return _droid_names(f"{DROIDS_FOLDER}/plan")


def plan_droid_text(name: str) -> str:
    """Return the shipped file of a droid of the plan command.

    Raises:
        PromptError: it is not a droid file of that name with known tools.
    """
    text = _shipped(f"{DROIDS_FOLDER}/plan/{name}.md")
    validate_droid(name, text)
    return text


def _droid_names(folder: str) -> tuple[str, ...]:
    names = (PurePosixPath(entry.name) for entry in PACKAGE.joinpath(folder).iterdir() if entry.is_file())
    return tuple(sorted(name.stem for name in names if name.suffix == ".md"))


def _shipped(path: str) -> str:
    return PACKAGE.joinpath(path).read_text(encoding="utf-8")


def _split(name: str, text: str) -> Droid:
    opening, fence, rest = text.partition("---\n")
    front_matter, closing, body = rest.partition("\n---\n")
    if opening or not fence or not closing:
        raise _broken(name, "it has no front matter")
    return Droid(f"{front_matter}\n", body)


def _parse(name: str, front_matter: str) -> dict[str, Any]:
    import yaml

    try:
        front = read_own_yaml(front_matter)
    except yaml.YAMLError as error:
        raise _broken(name, "its front matter is not valid YAML") from error
    if not isinstance(front, dict):
        raise _broken(name, "its front matter is not a mapping")
    return front


def _broken(name: str, reason: str) -> PromptError:
    return PromptError(
        f"{name}.md: is not a droid file: {reason}", "reinstall lw_coder, or correct that file"
    )


def _enclosed(tag: str, text: str) -> str:
    """Enclose text in tags that it cannot close itself."""
    number = 1
    unique = tag
    while f"</{unique}>" in text:
        number += 1
        unique = f"{tag}-{number}"
    return f"<{unique}>\n{text.strip()}\n</{unique}>"


def _outcome(notes: tuple[str, ...]) -> str:
    """Return the section on the evaluation notes, which is left out if there are none."""
    lines = (f"- {' '.join(note.split())}\n" for note in notes)
    return f"## How the outcome is judged\n\n{''.join(lines)}\n" if notes else ""


def _layout(summary: dict[str, Any]) -> str:
    sections = (
        (CODE_REVIEW_DROID, summary["code_review"]),
        (PLAN_ALIGNMENT_DROID, summary["plan_alignment"]),
    )
    lines = [f"Title: {summary['title']}"]
    for droid, section in sections:
        lines += [
            "",
            f"Section on `{droid}`: {section['heading']}",
            _item("Findings", section["findings"]),
            _item("Actions taken", section["actions_taken"]),
            _item("Left open", section["left_open"]),
        ]
    return _enclosed("layout", "\n".join([*lines, "", f"Closing: {summary['closing']}"]))


def _item(label: str, text: str) -> str:
    """Format text with any number of lines as one list item."""
    return f"- {label}: " + text.strip().replace("\n", "\n  ")
