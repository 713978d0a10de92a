"""Content filters in a session: what is unchanged stays, what is changed is never stored unfiltered."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.repository import lfs_objects
from lw_coder.repository.git import find_repository
from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import Session, start
from tests.support.patience import within_cpu_time

# A pretended encryption: what is stored is not what is in the worktree.
CLEAN = SMUDGE = "KEY=value tr a-zA-Z n-za-mN-ZA-M"


PROGRAMS = ("git-lfs", "nbstripout")


@pytest.fixture(autouse=True)
def without_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a PATH as in an image without them, whatever this machine has."""
    if not any(map(shutil.which, PROGRAMS)):
        return
    folder = tmp_path / "programs"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            if program.name not in PROGRAMS and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    made.run("config", "filter.crypt.clean", CLEAN)
    made.run("config", "filter.crypt.smudge", SMUDGE)
    made.write(".gitattributes", "*.secret filter=crypt\n")
    made.write("one.secret", "password\n")
    made.write("two.secret", "token\n")
    made.write("plain.txt", "plain\n")
    made.run("add", ".")
    made.run("commit", "--quiet", "--message", "files")
    return made


@pytest.fixture
def session(made: GitRepository, tmp_path: Path) -> Session:
    return start(made, tmp_path / "run")


def stored(repository: GitRepository, name: str) -> str:
    return repository.run("cat-file", "blob", name)


def test_unchanged_files_are_unchanged(session: Session) -> None:
    agent = session.agent
    assert (session.worktree.path / "one.secret").read_text(encoding="ascii") == "password\n"
    assert agent.run("status", "--porcelain") == ""
    agent.write("plain.txt", "changed\n")
    agent.run("add", "--all")
    agent.run("commit", "--quiet", "--all", "--message", "work")
    assert agent.run("diff", "--name-only", "HEAD~1", "HEAD") == "plain.txt"
    assert agent.run("status", "--porcelain") == ""
    assert session.end().notes == ()
    assert session.host.run("status", "--porcelain") == ""


def test_it_is_said_before_the_session(session: Session) -> None:
    (note,) = session.git.notes
    assert "content filters: crypt (not available in sessions)" in note


@pytest.mark.parametrize("command", [("add", "one.secret"), ("add", "--all"), ("commit", "--all", "-m", "x")])
def test_a_changed_file_is_refused(session: Session, command: tuple[str, ...]) -> None:
    session.agent.write("one.secret", "another password\n")
    with pytest.raises(AssertionError, match="content filter crypt: its program does not run in sessions"):
        session.agent.run(*command)
    assert stored(session.agent, ":one.secret") == "cnffjbeq"
    session.agent.write("plain.txt", "changed\n")
    session.agent.run("add", "plain.txt")
    session.agent.run("commit", "--quiet", "--message", "the rest")
    assert session.end().moved
    assert stored(session.made, "lw/task/sample-plan:one.secret") == "cnffjbeq"
    assert session.host.run("status", "--porcelain") == " M one.secret"


def test_a_new_file_is_refused(session: Session) -> None:
    session.agent.write("three.secret", "a new password\n")
    with pytest.raises(AssertionError, match="clean filter 'crypt' failed"):
        session.agent.run("add", "three.secret")


def test_an_attribute_that_the_agent_adds_is_no_way_around_it(session: Session) -> None:
    session.agent.write(".gitattributes", "*.secret filter=crypt\n*.txt filter=crypt\n")
    session.agent.write("plain.txt", "changed\n")
    with pytest.raises(AssertionError, match="clean filter 'crypt' failed"):
        session.agent.run("add", "plain.txt")


def idempotent(made: GitRepository) -> None:
    """Have a filter that leaves what is filtered already as it is, as Git LFS and git-crypt do."""
    made.run("config", "filter.crypt.clean", "KEY=value sed s/^clear-//")
    made.run("config", "filter.crypt.smudge", "KEY=value sed s/^/clear-/")


