"""What lw_coder tells the gateway of a run: a JSON file, and the key in the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens of one model."""

    input: float
    output: float
    cached: float | None = None


@dataclass(frozen=True)
class Limits:
    """What a run may spend; None is without a limit."""

    requests: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True)
class Settings:
    """All of a gateway's settings.

    Attributes:
        token_sha256: the digest of the run's token, in hex.
        routes: the provider's address for each path that is served.
        models: the only models that may be asked.
        generation_url: where the provider tells what an answer cost, by the answer's id; None if it does not.
        max_output_tokens: the most that one answer may have.
        limits: the run's.
        prices: by model; for providers that report no cost.
        hold_seconds: how long one request waits for the provider at most, before it is refused.
        first_pause: seconds before the first repetition, if the provider does not say.
        silence_seconds: the longest pause between two pieces of an answer.
        rest_seconds: how long an answer is read on that its agent no longer reads.
        minute: seconds in which `requests_per_minute` are counted.
        record_requests: whether requests and answers are kept.
        key_variable: the environment variable of the provider's key.
        secret_variables: the variables whose values never leave the gateway, the key's included.
    """

    token_sha256: str
    routes: Mapping[str, str]
    models: frozenset[str]
    generation_url: str | None = None
    max_output_tokens: int = 8192
    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, Price] = field(default_factory=dict)
    hold_seconds: float = 230.0
    first_pause: float = 2.0
    silence_seconds: float = 300.0
    rest_seconds: float = 3.0
    minute: float = 60.0
    record_requests: bool = False
    key_variable: str = "OPENROUTER_API_KEY"
    secret_variables: tuple[str, ...] = ()


def read_settings(path: Path) -> Settings:
    """Read the file that lw_coder wrote.

    Raises:
        OSError, ValueError, TypeError: it is not there, or not in that form.
    """
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    prices = {model: Price(**price) for model, price in values.pop("prices", {}).items()}
    limits = Limits(**values.pop("limits", {}))
    models = frozenset(values.pop("models"))
    secrets = tuple(values.pop("secret_variables", ()))
    return Settings(**values, models=models, limits=limits, prices=prices, secret_variables=secrets)
