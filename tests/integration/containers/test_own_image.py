"""This repository's own image, in a real session on a clone of it: its tests run there, without a network."""

from __future__ import annotations

import re

from lw_coder.sessions.spec import host_user
from tests.integration.execution import Execution
from tests.support.engine import docker


def test_a_part_of_the_unit_suite_passes_in_a_session(own_session: Execution, unit_suite: str) -> None:
    assert re.match(r"pytest \d+\.\d+", own_session.inside("uv", "run", "pytest", "--version"))
    (verdict,) = re.findall(r"^=+ (.* passed.*) =+$", unit_suite, re.MULTILINE)
    assert re.match(r"\d{3,} passed", verdict)
    assert "failed" not in verdict

    assert _security(own_session.container) == f"{host_user()} [ALL] [no-new-privileges=true] false"
    status = own_session.inside("cat", "/proc/self/status")
    assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)
    assert not own_session.inside("git", "status", "--porcelain")


def test_the_home_and_the_environment_are_the_sessions_own(own_session: Execution) -> None:
    uid = host_user().partition(":")[0]
    folders = ("/home/droiduser", "/opt/lw_coder")
    assert not own_session.inside("find", *folders, "-not", "-user", uid)
    own_session.inside("touch", "/home/droiduser/.factory/a-file", "/opt/lw_coder/a-file")
    assert own_session.inside("droid", "mcp", "list").count("context7") == 1


def _security(container: str) -> str:
    host = "{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}"
    return docker("inspect", "--format", "{{.Config.User}} " + host, container)
