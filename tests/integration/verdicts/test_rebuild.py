"""checks_rebuild: an image of the tip, from the user's Dockerfile, without the user's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.image_names import BASE_TAG, repo_hash, repo_tag
from lw_coder.repository.git import find_repository, root_commit
from tests.integration.verdicts.scene import BRANCH, Scene, make_run, make_scene, told
from tests.support.engine import docker, remove_images

SECRET = "a-build-secret"
DOCKERFILE = f"""FROM {BASE_TAG}
ARG A=unset
COPY tool.txt /tool.txt
RUN --mount=type=secret,id=s,required=false \\
    --mount=type=cache,target=/cache \\
    echo "$A" > /argument; \\
    cp /run/secrets/s /secret 2>/dev/null; \\
    cp /cache/kept /kept 2>/dev/null; \\
    cp /tool.txt /cache/kept
"""
FLAGS = ["--secret", "id=s,src=./secret", "--build-arg", "A"]


@pytest.fixture
def scene(tmp_path: Path, home: Path, engine: str) -> Iterator[Scene]:
    """A repository whose image was built from it, with a secret, an argument of the shell and a cache."""
    assert engine
    files = {"tool.txt": f"{tmp_path}\n", ".lw_coder/code.Dockerfile": DOCKERFILE}
    scene = make_scene(tmp_path / "scene", home, files)
    (scene.root / "secret").write_text(SECRET)
    found = find_repository(scene.root)
    tag = repo_tag(repo_hash(root_commit(found), found.common_dir))
    flags = ("--secret", f"id=s,src={scene.root}/secret", "--build-arg", f"A={SECRET}", "--tag", tag)
    docker("build", "--quiet", *flags, "--file", f"{scene.root}/.lw_coder/code.Dockerfile", str(scene.root))
    scene.run = make_run(scene, tag)
    scene.extra["A"] = SECRET
    yield scene
    remove_images([tag, f"{tag}-check"])


def test_the_image_is_older_than_the_tip(scene: Scene) -> None:
    scene.configure("cmp tool.txt /tool.txt", f"grep -q {SECRET[:5]} /secret", docker_build_args=FLAGS)
    scene.agent_commits({"tool.txt": "new\n"})
    verdict = scene.verdict()
    assert list(told(verdict).values()) == ["broken", "passes"]
    told_of = {"path": "tool.txt", "what": "the image was built before tool.txt changed"}
    assert told_of in verdict["changes"]


def test_the_image_is_built_from_the_tip_without_secrets(scene: Scene) -> None:
    scene.configure(
        "cmp tool.txt /tool.txt",
        "test ! -e /secret",
        "grep -x unset /argument",
        "test ! -e /kept",
        docker_build_args=FLAGS,
        checks_rebuild=True,
    )
    scene.agent_commits(
        {"tool.txt": "new\n", ".lw_coder/code.Dockerfile": f"{DOCKERFILE}RUN touch /secret\n"}
    )
    verdict = scene.verdict()
    assert verdict["passed"], verdict
    assert told(verdict)["cmp tool.txt /tool.txt"] == "passes"
    assert told(verdict)["test ! -e /secret"] == "fixed"
    assert verdict["rebuilt"]
    assert "main worktree" in verdict["remarks"][0]
    assert SECRET not in (scene.run / "rebuild.log").read_text()
    assert [path.name for path in scene.run.iterdir() if path.name.startswith(".")] == []
    assert scene.replay().returncode == 0


def test_a_tip_without_an_image_does_not_pass(scene: Scene) -> None:
    scene.configure("true", checks_rebuild=True)
    scene.agent_commits({"tool.txt": None})
    verdict = scene.verdict()
    assert not verdict["passed"]
    (reason,) = verdict["reasons"]
    assert reason.startswith("the checks could not be run: the tip's image could not be built")
    assert scene.git("rev-parse", BRANCH) == verdict["tip"]
