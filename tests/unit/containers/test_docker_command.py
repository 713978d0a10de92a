"""What docker's clients are started with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.docker_command import SERVICES_FILE, quick_environment

if TYPE_CHECKING:
    import pytest


def test_clients_are_quick_unless_the_person_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    monkeypatch.setenv("COMPOSE_BAKE", "true")
    environment = quick_environment()
    assert (environment["GOGC"], environment["COMPOSE_BAKE"]) == ("400", "true")


def test_what_the_compose_files_name_is_left_to_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    (tmp_path / SERVICES_FILE).write_text("services: {droid: {environment: [GOGC]}}\n", encoding="ascii")
    environment = quick_environment(tmp_path)
    assert "GOGC" not in environment
    assert "BUILDX_GIT_INFO" in environment
