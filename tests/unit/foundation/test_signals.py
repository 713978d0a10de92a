"""A signal ends lw_coder whatever Python is doing: real processes, struck at the worst moments."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE

# What the program does; `strike()` returns, or fails, once Python has called the signal's handler.
CASES = {
    "a plain step": "strike()",
    "a weakref's callback": "ref = weakref.ref(Thing(), lambda _: strike())",
    "__del__": "Deleted()",
    "a class body": """
        class Body:
            strike()
    """,
    "__set_name__": """
        class Body:
            name = Named()
    """,
    "__set_name__, its error dropped": """
        try:
            class Body:
                name = Named()
        except Exception:
            pass
    """,
    "an `except Exception: pass`": """
        try:
            strike()
        except Exception:
            pass
    """,
    "a bare except": """
        try:
            strike()
        except:
            pass
    """,
    "a return in finally": "dropping()",
    "a sort's key": "sorted([2, 1], key=lambda number: strike() or number)",
    "a function of sqlite's": "database().execute('select strike()')",
    "a function of sqlite's, its error dropped": """
        try:
            database().execute('select strike()')
        except Exception:
            pass
    """,
    "an import": "import striking",
    "an import, told as ImportError": """
        try:
            import failing
        except ImportError:
            pass
    """,
    "an error's handling": """
        try:
            raise ValueError
        except ValueError:
            strike()
            note("handled")
    """,
    "an error of another kind": """
        try:
            strike()
            for _ in range(3000):
                time.sleep(0.01)
        except BaseException:
            raise RunError("message", "remedy") from None
    """,
}
HANDLED = {"an error's handling"}

PROGRAM = """
import contextlib, os, signal, sqlite3, sys, time, weakref
from lw_coder.foundation import signals
from lw_coder.cli import cli, main
from lw_coder.foundation.errors import RunError

def note(word):
    with open("notes", "a") as file:
        print(word, file=file)

def strike():
    os.kill(os.getpid(), {number})

class Thing:
    pass

class Deleted:
    def __del__(self):
        strike()

class Named:
    def __set_name__(self, owner, name):
        strike()

def dropping():
    try:
        strike()
    finally:
        return

def database():
    connection = sqlite3.connect(":memory:")
    connection.create_function("strike", 0, strike)
    return connection

@cli.command()
def work():
    note("begun")
    try:
        with {block}:
            case()
            while True:
                time.sleep(0.01)
    finally:
        for _ in range(40):  # more than what the timer waits for, and signals besides
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        note("cleaned")

def case():
{case}

import builtins
builtins.strike = strike
sys.path.insert(0, os.getcwd())
main()
"""
STRIKING = {
    "striking.py": "strike()",
    "failing.py": "try:\n strike()\nexcept BaseException:\n raise ImportError",
}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@dataclass(frozen=True)
class Ended:
    status: int
    notes: list[str]
    stderr: str


def struck(folder: Path, case: str, block: str, number: signal.Signals) -> Ended:
    for name, text in STRIKING.items():
        (folder / name).write_text(text, encoding="ascii")
    body = textwrap.indent(textwrap.dedent(case).strip(), "    ")
    code = PROGRAM.format(number=int(number), block=block, case=body)
    done = subprocess.run(
        [sys.executable, "-c", code, "work"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        restore_signals=True,
    )
    notes = (folder / "notes").read_text(encoding="ascii").split()
    return Ended(done.returncode, notes, done.stderr)


def is_right(name: str, number: signal.Signals, ended: Ended) -> bool:
    notes = ["begun", *(["handled"] if name in HANDLED else []), "cleaned"]
    said = "interrupted\n" if number == signal.SIGINT else ""
    return ended == Ended(128 + number, notes, said)


@pytest.mark.parametrize(
    "block", ["contextlib.nullcontext()", "signals.interruptible()"], ids=["busy", "waiting"]
)
def test_it_ends_the_command_once_cleaned_up(tmp_path: Path, block: str) -> None:
    """All cases at once: each only waits for two seconds, longer than the timer does."""
    numbers = {name: SIGNALS[place % 3] for place, name in enumerate(CASES)}

    def strike(name: str) -> Ended:
        folder = tmp_path / str(list(CASES).index(name))
        folder.mkdir()
        return struck(folder, CASES[name], block, numbers[name])

    with ThreadPoolExecutor(len(CASES)) as threads:
        ended = dict(zip(CASES, threads.map(strike, CASES), strict=True))
    assert {name: one for name, one in ended.items() if not is_right(name, numbers[name], one)} == {}


def test_signals_are_collected_in_their_order() -> None:
    program = """
        import os, signal
        from lw_coder.foundation import signals
        signals.install()
        with signals.collected() as received:
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), number)
            with signals.interruptible():
                print(*received, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        with signals.interruptible():
            print("not raised")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("2 2 15\n", 128 + signal.SIGTERM), done.stderr
