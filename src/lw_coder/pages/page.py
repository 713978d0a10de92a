"""A run as one HTML page that needs nothing else: no network, no server, no script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.signals import interruptible
from lw_coder.pages.brief import extent
from lw_coder.pages.changes import FileChange, shown_changes
from lw_coder.pages.colours import Colours
from lw_coder.pages.facts import Facts, tone_of
from lw_coder.pages.fields import Fields
from lw_coder.pages.html import head_values, page_environment
from lw_coder.pages.markdown import to_html
from lw_coder.pages.run_files import FileText, RunFiles
from lw_coder.pages.transcript import Transcript, read_transcript
from lw_coder.pages.visible import shortened
from lw_coder.repository.git import Repository, text_lines
from lw_coder.repository.patches import Commit, has_both, read_commits, read_patches
from lw_coder.runs.run_folders import Run
from lw_coder.sessions.event_log import SUMMARY_FILE

if TYPE_CHECKING:
    from jinja2 import Environment

_SPEC = ("compose.yml", "services.yml", "code.Dockerfile", "allow_hosts.filter")
_SESSION_LINE = re.compile(r"\Asession_id: [^\n]*\n")  # droid puts it before a subagent's report
_LONGEST_WORDS = 100_000  # characters of a Markdown text
_LONGEST_TITLE = 200
_LOG_SHOWN = 8_000  # bytes at the end of a check's log


class Changes(Struct, frozen=True):
    """What a run has changed; `is_known` is false if the repository has not got its commits."""

    is_known: bool
    commits: tuple[Commit, ...] = ()
    files: tuple[FileChange, ...] = ()
    counted: str = ""


def render_page(
    repository: Repository,
    run: Run,
    record: Mapping[str, Any],
    score: Mapping[str, Any],
    redaction: Redaction,
) -> str:
    """Return the page of a run.

    Args:
        repository: the run's.
        run: the run.
        record: its run.json.
        score: the person's score of it, and their feedback; both None if there is none.
        redaction: replaces the values of variables in what the agent wrote and committed.

    Raises:
        GitError: git failed.
    """
    with interruptible():  # nothing is made that would have to be removed
        facts, colours = Facts(redaction.json(dict(record))), Colours()
        files = RunFiles(run.folder, redaction)
        transcript = read_transcript(files)
        prompts = [files.text("prompts/main.md"), *files.texts("droids", ".md")]
        shown = {
            **head_values("page.css"),
            "run": run,
            "title": _title(facts, run),
            "facts": facts,
            "score": Fields(dict(score)),
            "plan": _plan(facts),
            "summary": _summary(files, transcript),
            "changes": _changes(repository, facts, colours, redaction),
            "transcript": transcript,
            "prompts": [text for text in prompts if text],
            "spec": [text for text in map(files.text, _SPEC) if text],
            "colours": colours,
        }
        return _environment(files, colours).get_template("page.html.j2").render(shown)


def _plan(facts: Facts) -> Fields:
    return facts.record.inner("signature").inner("inputs").inner("plan")


def _title(facts: Facts, run: Run) -> str:
    """Return the heading of the plan, or the run's name."""
    lines = text_lines(_plan(facts).text("body"))
    heading = next((line for line in lines if line.startswith("# ")), "")
    return heading.removeprefix("# ").strip()[:_LONGEST_TITLE] or run.identity


def _summary(files: RunFiles, transcript: Transcript) -> str:
    """Return what the agent wrote at its end."""
    if summary := files.text(SUMMARY_FILE):
        return summary.shown
    return next((conversation.last_words for conversation in transcript.conversations), "")


def _changes(repository: Repository, facts: Facts, colours: Colours, redaction: Redaction) -> Changes:
    base, tip = facts.base, facts.tip
    if not has_both(repository, base, tip):
        return Changes(is_known=False)
    try:
        patches = read_patches(repository, base, tip)
        commits = tuple(read_commits(repository, base, tip))
    except GitError:  # a part of the history is missing; the rest is worth showing
        return Changes(is_known=False)
    return Changes(
        is_known=True,
        commits=commits,
        files=tuple(shown_changes(patches, colours, redaction)),
        counted=extent(patches),
    )


def _environment(files: RunFiles, colours: Colours) -> Environment:
    environment = page_environment()
    environment.filters["markdown"] = lambda text: to_html(shortened(text, _LONGEST_WORDS))
    environment.filters["report"] = lambda text: _SESSION_LINE.sub("", text)
    environment.filters["tone"] = tone_of
    environment.globals["counted"] = counted
    environment.globals["log_of"] = lambda name: files.text(name, _LOG_SHOWN, end=True)
    environment.globals["coloured"] = lambda text: _coloured(text, colours)
    return environment


def _coloured(text: FileText, colours: Colours) -> Markup:
    name = f"{text.name}.yml" if text.name.endswith((".yml", ".yaml")) else "Dockerfile"
    return Markup("\n").join(colours.lines(name, text.shown))
