"""Odd repositories: each is worked in as any other, or refused with one line and left as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lw_coder.containers.image_names import repo_hash, repo_tag
from lw_coder.foundation.errors import ExitCode
from lw_coder.plans.plan_file import read_plan
from tests.integration.known_prompts import know_plan_prompts
from tests.support.base_image import ensure_base_image
from tests.support.engine import containers, remove_images
from tests.support.forked import forked
from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE
from tests.support.plan_files import text as plan_text
from tests.support.sample_repository import KEY, PLAN_ID, run_git
from tests.support.snapshot import Snapshot, changes, snapshot
from tests.torture.cases import Case, Extent
from tests.torture.odd_repositories import SHAPES, Shape

MADE = "made-by-the-agent.txt"
BRANCH = f"lw/task/{PLAN_ID}"
_NO_COMMIT = "0" * 40
_NO_MODEL = "http://127.0.0.1:9/v1"  # the prompts are known, and the agent is a script
_DROID = f"""#!/bin/sh
printf '{{"type":"system","subtype":"init","session_id":"one"}}\\n'
echo "made by $(git rev-parse HEAD)" > {MADE}
{{ git add {MADE} && git commit --quiet --message "Make a file"; }} >&2 || exit 1
printf '{{"type":"completion","finalText":"It is made.","numTurns":1,"session_id":"one"}}\\n'
"""
_DOCKERFILE = """FROM lw_coder_droid:latest
COPY --chmod=0755 agent /usr/local/bin/droid
"""


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Make the cases; they share a home, and their images go at the end."""
    (folder / "base").mkdir()
    ensure_base_image(folder / "base")
    place = _Place(folder, folder / "home")
    place.home.mkdir(exist_ok=True)
    chosen = extent.random().sample(SHAPES, extent.of(len(SHAPES)))
    try:
        yield [
            Case("odd repositories", shape.name, _case(place, shape, number), len(_STEPS))
            for number, shape in enumerate(chosen)
        ]
    finally:
        remove_images(place.images)


