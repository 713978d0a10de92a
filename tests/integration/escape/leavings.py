"""What a hostile agent leaves behind for the host to read: repositories, objects, links, plans, floods."""

from __future__ import annotations

import fnmatch
import shutil
import subprocess

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import read_plan
from lw_coder.plans.tasks_snapshot import MOST_ENTRIES
from lw_coder.repository.commit_ids import require_commit, require_no_sessions_commit
from lw_coder.repository.git import find_repository
from lw_coder.repository.importing.nested_repositories import find_nested_repositories
from lw_coder.runs.run_folders import remove_tree
from lw_coder.sessions.transcript_watch import LIMITS
from lw_coder.settings.config import load_config
from tests.integration.escape.scene import (
    CONFIG,
    CONTROLS,
    SECRET,
    TASKS,
    Attempt,
    Check,
    Scene,
    quiet,
    told,
)
from tests.support.sample_repository import PLAN_ID


def reader_waits(scene: Scene, _: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["cat", scene.run / "git/HEAD"], timeout=1, check=False)


def recursion_breaks(scene: Scene, _: str) -> None:
    with pytest.raises(RecursionError):
        shutil.rmtree(scene.run / "sessions/d")


def submodule_comes_along(scene: Scene, _: str) -> None:
    clone = scene.outside.parent / "careless"
    scene.git("clone", "--quiet", str(scene.root), str(clone))
    scene.git("fetch", "--quiet", str(scene.run / "git"), f"lw/task/{PLAN_ID}:taken", at=str(clone))
    assert "160000 commit" in scene.git("ls-tree", "-r", "taken", at=str(clone))


# What keeps git out of the worktree: each is found, told of, and shown to go off where git does run.


def in_reserve(folder: str) -> Check:
    """The nested repository in this folder is told of, and git has not run in it."""

    def check(scene: Scene, name: str) -> None:
        found = find_nested_repositories(scene.worktree)
        assert [path for path in found if f"{path}/".startswith(f"{folder}/")]
        assert "do not run git there before you have inspected and removed" in scene.shown
        assert [text for text in CONTROLS if text in scene.shown] == []
        quiet(scene, name)

    return check


def _repository(folder: str) -> str:
    return (
        f'd="$(printf \'{folder}\')"; git init -q "$d" && cd "$d" && echo x > x && git add x'
        " && git -c user.name=x -c user.email=x commit -qm x && git config core.fsmonitor '@TRAP@; false'"
    )


_LINK_OUT = "cd /workspace; run=$(grep -om 1 'runs/[^ ]*/sessions' /proc/self/mountinfo | xargs dirname);"
ODD_FOLDER = "evil\x1b]0;pwned\x07[red]<b>"
NESTED = (
    ("vendor/library", Attempt("nested-repository", _repository("vendor/library"), in_reserve("vendor"))),
    (
        ODD_FOLDER,
        Attempt(
            "oddly-named-repository", _repository(r"evil\033]0;pwned\007[red]<b>"), in_reserve(ODD_FOLDER)
        ),
    ),
    (
        "linked",
        Attempt(
            "git-file",
            _repository("linked") + " && mv .git ../kit && echo 'gitdir: ../kit' > .git",
            in_reserve("linked"),
        ),
    ),
    (
        "bare",
        Attempt(
            "bare-repository",
            _repository("bare") + " && mv .git/* . && rm -r .git && git config --file config core.bare false"
            " && git config --file config core.worktree .",
            in_reserve("bare"),
        ),
    ),
    (
        "examples",
        Attempt(
            "link-to-transcripts",
            f"cd ~/.factory/sessions; {_repository('evil')};"
            f" {_LINK_OUT} ln -s ../../$run/sessions/evil examples",
            in_reserve("examples"),
        ),
    ),
    (
        "docs",
        Attempt(
            "link-to-the-git-folder",
            "cd /repo-git; GIT_DIR=. GIT_WORK_TREE=. git read-tree HEAD;"
            f" {CONFIG} core.bare false; {CONFIG} core.worktree .;"
            f" {CONFIG} core.fsmonitor '@TRAP@; false'; {_LINK_OUT} ln -s ../../$run/git docs",
            in_reserve("docs"),
        ),
    ),
)


# What a session of `lw_coder plan` leaves among the plans, which it may write


