"""What a node can send home: it is refused with one line, or harmless, and nothing else is written."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lw_coder.engines.results import Bounds, write_result
from lw_coder.foundation.errors import RunError
from lw_coder.runs.session_result import AgentReport, SessionResult
from tests.support.hostile_results import DONE, JOB, NOW, PACK, RECORD, Home, a_home, entry, header


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A run that all results are refused for; so one is enough."""
    return a_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def waiting(tmp_path: Path) -> Home:
    return a_home(tmp_path)


def whole(*parts: bytes) -> bytes:
    """A result that is right but for what is in it."""
    return gzip.compress(b"".join([*parts, entry("result.json", RECORD), bytes(1024)]))


def recorded(**changes: object) -> bytes:
    told = {**json.loads(RECORD), **changes}
    return gzip.compress(entry("result.json", json.dumps(told).encode()) + bytes(1024))


def reported(**changes: object) -> bytes:
    return recorded(report={**json.loads(RECORD)["report"], **changes})


def forged_number(value: bytes) -> bytes:
    """A header whose size is what tar calls a number in base 256."""
    block = bytearray(header(PACK))
    block[124:136] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(kind: bytes, key: str, value: str) -> bytes:
    line = f" {key}={value}\n"
    length = len(line) + 2
    return entry("x", f"{length}{line}".encode(), kind)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a symbolic link": (
        lambda: whole(entry("sessions/a", kind=b"2", linkname="/etc/passwd")),
        "symbolic link",
    ),
    "a link in the place of git": (
        lambda: whole(entry("git", kind=b"2", linkname="../.git")),
        "symbolic link",
    ),
    "a hard link": (lambda: whole(entry("sessions/a", kind=b"1", linkname="/etc/shadow")), "hard link"),
    "a device": (lambda: whole(entry("sessions/sda", kind=b"4", devmajor=8)), "a device"),
    "a terminal": (lambda: whole(entry("sessions/tty", kind=b"3", devmajor=5)), "a device"),
    "a pipe": (lambda: whole(entry("git/HEAD", kind=b"6")), "a pipe"),
    "a folder": (lambda: whole(entry("git/objects", kind=b"5")), "a folder"),
    "a folder of old": (lambda: whole(entry("sessions/a/")), "not a path below"),
    "a contiguous file": (lambda: whole(entry("sessions/a", b"x", b"7")), "unknown kind"),
    "an unknown kind": (lambda: whole(entry("sessions/a", b"x", b"Z")), "unknown kind"),
    "a sparse file of GNU": (lambda: whole(entry(PACK, b"", b"S")), "a sparse file"),
    "an extended header that renames": (
        lambda: whole(pax(b"x", "path", "../../evil"), entry("git/HEAD")),
        "extended",
    ),
    "an extended header that resizes": (
        lambda: whole(pax(b"x", "size", "9" * 18), entry("git/HEAD")),
        "extended",
    ),
    "an extended header for all": (lambda: whole(pax(b"g", "path", "../evil")), "extended"),
    "a sparse file by extended header": (
        lambda: whole(pax(b"x", "GNU.sparse.name", "../evil"), entry("git/HEAD")),
        "extended",
    ),
    "a huge extended header": (lambda: whole(header("x", 1 << 32, b"x")), "extended"),
    "a long name of GNU": (lambda: whole(entry("././@LongLink", b"../../evil\0", b"L")), "extended"),
    "a long link of GNU": (lambda: whole(entry("././@LongLink", b"/etc\0", b"K")), "extended"),
    "a name that climbs": (lambda: whole(entry("sessions/../../outside", b"x")), "not a path below"),
    "a name that climbs at once": (lambda: whole(entry("../outside", b"x")), "not a path below"),
    "an absolute name": (lambda: whole(entry("/etc/cron.d/evil", b"x")), "not a path below"),
    "a name with a dot": (lambda: whole(entry("./git/HEAD", b"x")), "not a path below"),
    "an empty part of a name": (lambda: whole(entry("sessions//a", b"x")), "not a path below"),
    "a name with a newline": (lambda: whole(entry("sessions/a\nerror: b", b"x")), "cannot be shown"),
    "a name that moves the cursor": (lambda: whole(entry("sessions/\x1b[2Ja", b"x")), "cannot be shown"),
    "a name from right to left": (lambda: whole(entry("sessions/\u202egpj", b"x")), "cannot be shown"),
    "a name that is not text": (
        lambda: whole(entry("sessions/a", b"").replace(b"ns/a", b"ns/\xff")),
        "damaged",
    ),
    "a name that is nested": (lambda: whole(entry("sessions" + "/a" * 60, b"x")), "too deeply"),
    "a file twice": (lambda: whole(entry("events.jsonl", b"1"), entry("events.jsonl", b"2")), "there twice"),
    "a file and a folder": (
        lambda: whole(entry("sessions/a", b"1"), entry("sessions/a/b", b"2")),
        "there twice",
    ),
    "a folder and a file": (
        lambda: whole(entry("sessions/a/b", b"1"), entry("sessions/a", b"2")),
        "there twice",
    ),
    "a hook": (
        lambda: whole(entry("git/hooks/post-checkout", b"#!/bin/sh", mode=0o755)),
        "not what a session",
    ),
    "a config": (lambda: whole(entry("git/config", b"[core]\nfsmonitor=evil")), "not what a session"),
    "a config of a worktree": (
        lambda: whole(entry("git/worktrees/sample-plan/config.worktree", b"x")),
        "not what a session",
    ),
    "another common folder": (lambda: whole(entry("git/worktrees/sample-plan/commondir", b"/")), "not what"),
    "another worktree": (lambda: whole(entry("git/worktrees/other/HEAD", b"x")), "not what a session"),
    "alternates": (lambda: whole(entry("git/objects/info/alternates", b"/")), "not what a session"),
    "a nested repository": (lambda: whole(entry("git/modules/sub/config", b"x")), "not what a session"),
    "an index": (lambda: whole(entry("git/worktrees/sample-plan/index", b"DIRC")), "not what a session"),
    "a Compose file": (lambda: whole(entry("compose.yml", b"x")), "not what a session"),
    "a record of the run": (lambda: whole(entry("run.json", b"{}")), "not what a session"),
    "a pointer": (lambda: whole(entry("pointer", b"gitdir: /")), "not what a session"),
    "another run": (lambda: whole(entry("20250102T030405Z/git/HEAD", b"x")), "not what a session"),
    "a file too large": (lambda: gzip.compress(header(PACK, 8_589_934_591)), "too large"),
    "a size that is negative": (lambda: whole(forged_number(b"\xff" * 12)), "negative"),
    "a size beyond all disks": (lambda: whole(forged_number(b"\x80" + b"\x7f" * 11)), "too large"),
    "a damaged header": (lambda: whole(bytes([1]) * 512), "damaged"),
    "an old header": (lambda: whole(header("git/HEAD").replace(b"ustar\x0000", b"\0" * 8)), "damaged"),
    "something after the end": (lambda: gzip.compress(gzip.decompress(whole()) + b"x"), "follows its end"),
    "something between files": (lambda: whole(entry("events.jsonl", b"1")[:-1] + b"x"), "between its files"),
    "half an end": (lambda: gzip.compress(gzip.decompress(whole())[:-512] + b"x" * 512), "end is damaged"),
    "no end": (lambda: gzip.compress(gzip.decompress(whole())[:-1024]), "cut off"),
    "a tar that is cut off": (lambda: gzip.compress(entry(PACK, b"x" * 600)[:700]), "cut off"),
    "a file that is cut off": (lambda: whole(entry(PACK, os.urandom(100_000)))[:-5000], "cut off or damaged"),
    "a wrong checksum": (lambda: whole()[:-8] + bytes(8), "cut off or damaged"),
    "not compressed": (lambda: gzip.decompress(whole()), "cut off or damaged"),
    "nothing": (lambda: b"", "cut off"),
    "no record": (lambda: gzip.compress(bytes(1024)), "has no result.json"),
    "a record that is too large": (lambda: gzip.compress(header("result.json", 5 << 20)), "too large"),
    "a record that is no JSON": (
        lambda: gzip.compress(entry("result.json", b"{") + bytes(1024)),
        "result.json",
    ),
    "a record that is nested": (
        lambda: gzip.compress(entry("result.json", b"[" * 100_000) + bytes(1024)),
        "result.json",
    ),
    "another job's record": (lambda: recorded(job="lw-another"), "of another job"),
    "a record of the future": (lambda: recorded(schema=99), "of another job"),
    "a record with more": (lambda: recorded(verdict={"passed": True}), "result.json"),
    "a limit that was not set": (lambda: recorded(limit="turns"), "did not have"),
    "a limit that is none": (lambda: recorded(limit="__class__"), "did not have"),
    "a status that is none": (lambda: recorded(status="0"), "result.json"),
    "a status that is large": (lambda: recorded(status=1 << 80), "result.json"),
    "a time that does not exist": (lambda: recorded(started="0001-01-01T00:00:00+14:00"), "does not exist"),
    "too many hosts": (lambda: recorded(refused={f"h{n}": 1 for n in range(2000)}), "result.json"),
    "a conversation elsewhere": (lambda: reported(conversation="../../evil"), "result.json"),
    "turns that are none": (lambda: reported(turns=-1), "result.json"),
    "what no gateway counts": (
        lambda: whole(entry("gateway/requests.jsonl", b'{"input_tokens": "many"}\n')),
        "not what a gateway writes",
    ),
}


