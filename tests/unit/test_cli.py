"""The door, as a person's shell sees it: real processes, their status and what they print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lw_coder import __version__
from lw_coder.cli import cli
from lw_coder.foundation.errors import ExitCode
from tests.support.patience import PATIENCE, wait_until

SLOW = ("dspy", "litellm", "python_on_whales", "pydantic", "msgspec", "yaml", "rich", "dotenv", "filelock")
_MAIN = "from lw_coder.cli import cli, main\n"

_WAIT = (
    _MAIN
    + """
import pathlib, time
@cli.command()
def wait():
    try:
        pathlib.Path({started!r}).touch()
        time.sleep(36000)
    finally:
        pathlib.Path({cleaned!r}).touch()
main()
"""
)


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def lw_coder(*args: str) -> subprocess.CompletedProcess[str]:
    return python(f"{_MAIN}main()", *args)


def failing(statement: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line with one more command, which does this."""
    return python(f"{_MAIN}@cli.command()\ndef fail():\n    {statement}\nmain()", *options, "fail")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["code", "--help"], ["runs", "--help"]])
def test_nothing_slow_is_imported_to_help(words: list[str]) -> None:
    code = (
        f"import sys\n{_MAIN}try:\n    main()\n"
        "finally:\n    print('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    result = python(code, *words)
    assert result.returncode == ExitCode.OK
    loaded = result.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded"
    assert "click" in loaded
    assert not set(SLOW) & set(loaded)


@pytest.mark.parametrize("module", ["commands.code", "commands.plan"])
def test_what_a_build_waits_for_is_quick_to_import(module: str) -> None:
    loaded = set(python(f"import sys, lw_coder.{module}; print(*sys.modules)").stdout.split())
    assert "msgspec" in loaded
    assert not {"dspy", "litellm", "python_on_whales", "pydantic", "rich"} & loaded


def test_version() -> None:
    result = lw_coder("--version")
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")
    assert __version__ in result.stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_command_has_help(name: str) -> None:
    result = lw_coder(name, "-h")
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize("words", [["frobnicate"], ["code"], ["code", "a", "b"], ["--frobnicate"]])
def test_a_wrong_command_line(words: list[str]) -> None:
    result = lw_coder(*words)
    assert (result.returncode, result.stdout) == (ExitCode.USAGE, "")
    assert "Error: " in result.stderr


def test_no_terminal() -> None:
    result = lw_coder("code", "a-plan")
    assert (result.returncode, result.stdout) == (ExitCode.ERROR, "")
    (line,) = result.stderr.splitlines()
    assert line == (
        "error: there is no terminal, and the session is interactive; "
        "run the command in a terminal, or add --headless"
    )


def test_an_expected_error_is_one_line() -> None:
    result = failing("from lw_coder.foundation.errors import RunError; raise RunError('what', 'remedy')")
    assert (result.returncode, result.stderr) == (ExitCode.ERROR, "error: what; remedy\n")


def test_a_bug_is_told_without_its_text(home: Path) -> None:
    result = failing("x = 'sk-' + 'secret'; raise ValueError(x) from KeyError(x)")
    assert result.returncode == ExitCode.BUG
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: a bug in lw_coder (ValueError); please report it with ")
    log = Path(line.rpartition(" ")[2])
    assert log.is_relative_to(home)
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    text = log.read_text(encoding="utf-8")
    assert "KeyError" in text
    assert text.index("KeyError") < text.index("ValueError")
    assert "in fail" in text
    assert "sk-secret" not in text + result.stderr


def test_debug_shows_where_an_error_arose_without_its_text(home: Path) -> None:
    raised = "x = 'sk-' + 'secret'; raise {}(x, 'remedy') from KeyError(x)"
    expected = failing(
        raised.format("__import__('lw_coder.foundation.errors').foundation.errors.RunError"), "--debug"
    )
    bug = failing(raised.format("ValueError"), "--debug")
    for result, kind in ((expected, "RunError"), (bug, "ValueError")):
        trace, _, last = result.stderr.rstrip().rpartition("\n")
        assert last.startswith("error: ")
        assert "Traceback" not in trace
        assert trace.index("KeyError\n") < trace.index(f"{kind}\n") < trace.index("in fail")
        assert "sk-secret" not in trace
    assert "sk-secret" not in bug.stderr
    assert list(home.rglob("crash-*.log"))


def test_debug_adds_nothing_to_a_wrong_command_line_or_an_end() -> None:
    for words in (["frobnicate"], ["runs", "--help"], ["runs", "list", "a", "b"]):
        plain, debugged = lw_coder(*words), lw_coder("--debug", *words)
        assert (debugged.returncode, debugged.stdout, debugged.stderr) == (
            plain.returncode,
            plain.stdout,
            plain.stderr,
        )


def test_a_bug_where_no_log_can_be_written(home: Path) -> None:
    (home / ".local").write_text("a file, not a folder", encoding="ascii")
    result = failing("raise ValueError('secret')")
    assert result.returncode == ExitCode.BUG
    (line,) = result.stderr.splitlines()
    assert "no log could be written" in line
    assert "secret" not in line


def test_interrupted() -> None:
    result = failing("raise KeyboardInterrupt")
    assert (result.returncode, result.stderr.strip()) == (ExitCode.INTERRUPTED, "interrupted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_runs_what_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    started, cleaned = tmp_path / "started", tmp_path / "cleaned"
    code = _WAIT.format(started=str(started), cleaned=str(cleaned))
    with subprocess.Popen([sys.executable, "-c", code, "wait"]) as process:
        wait_until(lambda: started.exists() or process.poll() is not None, "the command")
        process.send_signal(number)
        status = process.wait(PATIENCE)
    assert status == 128 + number
    assert cleaned.exists()


def test_the_installed_command() -> None:
    command = Path(sys.executable).with_name("lw_coder")
    result = subprocess.run(
        [command, "--version"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=PATIENCE,
    )
    assert (result.returncode, result.stdout.split()[-1]) == (ExitCode.OK, __version__)


def test_a_name_cannot_steer_the_terminal() -> None:
    name = r"'\x1b]0;owned\x07'"
    result = failing(f"from lw_coder.foundation.errors import RunError; raise RunError({name}, {name})")
    assert result.stderr == "error: \\x1b]0;owned\\x07; \\x1b]0;owned\\x07\n"


def test_an_idea_that_is_no_text() -> None:
    result = lw_coder("plan", "--text", os.fsdecode(b"caf\xe9"))
    assert (result.returncode, result.stderr.count("\n")) == (ExitCode.ERROR, 1)
    assert result.stderr.startswith("error: --text: is not UTF-8 text; ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a-plan", "--json"], "--json needs --headless"),
        (["a-plan", "--headless", "--message", "x"], "--message needs --continue and --headless"),
        (["a-plan", "--continue", "--message", "x"], "--message needs --continue and --headless"),
        (["a-plan", "--headless", "--message", " ", "--continue"], "--message is empty"),
        (["--continue"], "Missing argument 'PLAN'"),
        (["a-plan", "--minutes", "0"], "0.0 is not in the range"),
        (["a-plan", "--turns", "1.5"], "'1.5' is not a valid integer"),
    ],
)
def test_options_of_code_that_do_not_go_together(words: list[str], told: str) -> None:
    result = lw_coder("code", *words)
    assert result.returncode == ExitCode.USAGE
    assert told in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", [["--help"], ["docs", "readme"], ["plans", "check", "--help"]])
