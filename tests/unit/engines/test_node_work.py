"""The work folders of a node: who may remove which."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lw_coder.engines.node_work import BEGUN, left_work, own_work, remove_work


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


def fail_at_work(name: str, among: Path, *, has_begun: bool) -> None:
    with own_work(name, among) as work:
        if has_begun:
            (work / BEGUN).touch()
        raise ConnectionError


def test_a_session_whose_result_could_not_be_sent_stays_for_the_next_runner(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        fail_at_work("lw-one", tmp_path, has_begun=True)
    with pytest.raises(ConnectionError):
        fail_at_work("lw-two", tmp_path, has_begun=False)
    with left_work(tmp_path) as found:
        assert [folder.name for folder in found] == ["lw-one"]


def test_the_work_of_one_job_and_what_killed_removals_left(tmp_path: Path) -> None:
    for name in ("lw-one-task", "lw-two-task"):
        with pytest.raises(ConnectionError):
            fail_at_work(name, tmp_path, has_begun=True)
    (tmp_path / ".removed-1/deep").mkdir(parents=True)
    (tmp_path / ".removed-1/begun").touch()
    with left_work(tmp_path, job="lw-two") as found:
        assert [folder.name for folder in found] == ["lw-two-task"]
        remove_work(found[0])
    assert [folder.name for folder in tmp_path.iterdir()] == ["lw-one-task"]