class _Place:
    """Where repositories are made, and who works in them."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.images: list[str] = []

    @property
    def env(self) -> Mapping[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "DOCKER_HOST") if name in os.environ
        }
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}


def _case(place: _Place, shape: Shape, number: int) -> Callable[[], Sequence[str]]:
    def run() -> Sequence[str]:
        folder = place.folder / f"shape-{number}"
        folder.mkdir()
        try:
            return list(_tried(place, shape, shape.make(folder)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return run


def _tried(place: _Place, shape: Shape, root: Path) -> Iterator[str]:
    if shape.refused and not (shape.is_gits and _head(root) != _NO_COMMIT):
        _dress(place, root, _head(root), known=False)
        yield from _refused(place, shape, root)
        return
    _dress(place, root, run_git(root, "rev-parse", "HEAD"))
    worked = _Worked(place, root)
    try:
        for step in _STEPS:
            wrong = list(step(worked))
            yield from (f"{step.__name__.strip('_')}: {one}" for one in wrong)
            if wrong:
                return
    finally:
        place.images.append(worked.image)
        yield from (
            f"a container is left: {one}" for one in containers(f"lw_coder.plan={worked.identity}/{PLAN_ID}")
        )


def _head(root: Path) -> str:
    """Return the commit that is checked out; zeros if there is none."""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else _NO_COMMIT


def _dress(place: _Place, root: Path, sha: str, *, known: bool = True) -> None:
    """Give a repository what lw_coder needs, without a commit."""
    own = root / ".lw_coder"
    (own / "tasks").mkdir(parents=True, exist_ok=True)
    (own / "config.toml").write_text(f'[code]\nchecks = ["test -s {MADE}"]\n')
    (own / "code.Dockerfile").write_text(_DOCKERFILE)
    (root / "agent").write_text(_DROID)
    (root / ".env").write_text(f"OPENROUTER_API_KEY={KEY}\nOPENROUTER_BASE_URL={_NO_MODEL}\n")
    plan = own / f"tasks/{PLAN_ID}.md"
    plan.write_text(plan_text("# Make a file\n", plan_id=PLAN_ID, git_sha=f'"{sha}"'))
    if known:
        know_plan_prompts(place.home, read_plan(plan).metadata, _NO_MODEL)


def _refused(place: _Place, shape: Shape, root: Path) -> Iterator[str]:
    """See that each command refuses it with one line, and that nothing is written."""
    before = snapshot(root)
    commands = (("code", PLAN_ID, "--headless"), ("take", PLAN_ID), ("plans", "check"), ("runs", "list"))
    for command in commands[:1] if shape.is_of_plan else commands:
        done = forked(*command, cwd=root, env=place.env)
        errors = [line for line in done.stderr.split("\n") if line.startswith("error: ")]
        if done.returncode != ExitCode.ERROR or not errors or shape.refused not in errors[0]:
            yield f"{command[0]}: status {done.returncode}: {done.stderr[-400:]!a}"
    yield from (f"changed: {line}" for line in changes(before, snapshot(root)))


class _Worked:
    """A repository that a plan is carried out in, step by step."""

    def __init__(self, place: _Place, root: Path) -> None:
        self.place, self.root = place, root
        self.start = run_git(root, "rev-parse", "HEAD")
        self.state = self.persons_state()
        first = run_git(root, "rev-list", "--max-parents=0", "--first-parent", "HEAD").split()
        common = run_git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")
        self.identity = repo_hash(min(first), Path(common))
        self.image = repo_tag(self.identity)

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a short command."""
        return forked(*words, cwd=self.root, env=self.place.env)

    def persons_state(self) -> tuple[Snapshot, str]:
        """Return the person's files, and what git has of the person's."""
        files = {
            name: state
            for name, state in snapshot(self.root).items()
            if name != ".git" and not name.startswith((".git/", ".lw_coder"))
        }
        refs = run_git(self.root, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")
        own = [ref for ref in refs if not ref.startswith((f"refs/heads/{BRANCH} ", "refs/lw_coder/"))]
        status = run_git(self.root, "status", "--porcelain", "--ignore-submodules=all")
        return files, "\n".join([*own, status, self.branch()])

    def branch(self) -> str:
        """Return the branch that is checked out; empty if HEAD is detached."""
        return run_git(self.root, "branch", "--show-current")

    def changed(self) -> Iterator[str]:
        """Tell what of the person's is not as it was."""
        files, git = self.persons_state()
        yield from (f"changed: {line}" for line in changes(self.state[0], files))
        if git != self.state[1]:
            yield f"git's state was {self.state[1]!a:.1500} and is {git!a:.1500}"

    def health(self) -> Iterator[str]:
        """Have git check the repository."""
        done = subprocess.run(
            ["git", "fsck", "--no-dangling", "--no-progress"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            yield f"git fsck: {done.returncode}: {done.stderr[-300:]}"


def _code(worked: _Worked) -> Iterator[str]:
    done = subprocess.run(
        [LW_CODER, "code", PLAN_ID, "--headless", "--json"],
        cwd=worked.root,
        env=worked.place.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != ExitCode.OK:
        yield f"status {done.returncode}: {done.stderr[-1500:]}"
        return
    found = run_git(worked.root, "show", f"refs/heads/{BRANCH}:{MADE}")
    if found != f"made by {worked.start}":
        yield f"the branch has {found!a}"
    yield from worked.changed()
    yield from worked.health()


def _looks(worked: _Worked) -> Iterator[str]:
    """Commands that only look."""
    for command, word in (
        (("plans",), PLAN_ID),
        (("plans", "check"), ""),
        (("runs", "list"), PLAN_ID),
        (("runs", "show", PLAN_ID), "made-by-the-agent"),
        (("clean", "--dry-run"), ""),
    ):
        done = worked.types(*command)
        if done.returncode or word not in done.stdout:
            yield f"{' '.join(command)}: status {done.returncode}: {(done.stdout + done.stderr)[-500:]}"
    yield from worked.changed()


def _verify(worked: _Worked) -> Iterator[str]:
    done = worked.types("verify", PLAN_ID)
    if done.returncode != ExitCode.OK:
        yield f"status {done.returncode}: {done.stderr[-800:]}"
    yield from worked.changed()


def _take(worked: _Worked) -> Iterator[str]:
    if not worked.branch():
        yield from _not_taken(worked)
    done = worked.types("take", PLAN_ID, "--yes")
    if done.returncode:
        yield f"status {done.returncode}: {(done.stdout + done.stderr)[-800:]}"
        return
    if not (worked.root / MADE).exists() or not run_git(worked.root, "rev-parse", "HEAD^2"):
        yield "the branch was not merged"
    yield from worked.health()
    worked.state = worked.persons_state()


def _not_taken(worked: _Worked) -> Iterator[str]:
    """Without a branch there is nothing to merge into; then the person switches to one."""
    done = worked.types("take", PLAN_ID, "--yes")
    if done.returncode != ExitCode.ERROR or "HEAD is detached" not in done.stderr:
        yield f"with a detached HEAD: status {done.returncode}: {done.stderr[-300:]}"
    yield from worked.changed()
    run_git(worked.root, "switch", "--quiet", "main")


def _drop(worked: _Worked) -> Iterator[str]:
    done = worked.types("drop", PLAN_ID, "--yes", "--runs")
    if done.returncode:
        yield f"status {done.returncode}: {done.stderr[-800:]}"
        return
    listed = run_git(worked.root, "worktree", "list", "--porcelain")
    if BRANCH in listed or run_git(worked.root, "branch", "--list", BRANCH):
        yield f"its worktree or its branch is left: {listed}"
    yield from worked.changed()
    yield from worked.health()


_STEPS: tuple[Callable[[_Worked], Iterator[str]], ...] = (_code, _looks, _verify, _take, _drop)