def settings_stay_the_persons(scene: Scene, _: str) -> None:
    found = find_repository(scene.root / TASKS)
    assert found.root == scene.root
    assert not load_config(found.root).warnings()


def no_plan_starts_there(scene: Scene, name: str) -> None:
    told("is on none of your branches", "(refs/lw_coder/@plan/")(scene, name)
    assert "lw_coder code hidden-start" not in scene.shown
    sha = read_plan(scene.root / TASKS / "hidden-start.md").metadata.git_sha
    with pytest.raises(GitError, match="is on none of your branches"):
        require_no_sessions_commit(find_repository(scene.root), sha, "git_sha")


def trap_in_tasks(scene: Scene, name: str) -> None:
    scene.git("status", at=TASKS)
    assert scene.proof(name).exists(), "the trap is none"
    scene.proof(name).unlink()


def settings_among_plans_weaken(scene: Scene, _: str) -> None:
    assert load_config(scene.root / TASKS).warnings()


def the_hidden_commit_is_there(scene: Scene, _: str) -> None:
    sha = read_plan(scene.root / TASKS / "hidden-start.md").metadata.git_sha
    require_commit(find_repository(scene.root), sha)
    assert "backdoor.sh" in scene.git("ls-tree", "--name-only", sha)


def link_among_plans_leads_out(scene: Scene, _: str) -> None:
    assert (scene.root / TASKS / "link.md").read_text() == SECRET


def more_than_is_looked_at(scene: Scene, _: str) -> None:
    assert len(list((scene.root / TASKS / "junk").iterdir())) > MOST_ENTRIES


PLANNED = (
    Attempt(
        "repository-among-plans",
        _repository("/output") + "; for i in $(seq 10 39); do touch .a$i.txt; done",
        told(
            f"{TASKS}: do not run git there before you have inspected and removed .git",
            "more new files",
        ),
        trap_in_tasks,
    ),
    Attempt(
        "settings-among-plans",
        "mkdir -p /output/.lw_coder; printf '[code]\ndocker_run_args = [\"--privileged\"]\n'"
        " > /output/.lw_coder/config.toml",
        settings_stay_the_persons,
        settings_among_plans_weaken,
    ),
    Attempt(
        "plan-from-a-hidden-commit",
        "echo evil > backdoor.sh; git add backdoor.sh; git -c user.name=x -c user.email=x commit -qm hidden;"
        " printf -- '---\nplan_id: hidden-start\ngit_sha: %s\nstatus: draft\n'"
        " $(git rev-parse HEAD) > /output/hidden-start.md;"
        " printf -- 'evaluation_notes: []\n---\n# Do it\n' >> /output/hidden-start.md",
        no_plan_starts_there,
        the_hidden_commit_is_there,
    ),
    Attempt(
        "link-among-plans",
        "ln -s @OUTSIDE@/secret /output/link.md",
        told("link.md: is not a regular file"),
        link_among_plans_leads_out,
    ),
    Attempt(
        "setuid-among-plans",
        "cp /bin/true /output/tool; chmod 4755 /output/tool",
        told("tool: is not a regular file"),
        "that the file is there is what its telling shows; whom it serves is up to the folders above it",
    ),
    Attempt(
        "endless-plan",
        "truncate -s 1T /output/endless.md",
        told("endless.md: is too large for a plan"),
        "to read it would take hours",
    ),
)
BURIED = (
    Attempt(
        "change-among-many-files",
        "echo changed > /output/sample-plan.md; mkdir /output/junk; cd /output/junk;"
        " i=0; while [ $i -le 10000 ]; do : > $i; i=$((i+1)); done",
        told("sample-plan.md was changed during the session", "left more files than lw_coder checks"),
        more_than_is_looked_at,
    ),
)


# What is not brought home


def stays_away(scene: Scene, name: str) -> None:
    assert scene.git("for-each-ref", "refs/lw_coder") == ""
    assert "the commits stay in" in scene.shown
    assert "do not run git there, it would use the agent's config" in "".join(scene.shown.splitlines())
    assert not scene.git("log", "--oneline", f"main..lw/task/{PLAN_ID}")
    assert "bad-" + name not in scene.git("for-each-ref")


def _bad_branch(name: str) -> str:
    return f"git branch bad-{name} $(git commit-tree -m bad -p HEAD $tree)"


