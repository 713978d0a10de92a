"""What docker's clients are started with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.docker_command import SERVICES_FILE, environment_for

if TYPE_CHECKING:
    import pytest


def test_clients_are_quick_unless_the_person_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    assert environment_for()["GOGC"] == "400"
    monkeypatch.setenv("GOGC", "50")
    assert environment_for()["GOGC"] == "50"


def test_what_the_compose_files_name_is_left_to_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    names = "services: {droid: {environment: [GOGC, OTEL_SERVICE_NAME]}}\n"
    (tmp_path / SERVICES_FILE).write_text(names, encoding="ascii")
    environment = environment_for(tmp_path)
    assert "GOGC" not in environment
    assert environment["OTEL_SERVICE_NAME"] == "mine"
    assert "BUILDX_GIT_INFO" in environment