def test_other_branches_can_be_checked_out_and_merged(made: GitRepository, tmp_path: Path) -> None:
    idempotent(made)
    made.run("checkout", "--quiet", "-b", "other")
    made.commit("other", "one.secret", "clear-theirs\n")
    made.run("checkout", "--quiet", "main")
    session = start(made, tmp_path / "run")
    agent = session.agent
    agent.run("merge", "--quiet", "--no-ff", "--no-edit", "other")
    assert agent.run("status", "--porcelain") == ""
    agent.write("plain.txt", "changed\n")
    agent.run("stash")
    agent.run("stash", "pop", "--quiet")
    agent.run("commit", "--quiet", "--all", "--message", "work")
    assert session.end().moved
    assert stored(made, "lw/task/sample-plan:one.secret") == "theirs"
    assert session.host.run("status", "--porcelain") == ""


def test_a_file_that_git_inside_wrote_without_the_filter_is_unchanged_outside(
    made: GitRepository, tmp_path: Path
) -> None:
    idempotent(made)
    session = start(made, tmp_path / "run")
    file = session.worktree.path / "one.secret"
    assert file.read_text(encoding="ascii") == "clear-cnffjbeq\n"
    file.write_text("tried something longer\n", encoding="ascii")
    session.agent.run("checkout", "--", "one.secret")
    assert file.read_text(encoding="ascii") == "cnffjbeq\n"
    session.end()
    assert session.host.run("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "command",
    [
        "openssl enc -aes-256-ecb -k hunter2",
        "crypt --password=hunter2",
        "PASSWORD=hunter2 crypt",
        "crypt clean hunter2 %f",
        "sed s/x/y/ | crypt hunter2",
        "sed -e s/hunter2/PLACEHOLDER/g",
        "mysqldump -phunter2",
        "sh -c 'crypt hunter2'",
        "crypt $(echo hunter2)",
        "crypt 'hunter2",
    ],
)
def test_commands_that_may_hold_a_password_stay_on_the_host(
    made: GitRepository, tmp_path: Path, command: str
) -> None:
    made.run("config", "filter.crypt.clean", command)
    session = start(made, tmp_path / "run")
    every = b"".join(path.read_bytes() for path in session.git.run_folder.rglob("*") if path.is_file())
    assert b"hunter2" not in every


@pytest.mark.parametrize(
    ("clean", "smudge"),
    [("/usr/local/bin/turn clean --quiet %f", "turn smudge"), ("turn", "turn")],
)
def test_a_command_that_holds_no_password_works_inside_where_its_program_is(
    made: GitRepository, tmp_path: Path, clean: str, smudge: str
) -> None:
    made.run("config", "filter.crypt.clean", clean)
    made.run("config", "filter.crypt.smudge", smudge)
    session = start(made, tmp_path / "run")
    agent = with_program(session, tmp_path / "bin", "turn", "sed s/a/b/")
    agent.write("three.secret", "a\n")
    agent.run("add", "three.secret")
    assert stored(agent, ":three.secret") == "b"
    assert agent.run("status", "--porcelain") == "A  three.secret"


