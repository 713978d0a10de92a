"""How the signature's outputs are asked for and read: DSPy's JSON adapter, for any model."""

from __future__ import annotations

import json
from typing import Any

import dspy

from lw_coder.dspy.answer_json import find_answer, to_repair


class AnswerAdapter(dspy.JSONAdapter):  # type: ignore[misc]  # DSPy ships no types
    """DSPy's JSON adapter, which also finds an answer among prose and fences."""

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Return the outputs in a model's text.

        Raises:
            AdapterParseError: they are not all there; its text quotes the model.
        """
        names = signature.output_fields
        found = find_answer(completion, names)
        text = to_repair(completion, names) if found is None else json.dumps(found)
        outputs: dict[str, Any] = super().parse(signature, text)
        return outputs
