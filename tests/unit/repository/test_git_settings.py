"""What gives a worktree's files their meaning holds inside a session as on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.repository.git_settings import read_settings
from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import Session, start


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    made.run("config", "core.autocrlf", "false")
    (made.path / "windows.txt").write_bytes(b"one\r\ntwo\r\n")
    (made.path / "unix.txt").write_bytes(b"one\ntwo\n")
    made.write("tool.sh", "#!/bin/sh\n")
    made.run("add", ".")
    made.run("commit", "--quiet", "--message", "files")
    return made


def globally(home: Path, name: str, value: str) -> None:
    GitRepository(home).run("config", "--global", name, value)


def appended(session: Session, name: str, line: bytes) -> str:
    """Append a line as an editor does, commit all, and return how much changed."""
    with (session.worktree.path / name).open("ab") as file:
        file.write(line)
    session.agent.run("commit", "--quiet", "--all", "--message", "one line more")
    return session.agent.run("diff", "--numstat", "HEAD~1", "HEAD")


@pytest.mark.parametrize("scope", ["--global", "--local", "included"])
def test_line_ends(made: GitRepository, tmp_path: Path, home: Path, scope: str) -> None:
    if scope == "included":
        (home / "more").write_text("[core]\n\tautocrlf = true\n", encoding="ascii")
        made.run("config", "--unset", "core.autocrlf")
        globally(home, f"includeIf.gitdir:{made.path}/.path", str(home / "more"))
    elif scope == "--global":
        made.run("config", "--unset", "core.autocrlf")
        globally(home, "core.autocrlf", "true")
    else:
        made.run("config", "core.autocrlf", "true")
    session = start(made, tmp_path / "run")
    assert (session.worktree.path / "unix.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert appended(session, "unix.txt", b"three\r\n") == "1\t0\tunix.txt"
    assert session.end().moved
    assert session.host.run("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "where", ["info/attributes", "core.attributesFile", "the default file", "a tilde", "a committed one"]
)
def test_attributes(made: GitRepository, tmp_path: Path, home: Path, where: str) -> None:
    files = {
        "info/attributes": made.path / ".git/info/attributes",
        "core.attributesFile": home / "attributes of mine",
        "the default file": home / ".config/git/attributes",
        "a tilde": home / "mine",
        "a committed one": made.path / ".gitattributes",
    }
    files[where].parent.mkdir(parents=True, exist_ok=True)
    files[where].write_text("unix.txt text eol=crlf", encoding="ascii")
    if where == "core.attributesFile":
        globally(home, where, str(files[where]))
    if where == "a tilde":
        made.run("config", "core.attributesFile", "~/mine")
    if where == "a committed one":
        made.run("add", ".gitattributes")
        made.run("commit", "--quiet", "--message", "attributes")
    session = start(made, tmp_path / "run")
    assert (session.worktree.path / "unix.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert appended(session, "unix.txt", b"three\r\n") == "1\t0\tunix.txt"
    assert session.end().moved
    assert session.host.run("status", "--porcelain") == ""


def test_attributes_of_the_repository_win_over_those_of_all_repositories(
    made: GitRepository, tmp_path: Path, home: Path
) -> None:
    (home / "mine").write_text("*.txt text eol=crlf\n", encoding="ascii")
    globally(home, "core.attributesFile", str(home / "mine"))
    made.write(".gitattributes", "windows.txt -text\n")
    made.run("add", ".gitattributes")
    made.run("commit", "--quiet", "--message", "attributes")
    session = start(made, tmp_path / "run")
    assert appended(session, "windows.txt", b"three\r\n") == "1\t0\twindows.txt"
    assert session.agent.run("cat-file", "-s", "HEAD:windows.txt") == "17"  # with its carriage returns
    assert appended(session, "unix.txt", b"three\r\n") == "1\t0\tunix.txt"


def test_modes(made: GitRepository, tmp_path: Path) -> None:
    made.run("config", "core.fileMode", "false")
    session = start(made, tmp_path / "run")
    (session.worktree.path / "tool.sh").chmod(0o755)
    (session.worktree.path / "unix.txt").chmod(0o755)
    assert appended(session, "tool.sh", b"true\n") == "1\t0\ttool.sh"
    assert session.agent.run("diff", "--summary", "HEAD~1", "HEAD") == ""


def test_links_that_are_plain_files(made: GitRepository, tmp_path: Path) -> None:
    (made.path / "link").symlink_to("unix.txt")
    made.run("add", "link")
    made.run("commit", "--quiet", "--message", "a link")
    made.run("config", "core.symlinks", "false")
    session = start(made, tmp_path / "run")
    assert not (session.worktree.path / "link").is_symlink()
    session.agent.run("commit", "--quiet", "--allow-empty", "--all", "--message", "all")
    assert session.agent.run("diff", "--summary", "HEAD~1", "HEAD") == ""


@pytest.mark.parametrize("where", ["core.excludesFile", "the default file", "info/exclude", ".config absent"])
def test_ignored_files(made: GitRepository, tmp_path: Path, home: Path, where: str) -> None:
    files = {
        "core.excludesFile": home / "ignored everywhere",
        "the default file": home / ".config/git/ignore",
        "info/exclude": made.path / ".git/info/exclude",
        ".config absent": home / "none",
    }
    files[where].parent.mkdir(parents=True, exist_ok=True)
    files[where].write_text(".idea/\n*.swp", encoding="ascii")
    if where == "core.excludesFile":
        globally(home, where, str(files[where]))
    session = start(made, tmp_path / "run")
    session.agent.write(".idea/workspace.xml", "x")
    session.agent.write("src/.x.swp", "x")
    session.agent.write("new.txt", "x")
    session.agent.run("add", "--all")
    added = session.agent.run("diff", "--cached", "--name-only").split()
    assert added == (
        ["new.txt"] if where != ".config absent" else [".idea/workspace.xml", "new.txt", "src/.x.swp"]
    )


def test_the_repositorys_own_ignore_rules_win(made: GitRepository, tmp_path: Path, home: Path) -> None:
    (home / "mine").write_text("*.log\n*.tmp\n", encoding="ascii")
    globally(home, "core.excludesFile", str(home / "mine"))
    made.write(".git/info/exclude", "!kept.log\n")
    made.write(".gitignore", "!kept.tmp\n")
    session = start(made, tmp_path / "run")
    for name in ("a.log", "kept.log", "a.tmp", "kept.tmp"):
        session.agent.write(name, "x")
    session.agent.write(".gitignore", "!kept.tmp\n")
    session.agent.run("add", "--all")
    assert session.agent.run("diff", "--cached", "--name-only").split() == [
        ".gitignore",
        "kept.log",
        "kept.tmp",
    ]


RUNS_SOMETHING = (
    *("core.fsmonitor", "core.hooksPath", "core.pager", "core.editor", "core.sshCommand", "core.askPass"),
    *("core.gitProxy", "core.alternateRefsCommand", "sequence.editor", "diff.external", "diff.mine.textconv"),
    *(
        "diff.mine.command",
        "merge.mine.driver",
        "credential.helper",
        "gpg.program",
        "gpg.ssh.defaultKeyCommand",
    ),
    *("alias.status", "difftool.mine.cmd", "mergetool.mine.cmd", "interactive.diffFilter", "pager.log"),
    *(
        "uploadpack.packObjectsHook",
        "browser.mine.cmd",
        "man.mine.cmd",
        "sendemail.smtpServer",
        "include.path",
    ),
    *("remote.origin.url", "remote.origin.proxy", "http.extraHeader", "http.proxy", "url.x.insteadOf"),
    *("http.https://example.com.cookieFile", "commit.gpgSign", "user.signingKey", "commit.template"),
    *("core.worktree", "core.bare", "init.templateDir", "submodule.sub.update", "trailer.x.command"),
)


def test_nothing_that_runs_something_or_reaches_out_is_carried_in(
    made: GitRepository, tmp_path: Path, home: Path
) -> None:
    for name in RUNS_SOMETHING:
        value = "false" if name in {"core.bare", "commit.gpgSign"} else f"/mark-{name.replace('/', '-')}"
        (home / ".gitconfig").open("a").close()
        globally(home, name, value)
    session = start(made, tmp_path / "run")
    config = (session.git.folder / "config").read_text(encoding="utf-8")
    assert "/mark-" not in config
    assert "gpgsign" not in config.lower()
    inert = read_settings(session.worktree, session.repository.common_dir).inert
    assert {name.lower() for name in RUNS_SOMETHING} & set(inert) == set()


def test_values_of_every_kind_arrive(made: GitRepository, tmp_path: Path) -> None:
    values = {"core.commentChar": '"', "log.date": 'format:%Y \\ " ; # x', "i18n.commitEncoding": "UTF-8"}
    for name, value in values.items():
        made.run("config", name, value)
    with (made.path / ".git/config").open("a", encoding="ascii") as config:
        config.write("[core]\n\tignoreCase\n")  # a name alone is true
    session = start(made, tmp_path / "run")
    assert {name: session.agent.run("config", name) for name in values} == values
    assert session.agent.run("config", "--type=bool", "core.ignoreCase") == "true"


def test_a_file_that_cannot_be_read_is_as_none(made: GitRepository, tmp_path: Path, home: Path) -> None:
    globally(home, "core.excludesFile", str(home / "absent"))
    globally(home, "core.attributesFile", "relative/attributes")
    session = start(made, tmp_path / "run")
    assert session.agent.run("config", "core.attributesFile") == "relative/attributes"
    assert session.agent.run("status", "--porcelain") == ""
