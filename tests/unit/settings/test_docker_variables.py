"""Which variables docker's clients get: each that is known by today, and those of tomorrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.settings.docker_variables import (
    RULES,
    Use,
    client_call,
    client_config,
    client_environment,
    dropped_variables,
    engines_own_builder,
    rule_for,
)

# From the pages on environment variables of docker, Compose and buildx, and out of their programs.
KEPT = """DOCKER_API_VERSION DOCKER_AUTH_CONFIG DOCKER_CERT_PATH DOCKER_CONFIG DOCKER_CONTENT_TRUST
    DOCKER_CONTENT_TRUST_SERVER DOCKER_CONTEXT DOCKER_CUSTOM_HEADERS DOCKER_HOST DOCKER_TLS
    DOCKER_TLS_VERIFY BUILDX_CONFIG EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"""
DROPPED = """DOCKER_BUILDKIT DOCKER_DEFAULT_PLATFORM COMPOSE_BAKE COMPOSE_COMPATIBILITY
    COMPOSE_CONVERT_WINDOWS_PATHS COMPOSE_DISABLE_ENV_FILE COMPOSE_ENV_FILES COMPOSE_EXPERIMENTAL
    COMPOSE_EXPERIMENTAL_GIT_REMOTE COMPOSE_FILE COMPOSE_IGNORE_ORPHANS COMPOSE_PATH_SEPARATOR
    COMPOSE_PROFILES COMPOSE_PROJECT_NAME COMPOSE_REMOVE_ORPHANS BUILDKIT_HOST BUILDKIT_SYNTAX
    BUILDX_BAKE_ENTITLEMENTS_FS BUILDX_BAKE_FILE BUILDX_BUILDER BUILDX_EXPERIMENTAL
    BUILDX_NO_DEFAULT_ATTESTATIONS BUILDX_NO_DEFAULT_LOAD COMPOSE_OF_TOMORROW
    DOCKER_OF_TOMORROW"""
IGNORED = """BUILDKIT_COLORS BUILDKIT_PROGRESS BUILDKIT_TTY_LOG_LINES BUILDX_GIT_INFO BUILDX_GIT_LABELS
    COMPOSE_ANSI COMPOSE_MENU COMPOSE_PARALLEL_LIMIT COMPOSE_PROGRESS COMPOSE_STATUS_STDOUT
    DOCKER_CLI_HINTS DOCKER_CLI_PLUGIN_SOCKET DOCKER_HIDE_LEGACY_COMMANDS
    OTEL_EXPORTER_OTLP_ENDPOINT OTEL_TRACES_EXPORTER DOCKER_CLI_OTEL_EXPORTER_OTLP_ENDPOINT
    SOURCE_DATE_EPOCH"""
NOT_DOCKERS = (
    "PATH",
    "HOME",
    "HTTPS_PROXY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "GODEBUG",
    "GOMAXPROCS",
    "DOCKER",
)


@pytest.mark.parametrize(
    ("names", "use"),
    [(KEPT, Use.KEPT), (DROPPED, Use.DROPPED), (IGNORED, Use.IGNORED)],
    ids=["kept", "dropped", "ignored", "", "", ""][:3],
)
def test_each_variable_has_its_rule(names: str, use: Use) -> None:
    found = {name: rule for name in names.split() if (rule := rule_for(name)) is None or rule.use is not use}
    assert found == {}


def test_all_else_is_none_of_dockers() -> None:
    assert [name for name in NOT_DOCKERS if rule_for(name)] == []


def test_the_documentation_has_each_rule() -> None:
    text = Path(__file__).parents[3].joinpath("docs/reference/docker.md").read_text(encoding="ascii")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for rule in RULES:
        names = ", ".join(f"`{name}`" for name in rule.names)
        assert f"| {names} | {rule.use.value} | {rule.reason} |" in rows


def test_what_clients_get() -> None:
    process = dict.fromkeys([*KEPT.split(), *DROPPED.split(), *IGNORED.split(), *NOT_DOCKERS], "mine")
    environment = client_environment(process)
    assert {name for name, value in environment.items() if value == "mine"} == {
        *KEPT.split(),
        *NOT_DOCKERS,
    }
    assert environment["DOCKER_BUILDKIT"] == "1"


def test_what_steers_is_not_handed_on_even_where_it_is_named() -> None:
    """The classic builder puts .env into the image; a tracer's address harms nobody."""
    process = {"COMPOSE_ENV_FILES": "a", "OTEL_SERVICE_NAME": "b"}
    environment = client_environment(process, "environment: [COMPOSE_ENV_FILES, OTEL_SERVICE_NAME]")
    assert "COMPOSE_ENV_FILES" not in environment
    assert environment["OTEL_SERVICE_NAME"] == "b"


def test_what_the_person_is_told_of() -> None:
    process = {
        "DOCKER_BUILDKIT": "0",
        "COMPOSE_MENU": "1",
        "DOCKER_HOST": "x",
        "COMPOSE_FILE": "y",
        "PATH": "z",
    }
    assert dropped_variables(process) == ("COMPOSE_FILE", "DOCKER_BUILDKIT")


def test_a_call_tells_no_value_of_the_persons() -> None:
    process = {"COMPOSE_FILE": "secret", "DOCKER_HOST": "also", "PATH": "x"}
    call = client_call(process, client_environment(process))
    assert call[:3] == ["env", "-u", "COMPOSE_FILE"]
    assert call[-1] == "docker"
    assert not any("secret" in word or "also" in word for word in call)


def test_the_builder_is_the_engines_own(tmp_path: Path) -> None:
    """As docker itself decides on the context: DOCKER_HOST, DOCKER_CONTEXT, its configuration."""
    config = {"DOCKER_CONFIG": str(tmp_path)}
    assert engines_own_builder(config) == "default"
    (tmp_path / "config.json").write_text('{"currentContext": "far"}', encoding="ascii")
    assert engines_own_builder(config) == "far"
    assert engines_own_builder({**config, "DOCKER_CONTEXT": "near"}) == "near"
    assert engines_own_builder({**config, "DOCKER_CONTEXT": "near", "DOCKER_HOST": "x"}) == "default"
    (tmp_path / "config.json").write_text("[", encoding="ascii")
    assert engines_own_builder(config) == "default"


def test_a_configuration_of_docker_that_is_nested_deeply_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"proxies":' * 5000)
    assert client_config({"DOCKER_CONFIG": str(tmp_path)}) == {}
