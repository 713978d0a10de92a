"""What a Dockerfile's text says that it reads from the build context."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lw_coder.containers.build_context import context_sources, covers, has_variable

OWN = Path(__file__).parents[3] / ".lw_coder/code.Dockerfile"


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        ("FROM x\nRUN make", []),
        ("COPY a b/ ./c /dest/", ["a", "b", "c"]),
        ("copy --chown=1:1 --link a /dest", ["a"]),
        ("ADD a.tar https://example.com/x git@github.com:x/y.git /dest", ["a.tar"]),
        ("COPY --from=build /out /out\nCOPY --from=build --chown=1:1 /out /out", []),
        ("COPY . /workspace", ["."]),
        ("COPY / /workspace\nCOPY ./ /x", ["."]),
        ('COPY ["a file", "b", "/dest"]', ["a file", "b"]),
        ("COPY [not json /dest", []),
        ("COPY a \\\n  # a comment\n  b \\\n  /dest", ["a", "b"]),
        ("# COPY no /x\n  COPY yes /x", ["yes"]),
        (
            "COPY requirements*.txt pyproject.toml $FILES /x",
            ["requirements*.txt", "pyproject.toml", "$FILES"],
        ),
        ("ONBUILD COPY a /x", ["a"]),
        ("COPY <<EOF /x\nCOPY no /x\nEOF\nCOPY yes /x", ["yes"]),
        ("RUN <<-'END'\nCOPY no /x\nEND\nCOPY yes /x", ["yes"]),
        ("RUN <<END\nCOPY without an end", []),
        (
            "RUN --mount=type=bind,source=uv.lock,target=/uv.lock --mount=type=cache,target=/c uv sync",
            ["uv.lock"],
        ),
        ("RUN --mount=type=bind,from=x,src=a,target=/a true", []),
        ("RUN --mount=src=a,target=/a --mount=type=bind,target=/b true", ["a", "."]),
        ("COPYING a b\nENTRYPOINT COPY a b", []),
        ("COPY\nADD a\nCOPY a \\", []),
        ("COPY same /a\nCOPY same /b", ["same"]),
    ],
)
def test_sources(lines: str, sources: list[str]) -> None:
    assert context_sources(lines) == sources


def test_what_sources_cover() -> None:
    sources = ("src", "requirements*.txt", ".", "$X/${Y:-z}.json")
    assert covers(sources, "src/a/b.py")
    assert covers(sources, "requirements-dev.txt")
    assert covers(sources, "any/file.json")
    assert not covers(sources, "other/src")
    assert [has_variable(source) for source in sources] == [False, False, False, True]


def test_this_repositorys_own() -> None:
    assert context_sources(OWN.read_text(encoding="utf-8")) == [
        *("tests/constraints.txt", "pyproject.toml", "LICENSE", "README.md", "src/lw_coder/__init__.py"),
    ]


@settings(derandomize=True, deadline=None, database=None)
@given(st.text(alphabet='COPYADRUN --mount=,[]{}"\\\n<EOF#$ ', max_size=80))
def test_any_text_is_read(lines: str) -> None:
    context_sources(lines)


def test_words_that_are_nested_deeply_name_no_source() -> None:
    assert context_sources("FROM scratch\nCOPY " + "[" * 5000 + "\n") == []
