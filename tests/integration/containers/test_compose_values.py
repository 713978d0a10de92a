"""What config.toml says comes back from Compose as it was written, whatever YAML could make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lw_coder.containers.compose_check import require_readable
from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.docker_flags import parse_build_flags, parse_run_flags
from tests.support.compose_values import NAMES, VALUES, Service, differing, flags, read_by_compose, rendered

# The engine's own names and images: what Compose takes for a path or an address of its own is not in here.
SINGLE: dict[str, tuple[bool, str]] = {
    "--hostname": (True, "hostname"),
    "--platform": (True, "platform"),
    "--domainname": (True, "domainname"),
    "--runtime": (True, "runtime"),
    "--stop-signal": (True, "stop_signal"),
    "--cgroup-parent": (True, "cgroup_parent"),
    "--log-driver": (True, "logging.driver"),
    "--health-cmd": (True, "healthcheck.test"),
    "--target": (False, "build.target"),
    "--network": (False, "build.network"),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], dict[str, Service]]:
    """Have Compose read a services.yml; return its services."""
    return lambda text: read_by_compose(tmp_path, text)


def test_values_by_name(tmp_path: Path) -> None:
    assert differing(tmp_path, VALUES) == {}
    assert len(VALUES) > 250


def test_names(read: Callable[[str], dict[str, Service]]) -> None:
    pairs = {name: str(number) for number, name in enumerate(NAMES)}
    run = [word for flag in ("--label", "--annotation", "--sysctl") for word in flags(flag, pairs)]
    variables = {name: value for name, value in pairs.items() if name == name.strip()}
    run += flags("--env", variables)
    services = read(rendered(run, [*flags("--build-arg", variables), *flags("--label", pairs)]))
    droid, build = services["droid"], services["repo"]["build"]
    for values in (droid["labels"], droid["annotations"], droid["sysctls"], build["labels"]):
        assert {name: values.get(name) for name in pairs} == pairs
    for values in (droid["environment"], build["args"]):
        assert {name: values.get(name) for name in variables} == variables


def test_names_alone(read: Callable[[str], dict[str, Service]]) -> None:
    """Without one that Compose would take for its own, which has all of them written in another way."""
    names = [name for name in NAMES if not name.startswith("x-") and not name.isspace()]
    pairs = {name: str(number) for number, name in enumerate(names)}
    services = read(rendered(flags("--label", pairs), flags("--build-arg", pairs)))
    for values in (services["droid"]["labels"], services["repo"]["build"]["args"]):
        assert {name: values.get(name) for name in pairs} == pairs


@pytest.mark.parametrize("flag", SINGLE)
def test_single_values(read: Callable[[str], dict[str, Service]], flag: str) -> None:
    """As many services as values, in one file, so that Compose is called once."""
    is_run, place = SINGLE[flag]
    values = [value for value in VALUES if value]
    texts = [rendered([flag, one]) if is_run else rendered((), [flag, one]) for one in values]
    service = "droid" if is_run else "repo"
    blocks = [f"  one{number}:\n{_block(text, service)}" for number, text in enumerate(texts)]
    end = "secrets:\n  needs_buildkit: {file: ./compose.yml}\n"
    services = read("services:\n" + "".join(blocks) + end)
    found = [_at(services[f"one{number}"], place) for number in range(len(values))]
    assert [(value, got) for value, got in zip(values, found, strict=True) if got != value] == []


def _block(text: str, service: str) -> str:
    """Cut one service out of a rendered file, whose texts have no line breaks."""
    lines = text.split("\n")
    start = lines.index(f"  {service}:") + 1
    length = next(i for i, line in enumerate(lines[start:]) if not line.startswith("    "))
    return "".join(f"{line}\n" for line in lines[start : start + length])


def _at(service: Service, place: str) -> Any:
    found: Any = service
    for part in place.split("."):
        found = found[part]
    return found[-1] if isinstance(found, list) else found


@pytest.mark.parametrize(
    ("run", "build", "what"),
    [
        (["--env", "NAME =x"], [], "trailing space"),
        (["--add-host", "h:="], [], "bad host name"),
        (["--volume", "/abs:/x${"], [], "missing a mount target"),
        (["--health-interval", "soon"], [], "invalid duration"),
        ([], ["--ssh", "x"], "invalid ssh key"),
        ([], ["--build-arg", "x-a=1", "--build-arg", "b =2"], "trailing space"),
    ],
)
def test_what_compose_cannot_carry_is_refused(run: list[str], build: list[str], what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        require_readable(Path("/nowhere"), parse_run_flags(run), parse_build_flags(build))
    assert what in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--label", "a=\0"),
        ("--env", "\0=a"),
        ("--pids-limit", "9" * 30),
        ("--cpus", "nan"),
        ("--cpus", "inf"),
        ("--log-opt", "x-a=1"),
        ("--storage-opt", "x-=1"),
    ],
)
def test_what_nothing_can_carry_is_refused_at_once(flag: str, text: str) -> None:
    with pytest.raises(ConfigError, match="docker_run_args: "):
        parse_run_flags([flag, text])


def test_a_person_can_read_it() -> None:
    text = rendered(["--env", "A=1e3", "--label", "on=caf\u00e9"])
    assert '  droid:\n    pull_policy: never\n    command:\n    - "start-session"\n' in text
    assert '    - "A=1e3"\n' in text
    assert '      "on": "caf\u00e9"\n' in text
