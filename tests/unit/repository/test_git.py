from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import (
    Identity,
    Place,
    config_text,
    find_repository,
    identity,
    init_bare,
    is_ancestor,
    is_ref_name,
    list_refs,
    missing_objects,
    ref_value,
    require_identity,
    require_recent,
    root_commit,
    run_git,
)
from lw_coder.repository.git_environment import DROPPED, KEPT, kept_variables
from lw_coder.repository.git_settings import read_configuration
from tests.support.git_repository import GitRepository, make_repository

if TYPE_CHECKING:
    from pathlib import Path


WHO = {"NAME": "Jo \u00d8", "EMAIL": "jo@example.invalid"}


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


def test_finds_the_top_from_a_subfolder(made: GitRepository) -> None:
    (made.path / "a/b").mkdir(parents=True)
    found = find_repository(made.path / "a/b")
    assert (found.root, found.common_dir, found.object_format) == (made.path, made.path / ".git", "sha1")


def test_commits_of_the_helper_have_fixed_ids(made: GitRepository, tmp_path: Path) -> None:
    assert make_repository(tmp_path / "other").head() == made.head()


def test_a_linked_worktree_is_a_root_of_its_own(made: GitRepository, tmp_path: Path) -> None:
    made.run("worktree", "add", "--quiet", str(tmp_path / "linked"))
    found = find_repository(tmp_path / "linked")
    assert (found.root, found.common_dir) == (tmp_path / "linked", made.path / ".git")
    assert (found.home, find_repository(made.path).home) == (made.path, made.path)


@pytest.mark.parametrize("kind", ["bare", "separate", "submodule"])
def test_where_no_main_worktree_is_known_each_has_its_own_runs(
    made: GitRepository, tmp_path: Path, kind: str
) -> None:
    if kind == "bare":
        made.run("clone", "--quiet", "--bare", str(made.path), str(tmp_path / "bare/.git"))
        other = GitRepository(tmp_path / "bare/.git")
    elif kind == "separate":
        other = make_repository(tmp_path / "work", "--separate-git-dir", str(tmp_path / "elsewhere"))
    else:
        outer = make_repository(tmp_path / "outer")
        outer.run("submodule", "--quiet", "add", str(made.path), "sub")
        other = GitRepository(outer.path / "sub")
    other.run("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert find_repository(tmp_path / "linked").home == tmp_path / "linked"


@pytest.mark.parametrize("folder", ["worktrees", "temp-worktrees"])
def test_own_worktrees_mean_the_tree_around_them(made: GitRepository, folder: str) -> None:
    inside = made.path / ".lw_coder" / folder / "x"
    made.run("worktree", "add", "--quiet", "-b", "x", str(inside))
    (inside / "deep").mkdir()
    assert find_repository(inside / "deep").root == made.path


def test_a_submodule_is_a_repository(made: GitRepository, tmp_path: Path) -> None:
    outer = make_repository(tmp_path / "outer")
    outer.run("submodule", "--quiet", "add", str(made.path), "sub")
    found = find_repository(outer.path / "sub")
    assert (found.root, found.common_dir) == (outer.path / "sub", outer.path / ".git/modules/sub")


def test_refuses_where_there_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="is not in a git repository") as caught:
        find_repository(tmp_path)
    assert "git init" in caught.value.remedy


def test_refuses_a_bare_repository_and_a_git_folder(made: GitRepository, tmp_path: Path) -> None:
    made.run("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(GitError, match="bare"):
        find_repository(tmp_path / "bare")
    with pytest.raises(GitError, match=r"inside a \.git folder"):
        find_repository(made.path / ".git")


@pytest.mark.parametrize(
    "name", ["a\nb", "tab\there", "escape\x1b[2J", "delete\x7f", "50% done", "ends%", "%4"]
)
def test_refuses_a_path_in_which_compose_does_not_start(tmp_path: Path, name: str) -> None:
    made = make_repository(tmp_path / name)
    with pytest.raises(GitError, match=r"the path contains a (control character|% that)") as caught:
        find_repository(made.path)
    assert caught.value.message.isprintable()
    inner = make_repository(tmp_path / "other").path / name
    inner.mkdir()
    with pytest.raises(GitError, match=r"the path contains a"):
        find_repository(inner)


@pytest.mark.parametrize(
    "name", ["%41", "100%25", "u2028\u2028", "u0085\x85", "a b", "$HOME", "${x}", "a:b", "#", "'\""]
)
def test_takes_a_path_with_which_compose_works(tmp_path: Path, name: str) -> None:
    assert find_repository(make_repository(tmp_path / name).path).root == tmp_path / name


def test_refuses_a_path_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"caf\\udce9: the path is not UTF-8 text"):
        find_repository(make_repository(tmp_path / os.fsdecode(b"caf\xe9")).path)


def test_says_when_git_is_absent(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="git could not be started") as caught:
        find_repository(made.path)
    assert "install git" in caught.value.remedy


