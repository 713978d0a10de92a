"""A run's page in a real browser: nothing in it acts, nothing sticks out, and everybody can read it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lw_coder.foundation.redaction import Redaction
from lw_coder.pages.page import render_page
from lw_coder.pages.visible import visible
from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import Run, read_record
from tests.integration.pages.browsing import (
    ACTIVE,
    DESKTOP,
    HANDLERS,
    HEIGHT,
    PHONE,
    STICKING_OUT,
    THEMES,
    Theme,
    opened,
    violations,
)
from tests.support.hostile_texts import HOSTILE
from tests.support.patience import PATIENCE
from tests.support.recorded_run import Recorded, call, heard, make_run, result, said, text
from tests.support.sample_repository import SampleRepository, make_sample_repository

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_LINKS = "() => [...document.querySelectorAll('a')].map(one => [one.getAttribute('href'), one.rel])"
_SECTIONS = "() => [...document.querySelectorAll('main > section')].map(one => one.id)"
_BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


@dataclass(frozen=True)
class Written:
    """A page on disk, and the run that it shows."""

    file: Path
    run: Run


def written(folder: Path, sample: SampleRepository, given: Recorded) -> Written:
    run = make_run(sample, given)
    page = render_page(find_repository(sample.root), run, read_record(run), {}, Redaction({}))
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    return Written(file, run)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run in which every text of an agent, and every name, is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    sample = make_sample_repository(folder / "sample")
    texts = list(HOSTILE.values())
    for number, words in enumerate(texts):
        _write(sample.root, f"named/{words}", "x\n")
        _write(sample.root, f"contents/{number}.py", f"def f():\n    return '{words}'\n# {words}\n")
    _write(sample.root, ".gitattributes", "*.py binary\n* diff=evil\n")
    sample.git("add", "--all", "--force")
    sample.git("commit", "--quiet", "--message", texts[0], "--cleanup=verbatim")
    calls = [
        said(call(number, words, command=words, **{words[:100]: words})) for number, words in enumerate(texts)
    ]
    results = [heard(result(number, words, is_error=number % 2 == 0)) for number, words in enumerate(texts)]
    task = said(call(900, "Task", subagent_type=texts[0], prompt=texts[1]))
    report = heard(result(900, "\n\n".join(short(texts))))
    agent = [*calls, *results, task, report, *texts, *(said(text(words)) for words in texts)]
    names = [words for words in texts if "/" not in words][:20]
    return written(
        folder,
        sample,
        Recorded(
            body="# " + "\n\n".join(short(texts)),
            agent=[line.replace("\n", " ") for line in agent],
            reviewer=[heard(text(words)) for words in texts],
            summary="\n\n".join(short(texts)),
            files={
                "prompts/main.md": "\n\n".join(short(texts)),
                "droids/a.md": texts[0],
                "services.yml": "\n".join(f"a: {words}" for words in short(texts)),
            },
            ended={"refs": texts, "notes": short(texts), "refused": dict.fromkeys(short(texts), 3)},
            record={
                "model": texts[0],
                "verdict": {
                    "passed": False,
                    "reasons": short(texts),
                    "checks": [{"command": words, "result": words, "tip": {"log": words}} for words in names],
                    "changes": [{"path": words, "what": words} for words in short(texts)],
                    "notes": [{"note": words, "result": words} for words in short(texts)],
                },
                "limits": dict.fromkeys(short(texts), 1.0),
                "versions": {words: words for words in short(texts)},
            },
        ),
    )


def short(texts: list[str]) -> list[str]:
    return [words for words in texts if len(words) < 2000]


def _write(root: Path, name: str, content: str) -> None:
    """Write a file if the file system can have one of this name."""
    parts = name.replace("\0", "").split("/")
    path = root.joinpath(*(part[:60] for part in parts if part.strip(".")))
    path.parent.mkdir(parents=True, exist_ok=True)
    os_path = os.fsencode(str(path)) if path.as_posix().isprintable() else _raw(path)
    with open(os_path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:  # noqa: PTH123
        file.write(content)


def _raw(path: Path) -> bytes:
    return str(path).encode("utf-8", "surrogatepass")


def test_nothing_hostile_acts(browser: Browser, hostile: Written) -> None:
    assert len(HOSTILE) >= 30
    shown = opened(browser, hostile.file)
    page = shown.page
    page.mouse.move(200, 200)
    page.keyboard.press("Tab")
    assert page.evaluate("document.documentElement.dataset.ran") is None
    assert shown.requests == [hostile.file.as_uri()]
    assert shown.messages == []  # not even the policy had anything to forbid
    assert page.locator(ACTIVE).evaluate_all("found => found.map(one => one.outerHTML)") == []
    assert page.locator("style").count() == page.locator("h1").count() == page.locator("main").count() == 1
    assert page.evaluate(HANDLERS) == []
    assert page.evaluate(_BACKGROUND) == "rgb(247, 247, 245)"
    order = [
        "overview",
        "verdict",
        "summary",
        "plan",
        "changes",
        "transcript",
        "prompts",
        "container",
        "record",
    ]
    assert page.evaluate(_SECTIONS) == order
    for address, relation in page.evaluate(_LINKS):
        assert address.startswith("#") or re.match(r"https?://", address)
        assert address.startswith("#") or relation == "noopener noreferrer"
    page.close()


def test_all_of_it_is_shown_as_text(browser: Browser, hostile: Written) -> None:
    page = opened(browser, hostile.file).page
    told = page.evaluate("document.body.textContent")
    assert (
        re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", told)
        == []
    )
    whole = [name for name, words in HOSTILE.items() if len(words) < 15_000]
    assert [name for name in whole if visible(HOSTILE[name]) not in told] == []
    assert "{{ 7 * 7 }}" in told
    assert "\\u202egpj.exe" in told
    assert "characters are left out here" in told
    page.close()


def test_the_policy_holds_even_if_something_were_not_escaped(
    browser: Browser, hostile: Written, tmp_path: Path
) -> None:
    text_of_page = hostile.file.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(
        text_of_page.replace("<h1>", f"{HOSTILE['script']}{HOSTILE['img']}{HOSTILE['style']}<h1>", 1)
    )
    shown = opened(browser, broken)
    assert shown.page.locator("script").count() == 1
    assert shown.page.evaluate("document.documentElement.dataset.ran") is None
    assert shown.page.locator("main").is_visible()
    for action in ("Executing inline script", "Applying inline style", "Loading the image"):
        assert any(f"{action} " in message and "violates" in message for message in shown.messages), action
    shown.page.close()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_sticks_out(browser: Browser, hostile: Written, width: int) -> None:
    page = opened(browser, hostile.file, width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(STICKING_OUT) == []
    page.close()


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run such as people have, with a bit of everything."""
    folder = tmp_path_factory.mktemp("ordinary")
    sample = make_sample_repository(folder / "sample")
    (sample.root / "greeting.py").write_text(
        '"""Greet."""\n\nimport os\n\n\n@cached\nclass Greeter:\n    # Politely.\n'
        '    def greet(self, name=1.5):\n        return f"Hello {name}"\n'
    )
    (sample.root / "page.html").write_text('<a href="x">y</a>\n')
    sample.git("add", "--all")
    sample.git("commit", "--quiet", "--message", "Greet the world")
    check = {"command": "pytest -q", "result": "broken", "from": "config"}
    log = {"status": 1, "seconds": 2.5, "log": "verdict/logs/001.log"}
    return written(
        folder,
        sample,
        Recorded(
            agent=[
                heard(text("Do it.")),
                heard(text("<system-reminder>Mind the time.</system-reminder>"), visibility="llm_only"),
                said({"type": "thinking", "thinking": "What now?"}, text("I read the file: `greeting.py`")),
                said(call(1, "Read", file_path="/workspace/greeting.py")),
                heard(result(1, "def greet(): pass")),
                said(call(2, "Edit", file_path="greeting.py", old_str="a = 1", new_str="a = 2")),
                said(call(3, "Execute", command="false")),
                heard(result(3, "no\n\n[Process exited with code 1]")),
                said(call(900, "Task", subagent_type="code-review-auditor", prompt="Review it.")),
                heard(
                    result(
                        900, "session_id: x\n# Review\n\n1. One finding, see [this](https://example.com/)\n"
                    )
                ),
                "no JSON",
                said(text("|a|b|\n|-|-|\n|1|2|\n\n> quoted\n\n```\ncode\n```\n\n# Done")),
            ],
            reviewer=[heard(text("Review it.")), said(text("One finding"))],
            summary="## Done\n\n- one\n- two\n",
            files={
                "verdict/logs/001.log": "1 failed\n",
                "droids/code-review-auditor.md": "# Review",
                "services.yml": "services:\n  droid:  # the session\n    image: 'x'\n    init: true\n",
            },
            ended={
                "outcome": "limit",
                "limit": {"name": "turns", "value": 9},
                "refused": {"example.com:443": 3},
                "notes": ["a note"],
                "problem": "a problem",
                "spent": {"total": {"requests": 3, "cost_usd": 0.25}},
                "uncommitted": {"changed": 1, "untracked": 0, "first": ["a.py"]},
            },
            record={
                "limits": {"minutes": 60, "turns": 9},
                "verdict": {
                    "passed": False,
                    "reasons": ["broken: pytest -q"],
                    "checks": [{**check, "tip": log, "base": {**log, "status": 0}}],
                    "changes": [{"path": "test_greeting.py", "what": "a test was removed"}],
                    "notes": [{"note": "It greets.", "result": "met", "evidence": "a test"}],
                },
            },
        ),
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_everybody_can_read_it(browser: Browser, ordinary: Written, width: int, theme: Theme) -> None:
    page = opened(browser, ordinary.file, width, theme).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(STICKING_OUT) == []
    assert violations(page) == []
    page.close()


def test_not_even_hostile_texts_are_hard_to_read(browser: Browser, hostile: Written) -> None:
    page = opened(browser, hostile.file).page
    # Its colours are those of any page, and to compare them at thousands of places takes a minute.
    assert violations(page, **{"color-contrast": {"enabled": False}}) == []
    page.close()


def test_it_is_read_with_the_keyboard_alone(browser: Browser, ordinary: Written) -> None:
    page = browser.new_page(viewport={"width": DESKTOP, "height": HEIGHT}, java_script_enabled=False)
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(ordinary.file.as_uri())
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("one => one === document.activeElement && one.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    summary = page.locator(":focus")
    assert summary.evaluate("one => one.localName") == "summary"
    assert summary.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    is_open = summary.evaluate("one => one.parentElement.open")
    page.keyboard.press("Enter")
    assert summary.evaluate("one => one.parentElement.open") is not is_open
    page.close()


def test_what_a_person_looks_for_is_there(browser: Browser, ordinary: Written) -> None:
    page = opened(browser, ordinary.file).page
    overview = page.locator("#overview").inner_text()
    for words in ("ended by the limit turns", "not passed", "55 s", "$0.25", "3 files", "a problem"):
        assert words in overview
    assert "example.com:443 3" in " ".join(page.locator("#overview .chips").all_inner_texts()).replace(
        "\n", " "
    )
    assert page.locator("#verdict pre").inner_text().strip() == "1 failed"
    assert "import" in page.locator(".diff .added .k").all_inner_texts()
    report = page.locator(".report").inner_text()
    assert "Report of code-review-auditor" in report
    assert "session_id" not in report
    assert "this [example.com]" not in report  # the host is a decoration, and is there:
    assert page.locator(".report a[data-host='example.com']").count() == 1
    assert page.locator(".call.failed").count() == 1
    assert page.locator(".damaged").inner_text().endswith("no JSON")
    assert page.locator("#container .k").count() > 0
    page.close()


def test_a_transcript_of_50_mb_makes_a_page_that_opens(browser: Browser, tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    words = 'An "answer" & <more>. ' * 200
    lines = [said(text(f"{number}: {words}")) for number in range(50_000_000 // len(words))]
    page_of_run = written(tmp_path, sample, Recorded(agent=lines))
    assert page_of_run.file.stat().st_size < 20_000_000
    page = opened(browser, page_of_run.file).page
    told = page.locator("#conversation-1").text_content() or ""
    assert "0: An" in told
    assert f"{len(lines) - 1}: An" in told
    assert re.search(r"[\d,]+ parts are left out here", told)
    page.close()
