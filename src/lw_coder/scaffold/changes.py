"""What `lw_coder init` would change in a repository: files to create, replace, extend or keep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import SetUpError
from lw_coder.scaffold import texts
from lw_coder.scaffold.checks import guess_checks
from lw_coder.scaffold.kinds import extras_for_tests

OWN_FOLDER = Path(".lw_coder")
DOCKERFILE = OWN_FOLDER / "code.Dockerfile"
TASKS = OWN_FOLDER / "tasks"
SAMPLE_ID = "first-plan"
SAMPLE = TASKS / f"{SAMPLE_ID}.md"
IGNORE_FILE = Path(".gitignore")


class Action(Enum):
    """What happens to a file; the values are shown to the person."""

    CREATE = "create"
    REPLACE = "replace"
    EXTEND = "add to"
    KEEP = "keep"


class Change(Struct, frozen=True):
    """A file, and what happens to it.

    Attributes:
        path: relative to the repository's root.
        action: what happens.
        content: all of its new content; empty if it is kept.
        note: what it is for, in a few words.
    """

    path: Path
    action: Action
    content: bytes = b""
    note: str = ""


def plan_changes(
    root: Path, kinds: Sequence[str], *, against_gateway: str = "", hides_env: bool, force: bool
) -> list[Change]:
    """Decide about each file except the sample plan; nothing is written.

    Args:
        root: the repository's root.
        kinds: the project's kinds.
        against_gateway: why the model gateway cannot be used, or empty.
        hides_env: whether git ignores env files already.
        force: whether files that exist are replaced.

    Raises:
        SetUpError: there is something else in the place of a file or folder.
    """
    for folder in (OWN_FOLDER, TASKS):
        _require_folder(root, folder)
    named, checks = ", ".join(kinds), guess_checks(root, kinds)
    settings = texts.config(texts.Choices(checks, against_gateway))
    files = (
        (OWN_FOLDER / "config.toml", settings, _described(checks, against_gateway)),
        (DOCKERFILE, texts.dockerfile(kinds, extras_for_tests(root)), f"the session's image, for: {named}"),
        (
            OWN_FOLDER / ".dockerignore",
            texts.context_ignore_rules(kinds),
            "what the image's build leaves out",
        ),
        (OWN_FOLDER / ".gitignore", texts.own_ignore_rules(), "git ignores runs and worktrees"),
    )
    changes = [_change(root, *file, force=force) for file in files]
    return changes if hides_env else [*changes, _extended(root, IGNORE_FILE)]


def _described(checks: Sequence[str], against_gateway: str) -> str:
    gateway = "without the gateway" if against_gateway else "with the gateway"
    return f"settings: {gateway}, checks: {', '.join(checks) or 'none found'}"


def plan_sample(root: Path, git_sha: str, *, force: bool) -> Change | None:
    """Decide about the sample plan; None if there are other plans.

    Args:
        root: the repository's root.
        git_sha: the commit that it starts from.
        force: whether an existing sample plan is replaced.
    """
    if any((root / TASKS).glob("*.md")) and not os.path.lexists(root / SAMPLE):
        return None
    note = f"a sample plan, from commit {git_sha[:12]}" if git_sha else "a sample plan, from that commit"
    return _change(root, SAMPLE, texts.sample_plan(git_sha), note, force=force)


def _change(root: Path, path: Path, text: str, note: str, *, force: bool) -> Change:
    if not os.path.lexists(root / path):
        return Change(path, Action.CREATE, text.encode(), note)
    if not force:
        return Change(path, Action.KEEP, note="is there already; --force replaces it")
    _require_file(root, path)
    return Change(path, Action.REPLACE, text.encode(), note)


def _extended(root: Path, path: Path) -> Change:
    rules, note = texts.env_ignore_rules().encode(), "git ignores env files, which hold keys"
    if not os.path.lexists(root / path):
        return Change(path, Action.CREATE, rules, note)
    _require_file(root, path)
    old = _content(root, path)
    gap = b"" if not old else b"\n" if old.endswith(b"\n") else b"\n\n"
    return Change(path, Action.EXTEND, old + gap + rules, note)


def _content(root: Path, path: Path) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise SetUpError(f"{path}: cannot be read: {error.strerror}", "check its permissions") from error


def _require_file(root: Path, path: Path) -> None:
    place = root / path
    if place.is_symlink() or not place.is_file():
        raise SetUpError(f"{path}: is not a regular file", "move it away")


def _require_folder(root: Path, path: Path) -> None:
    place = root / path
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise SetUpError(f"{path}: is not a folder", "move it away")
