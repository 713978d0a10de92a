"""Rendering is pure: what it writes is looked at here, and read by Compose in tests/integration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render, render_dependencies
from lw_coder.containers.docker_command import DEPENDENCIES_FILE
from lw_coder.containers.labels import PLAN_LABEL, PROXY_LABEL, RUN_LABEL
from lw_coder.containers.proxy import FILTER_FILE, render_filter
from lw_coder.containers.specs import Mount, SessionSpec
from lw_coder.settings.allowed_hosts import AllowedHost
from lw_coder.settings.docker_flags import parse_build_flags, parse_run_flags

ROOT = Path("/repo/of $mine")
RUN = ROOT / ".lw_coder/runs/a-plan/20250630T120000Z"
IMAGE, BASE = "sha256:" + "0" * 64, "sha256:" + "1" * 64
GUARD = "needs_buildkit"
PROXY = "proxy-20250630t120000z"
LABELS = {PROXY_LABEL: "abc/a-plan", RUN_LABEL: RUN.name}


def spec(
    run: Sequence[str] = (),
    build: Sequence[str] = (),
    *,
    env_file: Path | None = None,
    ca: Path | None = None,
    allowed: tuple[AllowedHost, ...] | None = None,
) -> ComposeSpec:
    mounts = (Mount(ROOT / "tree", "/workspace", read_only=False), Mount(Path("/home/me/$x"), "/login"))
    labels = {"l": "v", PLAN_LABEL: "abc/a-plan", RUN_LABEL: RUN.name}
    session = SessionSpec(
        "lw-project", "1000:100", mounts, ("API_KEY", "HOME"), {"HOME": "/home/droiduser"}, labels, allowed
    )
    repo = ImageBuild(
        "lw_coder_droid:abc",
        ROOT,
        RUN / "code.Dockerfile",
        {"HTTP_PROXY": None},
        {"made": "here"},
        parse_build_flags(build),
    )
    return ComposeSpec(RUN, ROOT, session, parse_run_flags(run), {"repo": repo}, env_file, ca, IMAGE, BASE)


def top(made: ComposeSpec) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render(made)["compose.yml"])
    return found


def services(made: ComposeSpec) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render(made)["services.yml"])
    return found


def droid(*run: str) -> dict[str, Any]:
    found: dict[str, Any] = services(spec(run))["services"]["droid"]
    return found


def test_pure_and_the_same_each_time() -> None:
    assert render(spec()) == render(spec())
    assert not ROOT.exists()


def test_the_comment_for_people_stays() -> None:
    assert all(text.startswith("# ") for text in render(spec()).values())


def test_the_top_file() -> None:
    assert top(spec()) == {"name": "lw-project", "include": [{"path": "services.yml"}]}


@pytest.mark.parametrize(
    ("env_file", "written"),
    [
        (ROOT / ".env", "../../../../.env"),
        (ROOT / "a $b/.env", "../../../../a $$b/.env"),
        (Path("/etc/$secrets"), "/etc/$$secrets"),
    ],
)
def test_the_env_file_is_included_by_relative_path(env_file: Path, written: str) -> None:
    assert top(spec(env_file=env_file))["include"] == [{"path": "services.yml", "env_file": written}]


def test_the_container() -> None:
    service = droid()
    assert (service["image"], service["pull_policy"], service["user"]) == (IMAGE, "never", "1000:100")
    assert service["labels"] == {"l": "v", PLAN_LABEL: "abc/a-plan", RUN_LABEL: RUN.name}
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges=true"])
    assert service["network_mode"] == "bridge"


def test_variables_go_by_name() -> None:
    """A fixed value beats one that would be forwarded; Compose fills a bare name of a list alone."""
    assert droid()["environment"] == ["API_KEY", "HOME=/home/droiduser"]


def test_mounts_never_make_their_source() -> None:
    inside, outside = droid()["volumes"]
    assert inside == {
        "type": "bind",
        "source": "../../../../tree",
        "target": "/workspace",
        "read_only": False,
        "bind": {"create_host_path": False},
    }
    assert (outside["source"], outside["read_only"]) == ("/home/me/$$x", True)


def test_builds() -> None:
    service = services(spec())["services"]["repo"]
    assert (service["image"], service["profiles"]) == ("lw_coder_droid:abc", ["build"])
    assert service["build"] == {
        "context": "../../../..",
        "dockerfile": ".lw_coder/runs/a-plan/20250630T120000Z/code.Dockerfile",
        "args": {"HTTP_PROXY": None},
        "labels": {"made": "here"},
        "secrets": [GUARD],
    }
    assert set(services(spec())["services"]) == {"repo", "droid"}


def test_lists_grow_and_the_rest_is_replaced() -> None:
    service = droid(
        "--cap-drop=ALL", "--cap-drop=X", "--security-opt=apparmor=a", "--pids-limit=9", "-l", "m=n"
    )
    assert service["cap_drop"] == ["ALL", "X"]
    assert service["security_opt"] == ["no-new-privileges=true", "apparmor=a"]
    assert service["pids_limit"] == 9
    assert service["labels"].items() >= {"l": "v", "m": "n"}.items()


@pytest.mark.parametrize(
    ("flags", "limits"),
    [
        ([], ("4g", "4g")),
        (["-m", "8g"], ("8g", "8g")),
        (["-m", "8g", "--memory-swap", "9g"], ("8g", "9g")),
        (["--memory-swap", "-1"], ("4g", -1)),
    ],
)
def test_memory(flags: list[str], limits: tuple[object, object]) -> None:
    service = droid(*flags)
    assert (service["mem_limit"], service["memswap_limit"]) == limits


def test_dollars_are_the_persons_own() -> None:
    """Docker takes $HOME as it stands; Compose would put the host's in its place."""
    service = droid("-e", "A=$HOME", "-l", "b=$$", "--health-cmd", "test -e $HOME", "-v", "./$c:/c")
    assert service["environment"][-1] == "A=$$HOME"
    assert service["labels"]["b"] == "$$$$"
    assert service["healthcheck"]["test"] == "test -e $$HOME"
    assert service["volumes"][-1] == "../../../../$$c:/c"
    build = services(spec(build=["--build-arg", "A=$HOME"]))["services"]["repo"]["build"]
    assert build["args"]["A"] == "$$HOME"


