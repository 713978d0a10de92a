"""Open a page in a real browser, and look at it as people and as programs that check it do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.sync_playwright import Axe

from tests.support.patience import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
PHONE, DESKTOP = 390, 1280
HEIGHT = 900
_OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
STICKING_OUT = """() => [...document.querySelectorAll('body *')]
  .filter(one => !one.closest('.table') || one.matches('.table'))
  .filter(one => { const box = one.getBoundingClientRect();
    const sticksOut = box.right > innerWidth + 0.5 || box.left < -0.5;
    return box.width && box.height && sticksOut && !one.closest('.skip') })
  .map(one => one.outerHTML.slice(0, 200))"""
ACTIVE = (
    "script, iframe, object, embed, img, svg, math, form, input, button, link, base, audio, video, [style]"
)
HANDLERS = """() => [...document.querySelectorAll('*')].flatMap(one =>
  one.getAttributeNames().filter(name => name.startsWith('on')))"""


@dataclass(frozen=True)
class Shown:
    """A page in the browser, and what it did there."""

    page: Page
    requests: list[str]
    messages: list[str]


def opened(browser: Browser, file: Path, width: int = DESKTOP, theme: Theme = "light") -> Shown:
    """Open a page with all that it folds."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=theme)
    page.set_default_timeout(PATIENCE * 1000)
    requests, messages = list[str](), list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(file.as_uri())
    page.evaluate(_OPEN_ALL)
    return Shown(page, requests, messages)


def violations(page: Page, **rules: dict[str, bool]) -> list[tuple[str, list[str]]]:
    """Return which rules of accessibility a page breaks, and where."""
    options = {"resultTypes": ["violations"], "rules": rules}
    found: list[dict[str, Any]] = Axe().run(page, options=options).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
