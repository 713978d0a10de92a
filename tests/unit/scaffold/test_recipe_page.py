"""The page of recipes has the Dockerfiles that init writes."""

from __future__ import annotations

import pytest

from lw_coder.scaffold.kinds import KINDS
from tests.support.recipe_page import BY_HAND, PAGE, blocks, section, with_recipes

TEXT = PAGE.read_text(encoding="ascii")


def test_the_recipes_are_what_init_writes() -> None:
    assert with_recipes(TEXT) == TEXT, "run: python -m tests.support.recipe_page"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_in_the_table(kind: str) -> None:
    assert f"](#{'other-projects' if kind == 'plain' else kind})" in TEXT


def test_the_steps_by_hand() -> None:
    assert len(blocks(TEXT, BY_HAND, "sh")) == 2
    assert "lw_coder code first-plan" in section(TEXT, BY_HAND)
