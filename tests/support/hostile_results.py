"""What a node can send home, byte by byte, and a run that waits for it."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.engines.job_document import encode
from lw_coder.engines.results import Bounds, Expected, take_result
from lw_coder.engines.session_record import record_of
from lw_coder.runs.session_result import AgentReport, SessionResult
from lw_coder.settings.limits import UNATTENDED
from tests.support.git_repository import make_repository
from tests.support.git_session import Session, start

JOB = "lw-0123456789"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE = SessionResult(0, NOW, NOW, report=AgentReport(is_complete=True, final="Done.", turns=2))
RECORD = encode(record_of(DONE, JOB, "node-two"))
PACK = "git/objects/pack/pack-" + "a" * 40 + ".pack"


@dataclass(frozen=True)
class Home:
    """A run that waits for its result, and all that is around it."""

    session: Session
    top: Path

    @property
    def folder(self) -> Path:
        return self.session.git.run_folder

    def takes(self, content: bytes, bounds: Bounds | None = None) -> SessionResult:
        expected = Expected(JOB, self.folder, self.session.git, UNATTENDED, bounds or Bounds())
        return take_result(io.BytesIO(content), expected)

    def everything(self) -> dict[str, object]:
        """Everything below the top, with what it is: nothing may be followed, made or changed."""
        found: dict[str, object] = {}
        for place, folders, files in os.walk(self.top):
            for name in [*folders, *files]:
                path = Path(place, name)
                mode = path.lstat().st_mode
                is_file = path.is_file() and not path.is_symlink()
                found[str(path)] = (mode, path.read_bytes() if is_file else None)
        return found


def a_home(tmp_path: Path) -> Home:
    made = make_repository(tmp_path / "repository")
    made.commit("first")
    session = start(made, tmp_path / "run")
    (tmp_path / "run/sessions").mkdir()
    (tmp_path / "outside").write_text("untouched")
    return Home(session, tmp_path)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **more: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.USTAR_FORMAT)


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: object) -> bytes:
    return header(name, len(content), kind, **more) + content + bytes(-len(content) % 512)
