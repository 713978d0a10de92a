"""A real session's result is taken; then `lw_coder clean` finds what is left, old images too."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from lw_coder.containers.image_names import BASE_TAG, repo_hash, repo_tag
from lw_coder.containers.labels import PLAN_LABEL, REPO_LABEL
from lw_coder.runs.run_folders import open_run, remove_abandoned
from tests.integration.conftest import Person
from tests.integration.headless_session import Headless, beside, headless
from tests.support.engine import containers, docker
from tests.support.result_schema import document_of
from tests.support.sample_repository import PLAN_ID, SampleRepository

COMMIT = "echo hello > hello.txt && git add hello.txt && git commit --quiet --message 'Say hello'"


def typed(person: Person, command: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = person.runs_alone(command, "--json", *arguments)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = document_of(command, done.stdout)
    return document


def earlier_build(folder: Path, identity: str, number: int) -> str:
    """Make an image without a name, as an earlier build leaves it; return its id."""
    (folder / "Dockerfile").write_text(f"FROM {BASE_TAG}\nENV NUMBER={number}\n", encoding="ascii")
    return docker("build", "--quiet", "--label", f"{REPO_LABEL}={identity}", str(folder))


def listed(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in document["items"]}


def short(image: str) -> str:
    return image.removeprefix("sha256:")[:12]


def _a_session_whose_result_is_not_taken_yet(person: Person, sample: SampleRepository) -> Headless:
    """Try to take the result while the agent is still at work."""

    def take() -> None:
        assert typed(person, "take", PLAN_ID, "--yes", code=1)["error"]["message"].startswith(PLAN_ID)

    script, meanwhile = beside(take, COMMIT)
    ended = headless(person, sample, script, meanwhile=meanwhile)
    assert ended.status == 0, ended.stderr
    return ended


def test_a_result_is_taken_and_what_it_left_is_removed(
    person: Person, sample: SampleRepository, tmp_path: Path
) -> None:
    ended = _a_session_whose_result_is_not_taken_yet(person, sample)
    identity = repo_hash(sample.git("rev-list", "--max-parents=0", "HEAD"), sample.root / ".git")
    image = repo_tag(identity)
    assert typed(person, "take", PLAN_ID, "--yes", code=6)["verdict"] is None
    assert typed(person, "take", PLAN_ID, "--yes", "--unverified")["outcome"] == "taken"
    assert (sample.root / "hello.txt").read_text(encoding="ascii") == "hello\n"
    assert f"Lw-Coder-Run: {PLAN_ID}/{ended.run.name}" in sample.git("log", "-1", "--format=%B")

    label = f'{{{{index .Config.Labels "{REPO_LABEL}"}}}}'
    assert docker("image", "inspect", "--format", label, image) == identity
    unused, used, elsewhere = (
        earlier_build(tmp_path, whose, number)
        for number, whose in enumerate((identity, identity, "another-one"))
    )
    stopped = docker("create", used)
    left = docker("create", "--label", f"{PLAN_LABEL}={identity}/{PLAN_ID}", image)
    try:
        document = typed(person, "clean", "--dry-run")
        assert document["engine"] is True
        found = listed(document)
        assert set(found) == {PLAN_ID, short(unused)}, "a plan's containers have the plan's name too"
        assert {item["kind"] for item in document["items"]} == {"worktree", "image", "containers"}
        assert found[short(unused)]["bytes"] > 1_000_000
        assert {"kind": "image", "name": short(used), "why": "a container uses it"} in document["kept"]
        assert docker("image", "inspect", "--format", "{{.Id}}", unused) == unused

        open_run(sample.root, "another-plan")
        why = "a run that is being prepared may need it"
        kept = typed(person, "clean", "--dry-run")["kept"]
        assert {"kind": "image", "name": short(unused), "why": why} in kept
        remove_abandoned(sample.root, "another-plan")

        document = typed(person, "clean", "--yes")
        assert all(item["removed"] for item in document["items"])
        present = docker("image", "ls", "--all", "--quiet", "--no-trunc").split()
        assert unused not in present
        assert {used, elsewhere} <= set(present)
        assert docker("image", "inspect", "--format", "{{.Id}}", image)
        assert not containers(f"{PLAN_LABEL}={identity}/{PLAN_ID}")
        assert not (sample.root / f".lw_coder/worktrees/{PLAN_ID}").exists()
        assert ended.run.is_dir()
    finally:
        subprocess.run(["docker", "rm", "--force", stopped, left], capture_output=True, check=False)
        subprocess.run(["docker", "image", "rm", unused, used, elsewhere], capture_output=True, check=False)
    assert typed(person, "clean", "--yes")["outcome"] == "nothing"
    sample.git("fsck", "--strict", "--no-dangling")
