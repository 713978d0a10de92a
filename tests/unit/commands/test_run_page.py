"""`lw_coder runs show RUN --html`, as a person types it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lw_coder.foundation.errors import ExitCode
from tests.support.installed import LW_CODER, typed
from tests.support.patience import PATIENCE
from tests.support.recorded_run import Recorded, make_run, said, text
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository, make_sample_repository


@dataclass(frozen=True)
class Made:
    """A repository with one run, in which a person types."""

    sample: SampleRepository
    run: str

    @property
    def page(self) -> Path:
        return self.sample.root / f"{self.run.replace('/', '-')}.html"

    def types(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return typed("runs", "show", *words, cwd=self.sample.root, env={**os.environ, **variables})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    sample = make_sample_repository(tmp_path_factory.mktemp("made") / "sample")
    sample.write_env("http://localhost", SECRET="the-secret-value")
    (sample.root / "leak.py").write_text("KEY = 'the-secret-value'\n")
    sample.git("add", "--all")
    sample.git("commit", "--quiet", "--message", "Leak")
    config = sample.root / ".lw_coder/config.toml"
    config.write_text(config.read_text().replace('["OPENROUTER_*"]', '["OPENROUTER_*", "SECRET"]'))
    lines = [said(text("Half a pair: \ud83d, the-secret-value"))]
    files = {"prompts/main.md": "the-secret-value"}
    ended = {"problem": f"the-secret-value, {KEY}"}
    given = Recorded(agent=lines, summary="All is *done*: the-secret-value.\n", files=files, ended=ended)
    run = make_run(sample, given)
    return Made(sample, run.identity)


@pytest.mark.parametrize("words", [[PLAN_ID, "--html"], ["--html", PLAN_ID], ["--html=", PLAN_ID]])
def test_a_page_is_written_to_the_current_folder_for_its_owner_alone(made: Made, words: list[str]) -> None:
    made.page.unlink(missing_ok=True)
    result = made.types(*words)
    assert (result.returncode, result.stdout) == (ExitCode.OK, "")
    assert result.stderr == f"Page:     {made.page.name}\n"
    assert stat.S_IMODE(made.page.stat().st_mode) == 0o600
    page = made.page.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n")
    assert page.endswith("</html>\n")
    assert "All is <em>done</em>: [SECRET]." in page
    assert "Half a pair: \\ud83d, [SECRET]" in page
    assert page.count("[SECRET]") == len(("agent", "prompt", "problem", "summary", "commit"))
    assert "the-secret-value" not in page
    assert KEY not in page


def test_without_the_env_file_a_warning_says_what_the_page_can_show(made: Made, tmp_path: Path) -> None:
    env = made.sample.root / ".env"
    env.rename(tmp_path / "env")
    try:
        result = made.types(PLAN_ID, "--html", str(tmp_path))
    finally:
        (tmp_path / "env").rename(env)
    assert result.returncode == ExitCode.OK
    assert "so the page shows values of variables if the agent printed them" in result.stderr


def test_a_page_is_replaced_and_nothing_else(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert made.types(PLAN_ID, "--html", str(file)).stderr == f"Page:     {file}\n"
    assert (
        made.types(PLAN_ID, "--html", str(file)).stderr == f"Page:     {file} (in place of an earlier one)\n"
    )
    file.write_text("mine")
    link, folder = tmp_path / "link.html", tmp_path / "folder.html"
    link.symlink_to(made.page)
    folder.mkdir()
    for other in (file, link, Path("/dev/null")):
        result = made.types(PLAN_ID, "--html", str(other))
        told = f"error: {other}: exists, and is not a page of lw_coder; remove it, or give another FILE\n"
        assert (result.returncode, result.stderr) == (ExitCode.ERROR, told)
    assert file.read_text() == "mine"
    assert made.types(PLAN_ID, "--html", str(folder)).returncode == ExitCode.OK
    assert [page.name for page in folder.iterdir()] == [made.page.name]
    nowhere = made.types(PLAN_ID, "--html", str(tmp_path / "nowhere/page.html"))
    assert nowhere.stderr.endswith("its folder does not exist; create the folder, or give another FILE\n")


def test_standard_output(made: Made) -> None:
    result = subprocess.run(
        [LW_CODER, "runs", "show", PLAN_ID, "--html", "-"],
        cwd=made.sample.root,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (result.returncode, result.stderr) == (ExitCode.OK, "")
    assert result.stdout.startswith("<!DOCTYPE html>\n")
    piped = f"{LW_CODER} runs show {PLAN_ID} --html - | head -c 20"
    headed = subprocess.run(
        ["sh", "-c", piped],
        cwd=made.sample.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (headed.stdout, headed.stderr) == ("<!DOCTYPE html>\n<htm", "")


@pytest.mark.parametrize("is_there", [True, False])
def test_the_page_is_shown_in_the_browser(made: Made, tmp_path: Path, *, is_there: bool) -> None:
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}\n' if is_there else "#!/bin/sh\nexit 1\n")
    browser.chmod(0o700)
    file = tmp_path / "a page.html"
    result = made.types(
        PLAN_ID, "--html", str(file), "--open", BROWSER=f"{browser} %s", PATH="/nowhere:/usr/bin"
    )
    assert result.returncode == ExitCode.OK
    if is_there:
        assert told.read_text() == file.as_uri()
    else:
        assert "no browser could be started; open file:///" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([PLAN_ID, "--html", "x.html", "--json"], "--html cannot be used with --json"),
        ([PLAN_ID, "--open"], "--open needs --html, and a file"),
        ([PLAN_ID, "--html", "-", "--open"], "--open needs --html, and a file"),
        (["--html"], "Missing argument 'RUN'"),
        ([], "Missing argument 'RUN'"),
    ],
)
def test_a_wrong_command_line(made: Made, words: list[str], told: str) -> None:
    result = made.types(*words)
    assert (result.returncode, result.stdout) == (ExitCode.USAGE, "")
    assert told in result.stderr


def test_nothing_of_it_is_imported_to_show_a_run(made: Made) -> None:
    code = (
        "import sys\nfrom lw_coder.cli import cli\n"
        f"cli(['runs', 'show', '{PLAN_ID}'], standalone_mode=False)\nprint(*sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=made.sample.root, capture_output=True, text=True, check=True
    )
    assert not {"jinja2", "markdown_it", "pygments", "webbrowser"} & set(result.stdout.split())
