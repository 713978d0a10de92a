from __future__ import annotations

from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from lw_coder.foundation.errors import EnvironmentFileError
from lw_coder.sessions.login import Login, choose_login, require_reachable_model
from lw_coder.settings.docker_flags import parse_run_flags
from lw_coder.settings.environment import SessionEnvironment, load_environment

SECRET = "sk-or-v1-never-shown"
KEY = {"OPENROUTER_API_KEY": SECRET}
DEFAULT = ("OPENROUTER_*",)


def loaded(
    root: Path,
    text: str = "",
    *,
    forward: tuple[str, ...] = DEFAULT,
    process: dict[str, str] | None = None,
) -> SessionEnvironment:
    if text:
        (root / ".env").write_text(text, encoding="utf-8")
    return load_environment(root, None, forward, KEY if process is None else process)


def refused(root: Path, env_file: str | None = None, **process: str) -> EnvironmentFileError:
    with pytest.raises(EnvironmentFileError) as caught:
        load_environment(root, env_file, DEFAULT, process)
    error = caught.value
    assert "\n" not in error.message + error.remedy
    assert error.remedy
    assert SECRET not in f"{error!r} {error.message} {error.remedy}"
    return error


def test_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert (found.env_file, found.names) == (None, ("OPENROUTER_API_KEY",))
    assert found.model.base_url == "https://openrouter.ai/api/v1"
    assert found.model.model == "anthropic/claude-sonnet-4.5"
    assert found.model.api_key == SECRET


def test_the_process_wins_over_the_file(tmp_path: Path) -> None:
    text = f"OPENROUTER_API_KEY=from-file\nOPENROUTER_MODEL=from/file\nOTHER={SECRET}\n"
    found = loaded(tmp_path, text, process={"OPENROUTER_MODEL": "from/process"})
    assert found.values == {"OPENROUTER_API_KEY": "from-file", "OPENROUTER_MODEL": "from/process"}
    assert found.env_file == tmp_path / ".env"
    assert (found.model.api_key, found.model.model) == ("from-file", "from/process")


def test_no_value_is_in_a_repr(tmp_path: Path) -> None:
    found = loaded(tmp_path, f"OPENROUTER_EXTRA={SECRET}\n")
    assert SECRET not in repr(found)
    assert pretty_repr(found) == "SessionEnvironment()"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("=5$HOME", "5$HOME"),
        ("='5$HOME'", "5$HOME"),
        ("='a # b'", "a # b"),
        ('="a # b"', "a # b"),
        ("=a # a comment", "a"),
        ("=a#b", "a#b"),
        ("='two words'", "two words"),
        ("='two\nlines'", "two\nlines"),
        ('="it\'s"', "it's"),
        ("=", ""),
    ],
)
def test_how_values_are_written(tmp_path: Path, line: str, value: str) -> None:
    assert loaded(tmp_path, f"OPENROUTER_X{line}\n").values["OPENROUTER_X"] == value


def test_export_and_a_name_alone(tmp_path: Path) -> None:
    found = loaded(tmp_path, "export OPENROUTER_X=1\nOPENROUTER_Y\n")
    assert found.names == ("OPENROUTER_API_KEY", "OPENROUTER_X")


def test_patterns(tmp_path: Path) -> None:
    process = {**KEY, "AWS_REGION": "x", "AWS_KEY": "x", "aws_key": "x", "CI": "1", "CIRCLE": "1"}
    found = loaded(tmp_path, forward=("AWS_*", "CI"), process=process)
    assert found.names == ("AWS_KEY", "AWS_REGION", "CI")


def test_the_agents_own_names_always_go(tmp_path: Path) -> None:
    process = {**KEY, "FACTORY_API_KEY": "x", "FACTORY_AIRGAP_ENABLED": "true", "FACTORY_OTHER": "x"}
    found = loaded(tmp_path, forward=(), process=process)
    assert found.names == ("FACTORY_AIRGAP_ENABLED", "FACTORY_API_KEY")


STAY = ("PATH", "HOME", "PWD", "TMPDIR", "LD_PRELOAD", "DOCKER_HOST", "COMPOSE_FILE", "_")


@pytest.mark.parametrize("pattern", ["*", "P*", "?OME", "[H]OME", "LD_*", "D*", "COMPOSE_*", "**", "?"])
def test_no_pattern_forwards_what_belongs_to_the_host(tmp_path: Path, pattern: str) -> None:
    process = {**KEY, **dict.fromkeys(STAY, "x")}
    assert set(loaded(tmp_path, forward=(pattern,), process=process).names) <= set(KEY)


@pytest.mark.parametrize("name", STAY)
def test_an_exact_name_forwards_anything(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, forward=(name,), process={**KEY, name: "x"}).names == (name,)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_key(tmp_path: Path, value: str | None) -> None:
    error = refused(tmp_path, **({} if value is None else {"OPENROUTER_API_KEY": value}))
    assert error.message.startswith("OPENROUTER_API_KEY: is set neither in .env")
    assert "openrouter.ai/keys" in error.remedy


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_key_in_the_environment_hides_the_files(tmp_path: Path, value: str) -> None:
    (tmp_path / ".env").write_text(f"OPENROUTER_API_KEY={SECRET}\n", encoding="ascii")
    error = refused(tmp_path, OPENROUTER_API_KEY=value)
    assert error.message == "OPENROUTER_API_KEY: is empty in the environment, which overrides .env"
    assert "unset OPENROUTER_API_KEY" in error.remedy