def with_program(session: Session, folder: Path, name: str, script: str) -> GitRepository:
    """Return the agent's git in an image that has a program."""
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    (folder / name).chmod(0o755)
    path = ("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return replace(session.agent, env=(*session.agent.env, path))


@pytest.mark.parametrize(
    "command", ["nbstripout --keep-output", '"/no/such venv/bin/python" -m nbstripout --keep-output']
)
def test_a_known_program_in_the_image_is_used_with_its_options(
    made: GitRepository, tmp_path: Path, command: str
) -> None:
    made.run("config", "filter.nbstripout.clean", "cat")
    made.write(".git/info/attributes", "*.ipynb filter=nbstripout\n")
    made.commit("a notebook", "a.ipynb", "{}\n")
    made.run("config", "filter.nbstripout.clean", command)
    session = start(made, tmp_path / "run")
    assert "nbstripout (nbstripout)" in session.git.notes[0]
    session.agent.write("a.ipynb", "{output}\n")
    with pytest.raises(AssertionError, match="this image has no nbstripout"):
        session.agent.run("add", "a.ipynb")
    agent = with_program(session, tmp_path / "bin", "nbstripout", 'echo "stripped $*"')
    agent.run("add", "a.ipynb")
    assert stored(agent, ":a.ipynb") == "stripped --keep-output"


# Git LFS, played by a shell script that stores as git-lfs does


GIT_LFS = """
case $1 in
  clean) t=$(mktemp); cat >"$t"; o=$(sha256sum <"$t" | cut -d' ' -f1); s=$(stat -c %s "$t")
    d=$(git rev-parse --git-common-dir)/lfs/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-4)
    mkdir -p "$d"; mv "$t" "$d/$o"
    printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $o $s;;
  *) cat;;
esac
"""


@pytest.fixture
def lfs(made: GitRepository, tmp_path: Path, home: Path) -> Session:
    for action, command in {
        "clean": "git-lfs clean -- %f",
        "smudge": "git-lfs smudge -- %f",
        "process": "git-lfs filter-process",
        "required": "true",
    }.items():
        GitRepository(home).run("config", "--global", f"filter.lfs.{action}", command)
    made.run(
        "-c", "filter.lfs.process=", "-c", "filter.lfs.clean=cat", "commit", "-q", "--allow-empty", "-m", "x"
    )
    made.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    made.run("add", ".gitattributes")
    made.run("commit", "--quiet", "--message", "attributes")
    return start(made, tmp_path / "run")


def test_lfs_objects_are_copied_into_the_repository(lfs: Session, tmp_path: Path) -> None:
    agent = with_program(lfs, tmp_path / "bin", "git-lfs", GIT_LFS)
    agent.commit("an image", "image.bin", "many bytes")
    agent.commit("another", "folder/other.bin", "other bytes")
    assert lfs.end().notes == ()
    for content in (b"many bytes", b"other bytes"):
        name = hashlib.sha256(content).hexdigest()
        kept = lfs.made.path / ".git/lfs/objects" / name[:2] / name[2:4] / name
        assert kept.read_bytes() == content
        assert [path.name for path in kept.parent.iterdir()] == [name]


@pytest.mark.parametrize("damage", ["removed", "another content", "a link"])
def test_lfs_objects_that_are_not_there_are_named(lfs: Session, tmp_path: Path, damage: str) -> None:
    agent = with_program(lfs, tmp_path / "bin", "git-lfs", GIT_LFS)
    agent.commit("an image", "image.bin", "many bytes")
    name = hashlib.sha256(b"many bytes").hexdigest()
    (stored_at,) = lfs.git.folder.glob(f"lfs/objects/*/*/{name}")
    stored_at.unlink()
    if damage == "another content":
        stored_at.write_bytes(b"poisoned")
    if damage == "a link":
        (tmp_path / "elsewhere").write_bytes(b"many bytes")
        stored_at.symlink_to(tmp_path / "elsewhere")
    home = lfs.end()
    assert home.moved
    assert home.notes == (f"the commits refer to a Git LFS object that this machine does not have: {name}",)
    assert not list((lfs.made.path / ".git/lfs").rglob(name))


def test_lfs_files_stay_lfs_files_without_the_program(lfs: Session) -> None:
    lfs.agent.write("new.bin", "bytes")
    with pytest.raises(AssertionError, match="this image has no git-lfs"):
        lfs.agent.run("add", "new.bin")


def test_the_repositorys_lfs_objects_are_mounted(made: GitRepository, lfs: Session, tmp_path: Path) -> None:
    assert lfs.git.lfs_objects is None
    (made.path / ".git/lfs/objects").mkdir(parents=True)
    again = start(made, tmp_path / "again", made.head())
    assert (made.path / ".git/lfs/objects", "/lfs/objects", True) in map(tuple, again.git.mounts())


def test_what_is_no_lfs_object_counts_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file of many bytes takes no room where the agent makes it, and much while it is copied."""
    names = [f"{number:064x}" for number in range(3)]
    for name in names:
        path = tmp_path / "git/lfs/objects" / name[:2] / name[2:4] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    monkeypatch.setattr(lfs_objects, "_MAX_BYTES", 2500)
    with pytest.raises(GitError, match="its Git LFS objects are too large"):
        lfs_objects.copy_objects(tmp_path / "git", tmp_path / "target", names)
    assert not [path for path in (tmp_path / "target").rglob("*") if path.is_file()]


def test_beginnings_of_lfs_pointers_without_an_end(made: GitRepository) -> None:
    old = made.head()
    for number in range(2000):
        made.write(f"p/{number}", f"{number}\n" + "version https://git-lfs.github.com/spec/v1\n" * 23)
    made.run("add", ".")
    new = made.commit("many")
    repository = find_repository(made.path)
    assert within_cpu_time(60, lambda: lfs_objects.pointers_in(repository, new, old)) == []
