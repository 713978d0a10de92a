"""Which of the user's git settings, attributes and ignore rules also apply in a session.

Only settings that cannot run a program, reach another machine or contain a secret are copied. Content
filters, which do run programs, are handled in `content_filters`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.repository.git import Place, run_git

if TYPE_CHECKING:
    from lw_coder.repository.worktrees import Worktree

_CORE = (
    *("abbrev", "attributesfile", "autocrlf", "bigfilethreshold", "checkroundtripencoding", "checkstat"),
    *("commentchar", "commentstring", "eol", "excludesfile", "filemode", "ignorecase"),
    *("precomposeunicode", "preloadindex", "protecthfs"),
    *("protectntfs", "quotepath", "safecrlf", "sparsecheckout", "sparsecheckoutcone"),
    *("symlinks", "trustctime", "whitespace"),
)
_OTHERS = (
    *("apply.ignorewhitespace", "apply.whitespace", "branch.sort", "commit.cleanup", "commit.status"),
    *("commit.verbose", "diff.algorithm", "diff.colormoved", "diff.context", "diff.ignoresubmodules"),
    *("diff.indentheuristic", "diff.interhunkcontext", "diff.mnemonicprefix", "diff.noprefix"),
    *(
        "diff.renamelimit",
        "diff.renames",
        "diff.submodule",
        "diff.suppressblankempty",
        "diff.wserrorhighlight",
    ),
    *("i18n.commitencoding", "i18n.logoutputencoding", "index.sparse", "index.version", "log.date"),
    *("log.follow", "log.showroot", "merge.conflictstyle", "merge.directoryrenames", "merge.ff", "merge.log"),
    *(
        "merge.renamelimit",
        "merge.renames",
        "merge.stat",
        "pull.ff",
        "pull.rebase",
        "rebase.abbreviatecommands",
    ),
    *("rebase.autosquash", "rebase.autostash", "rebase.missingcommitscheck", "rebase.rebasemerges"),
    *("rebase.stat", "rebase.updaterefs", "rerere.autoupdate", "rerere.enabled"),
    *("sparse.expectfilesoutsideofpatterns", "stash.showincludeuntracked", "status.relativepaths"),
    *("status.renames", "status.showuntrackedfiles", "submodule.recurse", "tag.sort"),
)
_INERT = frozenset((*(f"core.{name}" for name in _CORE), *_OTHERS))
_SYSTEM_ATTRIBUTES = Path("/etc/gitattributes")
_OWN = frozenset((("command", "core.hookspath", "/dev/null"), ("command", "core.fsmonitor", "false")))


class GitSettings(Struct, frozen=True):
    """The user's configuration, as far as a session needs it.

    Attributes:
        inert: settings by name, `section.key` in lower case; none of them can run a program.
        all: all of the user's settings by name, for `content_filters`; they are never written to a file.
        attributes: attributes that apply to all of the user's repositories.
        ignored: ignore rules: first the user's, then the repository's.
    """

    inert: Mapping[str, str]
    all: Mapping[str, str]
    attributes: bytes
    ignored: bytes


def read_settings(
    worktree: Worktree, common_dir: Path, configured: Mapping[str, str] | None = None
) -> GitSettings:
    """Read the settings that the user's git would use in a worktree.

    Args:
        worktree: the worktree.
        common_dir: the repository's git folder.
        configured: the result of `read_configuration` in the worktree, if it is known.

    Raises:
        GitError: git cannot read its configuration.
    """
    found = read_configuration(worktree.place) if configured is None else configured
    inert = {name: value for name, value in found.items() if name in _INERT}
    attributes = _joined(_SYSTEM_ATTRIBUTES, _own_file(inert, "core.attributesfile", "attributes"))
    own_ignored = _own_file(inert, "core.excludesfile", "ignore")
    return GitSettings(inert, found, attributes, _joined(own_ignored, common_dir / "info/exclude"))


def read_configuration(place: Place) -> dict[str, str]:
    """Read git's settings, the last value of each, without those that lw_coder's own calls set.

    Raises:
        GitError: git cannot read its configuration.
    """
    parts = iter(run_git("config", "--null", "--show-scope", "--list", place=place).stdout.split("\0"))
    entries = ((scope, *entry.partition("\n")) for scope, entry in zip(parts, parts, strict=False))
    # A name without a value means true; its entry contains no line break.
    return {
        name: value if separator else "true"
        for scope, name, separator, value in entries
        if (scope, name, value) not in _OWN
    }


def _own_file(settings: dict[str, str], name: str, default: str) -> Path | None:
    """Remove a setting that names a file, and return that file, or git's default.

    A setting with a relative path is not removed: git looks for that file in the worktree, also in a session.
    """
    configured = settings.get(name)
    if configured is None:
        home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(home, "git", default)
    path = Path(configured).expanduser()
    if not path.is_absolute():
        return None
    del settings[name]
    return path


def _joined(*files: Path | None) -> bytes:
    """Join files: a later rule overrides an earlier one, in one file as in two."""
    texts = [file.read_bytes() for file in files if file is not None and _is_readable(file)]
    return b"".join(text if text.endswith(b"\n") or not text else text + b"\n" for text in texts)


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)
