"""What a session's gateway is told: its settings file. The key is none of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from lw_coder.settings.limits import GATEWAY_LIMITS

if TYPE_CHECKING:
    from lw_coder.settings.config import CodeConfig
    from lw_coder.settings.limits import Limits
    from lw_coder.settings.model_access import ModelAccess

HOST = "gateway"  # its name in the session's network
ADDRESS = f"http://{HOST}:8080/v1"
SETTINGS_FILE = "gateway.json"
FOLDER = "gateway"  # of a run; the gateway writes what it counts there

_OPENROUTER = "openrouter.ai"


def render_gateway_settings(
    token: str, model: ModelAccess, config: CodeConfig, limits: Limits, variables: Sequence[str]
) -> str:
    """Render the settings of a run's gateway.

    Args:
        token: the run's; the file has its digest alone.
        model: the provider and the only model that may be asked.
        config: the repository's settings.
        limits: the session's.
        variables: names of the variables whose values no answer and no recording contains.
    """
    base = model.base_url
    values: dict[str, Any] = {
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "routes": {
            "/v1/chat/completions": f"{base}/chat/completions",
            # droid's client for Anthropic's format appends /v1/messages to an address without its /v1.
            "/v1/messages": f"{base.removesuffix('/v1')}/v1/messages",
        },
        "models": [model.model],
        "generation_url": f"{base}/generation" if _is_openrouter(base) else None,
        "max_output_tokens": config.max_output_tokens,
        "limits": {name: value for name, value in limits.as_dict().items() if name in GATEWAY_LIMITS},
        "prices": {name: msgspec.structs.asdict(price) for name, price in config.prices.items()},
        "record_requests": config.record_requests,
        **({"hold_seconds": config.provider_wait} if config.provider_wait else {}),
        "secret_variables": list(variables),
    }
    return json.dumps(values, indent=2) + "\n"


def lacks_cost(config: CodeConfig, model: ModelAccess) -> bool:
    """Tell whether a limit of the cost is set, and no cost is known.

    OpenRouter reports what an answer costs. Others hardly ever do.
    """
    has_limit = config.limits is not None and config.limits.cost_usd is not None
    return has_limit and model.model not in config.prices and not _is_openrouter(model.base_url)


def _is_openrouter(base_url: str) -> bool:
    return urlsplit(base_url).hostname == _OPENROUTER


def agents_access(model: ModelAccess, token: str) -> ModelAccess:
    """Return what the agent gets instead of the provider's address and key."""
    return replace(model, base_url=ADDRESS, api_key=token)
