"""The tutorial's blocks, typed into a shell in their order, by a person who has not changed a character."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import IMAGES, LW_CODER, SUMMARY, Person
from tests.support.scripted_model import ScriptedModel
from tests.support.terminal import Terminal

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial/first-plan.md"
SESSION = "lw_coder code greet-the-world"


@pytest.fixture
def reader(home: Path, tmp_path: Path, model: ScriptedModel) -> Person:
    """Has lw_coder on the PATH, an identity for git, and a model that stands in for OpenRouter."""
    (home / ".gitconfig").write_text(
        "[user]\nname = A Reader\nemail = reader@example.com\n", encoding="ascii"
    )
    person = Person(home, tmp_path)
    path = f"{Path(LW_CODER).parent}:{person.env['PATH']}"
    person.extra.update({"PATH": path, "PS1": "", "OPENROUTER_BASE_URL": model.base_url})
    return person


def test_the_tutorial_does_what_it_says(reader: Person) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    with reader.types("bash", "--norc", "--noprofile") as shell:
        for number, block in enumerate(blocks):
            _type_block(shell, block, done=f"block {number} ended with")
        shell.type("exit\n")
        assert shell.wait() == 0, shell.text
    assert "+    return" in shell.text
    # Run, age, how long it took, model, end, commits.
    assert re.search(r"greet-the-world/\d{8}T\d{6}Z  .*  completed +1$", shell.text, re.MULTILINE)
    _remove_image(reader.cwd / "hello")


def _type_block(shell: Terminal, block: str, done: str) -> None:
    shell.type(f"{block.rstrip()}\n")
    if block.strip() == SESSION:
        _leave_session(shell)
    # The shell puts the mark together, so that the line as it is typed is not taken for it.
    shell.type(f"printf '%s %s\\n' '{done}' $?\n")
    shell.wait_for(f"{done} 0")


def _leave_session(shell: Terminal) -> None:
    shell.wait_for(SUMMARY)
    shell.leave_session()
    shell.wait_for("Replay:")


def _remove_image(root: Path) -> None:
    (services,) = root.glob(".lw_coder/runs/*/*/services.yml")
    (tag,) = re.findall(r'image: "(lw_coder_droid:[0-9a-f]{12})"', services.read_text(encoding="utf-8"))
    IMAGES.add(tag)
