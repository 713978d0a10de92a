"""How the signature's outputs are asked for and read: DSPy's JSON adapter, for any model and server."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMProviderError

from lw_coder.dspy.answer_json import find_answers, to_repair

_Calls = list[dict[str, Any]]

_CAPABLE = SimpleNamespace(supported_params=frozenset({"response_format"}), supports_response_schema=True)
_NAMES_SCHEMA = re.compile(
    r"(?:response|json)[ _-]?(?:format|mode|object)|schema|structured|grammar", re.IGNORECASE
)
# DSPy keeps an error's text only where OpenAI's servers have it; OpenRouter hides the text of others.
_SAYS_NOTHING = re.compile(r"(?:HTTP \d+|provider returned error.*)?", re.IGNORECASE)
_MAY_REFUSE = frozenset({400, 415, 422, 500, 501})
_UNEXPLAINED = frozenset({400, 422})


class AnswerAdapter(dspy.JSONAdapter):  # type: ignore[misc]  # DSPy ships no types
    """DSPy's JSON adapter, which sends the schema to every model and finds an answer among prose.

    DSPy itself sends the schema only for models that its catalogue knows. A server that refuses it is asked
    without it, then and for as long as the adapter is used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sends_schema = True

    def __call__(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> _Calls:
        """Ask the model; once more without the schema if the server refuses it.

        Raises:
            LMError: the model could not be called.
            AdapterParseError: the outputs are not all in its answer.
        """
        try:
            calls: _Calls = super().__call__(lm, dict(lm_kwargs), signature, demos, inputs)
        except LMProviderError as error:
            if not self.sends_schema or not _refuses_schema(error):
                raise
            self.sends_schema = False
        else:
            return calls
        return self(lm, lm_kwargs, signature, demos, inputs)

    def _prepare_response_format(
        self, _lm: dspy.BaseLM, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        if self.sends_schema:
            super()._prepare_response_format(_CAPABLE, lm_kwargs, signature)

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Return the outputs in a model's text.

        Raises:
            AdapterParseError: they are not all there; its text quotes the model.
        """
        names = signature.output_fields
        for found in reversed(find_answers(completion, names)):
            with suppress(AdapterParseError):  # some models repeat the schema, whose keys are the same
                return dict(super().parse(signature, json.dumps(found)))
        return dict(super().parse(signature, to_repair(completion, names)))


def _refuses_schema(error: LMProviderError) -> bool:
    """Tell whether a server may have refused a request for its schema."""
    text = f"{error.message} {error.provider_code or ''}"
    if error.status in _UNEXPLAINED and _SAYS_NOTHING.fullmatch(error.message.strip()):
        return True
    return error.status in _MAY_REFUSE and _NAMES_SCHEMA.search(text) is not None
