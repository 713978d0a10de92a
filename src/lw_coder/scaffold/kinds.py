"""What kind of project a repository holds: which tools build it and run its tests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lw_coder.foundation.nesting import DEEPEST, bracket_depth

PLAIN = "plain"
KINDS = ("uv", "poetry", "pip", "pnpm", "npm", "go", "cargo", "maven", "make", PLAIN)

_LONGEST = 1_000_000  # bytes of a pyproject.toml
_TEST_EXTRAS = ("dev", "test", "tests", "testing")
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
REQUIREMENTS = "*requirements*.txt"


def find_kinds(root: Path) -> tuple[str, ...]:
    """Return the kinds of a repository, by the files in its root; at most one for each language."""
    found = (
        _python_kind(root),
        _node_kind(root),
        "go" if _has(root, "go.mod", "go.work") else None,
        "cargo" if _has(root, "Cargo.toml") else None,
        "maven" if _has(root, "pom.xml") else None,
        "make" if _has(root, *MAKEFILES) else None,
    )
    return tuple(kind for kind in found if kind) or (PLAIN,)


def extras_for_tests(root: Path) -> tuple[str, ...]:
    """Return the optional dependencies of a Python project that its tests need, by their usual names."""
    project = _table(_pyproject(root), "project")
    extras = _table(project, "optional-dependencies")
    return tuple(name for name in _TEST_EXTRAS if name in extras)


def _python_kind(root: Path) -> str | None:
    tools = _table(_pyproject(root), "tool")
    if _has(root, "uv.lock") or "uv" in tools:
        return "uv"
    if _has(root, "poetry.lock") or "poetry" in tools:
        return "poetry"
    is_python = _has(root, "setup.py", "setup.cfg") or any(root.glob(REQUIREMENTS))
    return "pip" if is_python or _is_package(_pyproject(root)) else None


def _is_package(pyproject: dict[str, Any]) -> bool:
    # Many repositories have a pyproject.toml for a linter's settings alone.
    return bool({"project", "build-system"} & pyproject.keys())


def _node_kind(root: Path) -> str | None:
    if not _has(root, "package.json"):
        return None
    is_pnpm = _has(root, "pnpm-lock.yaml", "pnpm-workspace.yaml") or '"pnpm@' in file_text(
        root / "package.json"
    )
    return "pnpm" if is_pnpm else "npm"


def _has(root: Path, *names: str) -> bool:
    return any((root / name).is_file() for name in names)


def _pyproject(root: Path) -> dict[str, Any]:
    text = file_text(root / "pyproject.toml")
    if bracket_depth(text) > DEEPEST:
        return {}
    try:
        return tomllib.loads(text)
    except ValueError:
        return {}  # the build will say what is wrong with it


def file_text(path: Path) -> str:
    """Return the text of a project's file; empty if there is none, or it is too long or no text."""
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size < _LONGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name)
    return table if isinstance(table, dict) else {}
