"""What grows with a repository: the number of its plans, runs and files.

A fresh process times only the call whose work grows; the rest of a command stays the same. Plans are compared
with `cat` of the same files, runs with `ls -R` of the same folders, which a slower machine slows down too. No
run is old enough to be removed: what is timed is the search for old ones, which each new run waits for.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import PYTHON, seconds
from tests.support.sample_repository import PLAN, PLAN_ID, SampleRepository, make_sample_repository, run_git

COUNTS = (10, 1_000, 10_000)
FILES = (100, 10_000, 100_000)

_CAT = "cat .lw_coder/tasks/*.md"
_LS = "ls -R .lw_coder/runs"

# A fresh process runs this; its imports are not timed.
_CALLED = """
import sys, time
from pathlib import Path
{imports}
root = Path(sys.argv[1])
began = time.perf_counter()
{call}
print(time.perf_counter() - began)
"""
_VALIDATE = _CALLED.format(
    imports="import yaml\nfrom lw_coder.plans.plan_checks import load_plan\n"
    "from lw_coder.repository import git\nrepository = git.find_repository(Path(sys.argv[1]))",
    call=f"load_plan(repository, {PLAN_ID!r})",
)
_PRUNE = _CALLED.format(
    imports="from lw_coder.repository import git\nfrom lw_coder.runs import run_folders\n"
    "from lw_coder.runs.pruning import prune\n"
    "repository = git.find_repository(Path(sys.argv[1]))\n"
    "keep = run_folders.list_runs(repository.root)[-1]",
    call="assert prune(repository, keep) == []",
)
_FILES = """
import subprocess, sys, time
from pathlib import Path
from lw_coder.repository import git
from lw_coder.runs import run_folders
from lw_coder.repository.importing.commits import import_commits
from lw_coder.plans.plan_checks import load_plan
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensure_worktree
repository = git.find_repository(Path(sys.argv[1]))
plan = load_plan(repository, sys.argv[2])
worktree = ensure_worktree(repository, plan.metadata)
run = run_folders.open_run(repository.root, plan.metadata.plan_id)
began = time.perf_counter()
session = create_private_git(repository, worktree, run.folder, git.identity(worktree.place))
made = time.perf_counter() - began
inside = ["git", "--git-dir", str(session.folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
branch = f"refs/heads/{worktree.branch}"
typed = [*inside, "commit-tree", "-p", branch, "-m", "More", branch + "^{tree}"]
commit = subprocess.run(typed, check=True, capture_output=True, text=True).stdout.strip()
subprocess.run([*inside, "update-ref", branch, commit], check=True)
began = time.perf_counter()
assert import_commits(repository, worktree, session, run.identity).moved
print(made, time.perf_counter() - began)
"""


def plans_and_runs(times: int) -> Iterator[Figure]:
    """Time what reads every plan, and what lists every run."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as folder:
        plans = {count: _with_plans(Path(folder, f"plans-{count}"), count) for count in COUNTS}
        runs = {count: _with_runs(Path(folder, f"runs-{count}"), count) for count in COUNTS}
        yield from _grown(_Growing("validating", "plans", _VALIDATE, _CAT), plans, times * 3)
        yield from _grown(_Growing("pruning", "runs", _PRUNE, _LS), runs, times * 3)


@dataclass(frozen=True)
class _Growing:
    """A call whose work grows with the number of `things`, and the shell command that it is compared with."""

    what: str
    things: str
    script: str
    command: str


def _grown(call: _Growing, samples: dict[int, SampleRepository], times: int) -> Iterator[Figure]:
    takes = [partial(_both, call, sample) for sample in samples.values()]
    taken = dict(zip(samples, in_turns(times, *takes), strict=True))
    ours = {count: [pair[0] for pair in pairs] for count, pairs in taken.items()}
    for count, pairs in taken.items():
        others = [pair[1] for pair in pairs]
        name = f"{call.what} among {count} {call.things}"
        yield Figure(name, "ratio", ours[count], others, call.command)
    yield _growth(call.what, call.things, ours)


def _both(call: _Growing, sample: SampleRepository) -> tuple[float, float]:
    (ours,) = _called(call.script, sample)
    return ours, seconds(("sh", "-c", f"{call.command} > /dev/null"), sample.root)


def _growth(what: str, things: str, by_count: dict[int, list[float]]) -> Figure:
    """Compare the largest size with the second largest."""
    more, most = sorted(by_count)[-2:]
    name = f"growth of {what}, {more} to {most} {things}"
    return Figure(name, "exponent", by_count[most], by_count[more], f"with {more}", growth=(more, most))


def files(times: int) -> Iterator[Figure]:
    """Time making the private git folder and importing a commit, in repositories of several sizes."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as folder:
        samples = {count: _with_files(Path(folder, f"files-{count}"), count) for count in FILES}
        takes = [partial(_called, _FILES, sample, PLAN_ID) for sample in samples.values()]
        taken = dict(zip(FILES, in_turns(times, *takes), strict=True))
    for index, what in enumerate(("the private git folder", "importing commits")):
        by_count = {count: [sample[index] for sample in found] for count, found in taken.items()}
        for count in FILES:
            yield Figure(f"{what}, {count} files", "figure", by_count[count])
        yield _growth(what, "files", by_count)


def _called(script: str, sample: SampleRepository, *arguments: str) -> list[float]:
    done = subprocess.run(
        [PYTHON, "-c", script, str(sample.root), *arguments], check=True, capture_output=True, text=True
    )
    return [float(word) for word in done.stdout.split()]


def _with_plans(root: Path, count: int) -> SampleRepository:
    sample = make_sample_repository(root)
    text = (root / PLAN).read_text(encoding="utf-8")
    for number in range(count - 1):
        other = (root / PLAN).with_name(f"plan-{number}.md")
        other.write_text(text.replace(PLAN_ID, f"plan-{number}"), encoding="utf-8")
    return sample


def _with_runs(root: Path, count: int) -> SampleRepository:
    sample = make_sample_repository(root)
    now = datetime.now(UTC)
    for number in range(count):
        name = f"{now - timedelta(minutes=number):%Y%m%dT%H%M%SZ}"
        run = root / f".lw_coder/runs/plan-{number % 20}/{name}"
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}", encoding="ascii")
    return sample


def _with_files(root: Path, count: int) -> SampleRepository:
    sample = make_sample_repository(root)
    for number in range(count):
        path = root / f"files/{number // 1000}/{number}.txt"
        if not number % 1000:
            path.parent.mkdir(parents=True)
        path.write_text(f"{number}\n", encoding="ascii")
    run_git(root, "add", "files")
    run_git(root, "commit", "--quiet", "--message", "Files")
    shutil.rmtree(root / "files")
    plan = root / PLAN
    plan.write_text(plan.read_text(encoding="utf-8").replace(sample.sha, run_git(root, "rev-parse", "HEAD")))
    return sample
