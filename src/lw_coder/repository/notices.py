"""Parts of the user's git set-up that do not work in a session, each with a command that helps."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from lw_coder.foundation.report import printable
from lw_coder.repository.git import Repository, run_git

# The hooks that git runs for a commit, or for a command that creates several.
COMMIT_HOOKS = (
    *("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-merge-commit"),
    *("pre-rebase", "post-checkout", "post-merge", "post-rewrite", "pre-push"),
)
# Undo each commit and make it again from the index, so that the hooks see its changes.
_RECOMMIT = "git reset --quiet --soft HEAD~1 && git commit --quiet -C ORIG_HEAD"
_TRUE = ("true", "yes", "on", "1")
_MOST_SHOWN = 5


def session_notices(
    repository: Repository,
    settings: Mapping[str, str],
    sha: str,
    worktree: Path,
    *,
    may_have_submodules: bool = True,
) -> list[str]:
    """List what is missing in a session that starts from a commit.

    Args:
        repository: the user's.
        settings: git's, in the worktree or in the user's checkout.
        sha: the commit that the session starts from.
        worktree: the session's worktree, which may not exist yet.
        may_have_submodules: false if it is known that there are none.
    """
    typed = shlex.quote(printable(str(_from_root(repository, worktree))))
    return [
        *(_submodules(repository, settings, sha, worktree, typed) if may_have_submodules else ()),
        *_partial_clone(settings),
        *_signing(settings, sha, typed),
        *_hooks(repository, settings, sha, typed),
    ]


def _from_root(repository: Repository, path: Path) -> Path:
    return path.relative_to(repository.root) if path.is_relative_to(repository.root) else path


def _submodules(
    repository: Repository, settings: Mapping[str, str], sha: str, worktree: Path, typed: str
) -> Iterator[str]:
    modules = _modules(repository, sha)
    empty = [path for path in modules if _is_empty(worktree / path)]
    if not empty:
        return
    # If a repository has no remote, git resolves relative URLs from the current folder.
    local = "-c protocol.file.allow=always " if _are_local(settings, modules) else ""
    command = f"git submodule init && git {local}-C {typed} submodule update --init"
    yield f"the submodules {_named(empty)} are empty in the session; to populate them, type: {command}"


def _modules(repository: Repository, sha: str) -> dict[str, str]:
    """Map the path of each submodule in a commit's .gitmodules to its URL."""
    if not run_git("ls-tree", "-z", sha, "--", ".gitmodules", place=repository.place, check=False).stdout:
        return {}
    asked = ("config", "--null", "--blob", f"{sha}:.gitmodules", "--list")
    output = run_git(*asked, place=repository.place, check=False).stdout
    found = dict(entry.split("\n", 1) for entry in output.split("\0") if "\n" in entry)
    paths = {name.removesuffix(".path"): path for name, path in found.items() if name.endswith(".path")}
    return {path: found.get(f"{name}.url", "") for name, path in paths.items()}


def _is_empty(folder: Path) -> bool:
    try:
        return next(os.scandir(folder), None) is None
    except OSError:
        return True


def _are_local(settings: Mapping[str, str], modules: Mapping[str, str]) -> bool:
    remote = settings.get("remote.origin.url", "/")
    addresses = (remote if url.startswith(("./", "../")) else url for url in modules.values())
    return any(address.startswith(("/", ".", "file:")) for address in addresses)


def _partial_clone(settings: Mapping[str, str]) -> Iterator[str]:
    named = (re.fullmatch(r"remote\.(.+)\.partialclonefilter", name, re.DOTALL) for name in settings)
    if found := next(filter(None, named), None):
        remote = shlex.quote(printable(found[1]))
        command = f"git config --unset-all remote.{remote}.partialclonefilter && git fetch --refetch {remote}"
        yield f"in a partial clone, sessions cannot fetch missing objects; to fetch all, type: {command}"


def _signing(settings: Mapping[str, str], sha: str, typed: str) -> Iterator[str]:
    if settings.get("commit.gpgsign", "no").lower() in _TRUE:
        kind = printable(settings.get("gpg.format", "openpgp"))
        command = f"git -C {typed} rebase --force-rebase --gpg-sign {sha[:12]}"
        yield f"commits of the session are not signed ({kind}); to sign them later, type: {command}"


def hooks_folder(repository: Repository, settings: Mapping[str, str]) -> Path:
    """Return the folder of the person's hooks; it may not exist."""
    named = settings.get("core.hookspath")
    return repository.common_dir / "hooks" if named is None else repository.root / Path(named).expanduser()


def _hooks(repository: Repository, settings: Mapping[str, str], sha: str, typed: str) -> Iterator[str]:
    folder = hooks_folder(repository, settings)
    found = [name for name in COMMIT_HOOKS if os.access(folder / name, os.X_OK)]
    if found:
        command = f"git -C {typed} rebase --exec {shlex.quote(_RECOMMIT)} {sha[:12]}"
        yield (
            f"your hooks {_named(found)} do not run in the session; to run them on each commit afterwards, "
            f"review the commits and type: {command}"
        )


def _named(names: list[str]) -> str:
    shortened = [printable(name) for name in names[:_MOST_SHOWN]]
    return ", ".join(shortened + (["..."] if len(names) > _MOST_SHOWN else []))
