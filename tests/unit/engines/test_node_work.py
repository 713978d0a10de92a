"""The work folders of a node: who may remove which."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lw_coder.engines.node_work import left_work, own_work


def test_a_work_folder_belongs_to_its_runner_until_it_is_killed(tmp_path: Path) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        with own_work("lw-one", tmp_path) as work:
            (work / "begun").touch()
            os.write(told, b"x")
            signal.pause()
    os.read(ready, 1)
    with own_work("lw-two", tmp_path):
        (tmp_path / ".new-another").mkdir()  # of a runner that is about to lock it
        with left_work(tmp_path) as found:
            assert found == []
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with left_work(tmp_path) as found:
            assert [folder.name for folder in found] == ["lw-one"]
            assert (tmp_path / "lw-one/begun").exists()
            with left_work(tmp_path) as seen:  # as another runner sees it meanwhile
                assert seen == []
    assert not (tmp_path / "lw-two").exists()