def test_paths_are_the_roots() -> None:
    service = droid(
        *("-v", "./a:/a", "-v", "/abs:/b", "--mount", "type=bind,source=c,target=/c"),
        *("--env-file", "d.env", "--security-opt", "seccomp=e.json"),
    )
    assert service["volumes"][2:4] == ["../../../../a:/a", "/abs:/b"]
    assert service["volumes"][4]["source"] == "../../../../c"
    assert service["volumes"][4]["bind"] == {"create_host_path": False}
    assert service["env_file"] == [{"path": "../../../../d.env", "format": "raw"}]
    assert service["security_opt"][-1] == "seccomp=../../../../e.json"


def test_named_volumes_are_the_persons_own() -> None:
    """Else Compose would make one with the run's name in front."""
    found = services(spec(["-v", "cache:/c", "--mount", "source=data,target=/d", "-v", "/anonymous"]))
    assert found["volumes"] == {"cache": {"external": True}, "data": {"external": True}}
    assert "volumes" not in services(spec())


def test_secrets_of_the_build() -> None:
    flags = ["--secret", "id=a,src=token", "--secret", "id=b,env=TOKEN", "--secret", "id=c,src=/abs/$d"]
    found = services(spec(build=flags, ca=Path("/etc/ca.pem")))
    assert found["services"]["repo"]["build"]["secrets"] == [GUARD, "ca_bundle", "a", "b", "c"]
    assert found["secrets"] == {
        GUARD: {"file": "./compose.yml"},
        "ca_bundle": {"file": "/etc/ca.pem"},
        "a": {"file": "../../../../token"},
        "b": {"environment": "TOKEN"},
        "c": {"file": "/abs/$$d"},
    }
    assert set(services(spec())["secrets"]) == {GUARD}


