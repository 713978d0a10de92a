"""Verify a repository of 10,000 files, compared with two new worktrees and the same commands in them.

The commands read every file several times, which takes a few seconds: as long as a small test suite.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import PYTHON, seconds
from lw_coder.containers.image_names import BASE_TAG
from tests.integration.verdicts.scene import BRANCH, PLAN_ID, Scene, make_scene

FILES = 10_000
NAME = f"verification of {FILES} files"

_READ_ALL = "for i in 1 2 3 4 5 6; do find . -name '*.txt' -print0 | xargs -0 cat | sha256sum; done"
CHECKS = (_READ_ALL, f"{_READ_ALL} >/dev/null")


def measure(times: int) -> Iterator[Figure]:
    """Compare `lw_coder verify` with `git worktree add` and the bare commands, at the tip and at the base."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as folder:
        scene = _scene(Path(folder))
        ours, bare = in_turns(times, lambda: _verified(scene), lambda: _bare(scene))
        yield Figure(NAME, "ratio", ours, bare, "git worktree add and the bare commands")


def _scene(folder: Path) -> Scene:
    (folder / "home").mkdir()
    files = {f"part-{number // 100}/file-{number}.txt": f"line {number}\n" * 20 for number in range(FILES)}
    scene = make_scene(folder / "repository", folder / "home", files, BASE_TAG)
    scene.git("repack", "-a", "-d", "--quiet")
    scene.agent_commits({"part-0/file-0.txt": "changed\n"})
    scene.configure(*CHECKS)
    return scene


def _verified(scene: Scene) -> float:
    return seconds((PYTHON, "-m", "lw_coder", "verify", PLAN_ID), cwd=scene.root, env=scene.env)


def _bare(scene: Scene) -> float:
    """Time both commits, one after the other, with git and a shell alone."""
    tree = scene.root.parent / "tree"
    add = f"git worktree add --quiet --detach {shlex.quote(str(tree))}"
    remove = f"git worktree remove --force {shlex.quote(str(tree))}"
    checks = " && ".join(f"( cd {shlex.quote(str(tree))} && {check} )" for check in CHECKS)
    script = " && ".join(f"{add} {commit} && {checks} && {remove}" for commit in (BRANCH, scene.base))
    return seconds(("sh", "-c", script), cwd=scene.root, env=scene.env)
