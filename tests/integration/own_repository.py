"""A clone of this very repository, to carry a plan out in."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.agent_script import scripted_demo
from tests.support.sample_repository import run_git
from tests.support.scripted_model import Conversation, Reply

ROOT = Path(__file__).parents[2]
OWN_PLAN_ID = "look-around"
ONLOOKER_WORDS = "There is nothing to be done here."

_PLAN = """---
plan_id: {plan_id}
git_sha: {sha}
status: ready
evaluation_notes: []
---

# Look around

Change nothing.
"""
# What the image is made of counts as it is now; the rest, as in every session, as it was committed.
_IMAGE_FILES = ("config.toml", "code.Dockerfile", ".dockerignore")


def clone_own_repository(path: Path, base_url: str) -> Path:
    """Clone this checkout's HEAD, with a plan that starts from it and an env file; return the clone."""
    run_git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(path))
    run_git(path, "config", "user.name", "Sample Person")
    run_git(path, "config", "user.email", "sample@example.com")
    for name in _IMAGE_FILES:
        shutil.copy(ROOT / ".lw_coder" / name, path / ".lw_coder" / name)
    plan = _PLAN.format(plan_id=OWN_PLAN_ID, sha=run_git(path, "rev-parse", "HEAD"))
    (path / f".lw_coder/tasks/{OWN_PLAN_ID}.md").write_text(plan, encoding="utf-8")
    env = f"OPENROUTER_API_KEY=sk-or-own-key\nOPENROUTER_BASE_URL={base_url}\n"
    (path / ".env").write_text(env, encoding="utf-8")
    return path


def scripted_onlooker(conversation: Conversation) -> Reply:
    """Play an agent that leaves the repository alone."""
    return Reply(ONLOOKER_WORDS) if conversation.kind == "agent" else scripted_demo(conversation)
