"""What kind of project is found, by the files in a repository's root."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.cli import init
from lw_coder.scaffold.kinds import KINDS, PLAIN, extras_for_tests, find_kinds

UV = "[project]\nname = 'x'\n[tool.uv]\n"
POETRY = "[tool.poetry]\nname = 'x'\n"
ONLY_A_LINTER = "[tool.ruff]\nline-length = 100\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({}, (PLAIN,)),
        ({"README.md": ""}, (PLAIN,)),
        ({"uv.lock": "", "pyproject.toml": "[project]\n"}, ("uv",)),
        ({"pyproject.toml": UV}, ("uv",)),
        ({"pyproject.toml": UV, "requirements.txt": ""}, ("uv",)),
        ({"poetry.lock": "", "pyproject.toml": ""}, ("poetry",)),
        ({"pyproject.toml": POETRY}, ("poetry",)),
        ({"requirements.txt": ""}, ("pip",)),
        ({"requirements-dev.txt": ""}, ("pip",)),
        ({"dev-requirements.txt": ""}, ("pip",)),
        ({"setup.py": ""}, ("pip",)),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, ("pip",)),
        ({"pyproject.toml": "[build-system]\nrequires = []\n"}, ("pip",)),
        ({"pyproject.toml": ONLY_A_LINTER}, (PLAIN,)),
        ({"pyproject.toml": "is [ not TOML"}, (PLAIN,)),
        ({"pyproject.toml": "x = " + "[" * 2000}, (PLAIN,)),
        ({"pyproject.toml": "tool = 'none'\nproject = 3\n"}, ("pip",)),
        ({"package.json": "{}"}, ("npm",)),
        ({"package.json": "{}", "package-lock.json": "{}"}, ("npm",)),
        ({"package.json": "{}", "pnpm-lock.yaml": ""}, ("pnpm",)),
        ({"package.json": "{}", "pnpm-workspace.yaml": ""}, ("pnpm",)),
        ({"package.json": '{"packageManager": "pnpm@9.1.0"}'}, ("pnpm",)),
        ({"go.mod": "module x\n"}, ("go",)),
        ({"go.work": ""}, ("go",)),
        ({"Cargo.toml": ""}, ("cargo",)),
        ({"pom.xml": ""}, ("maven",)),
        ({"Makefile": ""}, ("make",)),
        ({"makefile": ""}, ("make",)),
        ({"GNUmakefile": ""}, ("make",)),
        ({"Makefile/file": ""}, (PLAIN,)),
        ({"inner/package.json": "{}"}, (PLAIN,)),
        (
            {"uv.lock": "", "package.json": "{}", "go.mod": "", "Cargo.toml": "", "Makefile": ""},
            ("uv", "npm", "go", "cargo", "make"),
        ),
    ],
)
def test_kinds(tmp_path: Path, files: dict[str, str], kinds: tuple[str, ...]) -> None:
    assert find_kinds(write(tmp_path, files)) == kinds


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "package.json").write_bytes(b"\xff\xfe")
    assert find_kinds(tmp_path) == ("npm",)


@pytest.mark.parametrize(
    ("text", "extras"),
    [
        ("", ()),
        ("[project]\noptional-dependencies = 3\n", ()),
        ("[project.optional-dependencies]\ndocs = []\n", ()),
        (
            "[project.optional-dependencies]\ntesting = []\ntest = []\ndev = []\ngpu = []\n",
            ("dev", "test", "testing"),
        ),
    ],
)
def test_extras(tmp_path: Path, text: str, extras: tuple[str, ...]) -> None:
    assert extras_for_tests(write(tmp_path, {"pyproject.toml": text})) == extras


def test_the_command_line_offers_all_kinds() -> None:
    (option,) = [one for one in init.params if one.name == "kinds"]
    assert tuple(option.type.choices) == KINDS  # type: ignore[attr-defined]
