"""The texts of the files that `lw_coder init` writes; each kind's Dockerfile is a shipped file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).parent / "templates"
_FINAL_STAGE = "FROM lw_coder_droid:latest"
_NO_CHECKS = "lw_coder found no tests here that it knows how to run."
_SAMPLE_CHECKS = '# checks = ["make test"]'
_SHA_PLACE = "@GIT_SHA@"
# Build results of these kinds; elsewhere a folder of that name can hold sources.
_BUILD_RESULTS = {"cargo": "**/target", "maven": "**/target"}


class Choices(Struct, frozen=True):
    """What is chosen for a repository; all other settings have their defaults.

    Attributes:
        checks: the commands that test it.
        against_gateway: why the model gateway cannot be used, or empty.
    """

    checks: tuple[str, ...] = ()
    against_gateway: str = ""


def config(choices: Choices) -> str:
    """Return a config.toml."""
    text = _read("config.toml")
    for place, line in (("@GATEWAY@", _gateway), ("@LIMITS@", _limits), ("@CHECKS@", _checks)):
        text = text.replace(place, line(choices))
    return text


def _gateway(choices: Choices) -> str:
    reason = choices.against_gateway
    return f"# Not here: {reason}.\n# gateway = true" if reason else "gateway = true"


def _limits(choices: Choices) -> str:
    counted = "" if choices.against_gateway else ", requests = 1000, tokens = 10_000_000"
    return f"limits = {{ minutes = 120{counted} }}"


def _checks(choices: Choices) -> str:
    listed = ", ".join(json.dumps(check) for check in choices.checks)
    return f"checks = [{listed}]" if listed else f"# {_NO_CHECKS}\n{_SAMPLE_CHECKS}"


def own_ignore_rules() -> str:
    """Return the rules of .lw_coder/.gitignore."""
    return _read("gitignore")


def env_ignore_rules() -> str:
    """Return the rules that keep env files out of commits."""
    return _read("env-files")


def sample_plan(git_sha: str) -> str:
    """Return a plan that can be carried out as it is, and starts from a commit."""
    return _read("first-plan.md").replace(_SHA_PLACE, git_sha)


def context_ignore_rules(kinds: Sequence[str]) -> str:
    """Return the rules of .lw_coder/.dockerignore."""
    results = dict.fromkeys(_BUILD_RESULTS[kind] for kind in kinds if kind in _BUILD_RESULTS)
    return _read("dockerignore") + "".join(f"{rule}\n" for rule in results)


def dockerfile(kinds: Sequence[str], extras: Sequence[str] = ()) -> str:
    """Return the code.Dockerfile for a project of one or more kinds.

    Args:
        kinds: some of `kinds.KINDS`; the steps are in this order.
        extras: a Python project's optional dependencies to install.
    """
    before: list[str] = []
    final: list[str] = []
    for kind in kinds:
        blocks = _read(f"{kind}.Dockerfile").rstrip("\n").split("\n\n")
        start = blocks.index(_FINAL_STAGE)
        before += blocks[:start]
        final += blocks[start:]
    # Several kinds have the same heading and the same certificates.
    text = "\n\n".join(dict.fromkeys([*before, *final])) + "\n"
    return _with_extras(text, extras) if extras else text


def _with_extras(text: str, extras: Sequence[str]) -> str:
    flags = " ".join(f"--extra {name}" for name in extras)
    return (
        text.replace('ARG EXTRAS=""', f'ARG EXTRAS="[{",".join(extras)}]"')
        .replace('UV_SYNC_FLAGS="--all-groups"', f'UV_SYNC_FLAGS="--all-groups {flags}"')
        .replace('POETRY_FLAGS=""', f'POETRY_FLAGS="{flags}"')
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="ascii")