def test_a_result_that_finds_no_space_is_no_bug(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"{_MAIN}main()", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.ERROR
    assert (
        done.stderr == "error: there is no space for what is written; free some, or write to another place\n"
    )


LW_CODER = Path(sys.executable).with_name("lw_coder")


@pytest.mark.parametrize("words", ["--help", "--version", "docs readme", "docs --path", "completion bash"])
def test_a_result_that_nobody_gets_is_an_error(words: str) -> None:
    closing = subprocess.run(
        ["sh", "-c", f'"{LW_CODER}" {words} >&-'], capture_output=True, text=True, check=False
    )
    assert closing.returncode == ExitCode.ERROR
    assert closing.stderr == "error: standard output is closed; leave out >&-, or write to a file\n"


def test_no_file_gets_the_number_of_a_stream_that_is_missing(tmp_path: Path) -> None:
    script = f'"{LW_CODER}" plans <&- >&- 2>&-; echo $?'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n"
    code = (
        "import os; from lw_coder.foundation.streams import open_missing; open_missing();"
        "assert os.open('/etc/passwd', os.O_RDONLY) > 2"
    )
    script = f'"{sys.executable}" -c "{code}" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("words", [["plans", "-q"], ["runs", "list", "--quiet"], ["take", "--debug"]])
def test_where_an_option_of_all_commands_is_typed(words: list[str]) -> None:
    refused = lw_coder(*words)
    assert refused.returncode == ExitCode.USAGE
    option, command = words[-1], " ".join(words[:-1])
    told = refused.stderr.splitlines()[-1]
    assert told.endswith(f"Type it before the command: main.py {option} {command}".replace("main.py", "-c"))
    assert "before the command" not in lw_coder("plans", "--loud").stderr


@pytest.mark.parametrize(
    "words",
    [
        *("code", "verify", "take", "drop", "docs", "plan", "plans check", "runs show", "runs list"),
        *("runs diff latest", "runs replay", "runs import", "runs export"),
    ],
)
def test_an_empty_name(words: str) -> None:
    for name in ("", " "):
        refused = lw_coder(*words.split(), name)
        assert (refused.returncode, refused.stdout) == (ExitCode.USAGE, "")
        assert refused.stderr.endswith(": it is empty\n")


@pytest.mark.parametrize("words", ["plans", "runs list --json", "doctor --json", "init", "clean"])
def test_a_current_folder_that_was_removed(tmp_path: Path, words: str) -> None:
    (tmp_path / "gone").mkdir()
    script = f'rmdir "$PWD"; "{LW_CODER}" {words}'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path / "gone", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")
    assert done.stderr == "error: the current folder no longer exists; change to another folder\n"


@pytest.mark.parametrize(("words", "named"), [("code", "PLAN"), ("runs show", "RUN")])
def test_help_shows_what_is_needed_as_needed(words: str, named: str) -> None:
    usage = lw_coder(*words.split(), "--help").stdout.splitlines()[0]
    assert usage.endswith(f" [OPTIONS] {named}")


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("PermissionError(13, 'Permission denied', '/x')", "/x: Permission denied"),
        ("NotADirectoryError(20, 'Not a directory', '/x/y')", "/x/y: Not a directory"),
        ("OSError(40, 'Too many levels of symbolic links', b'/x')", "/x: Too many levels of symbolic links"),
    ],
)
def test_an_error_of_the_system_with_a_path_is_no_bug(made: str, named: str) -> None:
    refused = failing(f"raise {made}")
    assert refused.returncode == ExitCode.ERROR
    assert refused.stderr == f"error: {named}; correct that path, its owner or its permissions\n"


@pytest.mark.parametrize("name", ["HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"])
def test_a_relative_home_is_refused(tmp_path: Path, name: str) -> None:
    """What lw_coder keeps for its user would be written into the repository."""
    done = subprocess.run(
        [sys.executable, "-m", "lw_coder", "plans"],
        cwd=tmp_path,
        env={**os.environ, name: "relative"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {name}: it is not an absolute path; correct {name} in your environment\n"
    assert list(tmp_path.iterdir()) == []
