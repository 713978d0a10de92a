"""Two checkouts compared in one run: is lw_coder as fast as it was there?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.processes import COUNTED, processor_time, started
from benchmarks.sessions import all_at_once, beside, carried_out
from benchmarks.workplace import PYTHON, Workplace, seconds, workplace

ROOT = Path(__file__).parents[1]
AT_ONCE = 8

_NOT_COPIED = shutil.ignore_patterns(".git", ".nox", ".venv", "__pycache__")


def measure(named: str, times: int) -> Iterator[Figure]:
    """Time both, each in a venv, a repository and a home of its own.

    Raises:
        SystemExit: `named` is neither a folder nor a revision.
    """
    with (
        installed(named) as other,
        installed(str(ROOT)) as own,  # the venv of the benchmark has more in it, which costs a start time
        workplace(lw_coder=own) as mine,
        workplace(lw_coder=other) as theirs,
    ):
        _report_other_versions(own, other)
        ours, others = in_turns(times * 20, partial(_help, mine), partial(_help, theirs))
        yield Figure("--help against the other", "ratio", ours, others, named)
        plans = [carried_out(place, AT_ONCE) for place in (mine, theirs)]
        _require_one_base_image(mine, theirs)
        warm = in_turns(times * 5, partial(mine.code, plans[0][0]), partial(theirs.code, plans[1][0]))
        yield from beside("warm code against the other", warm[0], warm[1], named)
        yield from _processes(mine, theirs, times, named)
        takes = partial(all_at_once, mine, plans[0]), partial(all_at_once, theirs, plans[1])
        ours, others = in_turns(times * 3, *takes)
        yield Figure(f"{AT_ONCE} at once against the other", "ratio", ours, others, named)


def _help(place: Workplace) -> float:
    return seconds((place.lw_coder, "--help"), place.root, place.env)


def _processes(mine: Workplace, theirs: Workplace, times: int, named: str) -> Iterator[Figure]:
    """Compare what a busy machine changes less than it changes time."""
    plan = "plan-0"
    ours, others = in_turns(
        times * 5, partial(processor_time, mine, plan), partial(processor_time, theirs, plan)
    )
    yield Figure("processor time of a warm start against the other", "ratio", ours, others, named)
    counts = [started(place, plan) for place in (mine, theirs)]
    for name in COUNTED:
        own, other = ([count[name]] for count in counts)
        what = f"{name} processes of a warm start against the other"
        yield Figure(what, "difference", own, other, named, "processes")


def _require_one_base_image(mine: Workplace, theirs: Workplace) -> None:
    """Refuse two checkouts that would replace each other's base image at every start."""
    built = []
    for place in (mine, theirs):
        place.code("plan-0")
        asked = ("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", "lw_coder_droid:latest")
        built.append(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    if built[0] != built[1]:
        sys.exit("the two checkouts build different base images: their starts cannot be compared in one run")


@contextmanager
def installed(named: str) -> Iterator[str]:
    """Install a checkout in a venv of its own, and yield its lw_coder; all of it is removed at the end.

    Raises:
        SystemExit: `named` is neither a folder nor a revision.
    """
    with tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as temporary:
        source, venv = Path(temporary, "source"), Path(temporary, "venv")
        _copy(named, source)
        _run("uv", "venv", "--quiet", "--python", PYTHON, str(venv))
        install = ("uv", "pip", "install", "--quiet", "--python", str(venv / "bin/python"))
        _run(*install, "--constraint", str(source / "tests/constraints.txt"), "--editable", str(source))
        _run(str(venv / "bin/python"), "-m", "compileall", "-q", str(source / "src"))
        yield str(venv / "bin/lw_coder")


def _copy(named: str, source: Path) -> None:
    """Copy a folder as it is, or check out a revision: nothing is written where they come from."""
    if Path(named).is_dir():
        shutil.copytree(named, source, ignore=_NOT_COPIED, symlinks=True)
        return
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options"]
    found = subprocess.run(
        [*asked, f"{named}^{{commit}}"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    if found.returncode:
        sys.exit(f"--against {named}: neither a folder nor a revision of this repository")
    _run("git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(source))
    _run("git", "-C", str(source), "checkout", "--quiet", "--detach", found.stdout.strip())


def _report_other_versions(own: str, other: str) -> None:
    """Say which dependencies differ: they can be the reason for a difference in time."""
    versions = set(_versions(own))
    for version in _versions(other):
        if version not in versions:
            print(f"the other checkout has another version: {version}", file=sys.stderr)


def _versions(lw_coder: str) -> list[str]:
    python = str(Path(lw_coder).with_name("python"))
    asked = ("uv", "pip", "freeze", "--quiet", "--exclude-editable", "--python", python)
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, "UV_COMPILE_BYTECODE": "1"})