@pytest.mark.escape
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_result_is_refused(untouched: Home, name: str) -> None:
    make, why = HOSTILE[name]
    before = untouched.everything()
    with pytest.raises(RunError) as refused:
        untouched.takes(make())
    assert why in refused.value.message
    assert refused.value.message.startswith(f"the result of job {JOB} is refused: ")
    assert "\n" not in refused.value.message
    assert refused.value.message.isprintable()
    assert untouched.everything() == before


@pytest.mark.escape
def test_a_bomb_is_not_unpacked(untouched: Home) -> None:
    before = untouched.everything()
    zeros = b"".join(entry(f"sessions/{number}", bytes(1 << 20)) for number in range(3))
    many = b"".join(entry(f"sessions/{number}") for number in range(1200))
    for content, why in ((zeros, "too large"), (many, "too many files")):
        with pytest.raises(RunError, match=why):
            untouched.takes(whole(content), Bounds(most_bytes=2 << 20, most_files=1000))
        assert untouched.everything() == before


@pytest.mark.escape
def test_what_is_harmless_stays_in_its_place(waiting: Home) -> None:
    """Of git's folder the host's own part stays, and the rest is imported as any run's."""
    odd = (
        "sessions/-workspace/a b.jsonl",
        "sessions/%2e%2e",
        "git/refs/heads/..hidden",
        "git/logs/refs/stash",
    )
    entries = [entry(name, b"a" * 40, mode=0o6777) for name in odd]
    assert waiting.takes(whole(*entries)).outcome == "completed"
    for name in odd:
        assert (waiting.folder / name).stat().st_mode & 0o7777 == 0o600
    git = waiting.folder / "git"
    assert "repositoryformatversion" in (git / "config").read_text()
    assert (git / "worktrees/sample-plan/commondir").read_text() == "../..\n"
    imported = waiting.session.end()
    assert (imported.commits, imported.moved) == (0, False)
    assert (waiting.top / "outside").read_text() == "untouched"
    assert not list(waiting.folder.glob("quarantine-*"))


