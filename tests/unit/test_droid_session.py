"""What a session is made of, without a container."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lw_coder.droid_session import (
    CA_BUNDLE,
    Login,
    SessionSpec,
    ca_mounts,
    clear_away,
    fixed_environment,
    login_mounts,
    prepare_session_folder,
    project_name,
    render_settings,
    session_labels,
    take_over,
)
from lw_coder.errors import EngineError
from lw_coder.model_access import ModelAccess

SECRET = "sk-or-v1-never-shown"


def model(name: str = "anthropic/claude-sonnet-4.5") -> ModelAccess:
    return ModelAccess(name, "https://openrouter.ai/api/v1", SECRET)


@pytest.mark.parametrize("login", list(Login))
def test_settings_hold_no_key(login: Login) -> None:
    text = render_settings(login, model())
    assert SECRET not in text
    settings = json.loads(text)
    assert settings["cloudSessionSync"] is False
    assert "/workspace" in settings["trustedFolders"]
    assert ("customModels" in settings) == (login is Login.NONE)


@pytest.mark.parametrize(
    ("name", "provider", "base_url"),
    [
        ("anthropic/claude-sonnet-4.5", "anthropic", "https://openrouter.ai/api"),
        ("openai/gpt-5", "generic-chat-completion-api", "https://openrouter.ai/api/v1"),
    ],
)
def test_openrouters_model_in_droid(name: str, provider: str, base_url: str) -> None:
    settings = json.loads(render_settings(Login.NONE, model(name)))
    (custom,) = settings["customModels"]
    assert (custom["model"], custom["provider"], custom["baseUrl"]) == (name, provider, base_url)
    assert custom["apiKey"] == "${OPENROUTER_API_KEY}"
    assert settings["model"] == custom["id"] == settings["sessionDefaultSettings"]["model"]


def test_the_folder_of_a_session(tmp_path: Path) -> None:
    prepare_session_folder(tmp_path, Login.NONE, model())
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "settings.json").stat().st_mode & 0o777 == 0o600


def test_login_files_are_mounted_if_they_are_there(tmp_path: Path) -> None:
    folder = tmp_path / ".factory"
    folder.mkdir()
    for name in ("auth.v2.file", "auth.v2.key", "settings.json"):
        (folder / name).write_text("x", encoding="ascii")
    mounts = login_mounts(Login.FILES, tmp_path)
    assert [mount.target.rpartition("/")[2] for mount in mounts] == ["auth.v2.file", "auth.v2.key"]
    assert all(mount.read_only for mount in mounts)
    assert login_mounts(Login.API_KEY, tmp_path) == login_mounts(Login.NONE, tmp_path) == ()


def test_certificates_are_mounted_and_named() -> None:
    (mount,) = ca_mounts(Path("/etc/ca.pem"))
    assert (mount.source, mount.target, mount.read_only) == (Path("/etc/ca.pem"), CA_BUNDLE, True)
    assert ca_mounts(None) == ()
    assert fixed_environment(Login.FILES, has_ca_bundle=True)["SSL_CERT_FILE"] == CA_BUNDLE
    assert fixed_environment(Login.FILES, has_ca_bundle=False) == {"HOME": "/home/droiduser"}
    assert fixed_environment(Login.NONE, has_ca_bundle=False)["FACTORY_AIRGAP_ENABLED"] == "true"


def test_a_name_that_compose_takes() -> None:
    name = project_name("0123456789ab", "A.Plan_1", "20250630T120000Z-2")
    assert name == "lw-0123456789ab-a-plan_1-20250630t120000z-2"


# In a session's container there is not even a client.
NO_ENGINE = re.compile("the Docker engine does not answer|docker: there is no such command")


@pytest.fixture
def orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionSpec:
    """A session whose engine has gone."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    labels = session_labels("0123", "sample-plan", "20250102T030405Z")
    return SessionSpec("lw-sample", "1:1", (), (), {}, labels, allowed=())


def test_an_engine_that_dies_with_its_session_is_one_warning(
    orphan: SessionSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not clear_away(orphan)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the session's containers may still be there: ")
    assert NO_ENGINE.search(line)


@pytest.mark.usefixtures("orphan")
def test_an_engine_that_is_gone_before_the_session_is_an_error() -> None:
    with pytest.raises(EngineError, match=NO_ENGINE):
        take_over("0123", "sample-plan")
