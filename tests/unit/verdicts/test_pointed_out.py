"""What is pointed out, in real repositories: an honest change, and ways to make checks pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lw_coder.repository.git import find_repository
from lw_coder.verdicts.pointed_out import Basis, pointed_out
from tests.support.git_repository import GitRepository, make_repository

TEST = """import pytest

from shop import total


def test_empty():
    assert total([]) == 0


def test_sum():
    assert total([1, 2]) == 3
    assert total([5]) == 5
"""
PROJECT = '[project]\nname = "shop"\n\n[tool.pytest.ini_options]\naddopts = "-q"\n\n[tool.uv]\nx = 1\n'
SKIPPED = TEST.replace("def test_sum", "@pytest.mark.skip\ndef test_sum")
XFAILED = TEST.replace("def test_sum", "@pytest.mark.xfail()\ndef test_sum")
INSTEAD = "a check can use it instead of the installed program"
IMAGE = "the image was built before"
MAIN = "the checks were those of your main worktree"
BEFORE: Mapping[str, str] = {
    "shop.py": "def total(prices):\n    return sum(prices)\n",
    "tests/test_shop.py": TEST,
    "tests/__snapshots__/page.snap": "<p>1</p>\n",
    "web/cart.test.ts": "it('adds', () => {\n  expect(add(1)).toBe(1)\n})\n",
    "pkg/cart_test.go": "func TestCart(t *testing.T) {\n\tif add() != 1 { t.Fatal(1) }\n}\n",
    "pyproject.toml": PROJECT,
    "uv.lock": "version = 1\n",
    "check.sh": "pytest\n",
    ".github/workflows/ci.yml": "on: push\n",
    ".lw_coder/code.Dockerfile": "FROM lw_coder_droid\n",
    "assets/logo.txt": "logo\n",
}
DOCKERFILE = "FROM lw_coder_droid\nCOPY --chown=1:1 assets requirements*.txt /x/\nCOPY --from=other web /y/\n"
COMMANDS = ("sh ./check.sh --all", "python3 -m pytest -q tests", "ruff check")

Changed = Callable[[Mapping[str, str | None]], dict[str, list[str]]]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Commit changes, and return what is pointed out, by path."""
    made = make_repository(tmp_path / "repo")
    commit(made, BEFORE)
    base = made.head()

    def change(files: Mapping[str, str | None]) -> dict[str, list[str]]:
        commit(made, files)
        basis = Basis(COMMANDS, DOCKERFILE, rebuilt=False)
        found: dict[str, list[str]] = {}
        for one in pointed_out(find_repository(made.path), base, made.head(), basis):
            found.setdefault(one.path, []).append(one.what)
        return found

    return change


