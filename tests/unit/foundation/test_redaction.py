"""No value of a forwarded variable is in a copy of what an agent says."""

from __future__ import annotations

from lw_coder.foundation.redaction import Redaction

VALUES = {"KEY": "sk-or-123456", "LONGER": "sk-or-123456789", "ODD": 'a"b\\c\nd$.*e', "SHORT": "true"}


def test_values_are_replaced_wherever_they_are() -> None:
    redaction = Redaction(VALUES)
    assert redaction.text("-sk-or-123456-sk-or-123456789-true") == "-[KEY]-[LONGER]-true"
    found = redaction.json({"a": ["sk-or-123456", 3, None], 'a"b\\c\nd$.*e': {"b": 'x a"b\\c\nd$.*e'}})
    assert found == {"a": ["[KEY]", 3, None], "[ODD]": {"b": "x [ODD]"}}


def test_no_values_change_nothing() -> None:
    assert Redaction({"A": "", "B": "true"}).text("true or not") == "true or not"


def test_no_value_is_in_its_repr() -> None:
    assert "sk-or" not in repr(Redaction(VALUES))
