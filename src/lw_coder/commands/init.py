"""`lw_coder init`: the files that a repository needs for a first session, fitted to the project."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct

from lw_coder.containers.docker_command import Question
from lw_coder.containers.engine import MIN_ISOLATING, require_isolation
from lw_coder.foundation.errors import EngineError, ExitCode, LwCoderError, SetUpError
from lw_coder.foundation.report import printable, tell
from lw_coder.foundation.signals import interruptible
from lw_coder.repository import git
from lw_coder.repository.first_commit import files_to_commit, make_first_commit
from lw_coder.scaffold.changes import SAMPLE, SAMPLE_ID, TASKS, Action, Change, plan_changes, plan_sample
from lw_coder.scaffold.kinds import find_kinds
from lw_coder.scaffold.texts import env_ignore_rules
from lw_coder.scaffold.writing import written
from lw_coder.sessions.login import has_login
from lw_coder.settings.config import load_config_or_defaults
from lw_coder.settings.environment import API_KEY, DEFAULT_ENV_FILE, has_key, read_env_file

_MOST_NAMED = 4  # files


class Intent(Struct, frozen=True):
    """What the command is about to do.

    Attributes:
        repository: the person's.
        head: the commit that the sample plan starts from; empty if there is none, and the first one is made.
        to_commit: files that the first commit will hold, besides those that are written.
        changes: the files, except the sample plan.
        sample: the sample plan; None if there are other plans.
        force: whether files that exist are replaced.
    """

    repository: git.Repository
    head: str
    to_commit: Sequence[str]
    changes: Sequence[Change]
    sample: Change | None
    force: bool

    @property
    def files(self) -> list[Change]:
        """All files."""
        return [*self.changes, *([self.sample] if self.sample else [])]

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return bool(self.head) and all(change.action is Action.KEEP for change in self.files)


def run_init_command(start: Path, kinds: Sequence[str], *, yes: bool, force: bool) -> ExitCode:
    """Write what a repository needs for a first session, after asking once.

    Args:
        start: a folder in the repository.
        kinds: the project's kinds; empty to find them by its files.
        yes: do not ask.
        force: replace files that exist.

    Returns:
        ERROR if the person declined.

    Raises:
        LwCoderError: there is no repository, or a file or the first commit cannot be made; nothing changed.
    """
    repository = git.find_repository(start)
    intent = _intent(repository, tuple(dict.fromkeys(kinds)) or find_kinds(repository.root), force=force)
    _show(intent)
    if not intent.is_done:
        if not (yes or _agrees()):
            tell("Nothing was written.")
            return ExitCode.ERROR
        _carry_out(intent)
    _report_what_is_left(intent)
    return ExitCode.OK


def _intent(repository: git.Repository, kinds: Sequence[str], *, force: bool) -> Intent:
    root = repository.root
    hides_env = all(git.is_ignored(repository, root / name) for name in (DEFAULT_ENV_FILE, ".env.local"))
    against = _against_gateway(root)
    changes = plan_changes(root, kinds, against_gateway=against, hides_env=hides_env, force=force)
    head, to_commit = _head(repository), []
    if not head:
        git.require_identity(git.Place(root))
        to_commit = files_to_commit(repository, _rules())
    return Intent(repository, head, to_commit, changes, plan_sample(root, head, force=force), force)


def _against_gateway(root: Path) -> str:
    """Say why sessions here cannot use the model gateway; empty if they can, as far as that is known."""
    if has_login(_variables(root), Path.home()):
        return "the agent signs in with Factory, whose server asks the models itself"
    version = Question("version", "--format", "{{.Server.Version}}").answer()
    try:
        if version:
            require_isolation(version)
    except EngineError:
        return f"Docker Engine {printable(version)} cannot isolate a network, but {MIN_ISOLATING} or later"
    return ""


def _variables(root: Path) -> dict[str, str]:
    try:
        return {**read_env_file(root / DEFAULT_ENV_FILE), **os.environ}
    except LwCoderError:
        return dict(os.environ)


def _head(repository: git.Repository) -> str:
    return "" if git.is_empty(repository) else git.head_commit(repository)


def _rules() -> list[str]:
    return [line for line in env_ignore_rules().split("\n") if line and not line.startswith("#")]


def _show(intent: Intent) -> None:
    tell(f"lw_coder init in {intent.repository.root}:")
    width = max(len(str(change.path)) for change in intent.files)
    for change in intent.files:
        tell(f"  {change.action.value.ljust(7)}  {str(change.path).ljust(width)}  {change.note}".rstrip())
    if not intent.head:
        tell(f"  commit   {_described(intent.to_commit)}: a plan starts from a commit, and there is none")


def _described(names: Sequence[str]) -> str:
    if not names:
        return "these files, except the plan"
    shown = ", ".join([*names[:_MOST_NAMED], *(["..."] if len(names) > _MOST_NAMED else [])])
    return f"these files, except the plan, and {len(names)} more that git does not ignore ({shown})"


def _agrees() -> bool:
    try:
        with interruptible():
            return click.confirm("Do this?", err=True)
    except click.Abort:
        raise SetUpError("lw_coder init asks before it writes, and got no answer", "add --yes") from None


def _carry_out(intent: Intent) -> None:
    root, head = intent.repository.root, intent.head
    with written(root, intent.changes):
        head = head or make_first_commit(intent.repository)
    sample = plan_sample(root, head, force=intent.force)
    with written(root, [sample] if sample else []):
        pass


def _report_what_is_left(intent: Intent) -> None:
    root = intent.repository.root
    key = _key_step(root)
    plan = f"edit {root / SAMPLE}" if intent.sample else f"choose one of those in {root / TASKS}"
    if key:
        tell("Two things are left for you:")
        tell(f"  1. the key: {key}")
        tell(f"  2. the plan: {plan}")
    else:
        tell(f"One thing is left for you, the plan: {plan}")
    tell(f"Then type: lw_coder code {SAMPLE_ID if intent.sample else '<plan id>'}")


def _key_step(root: Path) -> str:
    """Return what is to be done for the key; empty if it is set."""
    try:
        env_file = load_config_or_defaults(root).env_file
    except LwCoderError:
        env_file = None  # the next command says what is wrong with the config
    if has_key(root, env_file, os.environ):
        return ""
    return f"write {API_KEY}=<your key from openrouter.ai/keys> into {root / (env_file or DEFAULT_ENV_FILE)}"