def test_build_contexts() -> None:
    flags = ["--build-context", "a=sub", "--build-context", "b=docker-image://x", "--build-context", "c=/abs"]
    build = services(spec(build=flags))["services"]["repo"]["build"]
    assert build["additional_contexts"] == {"a": "../../../../sub", "b": "docker-image://x", "c": "/abs"}


def test_a_start_interval_alone() -> None:
    assert droid("--health-start-interval=2s")["healthcheck"] == {
        "start_period": "0s",
        "start_interval": "2s",
    }


def test_any_host_may_be_reached_and_there_is_no_proxy() -> None:
    assert FILTER_FILE not in render(spec())
    assert "networks" not in services(spec())
    assert {"networks", "depends_on"}.isdisjoint(droid())


def test_the_proxy_is_the_only_way_out() -> None:
    allowed = (AllowedHost("a.org"),)
    made = services(spec(["--add-host", "a.org:10.0.0.7"], allowed=allowed))
    session, proxy = made["services"]["droid"], made["services"][PROXY]
    assert "network_mode" not in session
    assert session["networks"] == ["inside"]
    assert proxy["networks"] == {"inside": {"aliases": ["proxy"]}, "outside": {}}
    assert session["depends_on"] == {PROXY: {"condition": "service_healthy"}}
    assert made["networks"]["inside"]["internal"]
    assert render(spec(allowed=allowed))[FILTER_FILE] == render_filter(allowed)


def test_the_proxy_and_the_networks_are_the_runs_own_in_whatever_project() -> None:
    """COMPOSE_PROJECT_NAME beats the file's name: where two runs' proxies had one name, they would be one."""
    made = services(spec(allowed=()))
    assert set(made["services"]) == {"repo", "droid", PROXY}
    assert {one["name"] for one in made["networks"].values()} == {"lw-project_inside", "lw-project_outside"}


def test_what_is_started_before_the_session_is_what_it_depends_on() -> None:
    described = spec(["--add-host", "a.org:10.0.0.7"], allowed=(AllowedHost("a.org"),))
    assert described.session
    whole, texts = services(described), render_dependencies(described, described.session)
    early = yaml.safe_load(texts[DEPENDENCIES_FILE])
    assert set(early["services"]) == set(whole["services"]["droid"]["depends_on"]) == {PROXY}
    assert early["services"][PROXY] == whole["services"][PROXY]
    assert (early["name"], early["networks"]) == (described.session.project, whole["networks"])
    assert texts[FILTER_FILE] == render(described)[FILTER_FILE]


def test_without_services_that_it_depends_on_nothing_is_started() -> None:
    described = spec()
    assert described.session
    assert render_dependencies(described, described.session) == {}


@pytest.mark.parametrize("name", ["x-team", "x-", "\n"])
def test_names_that_compose_would_take_for_its_own(name: str) -> None:
    service = droid("-l", f"{name}=a", "--sysctl", f"{name}=b", "--annotation", f"{name}=$c")
    assert f"{name}=a" in service["labels"]
    assert (service["sysctls"], service["annotations"]) == ([f"{name}=b"], [f"{name}=$$c"])
    flags = ["--build-arg", name, "--label", f"{name}=d"]
    build = services(spec(build=flags))["services"]["repo"]["build"]
    assert (build["args"], build["labels"]) == (["HTTP_PROXY", name], ["made=here", f"{name}=d"])


def test_the_proxy_is_as_hardened_as_the_session_and_found_again() -> None:
    made = services(spec(["--add-host", "a.org:10.0.0.7", "--privileged"], allowed=()))
    proxy = made["services"][PROXY]
    assert (proxy["image"], proxy["pull_policy"], proxy["user"]) == (BASE, "never", "1000:100")
    assert (proxy["cap_drop"], proxy["security_opt"]) == (["ALL"], ["no-new-privileges=true"])
    assert (proxy["read_only"], proxy.get("privileged")) == (True, None)
    assert proxy["extra_hosts"] == ["a.org:10.0.0.7"]
    assert [(bind["source"], bind["read_only"]) for bind in proxy["volumes"]] == [(f"./{FILTER_FILE}", True)]
    assert [made["networks"][name]["labels"] for name in ("inside", "outside")] == [LABELS, LABELS]
    assert proxy["labels"] == LABELS
