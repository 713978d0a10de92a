from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lw_coder.foundation.errors import RunError
from lw_coder.runs.run_folders import (
    RUNS_FOLDER,
    Run,
    abandoned_folders,
    list_runs,
    newest_record,
    open_run,
    read_record,
    remove_abandoned,
    remove_abandoned_folder,
    remove_run,
    remove_tree,
    removed_on_failure,
    runs_to_prune,
    seal_run,
    write_file,
    write_record,
)
from tests.support.small_disk import mounted_disk

NOON = datetime(2025, 6, 30, 12, 0, 0, tzinfo=UTC)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def sealed(root: Path, when: datetime = NOON, plan: str = "a-plan") -> Run:
    return seal_run(open_run(root, plan, when))


def test_opens_a_folder_that_is_not_listed_yet(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan", NOON)
    assert run.name == "20250630T120000Z"
    assert run.started == NOON
    assert run.folder == tmp_path / RUNS_FOLDER / "a-plan/20250630T120000Z"
    assert run.folder.with_name(".partial-20250630T120000Z").is_file()
    assert list_runs(tmp_path) == []


def test_everything_is_the_persons_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run = open_run(tmp_path, "a-plan")
        path = write_file(run.folder, "prompts/main.md", "text")
    finally:
        os.umask(before)
    folders = (tmp_path / RUNS_FOLDER, run.folder.parent, run.folder, path.parent)
    assert [mode(folder) for folder in folders] == [0o700] * 4
    assert mode(path) == 0o600
    assert (tmp_path / RUNS_FOLDER / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_a_runs_folder_that_all_can_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / RUNS_FOLDER).mkdir(parents=True)
    (tmp_path / RUNS_FOLDER).chmod(0o755)
    open_run(tmp_path, "a-plan")
    assert mode(tmp_path / RUNS_FOLDER) == 0o700


@pytest.mark.parametrize("name", [str(RUNS_FOLDER), f"{RUNS_FOLDER}/a-plan"])
def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to(outside)
    with pytest.raises(RunError, match="is a symbolic link"):
        open_run(tmp_path, "a-plan")
    assert list(outside.iterdir()) == []


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".lw_coder").write_text("a file, not a folder", encoding="ascii")
    with pytest.raises(RunError) as caught:
        open_run(tmp_path, "a-plan")
    assert "cannot be written: Not a directory" in caught.value.message
    assert caught.value.remedy


def test_runs_of_the_same_second(tmp_path: Path) -> None:
    first, second = sealed(tmp_path), open_run(tmp_path, "a-plan", NOON)
    third = open_run(tmp_path, "a-plan", NOON)
    assert [run.name for run in (first, second, third)] == [
        "20250630T120000Z",
        "20250630T120000Z-2",
        "20250630T120000Z-3",
    ]
    assert second.started == NOON


def test_runs_keep_their_order_when_the_clock_is_set_back(tmp_path: Path) -> None:
    begun = [open_run(tmp_path, "a-plan", when) for when in (NOON, NOON - timedelta(hours=2))]
    begun += [seal_run(open_run(tmp_path, "a-plan", NOON)) for _ in range(12)]
    for run in begun[:2]:
        seal_run(run)
    assert [run.name for run in list_runs(tmp_path)] == [run.name for run in begun]
    for run in (begun[0], begun[5]):
        remove_run(run)
    newest = seal_run(open_run(tmp_path, "a-plan", NOON - timedelta(days=400)))
    assert list_runs(tmp_path)[-1] == newest
    assert seal_run(open_run(tmp_path, "a-plan", NOON + timedelta(hours=1))) == list_runs(tmp_path)[-1]


def test_files_keep_their_paths_when_the_run_is_sealed(tmp_path: Path) -> None:
    run = open_run(tmp_path, "plan")
    file = write_file(run.folder, "settings.json", "{}")
    assert list_runs(tmp_path) == []
    seal_run(run)
    assert [one.folder for one in list_runs(tmp_path)] == [run.folder]
    assert file.read_text() == "{}"
    assert [path.name for path in run.folder.parent.iterdir()] == [run.name]


