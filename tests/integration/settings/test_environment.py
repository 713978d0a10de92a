"""Which of two values reaches the session."""

from __future__ import annotations

from tests.integration.conftest import Person, sessions_in
from tests.support.engine import docker
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import ScriptedModel
from tests.support.terminal import Terminal

EXPORTED = "sk-or-exported-key"


def test_an_exported_variable_wins_over_the_env_file(
    sample: SampleRepository, person: Person, model: ScriptedModel
) -> None:
    """It is dotenv's rule and Compose's, whatever the file's name; no file of the run holds the value.

    What lw_coder sets for docker's clients, GOGC, is no such variable.
    """
    config = '[code]\nenv_file = ".env.local"\nforward_env = ["OPENROUTER_*", "GOGC"]\n'
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")
    (sample.root / ".env").rename(sample.root / ".env.local")
    with (sample.root / ".env.local").open("a") as file:
        file.write("GOGC=50\n")
    person.extra["OPENROUTER_API_KEY"] = EXPORTED
    person.extra["NOT_FORWARDED"] = "a"
    person.extra.update({"TZ": "Pacific/Auckland", "COLORTERM": "truecolor"})
    seen: list[str] = []

    def look(_: Terminal) -> None:
        (container,) = sessions_in(sample.root)
        seen.extend(docker("exec", container, "env").splitlines())
        seen.append(docker("exec", container, "date", "--date=2026-07-01T00:00Z", "+%Z %H:%M").strip())

    person.carries_out(PLAN_ID, look)

    assert f"OPENROUTER_API_KEY={EXPORTED}" in seen
    assert f"OPENROUTER_BASE_URL={model.base_url}" in seen
    assert "GOGC=50" in seen
    assert {"TZ=Pacific/Auckland", "COLORTERM=truecolor", "NZST 12:00"} <= set(seen)
    assert not [line for line in seen if line.startswith("NOT_FORWARDED")]
    assert {request.authorization for request in model.requests} == {f"Bearer {EXPORTED}"}
    files = [path for path in sample.root.glob(".lw_coder/runs/**/*") if path.is_file()]
    assert not [path for path in files if EXPORTED.encode() in path.read_bytes()]
