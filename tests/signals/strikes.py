"""Signals at random moments of `lw_coder code` before its session begins, and what is left afterwards."""

from __future__ import annotations

import random
import shutil
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PLAN_LABEL, owner_label
from lw_coder.foundation.errors import ExitCode
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.runs.run_folders import remove_tree
from tests.integration.conftest import LW_CODER, Person
from tests.support.engine import containers
from tests.support.living import processes_with
from tests.support.sample_repository import PLAN_ID, SampleRepository, run_git
from tests.support.sealed_runs import sealed_records
from tests.support.snapshot import Snapshot, changes, snapshot
from tests.support.terminal import ScreenTimeoutError, Terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FILES = 1500  # so that git's work on the worktree takes its share of the start
MARK = "LW_CODER_STRUCK"  # in the environment of the command, and so of all that it starts
LONGEST = 300  # seconds that the end may take on a busy machine


@dataclass(frozen=True)
class Strike:
    """A signal, and when it is sent: seconds from the command's first instruction."""

    number: signal.Signals
    moment: float


@dataclass(frozen=True)
class Outcome:
    """What a strike led to.

    Attributes:
        strike: the signal and its moment.
        status: what the command exited with, 128 + n where signal n ended it; None if it did not end. Where
            Ctrl+C reached the docker client of a session that had just begun, that is the session's end.
        before_handlers: the signal's default action ended it, before lw_coder could handle it.
        in_session: its session had begun, which is then what ends; its run stays.
        left: what was there afterwards and not before, or told on the screen as a bug.
    """

    strike: Strike
    status: int | None
    before_handlers: bool
    in_session: bool
    left: list[str]

    @property
    def is_lost(self) -> bool:
        return self.status is None

    @property
    def has_wrong_status(self) -> bool:
        by_client = (
            self.in_session and self.strike.number == signal.SIGINT and self.status == ExitCode.SESSION
        )
        return self.status not in {None, 128 + self.strike.number} and not by_client

    @property
    def is_right(self) -> bool:
        return not (self.is_lost or self.has_wrong_status or self.left)


@dataclass
class Scene:
    """A repository whose plan is started again and again, with its images built and its prompts written.

    Attributes:
        sample: the repository.
        person: whose home is theirs alone.
        folder: an empty one, for a copy of the repository and for temporary files.
    """

    sample: SampleRepository
    person: Person
    folder: Path
    label: str = ""
    length: float = 0.0
    before: Snapshot = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(FILES):
            path = self.sample.root / "data" / str(number % 30) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n" * 200, encoding="ascii")
        run_git(self.sample.root, "add", "--all")
        run_git(self.sample.root, "commit", "--quiet", "--message", "Data")
        _start_plan_from(self.sample.plan, run_git(self.sample.root, "rev-parse", "HEAD"))
        (self.folder / "tmp").mkdir()
        shutil.copytree(self.sample.root, self.folder / "pristine", symlinks=True)
        repository = find_repository(self.sample.root)
        self.label = owner_label(repo_hash(root_commit(repository), repository.common_dir), PLAN_ID)
        self.person.extra |= {"TMPDIR": str(self.folder / "tmp"), MARK: str(self.folder)}

    def measure(self) -> None:
        """Find how long a start takes until its session begins; the first one also fills all caches."""
        lengths = [self._start_length() for _ in range(4)]
        self.length = statistics.median(lengths[1:])
        self.before = snapshot(self.sample.root)

    def _start_length(self) -> float:
        with self._typed() as terminal:
            began = time.monotonic()
            terminal.wait_until(self._has_session, "the session", 600)
            length = time.monotonic() - began
            _send(terminal, signal.SIGTERM)
            status = terminal.wait(LONGEST)
            left = list(self._left(in_session=True))
        assert (status, left) == (128 + signal.SIGTERM, []), f"{status} {left}\n{terminal.text}"
        self._restore()
        return length

    def struck(self, strike: Strike) -> Outcome:
        """Start the plan, send the signal, and see how it ends."""
        with self._typed() as terminal:
            time.sleep(strike.moment)
            if self._has_session() and strike.number == signal.SIGINT:
                strike = Strike(signal.SIGTERM, strike.moment)  # Ctrl+C is the session's key now
            _send(terminal, strike.number)
            status = _status(terminal)
            in_session = self._has_session()
            left = [*self._left(in_session=in_session), *_bugs(terminal)]
            died = terminal.is_dead_by_signal
        if in_session or left or status is None:
            self._restore()
        return Outcome(strike, status, before_handlers=died, in_session=in_session, left=left)

    def _typed(self) -> Terminal:
        return self.person.types(LW_CODER, "code", PLAN_ID)

    def _has_session(self) -> bool:
        return bool(sealed_records(self.sample.root, PLAN_ID))

    def _left(self, *, in_session: bool) -> Iterator[str]:
        yield from (f"process {line}" for _, line in processes_with(MARK, str(self.folder)))
        yield from (f"container {one}" for one in containers(f"{PLAN_LABEL}={self.label}"))
        yield from (f"lock {path.name}" for path in self.sample.root.glob(".git/lw_coder-*"))
        yield from (f"temporary {path.name}" for path in (self.folder / "tmp").iterdir())
        if in_session:
            yield from self._unended()
        else:
            yield from changes(self.before, snapshot(self.sample.root))

    def _unended(self) -> Iterator[str]:
        runs = self.sample.root / ".lw_coder/runs" / PLAN_ID
        yield from (f"partial run {path.name}" for path in runs.glob(".partial-*"))
        for record in runs.glob("2*/run.json"):
            if '"ended": null' in record.read_text(encoding="ascii"):
                yield f"a run that has no end: {record}"

    def _restore(self) -> None:
        remove_tree(self.sample.root)
        shutil.copytree(self.folder / "pristine", self.sample.root, symlinks=True)
        for path in (self.folder / "tmp").iterdir():
            remove_tree(path) if path.is_dir() else path.unlink()


def strikes(count: int, length: float, seed: int) -> list[Strike]:
    """Spread moments evenly over a start's length, each at random in its part, in a random order."""
    chance = random.Random(seed)  # noqa: S311 - a failure has to be repeated
    moments = [(number + chance.random()) * length / count for number in range(count)]
    chance.shuffle(moments)
    return [Strike(SIGNALS[number % len(SIGNALS)], moment) for number, moment in enumerate(moments)]


def _send(terminal: Terminal, number: signal.Signals) -> None:
    """Press Ctrl+C, which all that is in the foreground gets, or signal lw_coder alone."""
    if number == signal.SIGINT:
        terminal.press_ctrl_c()
    else:
        terminal.send_signal(number)


def _status(terminal: Terminal) -> int | None:
    try:
        return terminal.wait(LONGEST)
    except ScreenTimeoutError:
        return None


def _bugs(terminal: Terminal) -> list[str]:
    if terminal.is_dead_by_signal:
        return []  # Python's own words, before lw_coder could handle it
    return [line for line in terminal.text.splitlines() if "Traceback" in line or line.startswith("error:")]


def _start_plan_from(plan: Path, sha: str) -> None:
    lines = plan.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [f"git_sha: {sha}\n" if line.startswith("git_sha:") else line for line in lines]
    plan.write_text("".join(changed), encoding="utf-8")