@pytest.mark.parametrize(
    "version", ["git version 2.17.1", "git version 2.33.8.windows.1", "git version 1.99"]
)
def test_says_when_git_is_too_old(version: str) -> None:
    with pytest.raises(GitError, match=f"{re.escape(version)} is too old") as caught:
        require_recent(version)
    assert "2.34" in caught.value.remedy


@pytest.mark.parametrize(
    "version", ["git version 2.34.0", "git version 2.50.1 (Apple Git-155)", "git version 3.0"]
)
def test_a_recent_git_is_taken(version: str) -> None:
    require_recent(version)


def test_names_gits_remedy_for_dubious_ownership(made: GitRepository) -> None:
    try:
        os.chown(made.path, 12345, 12345)
    except PermissionError:
        pytest.skip("only root can give a folder away, and in a session's container not even root")
    os.chown(made.path / ".git", 12345, 12345)
    with pytest.raises(GitError, match="another user owns it") as caught:
        find_repository(made.path)
    assert f"git config --global --add safe.directory {made.path}" in caught.value.remedy


def test_git_variables_of_the_caller_do_not_reach_git(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    assert find_repository(made.path).root == made.path


def test_a_failure_is_one_escaped_line_without_credentials(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        run_git("clone", "https://me:s3cret@localhost.invalid/\x1b[31m", place=Place(tmp_path))
    assert "s3cret" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message


def test_root_commit_survives_a_merge_of_another_history(made: GitRepository) -> None:
    first = made.head()
    made.run("checkout", "--quiet", "--orphan", "other")
    made.commit("another root")
    made.run("checkout", "--quiet", "main")
    made.run("merge", "--quiet", "--allow-unrelated-histories", "-m", "both", "other")
    assert root_commit(find_repository(made.path)) == first


def test_root_commit_of_an_empty_repository_is_an_error(tmp_path: Path) -> None:
    empty = GitRepository(tmp_path)
    empty.run("init", "--quiet")
    with pytest.raises(GitError, match="has no commit"):
        root_commit(find_repository(tmp_path))


def test_root_commit_with_an_unborn_head(made: GitRepository) -> None:
    first = made.head()
    made.run("symbolic-ref", "HEAD", "refs/heads/unborn")
    assert root_commit(find_repository(made.path)) == first


def test_identity_is_what_is_configured(made: GitRepository) -> None:
    place = find_repository(made.path).place
    assert identity(place) is None
    with pytest.raises(GitError, match="git does not know who commits here") as caught:
        require_identity(place)
    assert 'git config --global user.name "Your Name" &&' in caught.value.remedy
    made.run("config", "user.name", "Jo \u00d8")
    made.run("config", "user.email", "jo@example.invalid")
    assert identity(place) == Identity("Jo \u00d8", "jo@example.invalid")
    assert identity(place, read_configuration(place)) == identity(place)
    made.run("config", "committer.name", "A Bot")
    assert require_identity(place).committer == ("A Bot", "jo@example.invalid")
    assert require_identity(place, read_configuration(place)) == require_identity(place)


def test_a_committer_in_the_shell_alone(made: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    place = find_repository(made.path).place
    made.run("config", "user.name", "Jo")
    made.run("config", "user.email", "jo@example.invalid")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "bot@example.invalid")
    found = identity(place, read_configuration(place))
    assert found == Identity("Jo", "jo@example.invalid", ("Jo", "bot@example.invalid"))


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_bare_repository_is_one_to_git(tmp_path: Path, object_format: str) -> None:
    init_bare(tmp_path / "bare", object_format)
    bare = GitRepository(tmp_path / "bare")
    asked = ("rev-parse", "--is-bare-repository", "--show-object-format", "--git-dir")
    assert bare.run(*asked).split("\n") == ["true", object_format, "."]
    tree = bare.run("write-tree")
    bare.run("update-ref", "refs/heads/main", bare.run("commit-tree", "-m", "first", tree))
    assert bare.run("rev-parse", "HEAD^{tree}") == tree
    assert bare.run("fsck", "--strict") == ""


WAYS_TO_SAY_WHO = {
    "variables": {
        f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in WHO.items()
    },
    "global": {"GIT_CONFIG_GLOBAL": "{folder}/who"},
    "system": {"GIT_CONFIG_SYSTEM": "{folder}/who"},
    "count": {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "user.name",
        "GIT_CONFIG_VALUE_0": WHO["NAME"],
        "GIT_CONFIG_KEY_1": "user.email",
        "GIT_CONFIG_VALUE_1": WHO["EMAIL"],
    },
    "alias": {"GIT_CONFIG_PARAMETERS": "'user.name'='{NAME}' 'user.email'='{EMAIL}'"},
}


@pytest.mark.parametrize("way", WAYS_TO_SAY_WHO)
def test_identity_of_the_persons_shell(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "who").write_text(config_text({"user.name": WHO["NAME"], "user.email": WHO["EMAIL"]}))
    for name, value in WAYS_TO_SAY_WHO[way].items():
        monkeypatch.setenv(name, value.format(folder=tmp_path, **WHO))
    assert identity(find_repository(made.path).place) == Identity(WHO["NAME"], WHO["EMAIL"])


def test_identity_of_one_branch_alone(made: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "who").write_text(config_text({"user.name": WHO["NAME"], "author.email": WHO["EMAIL"]}))
    made.run("config", "user.email", "other@example.invalid")
    made.run("config", "includeIf.onbranch:lw/task/**.path", str(tmp_path / "who"))
    made.run("worktree", "add", "--quiet", "-b", "lw/task/x", str(tmp_path / "x"))
    git_dir = made.path / ".git/worktrees/x"
    elsewhere = identity(find_repository(made.path).place)
    assert elsewhere is None or elsewhere.name != WHO["NAME"]
    place = Place(git_dir, git_dir=git_dir)
    found = require_identity(place)
    assert found == require_identity(place, read_configuration(place))
    assert found == Identity(WHO["NAME"], WHO["EMAIL"], (WHO["NAME"], "other@example.invalid"))


def test_an_identity_of_a_shell_is_no_other_repository(
    made: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, head = make_repository(tmp_path / "other"), made.head()
    for name in DROPPED:
        monkeypatch.setenv(name, str(other.path / ".git"))
    assert find_repository(made.path).root == made.path
    assert list_refs(find_repository(made.path), "refs/heads") == {"refs/heads/main": head}


def test_what_a_checkout_needs_is_kept_and_files_may_still_be_imported() -> None:
    given = {"GIT_SSH_COMMAND": "ssh -v", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_ASKPASS": "x", "SSH_ASKPASS": "y"}
    dropped = dict.fromkeys([*DROPPED, "GIT_TRACE_CURL", "GIT_WHATEVER"], "z")
    assert kept_variables({**given, **dropped, "PATH": "p"}) == {**given, "PATH": "p"}
    assert kept_variables({"GIT_ALLOW_PROTOCOL": "https"}) == {"GIT_ALLOW_PROTOCOL": "https:file"}
    assert not KEPT.keys() & DROPPED.keys()


@pytest.mark.parametrize("value", ['O"Brien \\ Sons', " a;b # c ", "tab\tand\nline", "J\u00fcrgen", ""])
def test_settings_are_read_back_by_git_as_they_were(tmp_path: Path, value: str) -> None:
    config = tmp_path / "config"
    config.write_text(config_text({"core.other": "true", "user.name": value}), encoding="utf-8")
    place = Place(tmp_path)
    read = run_git("config", "--file", str(config), "--null", "--get", "user.name", place=place)
    assert read.stdout == f"{value}\0"


def test_a_repository_below_such_a_folder_is_told_why(tmp_path: Path) -> None:
    inside = make_repository(tmp_path / ".lw_coder/project").path
    with pytest.raises(GitError, match=r"project: a folder inside \.lw_coder is never used as a"):
        find_repository(inside)


@pytest.mark.parametrize("folder", ["tasks", "runs/a/b/sessions", "x"])
def test_a_repository_that_was_planted_among_our_files_is_none(made: GitRepository, folder: str) -> None:
    planted = make_repository(made.path / ".lw_coder" / folder)
    assert find_repository(planted.path).root == made.path


def test_ancestors_refs_and_missing_objects(made: GitRepository) -> None:
    first, second = made.head(), made.commit("second")
    repository = find_repository(made.path)
    assert is_ancestor(repository, first, second)
    assert is_ancestor(repository, second, second)
    assert not is_ancestor(repository, second, first)
    assert ref_value(repository, "refs/heads/main") == second
    assert ref_value(repository, "refs/heads/none") is None
    assert missing_objects(repository, [first, "1" * 40]) == ["1" * 40]
    with pytest.raises(GitError):
        is_ancestor(repository, "1" * 40, second)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "refs/heads/a",
            "refs/heads/a.b",
            "refs/heads/@",
            "refs/heads/a{",
            "refs/tags/\u00fc",
            "refs/heads/-x",
        ),
        *(
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a\x01",
            "refs/a//b",
        ),
        *(
            "refs/heads/a@{b",
            "refs/heads/a.",
            "refs/heads/a/",
            "/refs/heads/a",
            "refs/a.lock/b",
            "x",
            "refs/a:b",
        ),
        *(
            "refs/a\x7f",
            "refs/a~",
            "refs/a^",
            "refs/a?",
            "refs/a*",
            "refs/a[",
            "refs/a\\b",
            "refs/heads/..",
            "@",
        ),
    ],
)
def test_ref_names_are_judged_as_git_judges_them(made: GitRepository, name: str) -> None:
    asked = run_git("check-ref-format", name, place=find_repository(made.path).place, check=False)
    assert is_ref_name(name) == (asked.code == 0)
