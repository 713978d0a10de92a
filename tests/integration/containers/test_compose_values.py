"""What config.toml says comes back from Compose as it was written, whatever YAML could make of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lw_coder.containers.compose_check import require_readable
from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.labels import PLAN_LABEL, RUN_LABEL
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.docker_flags import parse_build_flags, parse_run_flags

IMAGE = "sha256:" + "0" * 64
# What YAML 1.1 or 1.2 takes for a number, a truth, nothing, a time or a mark of its own; what an emitter must
# not write as it stands; what Compose takes for a variable.
TRAPS = (
    *(
        "1234e56",
        "08",
        "0o17",
        "1e3",
        "0X1F",
        "5e-7",
        "+08",
        "017",
        "0b1",
        "1_000",
        "0x1p3",
        "1.",
        ".5",
        "-0",
        "+1",
    ),
    *("190:20:30", "1:30", "-1:59.5", "685_230.15", "9" * 40, "1e999", "-1e-999", "0", "1.0", "12e03", "0.0"),
    *("yes", "Yes", "NO", "on", "Off", "y", "N", "true", "False", "TRUE", "null", "Null", "NULL", "~", ""),
    *(
        ".inf",
        "-.INF",
        "+.Inf",
        ".nan",
        ".NaN",
        "2001-12-14",
        "2001-12-14t21:59:43.10-05:00",
        "2001-12-14 1:2:3",
    ),
    *(
        "<<",
        "=",
        "!!str",
        "!tag",
        "&anchor",
        "*alias",
        "%TAG",
        "%YAML 1.1",
        "---",
        "...",
        "--- x",
        "@at",
        "`tick`",
    ),
    *(
        " lead",
        "trail ",
        " ",
        "\t",
        "\tx",
        "x\t",
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#b",
        "- x",
        "-",
        "? x",
        "?",
        "[",
        "]",
    ),
    *(
        "[a, b]",
        "{a: b}",
        "{",
        "}",
        ",",
        "|",
        ">",
        "|-",
        "'",
        '"',
        "'q'",
        '"q"',
        "it's",
        "\\",
        "\\n",
        "\\x41",
        "\\u",
    ),
    *(
        "a\nb",
        "\n",
        "\na",
        "a\n",
        "a\n\nb",
        "\r",
        "a\r\nb",
        "\x85",
        "a\x85b",
        "\u2028",
        "a\u2029b",
        "\ufeff",
        "\ufeffa",
    ),
    *(
        "\u00a0",
        "caf\u00e9",
        "\u65e5\u672c\u8a9e",
        "\U0001f600",
        "\U0010ffff",
        "\ufffd",
        "\ufffe",
        "\uffff",
        "\u200b",
    ),
    *(
        "\x01",
        "\x07",
        "\x08",
        "\x0b",
        "\x0c",
        "\x1b[31m",
        "\x1f",
        "\x7f",
        "\x80",
        "\x9f",
        "e\u0301",
        "\u202e",
        "\ue000",
    ),
    *(
        "$",
        "$$",
        "$$$",
        "$A",
        "${A}",
        "${",
        "${}",
        "$}",
        "${A:-b}",
        "${A:?b}",
        "$$A",
        "a$",
        "%",
        "%s",
        "%%",
        "%41",
    ),
    *(
        "a=b",
        "=a",
        "a,b",
        "a;b",
        "~/x",
        "./x",
        "../x",
        "/x",
        "a:b:c",
        "x" * 20_000,
        "a b " * 2_000,
        "-e",
        "--env",
    ),
)
ALPHABET = (
    "".join(trap for trap in TRAPS if len(trap) < 4) + "0123456789eExXobB_+-:. \t\n'\"\\#$%{}[]&*!|>@`~\u2028"
)
RANDOM = random.Random(20_011_214)  # noqa: S311 - the same values each time
VALUES = (*TRAPS, *("".join(RANDOM.choices(ALPHABET, k=RANDOM.randint(1, 12))) for _ in range(120)))
# A name has neither an equals sign nor nothing in it, as for docker itself.
NAMES = tuple(dict.fromkeys(value for value in (*VALUES, "x-", "x-1e3", "x-a") if value and "=" not in value))
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

Service = dict[str, Any]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], dict[str, Service]]:
    """Have Compose read a services.yml; return its services."""

    def run(text: str) -> dict[str, Service]:
        for name in ("services.yml", "compose.yml"):
            (tmp_path / name).write_text(text, encoding="utf-8")
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [
            "docker",
            "compose",
            "-f",
            "services.yml",
            "--profile",
            "build",
            "config",
            "--format",
            "json",
        ]
        result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False, timeout=120)
        assert (result.returncode, result.stderr[-300:]) == (0, b"")
        assert b"#extensions" not in result.stdout
        # `config` doubles each dollar, so that its output can be read again.
        found: dict[str, Service] = json.loads(result.stdout.replace(b"$$", b"$"))["services"]
        return found

    return run


def rendered(run: Iterable[str] = (), build: Iterable[str] = ()) -> str:
    root = Path("/nowhere")
    labels = {PLAN_LABEL: "p", RUN_LABEL: "20250630T120000Z"}
    session = SessionSpec("lw-test", "0:0", (), (), {}, labels)
    repo = ImageBuild("lw_coder_test:none", root, root / "Dockerfile", {}, {}, parse_build_flags(list(build)))
    spec = ComposeSpec(
        root, root, session, parse_run_flags(list(run)), {"repo": repo}, None, None, IMAGE, IMAGE
    )
    return render(spec)["services.yml"]


def flags(flag: str, pairs: dict[str, str]) -> list[str]:
    return [word for name, value in pairs.items() for word in (flag, f"{name}={value}")]


def test_values_by_name(read: Callable[[str], dict[str, Service]]) -> None:
    pairs = {f"N{number}": value for number, value in enumerate(VALUES)}
    run = [
        word
        for flag in ("--env", "--label", "--annotation", "--sysctl", "--log-opt", "--storage-opt")
        for word in flags(flag, pairs)
    ]
    services = read(rendered(run, [*flags("--build-arg", pairs), *flags("--label", pairs)]))
    droid, build = services["droid"], services["repo"]["build"]
    found = {
        "environment": droid["environment"],
        "labels": droid["labels"],
        "annotations": droid["annotations"],
        "sysctls": droid["sysctls"],
        "log": droid["logging"]["options"],
        "storage": droid["storage_opt"],
        "args": build["args"],
        "build labels": build["labels"],
    }
    differing = {
        (key, value): values.get(name)
        for key, values in found.items()
        for name, value in pairs.items()
        if values.get(name) != value
    }
    assert differing == {}
    assert len(found) * len(pairs) > 2_000


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