def test_the_reader_of_env_files_says_nothing_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded(tmp_path, "a line that is none\n")
    assert not caplog.records


def test_no_key_in_the_configured_file(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("OTHER=1\n", encoding="ascii")
    (tmp_path / ".env").write_text(f"OPENROUTER_API_KEY={SECRET}\n", encoding="ascii")
    error = refused(tmp_path, ".env.local")
    assert ".env.local" in error.message
    assert "into .env.local" in error.remedy


@pytest.mark.parametrize(
    "url", ["openrouter", "ftp://host/v1", "http://", "http://[::1", f"http://host:{SECRET}/v1", "//host"]
)
def test_bad_addresses(tmp_path: Path, url: str) -> None:
    error = refused(tmp_path, **KEY, OPENROUTER_BASE_URL=url)
    assert error.message == "OPENROUTER_BASE_URL: is not an http(s) URL"


@pytest.mark.parametrize("user", [SECRET, f"me:{SECRET}"])
def test_a_key_in_the_address(tmp_path: Path, user: str) -> None:
    error = refused(tmp_path, **KEY, OPENROUTER_BASE_URL=f"https://{user}@host/v1")
    assert "contains a user name or password" in error.message


@pytest.mark.parametrize("end", [f"?key={SECRET}", "?", f"#{SECRET}"])
def test_what_no_path_can_be_appended_to(tmp_path: Path, end: str) -> None:
    error = refused(tmp_path, **KEY, OPENROUTER_BASE_URL=f"https://host/v1{end}")
    assert error.message == "OPENROUTER_BASE_URL: contains a query or a fragment"
    assert "OPENROUTER_API_KEY only" in error.remedy


def test_a_slash_behind_the_address(tmp_path: Path) -> None:
    assert loaded(tmp_path, "OPENROUTER_BASE_URL=http://host/v1/\n").model.base_url == "http://host/v1"


def test_env_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"NAME=caf\xe9\n")
    assert ".lw_coder/config.toml: env_file: none: file not found" in refused(tmp_path, "none", **KEY).message
    assert (
        ".lw_coder/config.toml: env_file: folder: is not a file" in refused(tmp_path, "folder", **KEY).message
    )
    assert "latin: is not UTF-8 text" in refused(tmp_path, "latin", **KEY).message


def test_a_key_that_droid_would_miss(tmp_path: Path) -> None:
    """Without another login droid itself needs the key, which only forward_env lets in."""
    values = loaded(tmp_path, forward=("AWS_*",)).values
    with pytest.raises(EnvironmentFileError) as caught:
        choose_login(values, tmp_path)
    assert caught.value.message.startswith(
        ".lw_coder/config.toml: forward_env: does not forward OPENROUTER_API_KEY"
    )
    assert '"OPENROUTER_*"' in caught.value.remedy
    assert choose_login({"FACTORY_API_KEY": "x"}, tmp_path) is Login.API_KEY
    assert choose_login(KEY, tmp_path) is Login.NONE
    (tmp_path / ".factory").mkdir()
    (tmp_path / ".factory/auth.json").write_text("{}", encoding="ascii")
    assert choose_login(values, tmp_path) is Login.FILES
    assert choose_login({**KEY, "FACTORY_AIRGAP_ENABLED": "True"}, tmp_path) is Login.NONE


def test_the_time_zone_and_the_colours_get_in_whatever_is_forwarded(tmp_path: Path) -> None:
    process = {**KEY, "TZ": "Pacific/Auckland", "COLORTERM": "truecolor", "TERM": "dumb", "LANG": "C"}
    assert loaded(tmp_path, forward=(), process=process).names == ("COLORTERM", "TZ")


def test_the_agents_own_variables_and_the_proxies_get_in_whatever_is_forwarded(tmp_path: Path) -> None:
    process = {**KEY, "FACTORY_API_KEY": "fk", "HTTPS_PROXY": "http://proxy.example:3128", "OTHER": "x"}
    assert loaded(tmp_path, process=process).names == ("FACTORY_API_KEY", "HTTPS_PROXY", "OPENROUTER_API_KEY")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3", "[::1]"])
def test_a_model_on_the_loopback_is_out_of_a_sessions_reach(tmp_path: Path, host: str) -> None:
    model = loaded(tmp_path, process={**KEY, "OPENROUTER_BASE_URL": f"http://{host}:11434/v1"}).model
    with pytest.raises(EnvironmentFileError) as caught:
        require_reachable_model(Login.NONE, model, parse_run_flags([]))
    assert f"cannot reach {host.strip('[]')} of this machine" in caught.value.message
    require_reachable_model(Login.API_KEY, model, parse_run_flags([]))
    require_reachable_model(Login.NONE, model, parse_run_flags(["--network", "host"]))


@pytest.mark.parametrize(
    "url", ["http://172.17.0.1:11434/v1", "https://openrouter.ai/api/v1", "http://model.localhost.example/v1"]
)
def test_other_addresses_can_be_reached(tmp_path: Path, url: str) -> None:
    model = loaded(tmp_path, process={**KEY, "OPENROUTER_BASE_URL": url}).model
    require_reachable_model(Login.NONE, model, parse_run_flags([]))
