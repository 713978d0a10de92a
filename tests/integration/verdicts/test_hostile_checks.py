"""What the code under test tries while it is checked: none of it reaches beyond its container.

Each attempt is a check of its own. Most are made in a second container as well, which has what a check must
not have: there each must succeed, or it would prove nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lw_coder.containers.image_names import BASE_TAG
from tests.integration.verdicts.scene import PLAN_ID, Scene, check_containers, make_scene
from tests.support.engine import bridge_address, docker
from tests.support.sample_repository import run_git
from tests.support.snapshot import snapshot

DID_IT = "DID-IT"
SECRET = "a-forwarded-value"
MARK = "marked-by-a-check"
LIMITS = ("--memory", "512m", "--pids-limit", "200")
LARGE = 2 << 30  # bytes: more than a check's memory


@dataclass(frozen=True)
class Attempt:
    """Something that a check tries.

    Attributes:
        name: what it is called.
        command: prints DID_IT if it succeeds.
        control: options of a container in which it does succeed, or why there is none.
    """

    name: str
    command: str
    control: tuple[str, ...] | str


def _if_done(command: str) -> str:
    return f"{{ {command}; }} && echo {DID_IT}"


def _fill(folder: str) -> str:
    """Write more than fits into the memory of a check, in files of 128 MiB."""
    files = f"for n in $(seq 16); do head -c 134217728 /dev/zero > {folder}/big$n || exit 1; done"
    return _if_done(f"mkdir -p {folder} && ( {files} )")


_PART = SECRET[:5] + "''" + SECRET[5:]  # so that the text of the check does not have it
_NETWORK = ("--network", "bridge")
_PRIVILEGED = ("--privileged", "--user", "0")
_SOCKETS = "/var/run/docker.sock /run/docker.sock"
ATTEMPTS = (
    Attempt("writes-the-image", _if_done("echo evil > /usr/local/bin/git-evil"), ("--user", "0")),
    Attempt("writes-the-objects", _if_done("touch /repo-objects/evil"), ("OBJECTS",)),
    Attempt("writes-its-own-command", _if_done("echo true > /check/checks/001"), ("INPUT",)),
    Attempt("writes-another-result", _if_done("echo 0 > /verdict.json"), ("--user", "0")),
    Attempt(
        "forks",
        "for i in $(seq 400); do sleep 600 & done 2>/dev/null;"
        f' [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 300 ] && echo {DID_IT}',
        ("--pids-limit", "-1"),
    ),
    Attempt("fills-the-disk", _fill("/workspace/x"), "it would fill the disk"),
    Attempt("fills-the-home", _fill("$HOME/x"), "it would fill the disk"),
    Attempt("fills-the-temporary-folder", _fill("/var/tmp/x"), "it would fill the disk"),  # noqa: S108
    Attempt("fills-the-log", f"head -c 300000000 /dev/zero; echo {MARK}", "its log is looked at"),
    Attempt(
        "looks-for-the-worktree",
        r"find / \( -path /proc -o -path /sys \) -prune -o -name only-in-the-worktree -print | grep ."
        f" && echo {DID_IT}",
        ("ROOT",),
    ),
    Attempt(
        "looks-for-variables",
        f"cat /proc/[0-9]*/environ | grep -a {_PART} && echo {DID_IT}",
        ("-e", f"A={SECRET}"),
    ),
    Attempt(
        "asks-the-host", f"curl -s --max-time 3 http://@HOST@/ | grep -a {MARK} && echo {DID_IT}", _NETWORK
    ),
    Attempt("looks-at-the-network", f"ls /sys/class/net | grep -v '^lo$' && echo {DID_IT}", _NETWORK),
    Attempt(
        "asks-docker",
        f"for s in {_SOCKETS}; do curl -s --max-time 3 --unix-socket $s http://x/version; done"
        f" | grep ApiVersion && echo {DID_IT}",
        ("SOCKET", "--user", "0"),
    ),
    Attempt("mounts", _if_done("mkdir -p /tmp/m && mount -t tmpfs none /tmp/m"), _PRIVILEGED),
    Attempt("remounts", _if_done("mount -o remount,bind,rw /repo-objects"), ("OBJECTS", *_PRIVILEGED)),
    Attempt(
        "stays-behind", f"(setsid sh -c 'sleep 36000' &) ; echo {MARK}", "that none is left is looked at"
    ),
)
JUDGED = [attempt for attempt in ATTEMPTS if DID_IT in attempt.command]
CONTROLLED = [attempt for attempt in ATTEMPTS if isinstance(attempt.control, tuple)]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(MARK.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An address of the host that a container with a network reaches."""
    with HTTPServer((bridge_address(), 0), _Answer) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"{listening.server_address[0]!s}:{listening.server_port}"
        listening.shutdown()


