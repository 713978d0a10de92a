"""Read the refs of a private git folder after its session, without git: the folder may be hostile."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import is_ref_name
from lw_coder.repository.importing.untrusted_files import UntrustedFolder, too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lw_coder.repository.private_git import PrivateGit

MAX_PACKED_REFS = 64 << 20  # bytes
MAX_STASH_LOG = 4 << 20  # bytes
MAX_LOOSE_REF = 4096  # bytes
MAX_NEW_REFS = 5000

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NOT_WORK = "refs/remotes/"  # fetched from elsewhere, not created in the session


class NewRefs(Struct, frozen=True):
    """The refs that a session created or changed.

    Attributes:
        values: object ids by the names of the imported refs, relative to the run's own refs: `heads/x`,
            `tags/x`, `stash/0` (the newest), `detached`.
        ignored: names that are not valid refs, escaped.
    """

    values: dict[str, str]
    ignored: tuple[str, ...]


def read_new_refs(session: PrivateGit) -> NewRefs:
    """Compare the folder's refs with the initial ones.

    Raises:
        GitError: the folder cannot be read, contains too much, or stores refs in another format than files.
    """
    folder = UntrustedFolder(session.folder)
    if folder.entries("reftable"):
        raise GitError("the run's git folder stores its refs in another format than files", _CONVERT)
    found, ignored = _all_refs(folder, session.refs)
    changed = {name: sha for name, sha in found.items() if session.refs.get(name) != sha}
    values = {
        name.removeprefix("refs/"): sha
        for name, sha in changed.items()
        if name != "refs/stash" and not name.startswith(_NOT_WORK)
    }
    values |= _stashes(folder, found.get("refs/stash"))
    values |= _detached(folder, session, {*values.values(), *session.refs.values()})
    if len(values) > MAX_NEW_REFS:
        raise too_large(f"it contains more than {MAX_NEW_REFS} new refs")
    return NewRefs(values, tuple(ignored))


_CONVERT = "replay the run, and type there: git refs migrate --ref-format=files"


def _all_refs(folder: UntrustedFolder, before: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    found, ignored = _packed_refs(folder, before)
    for name in folder.files("refs"):
        found.pop(name, None)
        text = _line(folder.read(name, MAX_LOOSE_REF) if _is_plain(name) else None)
        if _SHA.fullmatch(text):
            found[name] = text
        elif not (text.startswith("ref: ") or name.endswith(".lock") or _is_as_before(folder, name, before)):
            ignored.append(printable(name))
    return found, ignored


def _is_as_before(folder: UntrustedFolder, name: str, before: Mapping[str, str]) -> bool:
    """Return whether an existing ref is unchanged, for names that are not accepted from an agent."""
    return name in before and _line(folder.read(name, MAX_LOOSE_REF)) == before[name]


def _is_plain(name: str) -> bool:
    """Return whether the name is valid in git and harmless in a terminal: git prints it unescaped."""
    return is_ref_name(name) and printable(name) == name


def _packed_refs(folder: UntrustedFolder, before: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    ignored = []
    for line in os.fsdecode(folder.read("packed-refs", MAX_PACKED_REFS) or b"").split("\n"):
        sha, _, name = line.partition(" ")
        if not line or line.startswith(("#", "^")):
            continue
        if _SHA.fullmatch(sha) and name.startswith("refs/") and _is_plain(name):
            found[name] = sha
        elif before.get(name) != sha:
            ignored.append(printable(name))
    return found, ignored


def _stashes(folder: UntrustedFolder, newest: str | None) -> dict[str, str]:
    """Return all stashes; older ones are only in the reflog, as `<old id> <new id> <who> <when>`."""
    if newest is None:
        return {}
    log = os.fsdecode(folder.read("logs/refs/stash", MAX_STASH_LOG) or b"")
    fields = [line.split(" ", 2) for line in log.split("\n")]
    logged = [part[1] for part in fields if len(part) > 1 and _SHA.fullmatch(part[1])]
    every = dict.fromkeys([newest, *reversed(logged)])
    return {f"stash/{index}": sha for index, sha in enumerate(every)}


def _detached(folder: UntrustedFolder, session: PrivateGit, known: set[str]) -> dict[str, str]:
    head = _line(folder.read(f"worktrees/{session.worktree_name}/HEAD", MAX_LOOSE_REF))
    is_new = _SHA.fullmatch(head) and head != session.head and head not in known
    return {"detached": head} if is_new else {}


def _line(data: bytes | None) -> str:
    return os.fsdecode(data or b"").strip()
