"""Values that YAML or Compose could take for something else, and what Compose reads of a rendered file."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.labels import PLAN_LABEL, RUN_LABEL
from lw_coder.containers.specs import SessionSpec
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

Service = dict[str, Any]


def read_by_compose(folder: Path, text: str) -> dict[str, Service]:
    """Have Compose read a services.yml; return its services.

    Args:
        folder: where to write it.
        text: the file.
    """
    for name in ("services.yml", "compose.yml"):
        (folder / name).write_text(text, encoding="utf-8")
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["docker", "compose", "-f", "services.yml", "--profile", "build", "config", "--format", "json"]
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False, timeout=120)
    assert (result.returncode, result.stderr[-300:]) == (0, b"")
    assert b"#extensions" not in result.stdout
    # `config` doubles each dollar, so that its output can be read again.
    found: dict[str, Service] = json.loads(result.stdout.replace(b"$$", b"$"))["services"]
    return found


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


def differing(folder: Path, values: Iterable[str]) -> dict[tuple[str, str], str | None]:
    """Render values wherever a name has one, and return those that Compose reads in another way."""
    pairs = {f"N{number}": value for number, value in enumerate(values)}
    options = ("--env", "--label", "--annotation", "--sysctl", "--log-opt", "--storage-opt")
    run = [word for option in options for word in flags(option, pairs)]
    text = rendered(run, [*flags("--build-arg", pairs), *flags("--label", pairs)])
    return {
        (place, value): found.get(name)
        for place, found in _by_name(read_by_compose(folder, text)).items()
        for name, value in pairs.items()
        if found.get(name) != value
    }


def _by_name(services: Mapping[str, Service]) -> dict[str, dict[str, str]]:
    droid, build = services["droid"], services["repo"]["build"]
    return {
        "environment": droid["environment"],
        "labels": droid["labels"],
        "annotations": droid["annotations"],
        "sysctls": droid["sysctls"],
        "log": droid["logging"]["options"],
        "storage": droid["storage_opt"],
        "args": build["args"],
        "build labels": build["labels"],
    }
