"""Which files decide whether a check passes: tests, what runs before them, settings, CI, dependencies.

The names are those that the usual tools of each language look for.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset(("test", "tests", "spec", "specs", "__tests__", "testing", "e2e", "testdata"))
_TEST_NAME = re.compile(
    r"(?:test_.*|.*_test|tests)\.\w+|.*[.-](?:test|tests|spec|cy)\.\w+|.*_spec\.\w+"
    r"|.*Tests?\.(?:java|kt|kts|cs|scala|groovy|swift|php|m|mm)|.*Spec\.(?:scala|groovy|kt|hs)"
)
_EXPECTED = re.compile(r".*\.(?:snap|approved\.\w+|golden)|__snapshots__/.*|(?:.*/)?(?:golden|snapshots)/.*")

_RUN_BEFORE = re.compile(
    r"conftest\.py|sitecustomize\.py|usercustomize\.py|.*\.pth|\.rspec|setupTests\.\w+|jest\.setup\.\w+"
)

_SETTINGS = re.compile(
    r"pytest\.ini|\.pytest\.ini|tox\.ini|setup\.cfg|\.?ruff\.toml|\.?mypy\.ini|\.flake8|\.?pylintrc|\.coveragerc"
    r"|noxfile\.py|tasks\.py|dodo\.py|GNUmakefile|[Mm]akefile|\.?justfile|Taskfile\.ya?ml|Rakefile"
    r"|\.pre-commit-config\.yaml|pyrightconfig\.json|\.bandit"
    r"|package\.json|\.mocharc\.\w+|(?:jest|vitest|vite|karma|playwright|cypress|babel|eslint|biome|ava)\.config\.\w+"
    r"|\.eslintrc.*|\.eslintignore|\.prettierrc.*|\.prettierignore|biome\.jsonc?|tsconfig.*\.json|\.nycrc.*"
    r"|\.golangci\.ya?ml|clippy\.toml|rustfmt\.toml|\.clang-tidy|CTestTestfile\.cmake"
    r"|phpunit\.xml.*|phpstan\.neon.*|\.rubocop\.yml|build\.gradle(?:\.kts)?|pom\.xml|\.shellcheckrc|\.yamllint.*"
)
_TABLED = frozenset(("pyproject.toml", "Cargo.toml"))  # only some tables of these decide about checks
_TABLE = re.compile(r"^\s*\[+\s*([^\]\n]+?)\s*\]+", re.MULTILINE)
_TABLES = re.compile(
    r"tool\.(?:pytest|ruff|mypy|coverage|pyright|pylint|flake8|tox|nox|black|isort|bandit|hatch\.envs|pdm\.scripts"
    r"|poe|taskipy|interrogate|vulture|basedpyright|ty)\b.*|lints\b.*|\[?(?:test|bench)\]?|profile\.test.*"
)

_CI = re.compile(
    r"\.github/(?:workflows|actions)/.*|\.gitlab-ci.*\.ya?ml|\.gitlab/ci/.*|\.circleci/.*|azure-pipelines.*\.ya?ml"
    r"|(?:.*/)?Jenkinsfile.*|\.travis\.ya?ml|\.buildkite/.*|bitbucket-pipelines\.ya?ml|\.drone\.ya?ml"
    r"|\.?appveyor\.ya?ml|\.woodpecker.*|\.forgejo/.*|\.gitea/.*|\.teamcity/.*|\.cirrus\.ya?ml|\.semaphore/.*"
)
_LOCKS = re.compile(
    r"uv\.lock|poetry\.lock|pdm\.lock|Pipfile\.lock|pylock.*\.toml|requirements.*\.(?:txt|lock)|constraints.*\.txt"
    r"|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock|bun\.lockb?|deno\.lock"
    r"|Cargo\.lock|go\.sum|Gemfile\.lock|composer\.lock|mix\.lock|pubspec\.lock|flake\.lock|gradle\.lockfile"
    r"|packages\.lock\.json|Package\.resolved|conda-lock\.yml|environment\.ya?ml"
)
_MANIFESTS = re.compile(
    r"pyproject\.toml|setup\.py|setup\.cfg|Pipfile|package\.json|Cargo\.toml|go\.mod|Gemfile|composer\.json"
    r"|mix\.exs|build\.gradle(?:\.kts)?|pom\.xml|.*\.csproj|\.python-version|\.nvmrc|\.tool-versions|rust-toolchain.*"
)

_BY_THEMSELVES = {  # why a file's commands run although nobody calls it
    "git runs it as a hook": re.compile(
        r"(?:.*/)?(?:\.husky|\.?git-?hooks)/.*|(?:.*/)?(?:\.?lefthook(?:-local)?\.(?:ya?ml|toml|json)"
        r"|\.pre-commit-config\.yaml|\.pre-commit-hooks\.yaml|\.overcommit\.yml|\.huskyrc.*|\.lintstagedrc.*)"
    ),
    "its notify runs on your machine, and its other settings decide what sessions may do": re.compile(
        r"\.lw_coder/config\.toml"
    ),
    "it chooses filters and merge drivers of your git settings": re.compile(r"(?:.*/)?\.gitattributes"),
    "it says where submodules come from": re.compile(r"\.gitmodules"),
    "a shell can run it when you enter the folder": re.compile(
        r"(?:.*/)?(?:\.envrc|\.direnvrc|\.?mise(?:\..*)?\.toml|\.autoenv.*|\.zprofile|\.bashrc|\.profile)"
    ),
    "an editor can run its commands": re.compile(
        r"(?:.*/)?(?:\.vscode|\.idea|\.zed|\.vs|\.fleet|\.devcontainer)/.*|(?:.*/)?.*\.code-workspace"
        r"|(?:.*/)?(?:\.devcontainer\.json|\.nvim\.lua|\.nvimrc|\.exrc|\.vimrc|\.dir-locals\.el|\.projectile)"
    ),
    "a coding agent can run its commands": re.compile(
        r"(?:.*/)?(?:\.claude|\.cursor|\.factory|\.codex|\.gemini|\.windsurf|\.continue)/.*|(?:.*/)?\.mcp\.json"
    ),
    "your next session uses it": re.compile(r"\.lw_coder/(?!tasks/).*"),
    "an installation or a build runs it": re.compile(
        r"(?:.*/)?(?:setup\.py|build\.rs|binding\.gyp|extconf\.rb|GNUmakefile|[Mm]akefile|\.?justfile|gradlew.*"
        r"|mvnw.*|settings\.gradle(?:\.kts)?|build\.gradle(?:\.kts)?|gradle-wrapper\..*|\.npmrc|\.yarnrc.*"
        r"|\.pnpmfile\.c?js|bunfig\.toml)|(?:.*/)?(?:\.yarn|\.cargo|\.mvn)/.*"
    ),
}


def is_test(path: str) -> bool:
    """Return whether a file is a test, or lies in a folder of tests."""
    return bool(_TEST_NAME.fullmatch(_name(path))) or not _TEST_FOLDERS.isdisjoint(path.split("/")[:-1])


def is_expected_result(path: str) -> bool:
    """Return whether a file holds what a test compares its results with."""
    return bool(_EXPECTED.fullmatch(path))


def runs_before_tests(path: str) -> bool:
    """Return whether a test runner or interpreter runs a file by itself, before any test."""
    return bool(_RUN_BEFORE.fullmatch(_name(path)))


def is_setting(path: str) -> bool:
    """Return whether a file tells test runners, linters or type checkers what to do."""
    return bool(_SETTINGS.fullmatch(_name(path)))


def changed_tables(path: str, old: str, new: str) -> list[str]:
    """List the tables of a pyproject.toml or Cargo.toml that differ and tell such tools what to do."""
    if _name(path) not in _TABLED:
        return []
    before, after = _tables(old), _tables(new)
    names = {*before, *after}
    return sorted(name for name in names if _TABLES.fullmatch(name) and before.get(name) != after.get(name))


def _tables(text: str) -> dict[str, str]:
    """Split TOML into its tables, without parsing it; tables of the same name are joined."""
    starts = [*_TABLE.finditer(text)]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    found: dict[str, str] = {}
    for match, end in zip(starts, ends, strict=False):  # without a table, there is an end too many
        found[match[1]] = found.get(match[1], "") + text[match.end() : end].strip()
    return found


def is_ci(path: str) -> bool:
    """Return whether a file belongs to the configuration of a CI system."""
    return bool(_CI.fullmatch(path))


def is_lock(path: str) -> bool:
    """Return whether a file pins the packages that an image has."""
    return bool(_LOCKS.fullmatch(_name(path)))


def is_manifest(path: str) -> bool:
    """Return whether a file lists the packages that an image has."""
    return bool(_MANIFESTS.fullmatch(_name(path)))


def runs_by_itself(path: str) -> str | None:
    """Return why a file's commands run without anybody calling them, or None."""
    if is_ci(path):
        return "CI runs it"
    if runs_before_tests(path):
        return "Python or a test runner runs it by itself"
    return next((why for why, pattern in _BY_THEMSELVES.items() if pattern.fullmatch(path)), None)


def _name(path: str) -> str:
    return PurePosixPath(path).name
