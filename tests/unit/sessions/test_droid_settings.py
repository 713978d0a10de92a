"""What droid's settings say, without droid."""

from __future__ import annotations

import json
import re

import pytest

from lw_coder.sessions.droid_settings import TOOLS, WEB_TOOLS, render_settings
from lw_coder.sessions.login import Login
from lw_coder.settings.model_access import ModelAccess

SECRET = "sk-or-v1-never-shown"


def model(name: str = "anthropic/claude-sonnet-4.5") -> ModelAccess:
    return ModelAccess(name, "https://openrouter.ai/api/v1", SECRET)


@pytest.mark.parametrize("login", list(Login))
def test_settings_hold_no_key(login: Login) -> None:
    text = render_settings(login, model())
    assert SECRET not in text
    settings = json.loads(text)
    assert settings["cloudSessionSync"] is False
    assert "/workspace" in settings["trustedFolders"]
    assert ("customModels" in settings) == (login is Login.NONE)


@pytest.mark.parametrize(
    ("name", "provider", "base_url"),
    [
        ("anthropic/claude-sonnet-4.5", "anthropic", "https://openrouter.ai/api"),
        ("openai/gpt-5", "generic-chat-completion-api", "https://openrouter.ai/api/v1"),
    ],
)
def test_openrouters_model_in_droid(name: str, provider: str, base_url: str) -> None:
    settings = json.loads(render_settings(Login.NONE, model(name)))
    (custom,) = settings["customModels"]
    assert (custom["model"], custom["provider"], custom["baseUrl"]) == (name, provider, base_url)
    assert custom["apiKey"] == "${OPENROUTER_API_KEY}"
    assert settings["model"] == custom["id"] == settings["sessionDefaultSettings"]["model"]
    assert custom["maxOutputTokens"] == 8192


def test_the_length_of_an_answer_is_configured() -> None:
    (custom,) = json.loads(render_settings(Login.NONE, model(), max_output_tokens=32_000))["customModels"]
    assert custom["maxOutputTokens"] == 32_000


@pytest.mark.parametrize("is_confined", [False, True])
def test_tools_that_are_not_listed_are_refused(*, is_confined: bool) -> None:
    settings = json.loads(render_settings(Login.API_KEY, model(), is_confined=is_confined))
    (hook,) = settings["hooks"]["PreToolUse"]
    others = ("GenerateDroid", "Reader", "xRead", "other___tool", "context8___tool", "")
    context7 = ("context7___resolve-library-id", "mcp__context7__get-library-docs")
    offered = {*TOOLS, *WEB_TOOLS, *context7, *others}
    refused = {name for name in offered if re.search(hook["matcher"], name)}
    assert refused == {*others, *(WEB_TOOLS if is_confined else ())}
