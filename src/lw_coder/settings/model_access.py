"""How the language model that writes the prompts is reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelAccess:
    """Where the language model is and how patiently it is asked.

    Attributes:
        model: OpenRouter's name of the model, such as `anthropic/claude-sonnet-4.5`.
        base_url: the OpenAI-compatible endpoint; `/chat/completions` is appended to it.
        api_key: the secret; it is in no repr.
        deadline: seconds for one question, its retries included. It holds even while bytes trickle in.
        backoff: seconds before the first retry; they double with each.
        longest_pause: seconds; a server that asks for a longer wait is not waited for.
        timeout: seconds without a byte after which one request is given up. DSPy's cache key covers
            it, so a change of it makes every cached answer a miss.
        max_tokens: of one answer; also part of the cache key. OpenAI's reasoning models need 16000.
    """

    model: str
    base_url: str
    api_key: str = field(repr=False)
    deadline: float = 100.0
    backoff: float = 2.0
    longest_pause: float = 20.0
    timeout: float = 95.0
    max_tokens: int = 16_384
