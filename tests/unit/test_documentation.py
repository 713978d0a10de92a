"""The documentation that is installed with lw_coder, and what the messages say of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lw_coder.cli import cli
from lw_coder.commands.docs import Page, all_pages, find_page, page_name

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src/lw_coder"
PAGES = all_pages()
TROUBLES = (DOCS / "how-to/troubleshooting.md").read_text(encoding="utf-8")
INDEX = (DOCS / "README.md").read_text(encoding="utf-8")
# All that is installed, and all that a person can meet in it.
TEXTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(
        path
        for folder in (SOURCE, ROOT / "compose", ROOT / "docker", DOCS)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".py", ".png"}
    ),
]
MODULES = sorted(SOURCE.rglob("*.py"))

LINK = re.compile(r"(?<!!)\[[^]]+\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")
GAP = "\0"  # what an f-string fills in
NAMED_PAGE = re.compile(r"lw_coder\s+docs[ \n](?!PAGE|NAME|--)([\w/.#-]+)")
TYPED = re.compile(r"(?:`|\$ |type: )lw_coder ([a-z_]+)(?: ([a-z_]+))?")
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
TYPED_IN_SHELL = re.compile(r"^lw_coder ([a-z_]+)(?: ([a-z_]+))?", re.MULTILINE)
# Files of the repository that are not installed, and pages that are not called as `lw_coder docs` calls them.
NOT_INSTALLED = re.compile(
    r"\btests/(?:unit|integration|support|scan|signals)|\bsrc/lw_coder|\bbenchmarks/|\bnoxfile|CONTRIBUTING"
    r"|[Tt]he task plan|design card"
)
CHECKOUTS_COMMAND = re.compile(r"\bnox\b")
PAGE_AS_FILE = re.compile(r"\bdocs/\w|\badr/|\bADR\b|README")
FILE = re.compile(r"`([a-z_][\w-]*(?:/[\w.-]+)+\.(?:py|md|sh|json|yml))`")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def texts_of(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string in a module that is not a docstring."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):  # an f-string comes before its parts
        if isinstance(node, ast.JoinedStr):
            inside.update(id(part) for part in node.values)
            yield (
                node.lineno,
                "".join(
                    str(getattr(part, "value", "")) if isinstance(part, ast.Constant) else GAP
                    for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def _said() -> Iterator[tuple[str, str]]:
    """Yield where each text stands that a person can read, and the text; help texts are in a page."""
    for path in TEXTS:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for module in MODULES:
        for line, text in texts_of(module):
            yield f"{module.relative_to(ROOT)}:{line}", text


SAID = tuple(_said())
KNOWN = "\n".join(text for place, text in SAID if place.startswith("src/"))


def typed(text: str) -> Iterator[tuple[str, str]]:
    """Yield command and first word of each `lw_coder ...` that a text tells to type."""
    yield from TYPED.findall(text)
    for block in SHELL.findall(text):
        yield from TYPED_IN_SHELL.findall(block)


def test_each_page_is_in_the_index() -> None:
    files = {path for path in DOCS.rglob("*.md") if path.parent.name != "adr" and path != DOCS / "README.md"}
    assert files <= {page.file for page in PAGES if page.about}


def test_each_decision_is_in_the_index_of_decisions() -> None:
    listed = LINK.findall((DOCS / "adr/README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in DOCS.glob("adr/0*.md"))


def test_each_page_has_a_name_of_its_own() -> None:
    assert len({page.name for page in PAGES}) == len(PAGES)
    for page in PAGES:
        assert find_page(page.name) == page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_a_page_that_is_installed(page: Page) -> None:
    file = page.file
    for link in LINK.findall(file.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (file.parent / target).resolve() if target else file
        assert not target or find_page(page_name(link)).file == found, link
        assert not anchor or anchor in anchors(found), link


def test_each_image_is_installed_small_and_described() -> None:
    shown = [(page.file, *found) for page in PAGES for found in IMAGE.findall(page.file.read_text("utf-8"))]
    assert shown
    for file, description, target in shown:
        image = file.parent / target
        assert image.resolve().is_relative_to(DOCS)
        assert 0 < image.stat().st_size < 150_000
        assert len(description.split()) > 3


def test_no_message_or_page_names_a_page_that_does_not_exist() -> None:
    names = {page.name for page in PAGES}
    wrong = [
        f"{place}: lw_coder docs {name}"
        for place, text in SAID
        for name in NAMED_PAGE.findall(text)
        if name.rstrip(".") not in names
    ]
    assert wrong == []
    assert any("config.py" in place for place, text in SAID if NAMED_PAGE.search(text))


def test_no_message_or_page_names_a_command_that_does_not_exist() -> None:
    wrong = [
        f"{place}: lw_coder {command} {inner}"
        for place, text in SAID
        if not place.startswith("CHANGELOG")
        for command, inner in typed(text)
        if not _is_command(command, inner)
    ]
    assert wrong == []


def _is_command(name: str, inner: str) -> bool:
    command = cli.commands.get(name)
    return command is not None and (not isinstance(command, click.Group) or inner in {"", *command.commands})


def test_no_message_points_at_a_file_that_is_not_installed() -> None:
    # The one looks for the files themselves; the others become files of the user's repository.
    others = (
        "src/lw_coder/commands/docs.py",
        "src/lw_coder/scaffold/templates/",
        "src/lw_coder/verdicts/file_kinds.py",
    )
    wrong = [
        f"{place}: {text}"
        for place, text in SAID
        if not place.startswith(("docs/", "README", "CHANGELOG", *others))
        if NOT_INSTALLED.search(text) or PAGE_AS_FILE.search(text) or CHECKOUTS_COMMAND.search(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_when_it_speaks_of_files_that_are_not_installed(page: Page) -> None:
    text = page.file.read_text(encoding="utf-8")
    name = page.name
    if name == "changelog":
        return
    if name.startswith("0"):
        assert not NOT_INSTALLED.search(text)
        assert not re.search(r"\btest_\w+", text)
        for path in FILE.findall(text):
            places = (SOURCE, ROOT, DOCS)  # in a wheel: the package, and its folder `shipped`
            assert any((place / path).exists() for place in places) or path in _OF_A_RUN, path
        for module in re.findall(r"\w+\.py\b", text):
            assert list(SOURCE.rglob(module)), module
    elif NOT_INSTALLED.search(text) or CHECKOUTS_COMMAND.search(text):
        assert "checkout" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_placeholders_are_code_and_not_hidden_as_html(page: Page) -> None:
    text = re.sub(r"```.*?```", "", page.file.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"(`+).+?\1", "", text, flags=re.DOTALL)
    assert re.findall(r"<[A-Za-z/][^>]*>", text) == []


_OF_A_RUN = {"prompts/main.md"}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("see `lw_coder docs nothing`", NAMED_PAGE),
        ("docs/configuration.md has the schema", PAGE_AS_FILE),
        ("see ADR 12", PAGE_AS_FILE),
        ("see tests/unit/test_x.py", NOT_INSTALLED),
        ("run `nox -s demo`", CHECKOUTS_COMMAND),
        ("type: lw_coder frobnicate", TYPED),
    ],
)
def test_the_rules_see_what_they_forbid(text: str, pattern: re.Pattern[str]) -> None:
    assert pattern.search(text)


def told_of() -> list[str]:
    """List lw_coder's own messages in the page; two of its sections have those of other programs."""
    own = re.sub(r"\n## (?:The image|In the session)\n.*?(?=\n## )", "", TROUBLES, flags=re.DOTALL)
    cells = (line.split(" | ")[0] for line in own.splitlines() if line.startswith("| `"))
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", told_of())
def test_a_message_in_the_page_on_troubleshooting_is_one(message: str) -> None:
    parts = re.split(
        r"\.\.\.|\b[A-Z_]{2,}\b|\d[\d.]*|'[^']+'|[():,;|]|\.lw_coder\S+|\.env\b|Permission denied", message
    )
    told = [part.strip() for part in parts if len(part.strip()) > 3]
    assert told
    assert [part for part in told if part not in KNOWN] == []