@dataclass(frozen=True)
class Tried:
    """What there is after all attempts were made."""

    scene: Scene
    logs: dict[str, str]
    verdict: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    used: tuple[int, int]


def _command(attempt: Attempt, server: str) -> str:
    return f"# {attempt.name}\n{attempt.command.replace('@HOST@', server)}"


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, server: str) -> Tried:
    """Make all attempts at once; they cost some time, and each looks at another place."""
    folder = tmp_path_factory.mktemp("hostile")
    scene = make_scene(folder / "scene", folder, {"good": "yes\n"})
    worktree = scene.root / ".lw_coder/worktrees" / PLAN_ID
    scene.git("worktree", "add", "--quiet", str(worktree), f"lw/task/{PLAN_ID}")
    (worktree / "only-in-the-worktree").write_text("untracked")
    (scene.root / ".env").write_text(f"OPENROUTER_API_KEY={SECRET}\n")
    run_git(worktree, "commit", "--allow-empty", "--quiet", "--message", "work")
    commands = [_command(attempt, server) for attempt in ATTEMPTS]
    scene.configure(*commands, checks_minutes=5, docker_run_args=LIMITS)
    scene.extra["OPENROUTER_API_KEY"] = SECRET
    before, used = _outside(scene), _used(folder)
    verdict = scene.verdict()
    pairs = zip(ATTEMPTS, verdict["checks"], strict=True)
    logs = {attempt.name: scene.log(check["tip"]) for attempt, check in pairs}
    return Tried(scene, logs, verdict, before, _outside(scene), (used, _used(folder)))


def _outside(scene: Scene) -> dict[str, Any]:
    """Everything in the repository's folder but for what a verification writes there."""
    found = snapshot(scene.root)
    own = f".lw_coder/runs/{PLAN_ID}"
    return {name: state for name, state in found.items() if not name.startswith(own)}


def _used(folder: Path) -> int:
    """Return the bytes on the disk below a folder; the disk itself is used by other tests meanwhile."""
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512


@pytest.mark.parametrize("attempt", JUDGED, ids=lambda attempt: attempt.name)
def test_it_does_not_succeed(tried: Tried, attempt: Attempt) -> None:
    assert DID_IT not in tried.logs[attempt.name]


@pytest.mark.parametrize("attempt", CONTROLLED, ids=lambda attempt: attempt.name)
def test_it_would_succeed_elsewhere(tried: Tried, attempt: Attempt, server: str) -> None:
    scene = tried.scene
    mounted = {
        "OBJECTS": ("--volume", f"{scene.root}/.git/objects:/repo-objects"),
        "INPUT": ("--volume", f"{scene.run}/verdict/input:/check"),
        "ROOT": ("--volume", f"{scene.root}:/elsewhere:ro"),
        "SOCKET": ("--volume", "/var/run/docker.sock:/var/run/docker.sock"),
    }
    options = [part for word in attempt.control for part in mounted.get(word, (word,))]
    command = _command(attempt, server)
    plain = ("run", "--rm", "--init", "--memory", "2g", "--user", f"{os.getuid()}")
    said = docker(*plain, *options, BASE_TAG, "sh", "-c", f"{command}\ntrue")
    assert DID_IT in said


def test_nothing_in_the_repository_changed(tried: Tried) -> None:
    assert tried.after == tried.before


def test_the_disk_is_not_filled(tried: Tried) -> None:
    before, after = tried.used
    assert after - before < LARGE // 2
    assert check_containers(tried.scene.root) == []  # what they wrote is gone with them
    assert sum(path.stat().st_size for path in tried.scene.run.rglob("*") if path.is_file()) < 100 << 20


def test_logs_are_cut(tried: Tried) -> None:
    assert tried.logs["fills-the-log"].strip().endswith(MARK)
    assert "bytes left out" in tried.logs["fills-the-log"]


def test_no_value_is_in_the_run(tried: Tried) -> None:
    files = [path for path in tried.scene.run.rglob("*") if path.is_file()]
    assert len(files) > len(ATTEMPTS)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_nothing_is_left_in_the_engine(tried: Tried) -> None:
    assert MARK in tried.logs["stays-behind"]
    assert check_containers(tried.scene.root) == []
