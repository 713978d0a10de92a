"""What of a worktree's .factory a person is told of before the session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lw_coder.prompts.prompt_files import DROIDS_FOLDER, code_droids, render_droid, subagents
from lw_coder.sessions.droid_files import HOOK_FILES, steering_notes
from lw_coder.sessions.droid_settings import render_overrides, render_policy, render_settings
from lw_coder.sessions.login import Login
from lw_coder.settings.model_access import ModelAccess

REVIEWERS = ("code-review-auditor", "plan-alignment-checker")


def notes(worktree: Path, name: str, text: str, *, hooks_run: bool = False) -> list[str]:
    path = worktree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return steering_notes(worktree, REVIEWERS, hooks_run=hooks_run)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("code-review-auditor.md", "---\nname: code-review-auditor\n---\n"),
        ("code-review-auditor.md", "No front matter"),
        ("other.md", '---\ndescription: x\nname: "code-review-auditor"\n---\n'),
        ("other.md", "---\nname: Code Review Auditor\n---\n"),
    ],
)
def test_a_droid_that_is_called_like_a_reviewer_is_told_of(tmp_path: Path, name: str, text: str) -> None:
    (line,) = notes(tmp_path, f".factory/droids/{name}", text)
    assert line.startswith(f".factory/droids/{name}: has the name of lw_coder's reviewer code-review-auditor")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".factory/droids/own.md", "---\nname: own-reviewer\n---\n"),
        (".factory/droids/code-review-auditor.txt", "name: code-review-auditor"),
        (".factory/settings.json", '{"model": "x"}'),
        ("docs/hooks.json", '{"PreToolUse": []}'),
    ],
)
def test_anything_else_is_not(tmp_path: Path, name: str, text: str) -> None:
    assert notes(tmp_path, name, text) == []


@pytest.mark.parametrize("name", HOOK_FILES)
def test_hooks_are_told_of(tmp_path: Path, name: str) -> None:
    text = json.dumps({"hooks": {"SubagentStop": []}})
    assert notes(tmp_path, name, text)[0].startswith(f"{name}: its hooks do not run in sessions")
    assert "check the file" in notes(tmp_path, name, text, hooks_run=True)[0]


def test_a_link_out_of_the_worktree_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/hooks.json").write_text('{"PreToolUse": []}')
    (tmp_path / "worktree").mkdir()
    (tmp_path / "worktree/.factory").symlink_to(tmp_path / "outside")
    assert steering_notes(tmp_path / "worktree", REVIEWERS, hooks_run=False) == []


@pytest.mark.parametrize("login", list(Login))
def test_overrides_hold_what_the_settings_and_the_droid_files_say(login: Login) -> None:
    rendered = render_settings(login, ModelAccess("openai/gpt-5", "https://openrouter.ai/api/v1", "secret"))
    texts = {f"{DROIDS_FOLDER}/{name}.md": render_droid(name, "Look at it.") for name in code_droids()}
    found = json.loads(
        render_overrides(rendered, subagents({**texts, "prompts/main.md": "---\nx: 1\n---\n"}))
    )
    droids = found["droids"]["customDroids"]
    assert {droid["metadata"]["name"] for droid in droids} == set(REVIEWERS)
    assert all("Look at it." in droid["systemPrompt"] for droid in droids)
    assert all("Edit" not in droid["metadata"]["tools"] for droid in droids)
    settings = json.loads(rendered)
    assert found["hooks"] == {"hooksDisabled": False, **settings["hooks"]}
    assert found["sessionDefaultSettings"] == settings["sessionDefaultSettings"]
    assert json.loads(render_policy(rendered)) == {"allowManagedHooksOnly": True, "hooks": found["hooks"]}
