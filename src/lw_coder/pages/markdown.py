"""Markdown of unknown origin, as a part of a page that it cannot act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from lw_coder.pages.visible import visible

_TABLE = '<div class="table" role="group" aria-label="Table" tabindex="0">'


def to_html(text: str) -> Markup:
    """Return Markdown as HTML, without images, headings of the page, or links but to http and https."""
    tokens = list(_tamed(_MARKDOWN.parse(text)))
    # References in the text, such as &#x202e;, have become characters only now.
    return Markup(visible(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})))  # noqa: S704 - html is off


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """Return whether a link is made of this address; otherwise its text stays as it is written."""
        return bool(_host(url))


def _host(url: str) -> str:
    """Return the host of a link to http or https; empty if it is another one, or wrong."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host if parts.scheme in {"http", "https"} else ""


def _tamed(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        token.children = list(_tamed(token.children or ())) or None
        _tame(token)
        if token.type == "table_open":
            yield Token("html_block", "", 0, content=_TABLE)
        yield token
        if token.type == "table_close":
            yield Token("html_block", "", 0, content="</div>")


def _tame(token: Token) -> None:
    url = str(token.attrs.get("href", ""))
    token.info = ""  # it would become a class
    token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}
    if token.type == "link_open":
        # The host is shown, whatever the link's text says.
        token.attrs = {"href": url, "data-host": _host(url), "rel": "noopener noreferrer"}
    elif token.type == "image":  # it would have to be fetched
        token.type, token.content, token.children = "text", f"[image: {token.content}]", None
    elif token.type == "heading_open":
        token.attrs, token.tag = {"class": f"heading {token.tag}"}, "p"
    elif token.type == "heading_close":
        token.tag = "p"


_MARKDOWN = _Markdown("js-default", {"html": False, "linkify": False, "maxNesting": 20})
