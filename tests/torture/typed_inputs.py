"""Bad input through the command line: one line and a documented exit code, no traceback, nothing written."""

from __future__ import annotations

import os
import shutil
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hypothesis import strategies as st

from lw_coder.foundation.errors import ExitCode
from tests.support.forked import forked
from tests.support.properties import (
    BATCH,
    CONFIG_INPUTS,
    ENV_LINES,
    PLAN_INPUTS,
    RUN,
    SCORE,
    SENT,
    config_text,
    documents,
    plan_text,
    repeated,
    words,
)
from tests.support.sample_repository import PLAN, PLAN_ID, make_sample_repository
from tests.support.snapshot import changes, snapshot
from tests.torture.cases import Case, Extent

TYPED = 300  # commands with generated files and words
PARTS = 6  # cases that they are divided into
RUN_NAME = "20260101T000000Z"
BATCH_NAME = "20260102T000000Z"
# Without an engine nothing starts; a question to the person has no answer.
COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("plans", "check"), ("plans", "list"), ("plans", "list", "--json"), ("batch", "--dry-run")),
    *(("code", PLAN_ID, "--headless"), ("code", str(PLAN), "--headless", "--json")),
    *(("code", "--continue", PLAN_ID, "--headless"), ("batch", "--dry-run", "--json", PLAN_ID)),
    *(("runs", "list"), ("runs", "list", "--json"), ("runs", "show", PLAN_ID), ("runs", "export")),
    *(("runs", "replay", PLAN_ID), ("runs", "import", PLAN_ID), ("runs", "diff", PLAN_ID, PLAN_ID)),
    *(("verify", PLAN_ID), ("take", PLAN_ID), ("take", PLAN_ID, "--yes", "--json"), ("drop", PLAN_ID)),
    *(("clean", "--dry-run"), ("doctor",), ("plan", str(PLAN)), ("runs", "show")),
)
NAMED = (("code", "--headless"), ("runs", "show"), ("take",), ("drop",), ("verify",), ("plans", "check"))
_WORDS = words.map(lambda word: word.replace("\0", "0")[:5000])
COMMAND = st.one_of(
    st.sampled_from(COMMANDS),
    st.sampled_from(COMMANDS),
    st.tuples(st.sampled_from(NAMED), _WORDS).map(lambda told: (*told[0], told[1])),
    st.tuples(st.sampled_from(NAMED), _WORDS).map(lambda told: (*told[0], "--", told[1])),
)
DOCUMENTED = {int(code) for code in ExitCode} - {ExitCode.BUG}

Files = dict[Path, str]
CONFIG, ENV = Path(".lw_coder/config.toml"), Path(".env")
RUN_FOLDER = Path(".lw_coder/runs", PLAN_ID, RUN_NAME)
BATCH_FILE = Path(".lw_coder/runs/batches", BATCH_NAME, "batch.json")


def _files(**given: str | None) -> Files:
    names = {
        "plan": PLAN,
        "config": CONFIG,
        "env": ENV,
        "record": RUN_FOLDER / "run.json",
        "score": RUN_FOLDER / "score.json",
        "node": RUN_FOLDER / "node.json",
        "batch": BATCH_FILE,
    }
    return {names[name]: text for name, text in given.items() if text is not None}


def _rarely(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.none(), strategy)


FILES = st.builds(
    _files,
    plan=_rarely(st.builds(plan_text, **PLAN_INPUTS)),
    config=_rarely(st.builds(config_text, **CONFIG_INPUTS)),
    env=_rarely(ENV_LINES.map("\n".join)),
    record=_rarely(documents(RUN)),
    score=_rarely(documents(SCORE)),
    node=_rarely(documents(SENT)),
    batch=_rarely(documents(BATCH)),
)


