"""What the agent asks for: read, checked, and written anew for the provider."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .settings import Settings

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"

# Nothing else is passed on. OpenRouter has fields that add models, tools or costs of their own (`models`,
# `plugins`, `route`, `transforms`, `web_search_options`, `service_tier`).
_FIELDS = frozenset(
    [
        *("model", "messages", "system", "tools", "tool_choice", "parallel_tool_calls"),
        *("stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "stop_sequences"),
        *("temperature", "top_p", "top_k", "min_p", "seed", "logit_bias"),
        *("presence_penalty", "frequency_penalty", "response_format", "verbosity"),
        *("reasoning", "reasoning_effort", "thinking", "user", "metadata"),
    ]
)
_BYTES_PER_TOKEN = 3  # fewer than a text has, so that what is set aside is rather too much


class RefusedError(Exception):
    """A request that is not passed on.

    Args:
        status: the HTTP status of the answer.
        reason: its text, which the agent shows.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Order:
    """A request for the provider.

    Attributes:
        path: the route.
        model: one of the run's.
        body: what the provider is sent.
        input_estimate: tokens of the prompt, estimated from its size.
        max_tokens: the most that the answer may have.
        conversation: the same for all requests of the agent, or of one subagent, as long as their beginning
            stays the same.
    """

    path: str
    model: str
    body: bytes
    input_estimate: int
    max_tokens: int
    conversation: str

    @property
    def most_tokens(self) -> int:
        """The most tokens that the request can use, as far as can be known before."""
        return self.input_estimate + self.max_tokens


def read_order(path: str, body: bytes, settings: Settings) -> Order:
    """Read a request's body.

    Raises:
        RefusedError: it is no request for one of the run's models.
    """
    asked = _parsed(body)
    model = asked.get("model")
    if not isinstance(model, str) or model not in settings.models:
        allowed = ", ".join(sorted(settings.models))
        raise RefusedError(403, f"lw_coder's gateway: this run may ask these models only: {allowed}")
    if not isinstance(asked.get("messages"), list):
        raise RefusedError(400, "lw_coder's gateway: the request has no messages")
    sent = {name: value for name, value in asked.items() if name in _FIELDS}
    most = _most_tokens(asked, settings.max_output_tokens)
    sent = _with_usage(path, _bounded(sent, most))
    return Order(
        path, model, json.dumps(sent).encode(), len(body) // _BYTES_PER_TOKEN, most, _conversation(asked)
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
        json.dumps(asked)  # refused here if it is too deeply nested to be written again
    except (ValueError, RecursionError):
        raise RefusedError(400, "lw_coder's gateway: the request is not JSON") from None
    if not isinstance(asked, dict):
        raise RefusedError(400, "lw_coder's gateway: the request is not a JSON object")
    return asked


def _most_tokens(asked: dict[str, Any], most: int) -> int:
    wanted = [asked.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return min([most, *(each for each in wanted if type(each) is int and each > 0)])


def _bounded(sent: dict[str, Any], most: int) -> dict[str, Any]:
    name = "max_completion_tokens" if "max_completion_tokens" in sent else "max_tokens"
    return {**sent, name: most} if "max_tokens" not in sent else {**sent, "max_tokens": most, name: most}


def _with_usage(path: str, sent: dict[str, Any]) -> dict[str, Any]:
    """Ask the provider to report the usage of a streamed answer too."""
    if path == CHAT and sent.get("stream") is True:
        return {**sent, "stream_options": {"include_usage": True}}
    return {name: value for name, value in sent.items() if name != "stream_options"}


def _conversation(asked: dict[str, Any]) -> str:
    messages = asked["messages"]
    start = [asked.get("system"), *messages[: 2 if _has_system(messages) else 1]]
    return hashlib.sha256(json.dumps(start).encode()).hexdigest()[:12]


def _has_system(messages: list[Any]) -> bool:
    first = messages[0] if messages else None
    return isinstance(first, dict) and first.get("role") in {"system", "developer"}
