"""`lw_coder doctor`: what is wrong is said with what to do; what is advised makes it right."""

from __future__ import annotations

import subprocess

from lw_coder.containers.docker_command import COMPOSE_FILE
from lw_coder.foundation.errors import ExitCode
from tests.integration.conftest import LW_CODER, Person
from tests.integration.headless_session import Headless, beside, headless
from tests.support.forked import forked
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE
from tests.support.sample_repository import SampleRepository

COMMIT = "git commit --quiet --allow-empty --message replayed"


def findings(person: Person) -> tuple[int, dict[str, dict[str, str]]]:
    """Ask as a script would; map what was looked at to what was found."""
    done = forked("doctor", "--json", cwd=person.cwd, env=person.env)
    return done.returncode, {found["subject"]: found for found in validated("doctor", done.stdout)}


def _typed(person: Person, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=person.cwd, env=person.env, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_all_is_well(person: Person) -> None:
    status, found = findings(person)
    assert status == ExitCode.OK
    assert {one["remedy"] for one in found.values()} == {""}
    assert "OPENROUTER_API_KEY" in found["variables"]["result"]
    status, text = person.runs_to_the_end("doctor")
    assert status == ExitCode.OK
    assert "wrong" not in text


def test_each_wrong_is_told_with_what_to_do(person: Person, sample: SampleRepository) -> None:
    sample.git("add", "--force", ".env")
    (sample.root / ".lw_coder/code.Dockerfile").unlink()
    person.extra["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    status, found = findings(person)
    assert status == ExitCode.ERROR
    wrong = {subject: one["remedy"] for subject, one in found.items() if one["remedy"]}
    assert wrong.keys() == {"docker", "code.Dockerfile", "env file"}
    assert "start Docker" in wrong["docker"]
    assert "git rm --cached" in wrong["env file"]


def test_what_sessions_do_without_is_told(person: Person, sample: SampleRepository) -> None:
    sample.git("config", "user.useConfigOnly", "true")
    sample.git("config", "--unset", "user.email")
    sample.git("config", "commit.gpgSign", "true")
    (sample.root / ".factory").mkdir()
    (sample.root / ".factory/hooks.json").write_text('{"PreToolUse": []}', encoding="ascii")
    status, found = findings(person)
    assert status == ExitCode.ERROR
    assert [subject for subject, one in found.items() if one["remedy"]] == ["identity"]
    assert "git config --global user.email" in found["identity"]["remedy"]
    assert "are not signed (openpgp); to sign them later, type: git -C" in found["git set-up"]["result"]
    assert ".factory/hooks.json: its hooks do not run in sessions" in found["reviewers"]["result"]


def test_a_broken_setting_hides_nothing_else(person: Person, sample: SampleRepository) -> None:
    (sample.root / ".lw_coder/config.toml").write_text("[code]\ncolour = 1\n", encoding="ascii")
    status, found = findings(person)
    assert status == ExitCode.ERROR
    assert "unknown key" in found["config.toml"]["result"]
    assert [subject for subject, one in found.items() if one["remedy"]] == ["config.toml"]
    assert {"docker", "git", "base image", "leftovers"} <= found.keys()


def test_what_does_not_fit_the_gateway_is_told(person: Person, sample: SampleRepository) -> None:
    text = "[code]\ngateway = true\nlimits = { cost_usd = 1 }\n"
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")
    person.extra |= {"FACTORY_API_KEY": "fk-of-the-person", "OPENROUTER_MODEL": "some/model"}
    status, found = findings(person)
    assert status == ExitCode.ERROR
    wrong = {subject: one["remedy"] for subject, one in found.items() if one["remedy"]}
    assert wrong.keys() == {"login", "model gateway"}
    assert "remove gateway = true" in wrong["login"]
    assert "OPENROUTER_API_KEY" not in found["variables"]["result"]
    prices = wrong["model gateway"].removeprefix("write ").removesuffix(" below [code]")
    text += prices.replace("DOLLARS", "1.5")
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")
    del person.extra["FACTORY_API_KEY"]
    status, found = findings(person)
    assert (status, {one["remedy"] for one in found.values()}) == (ExitCode.OK, {""})
    assert "counts what some/model is asked; its program is " in found["model gateway"]["result"]


def test_a_planted_repository_is_found(person: Person, sample: SampleRepository) -> None:
    planted = sample.root / ".lw_coder/worktrees/sample-plan/vendor"
    planted.mkdir(parents=True)
    (planted / ".git").write_text("gitdir: elsewhere\n")
    # A folder in the place of a committed file is no reason to overlook what is in it.
    (planted.parent / "README.md/.git").mkdir(parents=True)
    (sample.root / ".lw_coder/tasks/.git").mkdir()
    status, found = findings(person)
    assert status == ExitCode.ERROR
    for text in (
        ".lw_coder/tasks: do not run git there",
        "worktrees/sample-plan: do not",
        "vendor/.git",
        "README.md/.git",
    ):
        assert text in found["nested repositories"]["result"]
    assert [subject for subject, one in found.items() if one["remedy"]] == ["nested repositories"]


def test_outside_of_a_repository_the_engine_is_looked_at(person: Person) -> None:
    person.cwd = person.home
    status, found = findings(person)
    assert status == ExitCode.ERROR
    assert [subject for subject, one in found.items() if one["remedy"]] == ["git"]
    assert found["docker"]["result"].startswith("Engine ")


def _a_session_that_is_no_leftover(person: Person, sample: SampleRepository) -> Headless:
    def look() -> None:
        status, found = findings(person)
        assert (status, found["leftovers"]["remedy"]) == (ExitCode.OK, ""), "a session at work is none"

    script, meanwhile = beside(look)
    ended = headless(person, sample, script, meanwhile=meanwhile)
    assert ended.status == 0, ended.stderr
    return ended


def test_what_a_replay_left_is_found_and_the_advice_removes_it(
    person: Person, sample: SampleRepository
) -> None:
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nallow_hosts = []\n", encoding="ascii")
    run = _a_session_that_is_no_leftover(person, sample).run
    assert findings(person)[0] == ExitCode.OK
    compose = str((run / COMPOSE_FILE).relative_to(sample.root))
    replay = ("docker", "compose", "-f", compose, "run", "-T", "--entrypoint", "sh", "droid", "-c", COMMIT)
    assert _typed(person, *replay).returncode == 0
    status, found = findings(person)
    assert status == ExitCode.ERROR
    assert found["leftovers"]["result"].startswith(
        "1 stopped container with the variables' values, 1 idle proxy container"
    )
    assert run.name in found["runs"]["result"]
    for subject in ("leftovers", "runs"):
        advice = found[subject]["remedy"].replace("lw_coder runs", f"{LW_CODER} runs")
        assert _typed(person, "sh", "-c", advice).returncode == 0
    assert findings(person)[0] == ExitCode.OK
    assert "replayed" in sample.git("log", "--all", "--format=%s")
