"""Which of the person's git settings, attributes and ignore rules a session's git gets as well.

Only settings that can run nothing, that reach no other machine and that hold no secret are carried over.
Content filters, which do run programs, are treated in `content_filters`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.repository.git import run_git

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


@dataclass(frozen=True)
class GitSettings:
    """What the person configured, as far as it gives a worktree's files their meaning.

    Attributes:
        inert: settings by name, `section.key` in lower case; none of them can run anything.
        all: all of the person's settings by name, for `content_filters`; never written anywhere.
        attributes: lines of the attributes that apply to all of the person's repositories.
        ignored: lines of ignore rules: the person's own, then the repository's.
    """

    inert: Mapping[str, str]
    all: Mapping[str, str]
    attributes: bytes
    ignored: bytes


def read_settings(worktree: Worktree, common_dir: Path) -> GitSettings:
    """Read the settings that the person's git would use in a worktree.

    Raises:
        GitError: git cannot read its configuration.
    """
    found = _all_settings(worktree)
    inert = {name: value for name, value in found.items() if name in _INERT}
    attributes = _joined(_SYSTEM_ATTRIBUTES, _own_file(inert, "core.attributesfile", "attributes"))
    own_ignored = _own_file(inert, "core.excludesfile", "ignore")
    return GitSettings(inert, found, attributes, _joined(own_ignored, common_dir / "info/exclude"))


def _all_settings(worktree: Worktree) -> dict[str, str]:
    listed = run_git("config", "--null", "--list", place=worktree.place).stdout
    entries = (entry.partition("\n") for entry in listed.split("\0") if entry)
    # A name without a value, which git takes for true, has no line break either.
    return {name: value if separator else "true" for name, separator, value in entries}


def _own_file(settings: dict[str, str], name: str, default: str) -> Path | None:
    """Take out a setting that names a file, and return that file, or git's default one.

    A relative path stays: git looks for it in the worktree, inside as here.
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
    """Join files line by line: of two rules in one file the later one counts, as of two such files."""
    texts = [file.read_bytes() for file in files if file is not None and _is_readable(file)]
    return b"".join(text if text.endswith(b"\n") or not text else text + b"\n" for text in texts)


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)