BROKEN = (
    Attempt(
        "tree-with-dot-git",
        "blob=$(git rev-parse HEAD:README.md);"
        " inner=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree);"
        " tree=$(printf '040000 tree %s\\t.GIT\\n' $inner | git mktree); " + _bad_branch("tree-with-dot-git"),
        stays_away,
    ),
    Attempt(
        "submodule-url",
        "blob=$(printf '[submodule \"a\"]\\n\\tpath = a\\n\\turl = --upload-pack=@TRAP@\\n' |"
        " git hash-object -w --stdin); tree=$(printf '100644 blob %s\\t.gitmodules\\n' $blob | git mktree); "
        + _bad_branch("submodule-url"),
        stays_away,
    ),
)


# A private git folder of links and pipes


def untouched(scene: Scene, _: str) -> None:
    assert "stolen" not in scene.git("for-each-ref", "refs/lw_coder")
    assert SECRET not in scene.shown
    assert "Traceback" not in scene.shown
    _only_lw_coder_changed(scene)


def _only_lw_coder_changed(scene: Scene) -> None:
    locks = {name for name in scene.before if name.startswith(".git/lw_coder-")}
    assert not locks & scene.after.keys()
    own = (".git/logs*", ".git/worktrees/*", ".git/refs*", ".git", *locks)
    git = {name for name in scene.before.keys() | scene.after.keys() if name.startswith(".git")}
    changed = {name for name in git if scene.before.get(name) != scene.after.get(name)}
    others = [name for name in changed if not any(fnmatch.fnmatch(name, allowed) for allowed in own)]
    assert others == [], others


def deep_is_removed(scene: Scene, _: str) -> None:
    assert (scene.run / "sessions/d/d/d").is_dir()
    doomed = scene.root.parent / "doomed"
    (scene.run / "sessions").rename(doomed)
    remove_tree(doomed)
    assert not doomed.exists()


_FOLLOWING = (
    "import os; from lw_coder.repository.importing import untrusted_files as files; "
    "files._NEVER_FOLLOW &= ~os.O_NOFOLLOW"
)

LINKED = (
    Attempt(
        "refs-link",
        "cd /repo-git; rm -rf refs; ln -s @OUTSIDE@/decoy/refs refs",
        untouched,
        weakening=_FOLLOWING,
    ),
    Attempt(
        "packed-refs-link",
        "ln -sf @OUTSIDE@/decoy/packed-refs /repo-git/packed-refs",
        untouched,
        weakening=_FOLLOWING,
    ),
    Attempt(
        "objects-link",
        "cd /repo-git; mkdir -p refs/heads; echo @STOLEN@ > refs/heads/stolen;"
        " mv objects o2; ln -s @OUTSIDE@/decoy/objects objects",
        untouched,
        weakening=_FOLLOWING,
        status=1,
    ),
)
# They meet in no place, so one session is enough.
PIPED = (
    Attempt(
        "head-pipe",
        f"cd /repo-git/worktrees/{PLAN_ID}; rm -f HEAD; mkfifo HEAD; cd ../..; rm -f HEAD; mkfifo HEAD",
        untouched,
        reader_waits,
    ),
    Attempt(
        "deep-folders",
        "cd ~/.factory/sessions; i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done",
        deep_is_removed,
        recursion_breaks,
    ),
)


# A flood, and a submodule


def branch_stays(scene: Scene, name: str) -> None:
    assert "the commits add nested repositories: module" in scene.shown
    assert scene.git("rev-parse", f"lw/task/{PLAN_ID}").strip() in scene.git("rev-list", "main")
    quiet(scene, name)


def stopped_and_told(scene: Scene, _: str) -> None:
    assert "the session was stopped: it wrote too much to" in scene.shown
    assert "the session ended with status 137" in scene.shown
    assert (scene.run / "sessions/flood.jsonl").stat().st_size > LIMITS.size


LAST = (
    Attempt(
        "planted-submodule",
        _repository("module") + ' && cd .. && printf \'[submodule "m"]\\n\\tpath = module\\n'
        "\\turl = ./module\\n' > .gitmodules && git add .gitmodules module && git commit -qm m;"
        " rm -rf module",
        branch_stays,
        submodule_comes_along,
    ),
    Attempt(
        "flood",
        "truncate -s 1100M ~/.factory/sessions/flood.jsonl",
        stopped_and_told,
        "the unit tests of the watch show that less, and the same without it, stops nothing",
    ),
)