def test_the_newest_record_while_runs_are_removed(tmp_path: Path) -> None:
    assert newest_record(tmp_path, "a-plan") is None
    runs = [sealed(tmp_path, NOON + timedelta(seconds=number)) for number in range(50)]
    for run in runs:
        write_record(run, {"schema": 1, "ended": None})
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(lambda: [remove_run(run) for run in reversed(runs[1:])])
        while not removal.done():
            assert newest_record(tmp_path, "a-plan") is not None
        removal.result()
    found = newest_record(tmp_path, "a-plan")
    assert found is not None
    assert found[0].name == runs[0].name
    runs[0].record.write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        newest_record(tmp_path, "a-plan")


def test_runs_that_fail_are_never_listed(tmp_path: Path) -> None:
    def fail() -> None:
        for _ in range(200):
            with suppress(KeyboardInterrupt), removed_on_failure(open_run(tmp_path, "a-plan", NOON)):
                raise KeyboardInterrupt

    kept = sealed(tmp_path, NOON - timedelta(days=1))
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(fail)
        while not failing.done():
            assert list_runs(tmp_path) == [Run("a-plan", kept.name, kept.folder)]
        failing.result()
    assert [path.name for path in kept.folder.parent.iterdir()] == [kept.name]


def test_a_run_that_is_sealed_after_it_was_listed_stays(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    ((_, listed),) = abandoned_folders(tmp_path)
    seal_run(run)
    assert remove_abandoned_folder(listed)
    assert run.is_there()


def test_a_run_that_is_removed_in_part_does_not_count_as_complete(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    write_record(run, {"schema": 1})
    with (
        mounted_disk(run.folder / "git", "1m"),  # which cannot be removed
        pytest.raises(ZeroDivisionError),
        removed_on_failure(run),
    ):
        _ = 1 / 0
    assert run.is_there()
    assert list_runs(tmp_path) == []
    remove_abandoned(tmp_path, "a-plan")
    assert not run.is_there()
    assert abandoned_folders(tmp_path) == []


def test_a_run_that_lacked_only_its_seal_is_kept(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    write_record(run, {"schema": 1})  # and its lw_coder is killed
    assert [folder for _, folder in abandoned_folders(tmp_path)] == [run.folder]
    remove_abandoned(tmp_path, "a-plan")
    assert [one.folder for one in list_runs(tmp_path)] == [run.folder]
    assert abandoned_folders(tmp_path) == []


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lw_coder").mkdir()
    run = open_run(tmp_path, "a-plan")
    write_file(run.folder, "a", "b")
    with pytest.raises(KeyboardInterrupt), removed_on_failure(run):
        raise KeyboardInterrupt
    assert list((tmp_path / ".lw_coder").iterdir()) == []


def test_a_run_is_opened_while_failed_ones_remove_their_folders(tmp_path: Path) -> None:
    def fail() -> None:
        for _ in range(50):
            with suppress(KeyboardInterrupt), removed_on_failure(open_run(tmp_path, "a-plan", NOON)):
                raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool:
        failing = [pool.submit(fail) for _ in range(2)]
        while not all(one.done() for one in failing):
            run = open_run(tmp_path, "another-plan", NOON)
            assert (tmp_path / RUNS_FOLDER / ".gitignore").is_file()
            remove_run(seal_run(run))
    for one in failing:
        one.result()


def test_a_run_that_another_command_has_removed_is_no_error(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    assert remove_run(run)
    assert not run.is_there()
    assert remove_run(run)


def test_a_failure_after_the_seal_keeps_the_run(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    done = seal_run(run)
    with pytest.raises(RunError, match="later"), removed_on_failure(run):
        raise RunError("later", "none")
    assert list_runs(tmp_path) == [done]


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    with pytest.raises(RunError, match=r"x\.tmp: File name too long") as caught, removed_on_failure(run):
        write_file(run.folder, "x" * 300, "the name is too long for any disk")
    assert not run.folder.exists()
    assert "space" not in caught.value.remedy


def test_only_a_full_disk_is_called_one(tmp_path: Path) -> None:
    run = open_run(tmp_path, "a-plan")
    with pytest.raises(RunError, match="none: No such file") as caught, removed_on_failure(run):
        (tmp_path / "none").read_text(encoding="ascii")
    assert "space" not in caught.value.remedy
    run = open_run(tmp_path, "a-plan")
    with (
        pytest.raises(RunError, match="full: cannot be written: No space") as caught,
        removed_on_failure(run),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "full"))
    assert "free some space" in caught.value.remedy


def test_lists_sealed_runs_by_name(tmp_path: Path) -> None:
    early = sealed(tmp_path)
    late = sealed(tmp_path, NOON.replace(hour=13))
    other = sealed(tmp_path, plan="b-plan")
    open_run(tmp_path, "a-plan")
    (tmp_path / RUNS_FOLDER / "a-plan/notes").mkdir()
    (tmp_path / RUNS_FOLDER / "a-plan/20250101T000000Z").write_text("a file", encoding="ascii")
    (tmp_path / RUNS_FOLDER / "a-plan/20250102T000000Z").symlink_to(early.folder)
    assert list_runs(tmp_path) == [early, late, other]
    assert list_runs(tmp_path, "b-plan") == [other]
    assert list_runs(tmp_path, "none") == []


@pytest.mark.parametrize("name", ["20269999T000000Z", "20250230T000000Z", "20250101T250000Z-2"])
def test_a_name_that_is_no_time_is_no_run(tmp_path: Path, name: str) -> None:
    folder = tmp_path / RUNS_FOLDER / "a-plan" / name
    folder.mkdir(parents=True)
    assert list_runs(tmp_path) == []
    assert runs_to_prune(tmp_path) == []
    with pytest.raises(RunError, match="is not the name of a run"):
        _ = Run("a-plan", name, folder).started


def test_age_goes_by_the_name(tmp_path: Path) -> None:
    old = sealed(tmp_path, datetime(2025, 5, 31, 11, 59, 59, tzinfo=UTC))
    sealed(tmp_path, datetime(2025, 5, 31, 12, 0, 0, tzinfo=UTC))
    new = sealed(tmp_path)
    os.utime(new.folder, (0, 0))
    assert runs_to_prune(tmp_path, NOON) == [old]


def test_removes_a_run_and_the_folder_of_its_plan(tmp_path: Path) -> None:
    first, second = sealed(tmp_path), sealed(tmp_path, NOON.replace(hour=13))
    remove_run(first)
    assert list_runs(tmp_path) == [second]
    remove_run(second)
    assert not second.folder.parent.exists()


def test_removes_what_an_agent_made_awkward(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "file").write_text("kept", encoding="ascii")
    (outside / "inner").chmod(0o500)
    awkward = tmp_path / "run/a/b"
    awkward.mkdir(parents=True)
    (awkward / "file").write_text("x", encoding="ascii")
    (awkward / "link").symlink_to(outside)
    (awkward / "file-link").symlink_to(outside / "file")
    for folder in (awkward, awkward.parent, tmp_path / "run"):
        folder.chmod(0o500)
    (tmp_path / "top-link").symlink_to(outside)
    remove_tree(tmp_path / "run")
    remove_tree(tmp_path / "top-link")
    remove_tree(tmp_path / "never-was")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"]
    assert (outside / "file").read_text(encoding="ascii") == "kept"
    assert mode(outside / "inner") == 0o500


def test_removes_folders_deeper_than_a_path_or_the_stack_can_be(tmp_path: Path) -> None:
    top = tmp_path / "run"
    top.mkdir()
    handle = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=handle)
        deeper = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(handle)
    remove_tree(top)
    assert not top.exists()


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_file(tmp_path, "a", "old")
    with pytest.raises(RunError, match=r"^a: would contain text that is not UTF-8"):
        write_file(tmp_path, "a", "new \udc00")
    assert (tmp_path / "a").read_text(encoding="ascii") == "old"
    write_file(tmp_path, "a", "line\r\nnext")
    assert (tmp_path / "a").read_bytes() == b"line\r\nnext"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_in_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("kept", encoding="ascii")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    write_file(tmp_path, "a", "new")
    assert (tmp_path / "outside").read_text(encoding="ascii") == "kept"
    assert not (tmp_path / "a").is_symlink()


def test_the_record(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    record = {"schema": 1, "b": "caf\u00e9", "ended": None}
    write_record(run, record)
    assert run.record.read_bytes().isascii()
    assert read_record(run) == record


SHAPES = {
    '{"schema": 0, "ended": null}': "its schema is not 1",
    '{"schema": true, "ended": null}': "its schema is not 1",
    '{"schema": 1}': "it does not say whether the session has ended",
    '{"schema": 1, "ended": null, "plan": 5}': "plan is not an object",
    '{"schema": 1, "ended": null, "plan": {"git_sha": 5}}': "plan.git_sha is not a text",
    '{"schema": 1, "ended": {"status": "x"}}': "ended.status is not a whole number",
    '{"schema": 1, "ended": null, "headless": 1}': "headless is not true or false",
    '{"schema": 1, "ended": null, "verdict": {"reasons": "x"}}': "verdict.reasons is not a list",
}


@pytest.mark.parametrize(("text", "fault"), SHAPES.items())
def test_why_json_is_no_record(tmp_path: Path, text: str, fault: str) -> None:
    run = sealed(tmp_path)
    run.record.write_text(text, encoding="ascii")
    with pytest.raises(RunError) as caught:
        read_record(run)
    assert caught.value.message == f"{run.record}: is not a run record: {fault}"


def test_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    run.record.write_text('{"schema": 1, "ended": {"spent": [NaN, 1e999, -Infinity, 0.5]}}', encoding="ascii")
    with pytest.raises(RunError, match=r"ended\.spent is not an object"):
        read_record(run)
    spent = '{"a": NaN, "b": 1e999, "c": -Infinity, "d": 0.5}'
    run.record.write_text(f'{{"schema": 1, "ended": {{"spent": {spent}}}}}', encoding="ascii")
    assert read_record(run)["ended"]["spent"] == {"a": None, "b": None, "c": None, "d": 0.5}


def test_a_pipe_in_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    os.mkfifo(run.record)
    with pytest.raises(RunError, match=r"run\.json: cannot be read"):
        read_record(run)


NO_RECORDS = (
    *(None, "", "{", "[]", "\xff", "{}", '{"schema": 1}', '{"schema": true, "ended": null}'),
    *(f'{{"schema": 1, "ended": null, "{part}": 5}}' for part in ("plan", "images", "verdict", "taken")),
    '{"schema": 1, "ended": []}',
)


@pytest.mark.parametrize("text", NO_RECORDS)
def test_a_damaged_record(tmp_path: Path, text: str | None) -> None:
    run = sealed(tmp_path)
    if text is not None:
        run.record.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError) as caught:
        read_record(run)
    assert str(run.record) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_record_of_a_newer_version_is_not_called_damaged(tmp_path: Path) -> None:
    run = sealed(tmp_path)
    run.record.write_text('{"schema": 2}', encoding="ascii")
    with pytest.raises(RunError, match="written by a newer lw_coder: its schema is 2") as caught:
        read_record(run)
    assert "remove" not in caught.value.remedy


def test_what_a_killed_command_left_is_removed_and_no_sealed_run(tmp_path: Path) -> None:
    sealed = seal_run(open_run(tmp_path, "a-plan"))
    left = open_run(tmp_path, "a-plan")
    other = open_run(tmp_path, "another-plan")
    copies = [run.folder / "quarantine-0a1b2c" for run in (sealed, seal_run(open_run(tmp_path, "a-plan")))]
    for copy in copies:
        copy.mkdir()
    remove_abandoned(tmp_path, "a-plan")
    assert sealed.folder.is_dir()
    assert not any(copy.exists() for copy in copies), "what was left by a kill during an import"
    assert not left.folder.exists()
    assert not list((tmp_path / RUNS_FOLDER / "a-plan").glob(".*"))
    assert other.folder.is_dir()
