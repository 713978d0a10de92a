"""The refs that keep what was dropped: `refs/lw_coder/dropped/<plan_id>/<UTC time>`, for 30 days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from lw_coder.repository.git import Repository, list_refs, run_git

KEPT_FOR = timedelta(days=30)
_PREFIX = "refs/lw_coder/dropped"
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(rf"{_PREFIX}/[^/]+/(?P<time>\d{{8}}T\d{{6}}Z)(?:-\d+)?(?:\.runs/.+)?")
_RUN = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?/.+")


def new_name(repository: Repository, plan_id: str, now: datetime | None = None) -> str:
    """Return the name of a new ref, which is not used yet."""
    name = f"{_PREFIX}/{plan_id}/{(now or datetime.now(UTC)).strftime(_TIME)}"
    used, number = list_refs(repository, f"{_PREFIX}/{plan_id}"), 1
    free = name
    while any(each == free or each.startswith(f"{free}.") for each in used):
        number += 1
        free = f"{name}-{number}"
    return free


def expired(repository: Repository, now: datetime | None = None) -> list[str]:
    """List the refs that are older than KEPT_FOR, by the times in their names."""
    oldest = (now or datetime.now(UTC)) - KEPT_FOR
    return [name for name in list_refs(repository, _PREFIX) if _is_before(name, oldest)]


def _is_before(name: str, oldest: datetime) -> bool:
    match = _NAME.fullmatch(name)
    try:
        return match is not None and datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC) < oldest
    except ValueError:  # no date
        return False


def refs_of_runs(repository: Repository, plan_id: str) -> dict[str, str]:
    """Map the refs that were imported from a plan's runs to their objects."""
    prefix = f"refs/lw_coder/{plan_id}"
    return {
        name: sha
        for name, sha in list_refs(repository, prefix).items()
        if _RUN.fullmatch(name.removeprefix(f"{prefix}/"))
    }


def set_aside(repository: Repository, refs: Mapping[str, str], plan_id: str, kept: str) -> None:
    """Rename refs of a plan's runs to `<kept>.runs/<run>/...`, all or none.

    Raises:
        GitError: git failed.
    """
    prefix = f"refs/lw_coder/{plan_id}/"
    lines = [
        f"create {kept}.runs/{name.removeprefix(prefix)}\0{sha}\0delete {name}\0{sha}\0"
        for name, sha in refs.items()
    ]
    run_git("update-ref", "-z", "--stdin", place=repository.place, stdin="".join(lines))


def remove(repository: Repository, names: Iterable[str]) -> None:
    """Remove refs, all or none.

    Raises:
        GitError: git failed.
    """
    lines = "".join(f"delete {name}\0\0" for name in names)
    run_git("update-ref", "-z", "--stdin", place=repository.place, stdin=lines)
