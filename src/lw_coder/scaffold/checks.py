"""Guess the commands that test a project, by its files; they run in its image, offline, over a checkout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lw_coder.foundation.json_text import read_json
from lw_coder.scaffold.kinds import MAKEFILES, REQUIREMENTS, file_text

_NO_TESTS = "no test specified"  # in the script that `npm init` writes
_PYTEST = re.compile(r"\bpytest\b")
_UNITTEST = re.compile(r"^\s*(import|from) unittest\b", re.MULTILINE)
_MOST_FILES = 200  # that are looked at for a test
_TARGETS = ("test", "check")


def guess_checks(root: Path, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the commands that test a project; none where its files do not say how.

    Args:
        root: the repository's root.
        kinds: some of `kinds.KINDS`.
    """
    found = (check for kind in kinds if kind in _BY_KIND for check in _BY_KIND[kind](root))
    return tuple(dict.fromkeys(found))


def _python(root: Path) -> Iterator[str]:
    # The image's environment comes first in PATH, whichever tool has made it.
    names = ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini")
    manifests = [root / name for name in names] + sorted(root.glob(REQUIREMENTS))
    tests = [path for folder in ("tests", "test") for path in _files(root / folder, "test*.py")]
    if any(_PYTEST.search(file_text(path)) for path in manifests):
        yield from ["python -m pytest -q"] if tests or _files(root, "test_*.py") else []
    elif found := next((path for path in tests if _UNITTEST.search(file_text(path))), None):
        yield f"python -m unittest discover {found.relative_to(root).parts[0]}"


def _node(tool: str) -> Callable[[Path], Iterator[str]]:
    def guess(root: Path) -> Iterator[str]:
        script = _package(root).get("scripts")
        test = script.get("test") if isinstance(script, dict) else None
        if isinstance(test, str) and test.strip() and _NO_TESTS not in test:
            yield f"{tool} test"

    return guess


def _package(root: Path) -> dict[str, Any]:
    text = file_text(root / "package.json")
    try:
        package = read_json(text)
    except ValueError:
        return {}
    return package if isinstance(package, dict) else {}


def _go(root: Path) -> Iterator[str]:
    if (root / "go.mod").is_file() and _files(root, "*_test.go"):
        yield "go test ./..."


def _cargo(_: Path) -> Iterator[str]:
    yield "cargo test --quiet --offline"


def _maven(root: Path) -> Iterator[str]:
    if (root / "src/test").is_dir() and (root / ".mvn").is_dir():
        yield "mvn --offline --quiet test"


def _make(root: Path) -> Iterator[str]:
    text = next(filter(None, (file_text(root / name) for name in MAKEFILES)), "")
    targets = {target for target in _TARGETS if re.search(rf"^{target}\s*:(?!=)", text, re.MULTILINE)}
    yield from [f"make {target}" for target in _TARGETS if target in targets][:1]


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(islice((path for path in folder.rglob(pattern) if path.is_file()), _MOST_FILES))


_BY_KIND: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "uv": _python,
    "poetry": _python,
    "pip": _python,
    "pnpm": _node("pnpm"),
    "npm": _node("npm"),
    "go": _go,
    "cargo": _cargo,
    "maven": _maven,
    "make": _make,
}