def typed_cases(folder: Path, extent: Extent) -> Iterator[Case]:
    """Make the cases, which share a repository and a home."""
    typing = _Typing(folder / "typed")
    for part in range(PARTS):
        count = max(1, extent.of(TYPED) // PARTS)
        yield Case(
            "commands with bad input", f"part {part}", _generated(typing, count, extent.seed + part), count
        )
    for name, commands in ODD.items():
        kinds = list(_odd_cases(typing, name, commands))
        yield from extent.random().sample(kinds, extent.of(len(kinds)))


class _Typing:
    """A repository in which commands are typed, and which is as it was for each of them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        self._sample = make_sample_repository(self.root)
        self._sample.write_env("http://127.0.0.1:9/v1")
        self._pristine = folder / "pristine"
        shutil.copytree(self.root, self._pristine, symlinks=True)

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "DOCKER_HOST": f"unix://{self._home}/no-engine.sock",
        }

    def restore(self) -> None:
        """Have the files in the working tree as they were; no command here changes `.git`."""
        for path in self.root.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(
            self._pristine,
            self.root,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(".git"),
        )

    def wrong(self, command: Sequence[str]) -> Iterator[str]:
        """Type a command; yield what is wrong with how it ends, and what it has changed."""
        before = snapshot(self.root)
        done = forked(*command, cwd=self.root, env=self.env)
        if done.returncode not in DOCUMENTED:
            yield f"status {done.returncode}"
        if "Traceback" in done.stderr + done.stdout:
            yield "a traceback"
        errors = [line for line in done.stderr.split("\n") if line.startswith("error: ")]
        if done.returncode and not (done.stdout + done.stderr).strip():
            yield f"status {done.returncode} without a word"
        yield from (f"an error without a remedy: {line!a:.300}" for line in errors if "; " not in line)
        yield from (f"changed: {line}" for line in changes(before, snapshot(self.root)))


def _generated(typing: _Typing, count: int, number: int) -> Callable[[], Sequence[str]]:
    """Make a case of generated files and commands; it ends with the smallest that is wrong."""

    def once(files: Files, command: tuple[str, ...]) -> None:
        typing.restore()
        for name, text in files.items():
            path = typing.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        wrong = list(typing.wrong(command))
        assert wrong == []

    def run() -> Sequence[str]:
        try:
            repeated({"files": FILES, "command": COMMAND}, once, count, number)
        except AssertionError as error:
            return [f"{error}\n{' '.join(getattr(error, '__notes__', ()))[:3000]}"]
        except BaseException:  # noqa: BLE001 - hypothesis has several of its own
            return [traceback.format_exc()[-3000:]]
        return []

    return run


# Files of other kinds.


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    made = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path has a hundred bytes at most
    try:
        made.bind(path.name)
    finally:
        os.chdir(before)
        made.close()


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


KINDS: Mapping[str, Callable[[Path], object]] = {
    "a pipe": _fifo,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a gigabyte of NULs": _sparse,
    "no text": lambda path: path.write_bytes(b"\xff\xfe" * 500),
    "nothing": lambda path: path.write_bytes(b""),
    "an endless line": lambda path: path.write_bytes(b"a" * (1 << 20)),
}
ODD: Mapping[Path, tuple[tuple[str, ...], ...]] = {
    PLAN: (("plans", "check"), ("plans",), ("code", PLAN_ID, "--headless"), ("batch", "--dry-run")),
    CONFIG: (("code", PLAN_ID, "--headless"), ("batch", "--dry-run"), ("doctor",)),
    ENV: (("code", PLAN_ID, "--headless"), ("doctor",)),
    Path(".lw_coder/code.Dockerfile"): (("code", PLAN_ID, "--headless"), ("doctor",)),
    RUN_FOLDER / "run.json": (("runs", "list"), ("runs", "show", PLAN_ID), ("runs", "export"), ("plans",)),
    RUN_FOLDER / "score.json": (("runs", "list"), ("runs", "export"), ("clean", "--dry-run")),
    RUN_FOLDER / "node.json": (("code", PLAN_ID, "--headless"), ("runs", "list"), ("clean", "--dry-run")),
    Path(".lw_coder/tasks"): (("plans", "check"), ("plans",), ("code", PLAN_ID, "--headless")),
    Path(".lw_coder/runs"): (("runs", "list"), ("code", PLAN_ID, "--headless"), ("clean", "--dry-run")),
    Path(".lw_coder/worktrees"): (("plans",), ("code", PLAN_ID, "--headless"), ("clean", "--dry-run")),
    Path(".gitignore"): (("code", PLAN_ID, "--headless"), ("plans",)),
}


def _odd_cases(typing: _Typing, name: Path, commands: Sequence[tuple[str, ...]]) -> Iterator[Case]:
    for kind, make in KINDS.items():
        yield Case(
            "files of other kinds", f"{name}: {kind}", _odd(typing, name, make, commands), len(commands)
        )


def _odd(
    typing: _Typing, name: Path, make: Callable[[Path], object], commands: Sequence[tuple[str, ...]]
) -> Callable[[], Sequence[str]]:
    def run() -> Sequence[str]:
        typing.restore()
        path = typing.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        make(path)
        return [f"{' '.join(command)}: {wrong}" for command in commands for wrong in typing.wrong(command)]

    return run
