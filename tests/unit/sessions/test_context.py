"""What a session with the model gateway gets of the person's variables, and how its agent signs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import ConfigError, EnvironmentFileError
from lw_coder.sessions.context import compose_values, session_environment, session_login
from lw_coder.sessions.login import Login
from lw_coder.settings.config import CodeConfig


@pytest.fixture
def root(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert not list(home.glob(".factory"))
    for name in ("OPENROUTER_API_KEY", "FACTORY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("OPENROUTER_API_KEY=the-key\nNPM_TOKEN=other\n", encoding="ascii")
    return tmp_path


def test_the_key_goes_to_the_gateway_whatever_is_forwarded(root: Path) -> None:
    for pattern in ("OPENROUTER_*", "NPM_TOKEN"):
        config = CodeConfig(gateway=True, forward_env=(pattern,))
        environment = session_environment(root, config)
        assert "OPENROUTER_API_KEY" not in environment.values
        assert compose_values(environment, config)["OPENROUTER_API_KEY"] == "the-key"
        assert session_login(environment, config) is Login.NONE


def test_without_the_gateway_the_session_needs_the_key(root: Path) -> None:
    config = CodeConfig(forward_env=("NPM_TOKEN",))
    environment = session_environment(root, config)
    assert compose_values(environment, config) == {"NPM_TOKEN": "other"}
    with pytest.raises(EnvironmentFileError, match="does not forward OPENROUTER_API_KEY"):
        session_login(environment, config)


def test_a_factory_login_does_not_go_with_the_gateway(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_API_KEY", "fk-key")
    config = CodeConfig()
    assert session_login(session_environment(root, config), config) is Login.API_KEY
    config = CodeConfig(gateway=True)
    with pytest.raises(ConfigError, match="the agent signs in with Factory"):
        session_login(session_environment(root, config), config)
