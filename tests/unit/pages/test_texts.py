"""Texts of unknown origin on a page: what is shown of them, and what they cost."""

from __future__ import annotations

import re

import pytest

from lw_coder.pages.colours import Colours
from lw_coder.pages.markdown import to_html
from lw_coder.pages.visible import shortened, visible
from tests.support.hostile_texts import HOSTILE
from tests.support.patience import within_cpu_time


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
        ("\x1b[31m\r\0", "\\x1b[31m\\r\\x00"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\ud83d", "\\ud83d"),
        ("e\u0301 \u0928\u0940", "e\u0301 \u0928\u0940"),
        ("Z" + "\u0301" * 5, "Z" + "\\u0301" * 5),
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    ],
)
def test_what_acts_is_shown_and_what_is_read_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_the_middle_of_a_long_text_is_left_out() -> None:
    assert shortened("a" * 100, 100) == "a" * 100
    assert (
        shortened("a" * 90 + "b" * 1010, 100)
        == "a" * 75 + "\n[1,000 characters are left out here]\n" + "b" * 25
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A", '<p class="heading h1">A</p>'),
        ("[a](http://b.test/c)", 'href="http://b.test/c" data-host="b.test" rel="noopener noreferrer">a</a>'),
        ("[a](https://u:p@b.test\\@evil.test)", 'data-host="'),
        ("[a](javascript:1)", "[a](javascript:1)"),
        ("[a](#overview)", "[a](#overview)"),
        ("[a](b.html)", "[a](b.html)"),
        ("![a *b*](http://c.test/d.png)", "[image: a *b*]"),
        ("<b>a</b>", "&lt;b&gt;a&lt;/b&gt;"),
        ("```x onclick=1\n<a>\n```", "<pre><code>&lt;a&gt;\n</code></pre>"),
        ("|a|\n|:-:|\n|b|", '<div class="table" role="group" aria-label="Table" tabindex="0"><table>'),
        ("&#x202e;", "\\u202e"),
        ("3. a", '<ol start="3">'),
    ],
)
def test_markdown(text: str, html: str) -> None:
    assert html in to_html(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_markdown_costs_little(name: str) -> None:
    text = shortened(HOSTILE[name] * 20, 100_000)
    html = within_cpu_time(60, lambda: str(to_html(text)))
    assert "<script" not in html
    assert not re.search(r"<[^>]* (?:style|on\w+)=", html)


def test_source_text_is_coloured_by_its_name() -> None:
    assert Colours().lines("a.py", "import os  # <b>\n1") == [
        '<span class="k">import</span> os  <span class="c"># &lt;b&gt;</span>',
        '<span class="m">1</span>',
    ]
    for name in ("a.unknown", "\u202e", "", "a/b\n.c"):
        assert Colours().lines(name, "<a>\n\nb\n") == ["&lt;a&gt;", "", "b", ""]


@pytest.mark.parametrize("text", ["a\n\nb\n", "\n", "", "'''\n\n", "a\r\nb\rc\x0cd\x85e\u2028f", "\n\n\tx"])
def test_each_line_stays_a_line(text: str) -> None:
    for name in ("a.py", "a.js", "a.md", "Makefile", "a.html", "a.yml", "a.json", "a.txt"):
        lines = Colours().lines(name, text)
        assert len(lines) == text.count("\n") + 1


def test_colours_end_when_their_time_is_over() -> None:
    colours = Colours(seconds=0.05)
    hard = "a = " + "[{(" * 15_000
    shown = [within_line for _ in range(40) for within_line in colours.lines("a.py", hard)]
    assert colours.is_over
    assert shown[-1] == hard
    assert colours.lines("a.py", "import os") == ["import os"]
