"""What a session is made of, without a container."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lw_coder.containers.labels import session_labels
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import EngineError
from lw_coder.sessions.cleanup import stop_abandoned_sessions
from lw_coder.sessions.container_paths import CA_BUNDLE
from lw_coder.sessions.login import Login, login_mounts
from lw_coder.sessions.session import remove_containers
from lw_coder.sessions.spec import ca_mounts, fixed_environment, project_name


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
    assert fixed_environment(Login.FILES, has_ca_bundle=False).keys() == {
        "HOME",
        "FACTORY_RUNTIME_SETTINGS_PATH",
    }
    assert fixed_environment(Login.NONE, has_ca_bundle=False)["FACTORY_AIRGAP_ENABLED"] == "true"


def test_a_name_that_compose_takes() -> None:
    name = project_name("0123456789ab", "A.Plan_1", "20250630T120000Z-2")
    assert name == "lw-0123456789ab-a-plan_1-20250630t120000z-2"


# In a session's container there is not even a client.
NO_ENGINE = re.compile("the Docker engine does not answer|docker: command not found")


@pytest.fixture
def orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionSpec:
    """A session whose engine has gone."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    labels = session_labels("0123", "sample-plan", "20250102T030405Z")
    return SessionSpec("lw-sample", "1:1", (), (), {}, labels, allowed=())


def test_an_engine_that_dies_with_its_session_is_one_warning(
    orphan: SessionSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not remove_containers(orphan)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the session's containers may still be running: ")
    assert NO_ENGINE.search(line)


@pytest.mark.usefixtures("orphan")
def test_an_engine_that_is_gone_before_the_session_is_an_error() -> None:
    with pytest.raises(EngineError, match=NO_ENGINE):
        stop_abandoned_sessions("0123", "sample-plan")