@pytest.mark.escape
def test_an_agent_cannot_have_its_own_result_refused(waiting: Home, tmp_path: Path) -> None:
    odd = AgentReport(
        is_complete=True,
        final="\ud800" + "x" * (2 << 20),
        problem="y" * 9000,
        turns=10**20,
        usage={"a" * 9000: 1, "b": -1, "c": 10**30, "\udcff": 2},
        conversation="a/../b",
    )
    refused = Counter({f"{number}{'h' * 400}": 1 for number in range(2000)})
    result = SessionResult(300, NOW, NOW, refused, report=odd)
    with (tmp_path / "result").open("wb") as target:
        write_result(waiting.folder, waiting.session.git.worktree_name, result, JOB, target)
    told = waiting.takes((tmp_path / "result").read_bytes())
    assert told.report is not None
    assert (told.report.conversation, len(told.report.problem), len(told.refused)) == ("", 500, 1000)


def test_a_result_travels(waiting: Home, tmp_path: Path) -> None:
    """What a session does in one folder arrives in another, and the branch moves to it."""
    away = waiting.session
    away.agent.commit("on the node", "file.txt")
    (away.git.folder / "hooks").mkdir(exist_ok=True)
    (away.git.folder / "hooks/post-checkout").write_text("#!/bin/sh\ntouch /evil\n")
    (away.git.run_folder / "sessions/a.jsonl").write_text("{}")
    (away.git.run_folder / "sessions/link").symlink_to("/etc/passwd")
    os.mkfifo(away.git.run_folder / "sessions/pipe")
    (away.git.run_folder / "summary.md").write_text("Done.\n")
    with (tmp_path / "result").open("wb") as target:
        write_result(away.git.run_folder, away.git.worktree_name, DONE, JOB, target)
    told = waiting.takes((tmp_path / "result").read_bytes())
    assert (told.outcome, told.report) == ("completed", DONE.report)
    imported = waiting.session.end()
    assert (imported.commits, imported.moved, imported.problem) == (1, True, None)
    assert (waiting.folder / "summary.md").read_text() == "Done.\n"
    assert not os.path.lexists(waiting.folder / "sessions/link")
    assert not os.path.lexists(waiting.folder / "git/hooks/post-checkout")
