"""Access to the language model that writes the prompts."""

from __future__ import annotations

from lw_coder.foundation.values import Secret

DEADLINE = 100.0  # seconds
OUTPUT_TOKENS = 8_192  # of one answer to the agent of a session


class ModelAccess(Secret, frozen=True):
    """The language model's address, and the time limits of requests.

    Attributes:
        model: OpenRouter's name of the model, such as `anthropic/claude-sonnet-4.5`.
        base_url: the OpenAI-compatible endpoint; `/chat/completions` is appended to it.
        api_key: the secret; it is in no repr.
        deadline: seconds for one question, including retries, even while a response is trickling in;
            `model_timeout` of config.toml.
        backoff: seconds before the first retry; doubled for each further one.
        longest_pause: seconds; if a server asks for a longer wait, there is no retry.
        max_tokens: of one answer; part of the cache key. OpenAI's reasoning models need 16000.
    """

    model: str
    base_url: str
    api_key: str
    deadline: float = DEADLINE
    backoff: float = 2.0
    longest_pause: float = 20.0
    max_tokens: int = 16_384

    @property
    def timeout(self) -> float:
        """Seconds without a byte after which a request is aborted: a little less than the deadline."""
        return self.deadline * 0.95