def commit(made: GitRepository, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        if text is None:
            made.run("rm", "--quiet", name)
        else:
            made.write(name, text)
            made.run("add", "--force", name)
    made.run("commit", "--quiet", "--message", "change")


def test_honest_work_is_not_pointed_out(changed: Changed) -> None:
    assert (
        changed(
            {
                "shop.py": "def total(prices):\n    return sum(prices) + 0\n",
                "cart.py": "CART = []\n",
                "tests/test_cart.py": "def test_cart():\n    assert True\n",
                "docs/pytest.md": "assert nothing\n",
                "pyproject.toml": PROJECT.replace("x = 1", "x = 2"),
                "web/cart.ts": "export const x = 1\n",
            }
        )
        == {}
    )


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("tests/test_shop.py", None, "test file removed"),
        ("tests/test_shop.py", "", "2 tests removed, 3 assertions removed"),
        ("tests/test_shop.py", SKIPPED, "1 skip added"),
        ("tests/test_shop.py", XFAILED, "1 skip added"),
        ("tests/test_shop.py", TEST.replace("    assert total([5]) == 5\n", ""), "1 assertion removed"),
        ("tests/test_shop.py", TEST.replace("== 3", "== 4"), "1 assertion changed"),
        ("tests/test_shop.py", TEST.replace("():\n", "():\n    return\n"), "0 lines removed, 2 added"),
        ("web/cart.test.ts", BEFORE["web/cart.test.ts"].replace("it(", "it.skip("), "1 skip added"),
        ("pkg/cart_test.go", BEFORE["pkg/cart_test.go"].replace("\tif", "\tt.Skip()\n\tif"), "1 skip"),
        ("tests/test_new.py", "@unittest.skip\ndef test_new():\n    pass\n", "new test file with 1 skip"),
        ("tests/__snapshots__/page.snap", "<p>2</p>\n", "tests compare their results with it"),
        ("conftest.py", "def pytest_runtest_makereport(): pass\n", "added; it runs before the tests"),
        ("tests/conftest.py", "x = 1\n", "added; it runs before the tests"),
        ("sitecustomize.py", "x = 1\n", "added; it runs before the tests"),
        ("pytest.py", "x = 1\n", INSTEAD),
        ("pytest/__init__.py", "x = 1\n", INSTEAD),
        ("ruff.py", "x = 1\n", INSTEAD),
        ("check.sh", "exit 0\n", "changed; a check names it"),
        ("pytest.ini", "[pytest]\naddopts = --co\n", "added; it can hold settings of a check"),
        ("pyproject.toml", PROJECT.replace("-q", "--co"), "[tool.pytest.ini_options] changed"),
        ("pyproject.toml", PROJECT + '[tool.ruff]\nignore = ["ALL"]\n', "[tool.ruff] changed"),
        ("sub/pyproject.toml", "[tool.mypy]\n", "[tool.mypy] changed"),
        ("pyproject.toml", None, "[tool.pytest.ini_options] changed"),
        ("pyproject.toml", "", "[tool.pytest.ini_options] changed"),
        (".ruff.toml", "ignore = ['ALL']\n", "added; it can hold settings of a check"),
        (".lw_coder/config.toml", "[code]\nchecks = ['true']\n", MAIN),
        (".lw_coder/config.toml", "[code]\nnotify = ['rm']\n", f"{MAIN}; notify changed: what it names runs"),
        (".lw_coder/config.toml", "[code]\nnotify = 1\n", "; notify changed"),
        (".lw_coder/config.toml", "[[code]]\n[x\n", MAIN),
        (".github/workflows/ci.yml", "on: never\n", "CI configuration changed"),
        ("uv.lock", "version = 2\n", f"{IMAGE} uv.lock changed"),
        (".lw_coder/code.Dockerfile", "FROM x\n", f"{IMAGE} .lw_coder/code.Dockerfile changed"),
        ("assets/logo.txt", "other\n", f"{IMAGE} assets/logo.txt changed"),
        ("requirements-dev.txt", "x\n", f"{IMAGE} requirements-dev.txt was added"),
        ("shop.py", "def total(prices):  # noqa\n    return 0  # type: ignore\n", "2 comments added"),
    ],
)  # fmt: skip
def test_what_moves_the_goalposts_is_pointed_out(
    changed: Changed, path: str, text: str | None, told: str
) -> None:
    found = changed({path: text})
    assert set(found) == {path}
    assert told in "; ".join(found[path])


def test_a_renamed_test_is_pointed_out(changed: Changed) -> None:
    found = changed({"tests/test_shop.py": None, "old_shop.txt": TEST})
    assert found == {"old_shop.txt": ["test file tests/test_shop.py renamed to what is no test"]}


def test_removed_tests_come_first(changed: Changed) -> None:
    found = changed({"uv.lock": "2\n", "conftest.py": "x = 1\n", "web/cart.test.ts": None})
    assert list(found) == ["web/cart.test.ts", "conftest.py", "uv.lock"]


def test_files_that_are_no_text_and_large_files_are_named_all_the_same(changed: Changed) -> None:
    found = changed({"tests/test_shop.py": "\0binary", "web/cart.test.ts": "x\n" * 1_000_000})
    assert set(found) == {"tests/test_shop.py", "web/cart.test.ts"}


def test_odd_names(changed: Changed) -> None:
    found = changed({"tests/test_\u2028 x\n.py": "pytest.skip(1)\n"})
    assert list(found) == ["tests/test_\u2028 x\n.py"]
