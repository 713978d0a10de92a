"""Text that YAML would cut or change is refused; what a message says to type is read as it was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lw_coder.foundation.errors import PlanError
from lw_coder.plans.plan_file import read_plan
from lw_coder.plans.problems import quoted
from tests.support.plan_files import text, written

COMMENT, KEY = "as a comment", "the text before the colon as a key"
LIST, TABLE = 'the "[" at its start as the start of a list', 'the "{" at its start as the start of a table'
BLOCK, QUOTE = "at its start as the start of a block", "the quote at its start"
# How a note is written, and what is said of it. What is to be typed then means exactly that text.
ODD: dict[str, str | None] = {
    "Issue #12 is fixed": None,
    "#12 is fixed": COMMENT,
    "The issue #": COMMENT,
    "Fix  #1 and #2": COMMENT,
    "text\t# after a tab": "no tab here",
    "&fast path works": "&fast as an anchor",
    "& works": None,
    "&name": "&name as an anchor",
    "!important thing": "!important as a tag",
    "!! works": None,
    "!": "as a tag",
    "! works": "as a tag",
    "*all* tests pass": 'the "*" at its start as an alias',
    "*all": "*all as an alias",
    "**Bold** text": 'the "*" at its start as an alias',
    "name: value": KEY,
    "Note: it works: really": KEY,
    "It ends with a colon:": KEY,
    "`name`: value": "no text that begins with '`'",
    "? what": 'the "?" as the start of a key',
    ": text": 'the ":" at its start as the end of a key',
    "[ ] Tests pass": LIST,
    "[x] Tests pass": LIST,
    "[x]": 'the "[" as the start of a list',
    "[ ]": 'the "[" as the start of a list',
    "[link](https://example.com)": LIST,
    "{name} is replaced": TABLE,
    "{}": 'the "{" as the start of a table',
    "`make test` passes": "no text that begins with '`'",
    "@decorator": "no text that begins with '@'",
    "%s is replaced": "no text that begins with '%'",
    '"quoted" text': QUOTE,
    "'quoted' text": QUOTE,
    "'tis so": QUOTE,
    "> 90 % are covered": BLOCK,
    ">5 tests": BLOCK,
    ">= 3.11": BLOCK,
    ">2": BLOCK,
    "| a | table |": BLOCK,
    "- nested": 'the "-" as the start of a list',
    "- - x": 'the "-" as the start of a list',
    "-x: y": KEY,
    ", comma": None,
    "\u00fc\u2028x": None,
}
FINE = (
    *(
        "plain",
        "-1 is returned",
        "a#b",
        "a & b! c* d",
        "http://x/y:8080#z",
        "it's",
        'say "x"',
        "C:\\new\\dir",
    ),
    *(
        "x [y] {z}",
        "a, b",
        "100%",
        "2025-01-02",
        "0x1f",
        "1e3",
        "yes",
        "~x",
        "a:b",
        "-x",
        "--flag",
        "?x",
        "=",
        "<<",
    ),
    *("- ".strip() + "-", "Null", "caf\u00e9 \U0001f600", "x - y", "a  b"),
)


def notes_of(folder: Path, lines: str) -> tuple[str, ...]:
    return read_plan(written(folder, text(evaluation_notes=f"\n{lines}"))).metadata.evaluation_notes


def refusal_of(folder: Path, lines: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        notes_of(folder, lines)
    return [f"{part.message}; {part.remedy}" for part in caught.value.parts]


def test_notes_that_mean_what_they_say(tmp_path: Path) -> None:
    assert notes_of(tmp_path, "".join(f"  - {note}\n" for note in FINE).rstrip()) == FINE


@pytest.mark.parametrize("note", FINE)
def test_each_of_them_alone_and_in_brackets(tmp_path: Path, note: str) -> None:
    assert notes_of(tmp_path, f"- {note}") == (note,)
    if not re.search(r"[,\[\]{}?]|[:]\S", note):
        plan = read_plan(written(tmp_path, text(evaluation_notes=f"[{note}, b]")))
        assert plan.metadata.evaluation_notes == (note, "b")


@pytest.mark.parametrize("note", [note for note, said in ODD.items() if said])
@pytest.mark.parametrize(
    "around", ["- first\n{}\n- last", "{}", "  - first\n  # a comment\n  {}\n\n  - last"]
)
def test_what_is_said_is_read_as_it_was_meant(tmp_path: Path, note: str, around: str) -> None:
    lines = around.format(f"- {note}")
    (said,) = refusal_of(tmp_path, lines)
    number = [line.strip() for line in lines.split("\n")].index(f"- {note}".strip())
    item = 1 if around == "{}" else 2
    assert f"plan.md, line {6 + number}: evaluation_notes, item {item}: " in said
    assert str(ODD[note]) in said
    typed = said.partition("; put it between quotes: ")[2]
    assert typed
    again = notes_of(tmp_path, around.format(typed))
    assert again[item - 1] == note


@pytest.mark.parametrize("note", [note for note, said in ODD.items() if not said])
def test_odd_notes_that_are_refused_or_read_as_written(tmp_path: Path, note: str) -> None:
    try:
        assert notes_of(tmp_path, f"- {note}") == (note,)
    except PlanError as error:
        typed = error.remedy.partition("put it between quotes: ")[2]
        assert notes_of(tmp_path, typed) == (note,)


def test_all_odd_notes_of_one_plan_are_named_at_once(tmp_path: Path) -> None:
    odd = [note for note, said in ODD.items() if said]
    lines = refusal_of(tmp_path, "\n".join(f"  - {note}" for note in odd))
    assert [re.findall(r", item (\d+): ", line)[0] for line in lines] == [str(n + 1) for n in range(len(odd))]


@pytest.mark.parametrize("value", [note for note, said in ODD.items() if said and note[:1] not in "-?:"])
def test_other_texts_too(tmp_path: Path, value: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(written(tmp_path, text(created_by=value)))
    (said,) = caught.value.parts
    assert "plan.md, line 6: created_by: " in said.message
    typed = said.remedy.partition("put it between quotes: ")[2].removesuffix(", or remove it")
    plan = read_plan(written(tmp_path, text(created_by=typed.removeprefix("created_by: "))))
    assert plan.metadata.created_by == value


@pytest.mark.parametrize(
    "lines", ["-", "- ", "-\n- x", "- x\n-", "- ''", '- " "', "- |", "- >-", "- |\n\n- x", "- x\n- |-\n"]
)
def test_empty_notes(tmp_path: Path, lines: str) -> None:
    (said,) = refusal_of(tmp_path, lines)
    assert ": is empty; write the text behind the dash on the same line, or remove the item" in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("  - two lines\n    # 12", COMMENT),
        ("  - two\n    lines #12\n    more", COMMENT),
        ("  - # 12\n    is fixed", COMMENT),
        ("  -\n    # 12\n    is fixed", COMMENT),
        ("  - 'quoted' # 12\n  - x: y", KEY),
        ("  -no space", "put a space after each dash: - text"),
        ("  - x\n  -no space", 'there is no space after the dash; put it between quotes: - "no space"'),
        ("  - x\n   - y", "as more of this text; put the dashes of the list in the same column"),
        ("  - x\n - y\n  - z", "'- y' has its dash in another column than the items above; .* column:   - y"),
        ("\t- tab", "is indented with a tab; YAML allows only spaces; write:   - tab"),
        ("  -\ttab", "YAML allows no tab here; put it between quotes: - "),
        ('  - "x\n  - y"', "between quotes ends only in line 7; put the second quote at the end of line 6"),
        ('  - "x\n    - y"', "between quotes ends only in line 7"),
        ("  - 'x\n  - it''s y'", "between quotes ends only in line 7"),
        ("  - 'it''s' so", QUOTE),
        ("  - unclosed\n  - 'never closed", "has no partner"),
        ('  - "a \\d b"', "does not know the escape sequence"),
        ("  - x\n  no dash", "neither a key with a colon nor an item|put it between quotes"),
        ("  text: x", "is not a list of strings"),
        ("  1. first\n  2. second", "with a dash and a space: - text"),
        ("  * first", "with a dash and a space: - text"),
        ("  \u2022 first", "with a dash and a space: - text"),
        ("  |\n    - a\n    - b", "with a dash and a space: - text"),
        ("  none", r"write evaluation_notes: \[\] for none"),
        ("  {}", r"write evaluation_notes: \[\] for none"),
        ("  - a:\n    - b", KEY),
        ("  - x\u2028y", r"end of a line|YAML reads it as"),
        ("  just text", r'write a list, or \[\] for none: evaluation_notes: \["just text"\]'),
        ("  &all\n  - x", "YAML reads &all as an anchor; begin the list in the line below the key"),
        ("  !!set\n  - x", "YAML reads tag:yaml.org,2002:set as a tag; begin the list in"),
        ("  *x", "is not a list"),
    ],
)
def test_lists_of_an_odd_form(tmp_path: Path, lines: str, said: str) -> None:
    told = "\n".join(refusal_of(tmp_path, lines))
    assert re.search(said, told), told
    assert "line 6" in told or "line 7" in told or "line 5" in told


@pytest.mark.parametrize(
    ("value", "notes"),
    [
        ("[a, 'b, c', \"d\"]", ("a", "b, c", "d")),
        ("[a,\n  b, # a comment\n  c]", ("a", "b", "c")),
        ("  # what counts\n  - a", ("a",)),
        ("\n  # what counts\n  - a\n  # more\n\n  - b\n  # end", ("a", "b")),
        ("\n- 'a # b' # a comment", ("a # b",)),
        ("\n- a\n  b\n\n  c\n- d", ("a b\nc", "d")),
        ("\n- |\n  - a: b # c\n  &d\n- >\n  e\n  f\n", ("- a: b # c\n&d\n", "e f\n")),
        ("\n-\n  a\n-   b", ("a", "b")),
    ],
)
def test_every_way_to_write_a_list(tmp_path: Path, value: str, notes: tuple[str, ...]) -> None:
    assert read_plan(written(tmp_path, text(evaluation_notes=value))).metadata.evaluation_notes == notes


@pytest.mark.parametrize(
    "value", ["[a #b\n, c]", "[a, &b c]", "[!a b]", "[a: b]", "[[a]]", "[*a]", "[a # b]", "[a, b"]
)
def test_the_same_in_brackets(tmp_path: Path, value: str) -> None:
    with pytest.raises(PlanError, match=r"plan\.md, line 5: evaluation_notes"):
        read_plan(written(tmp_path, text(evaluation_notes=value)))


@pytest.mark.parametrize("key", ["plan_id", "git_sha", "status"])
def test_a_comment_after_a_word_is_harmless(tmp_path: Path, key: str) -> None:
    right = read_plan(written(tmp_path, text())).metadata
    content = re.sub(rf"(?m)^({key}: \S+)$", r"\1  # a comment", text())
    assert content != text()
    assert read_plan(written(tmp_path, content)).metadata == right
    with pytest.raises(PlanError, match=key):
        read_plan(written(tmp_path, content.replace(f"{key}: ", f"{key}: &x ")))


@pytest.mark.parametrize("value", ["", " ", "null", "~", "''"])
def test_optional_keys_without_a_value(tmp_path: Path, value: str) -> None:
    found = read_plan(written(tmp_path, text(linear_issue_id=value, notes=value))).metadata
    assert (found.linear_issue_id or None, found.notes or None) == (None, None)


def test_problems_below_a_broken_line_are_found_too(tmp_path: Path) -> None:
    content = text(evaluation_notes="\n  - `a`\n  - @b", status="nope", priority="[x", git_sha="HEAD")
    with pytest.raises(PlanError) as caught:
        read_plan(written(tmp_path, content))
    said = [part.message.partition("plan.md, ")[2] for part in caught.value.parts]
    assert [line.partition(": ")[0] for line in said] == ["line 3", "line 4", "line 6", "line 7", "line 8"]


def test_a_body_that_was_taken_for_front_matter(tmp_path: Path) -> None:
    content = text("# Title\n\nSome text.\n\n- a\n\n---\n\nmore\n").replace("---\n# Title", "\n# Title")
    with pytest.raises(PlanError) as caught:
        read_plan(written(tmp_path, content))
    (said,) = caught.value.parts
    assert "line 9: 'Some text.' is neither a key with a colon nor an item of a list" in said.message
    assert "put a line with --- above it if the plan itself begins here" in said.remedy


def test_a_missing_end_is_placed_below_the_last_key(tmp_path: Path) -> None:
    content = text("# Title\n\nSome text: x\n- a\n").replace("---\n# Title", "\n# Title")
    with pytest.raises(PlanError, match="no line of --- ends it") as caught:
        read_plan(written(tmp_path, content))
    assert caught.value.remedy == "write a line with --- below line 5"


printable = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40).map(str.strip)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(printable.filter(bool))
def test_quoted_text_is_read_back(note: str) -> None:
    import yaml

    assert yaml.safe_load(f"- {quoted(note)}") == [note]
