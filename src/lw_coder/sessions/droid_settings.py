"""droid's settings: the model, the autonomy level, the tools, the subagents and the hooks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lw_coder.foundation.json_text import read_json
from lw_coder.sessions.container_paths import FACTORY, WORKSPACE
from lw_coder.sessions.login import Login
from lw_coder.settings.environment import API_KEY
from lw_coder.settings.model_access import OUTPUT_TOKENS

if TYPE_CHECKING:
    from lw_coder.prompts.prompt_files import Subagent
    from lw_coder.settings.model_access import ModelAccess

OVERRIDES_FILE = "overrides.json"

FACTORY_MODEL = "claude-sonnet-4-5-20250929"  # Factory's id of Sonnet 4.5
_CUSTOM_MODEL = "custom:openrouter"
_OVERRIDING = ("model", "sessionDefaultSettings", "customModels")

# The tools of a session, by droid's names; a later droid, or its server, can offer more. Interactive droid
# has no setting for this, but calls a hook before it uses a tool.
TOOLS = (
    *("Read", "LS", "Glob", "Grep"),
    *("Create", "Edit", "ApplyPatch", "Execute"),
    *("Task", "TaskOutput", "TaskStop", "TodoWrite", "Skill", "ToolSearch"),
    *("AskUser", "ExitSpecMode"),
)
# Factory's server fetches for these, so the session's proxy cannot restrict them.
WEB_TOOLS = ("FetchUrl", "WebSearch")
_MCP_TOOLS = r"(mcp__)?context7_{2,3}.+"
_REFUSAL = "This tool is not among those of an lw_coder session."


def render_settings(
    login: Login,
    model: ModelAccess,
    *,
    max_output_tokens: int = OUTPUT_TOKENS,
    is_confined: bool = False,
    has_token: bool = False,
) -> str:
    """Render droid's settings.json; it contains only the name of the key's variable, or a run's token.

    Args:
        login: how the agent is signed in.
        model: the model that it uses, unless it is signed in with Factory.
        max_output_tokens: the length of one answer of that model.
        is_confined: whether the session may reach only listed hosts.
        has_token: whether `model` is the session's gateway, and its key the run's token.
    """
    name = _CUSTOM_MODEL if login is Login.NONE else FACTORY_MODEL
    settings: dict[str, Any] = {
        "model": name,
        "sessionDefaultSettings": {"model": name, "autonomyLevel": "high"},
        "trustedFolders": {WORKSPACE: {"trustedAt": "2025-01-01T00:00:00.000Z"}},
        "cloudSessionSync": False,
        "logoAnimation": "off",  # it delays each start by three seconds
        "hooks": {"PreToolUse": [_refusal_of_others(TOOLS if is_confined else TOOLS + WEB_TOOLS)]},
    }
    if login is Login.NONE:
        key = model.api_key if has_token else f"${{{API_KEY}}}"
        settings["customModels"] = [_custom_model(model, key, max_output_tokens)]
    return _json(settings)


def render_overrides(settings: str, subagents: Sequence[Subagent]) -> str:
    """Render the file that droid puts before every settings file and every folder of subagents.

    Of subagents, models and hooks of one name droid takes the first that it meets: without this file the
    worktree's, with it the session's.

    Args:
        settings: what `render_settings` made.
        subagents: as `prompt_assets.subagents` lists them.
    """
    known: dict[str, Any] = read_json(settings)
    kept: dict[str, Any] = {
        key: known[key] for key in ("model", "sessionDefaultSettings", "customModels") if key in known
    }
    hooks = {"hooksDisabled": False, **known["hooks"]}
    droids = {"customDroids": [_as_droid_keeps_it(subagent) for subagent in subagents]}
    return _json({**kept, "hooks": hooks, "droids": droids})


def _as_droid_keeps_it(subagent: Subagent) -> dict[str, Any]:
    """Give a droid file the form that droid 0.215.0 has of it once it is read."""
    return {
        "metadata": subagent.front,
        "systemPrompt": subagent.body,
        "location": "personal",
        "filePath": f"{FACTORY}/{subagent.path}",
        "lastModified": 0,
        "validationResult": {"valid": True, "errors": [], "warnings": []},
    }


def render_policy(settings: str) -> str:
    """Render droid's managed settings, with which no hooks run but those of `settings`."""
    hooks = {"hooksDisabled": False, **read_json(settings)["hooks"]}
    return _json({"allowManagedHooksOnly": True, "hooks": hooks})


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _custom_model(model: ModelAccess, key: str, max_output_tokens: int) -> dict[str, Any]:
    # droid's generic provider answers for anthropic/claude models with an error of its own; OpenRouter
    # serves them in Anthropic's format too, at the same URL without its /v1.
    is_anthropic = model.model.startswith("anthropic/")
    provider = (
        {"provider": "anthropic", "authMode": "bearer", "baseUrl": model.base_url.removesuffix("/v1")}
        if is_anthropic
        else {"provider": "generic-chat-completion-api", "baseUrl": model.base_url}
    )
    return {
        "model": model.model,
        "id": _CUSTOM_MODEL,
        "displayName": model.model,
        "apiKey": key,
        "maxOutputTokens": max_output_tokens,
        **provider,
    }


def _refusal_of_others(tools: tuple[str, ...]) -> dict[str, Any]:
    """Make a hook that droid runs for every other tool, and that refuses it (Factory's hooks reference)."""
    command = f"echo '{_REFUSAL}' >&2; exit 2"
    return {
        "matcher": f"^(?!({'|'.join([*tools, _MCP_TOOLS])})$)",
        "hooks": [{"type": "command", "command": command}],
    }
