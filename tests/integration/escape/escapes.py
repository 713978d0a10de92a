"""What a hostile agent tries in its container, and what the host must look like afterwards."""

from __future__ import annotations

import re

from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import remove_tree
from lw_coder.settings.config import load_config
from tests.integration.escape.scene import (
    CONFIG,
    CONTROLS,
    DID_IT,
    HOST_MARKER,
    LOOPBACK_ANSWER,
    OTHER_RUN,
    PROCESSES,
    SECRET,
    WORKTREE,
    Attempt,
    Scene,
    kept,
    not_said,
    quiet,
    refs_are,
    same,
)
from tests.support.sample_repository import PLAN_ID
from tests.support.snapshot import snapshot

# What is seen on the host


did_not = not_said(DID_IT)


def pointer_is_whole(scene: Scene, _: str) -> None:
    assert scene.before[f"{WORKTREE}/.git"] == scene.after.get(f"{WORKTREE}/.git")


def has_no_capability(scene: Scene, name: str) -> None:
    assert re.findall(r"Cap(?:Inh|Prm|Eff|Bnd|Amb):\t0*(\w+)", scene.said[name]) == ["0"] * 5


def few_forks(scene: Scene, name: str) -> None:
    found = re.search(r"FORKS (\d+)", scene.said[name])
    assert found
    assert int(found[1]) < PROCESSES


def home_is_empty(scene: Scene, _: str) -> None:
    assert [name for name in (".gitconfig", ".bashrc", ".ssh") if (scene.home / name).exists()] == []


def others_cannot_reach(scene: Scene, _: str) -> None:
    (found,) = (path for path in scene.worktree.glob("setuid-file") if path.lstat().st_mode & 0o4000)
    between = [folder for folder in found.parents if folder.is_relative_to(scene.root / ".lw_coder")]
    assert any(not folder.stat().st_mode & 0o011 for folder in between)


def plan_reads_the_same(scene: Scene, _: str) -> None:
    plan = scene.git("show", f"main:.lw_coder/tasks/{PLAN_ID}.md")
    assert plan == (scene.root / f".lw_coder/tasks/{PLAN_ID}.md").read_text()


def links_were_not_followed(scene: Scene, _: str) -> None:
    assert (scene.worktree / "up").is_symlink()
    assert "do not run git there" not in scene.shown
    assert SECRET not in scene.git_output + scene.shown
    assert (scene.outside / "secret").read_text() == SECRET


def pruning_stays_inside(scene: Scene, _: str) -> None:
    before = snapshot(scene.outside)
    doomed = scene.root.parent / "doomed"
    (scene.run / "sessions").rename(doomed)
    assert (doomed / "out").is_symlink()
    remove_tree(doomed)
    assert not doomed.exists()
    assert snapshot(scene.outside) == before


def nothing_odd_is_shown(scene: Scene, _: str) -> None:
    assert [text for text in CONTROLS if text in scene.shown] == []
    assert "are not valid refs and were ignored" in scene.shown
    assert "evil" not in scene.git("for-each-ref")  # the person's git would print them as they are


def message_is_not_acted_upon(scene: Scene, _: str) -> None:
    assert "pwned-by-message" in scene.git("log", "-1", "--format=%B", f"lw/task/{PLAN_ID}")
    assert "\x1b]0;pwned-by-message" not in scene.shown + (scene.run / "run.json").read_text()


def no_page_is_made(scene: Scene, _: str) -> None:
    assert "<script>" in scene.shown  # as plain text, at a terminal
    assert [path for path in scene.run.rglob("*") if path.suffix in {".html", ".svg"}] == []


def settings_are_the_persons(scene: Scene, _: str) -> None:
    assert load_config(find_repository(scene.worktree).root).warnings() == load_config(scene.root).warnings()
    assert not load_config(scene.root).warnings()


# What who is not careful meets


def links_lead_out(scene: Scene, _: str) -> None:
    assert (scene.worktree / "notes.txt").read_text() == SECRET
    assert (scene.worktree / "up/.git/HEAD").is_file()


def sessions_lead_out(scene: Scene, _: str) -> None:
    assert (scene.run / "sessions/out/secret").read_text() == SECRET


def agents_settings_weaken(scene: Scene, _: str) -> None:
    assert load_config(scene.worktree).warnings()
    assert "RUN false" in (scene.worktree / ".lw_coder/code.Dockerfile").read_text()


def names_are_raw(scene: Scene, _: str) -> None:
    found = "".join(path.name for path in (scene.run / "git/refs/heads").iterdir())
    assert [text for text in CONTROLS if text not in found] == []


def markup_is_raw(scene: Scene, _: str) -> None:
    assert "<script>" in scene.git("for-each-ref", at=str(scene.run / "git"))


def message_is_raw(scene: Scene, _: str) -> None:
    assert "\x1b]0;pwned-by-message" in scene.git("log", "-1", "--format=%B", f"lw/task/{PLAN_ID}")


# What is tried

OPEN_ALL = ("--privileged", "--user", "0")

_PYTHON = "python3 -c"


def _syscall(x86: int, arm: int, *arguments: str) -> str:
    """Call the kernel with nonsense: who may not gets EPERM, who may another error."""
    return (
        f"{_PYTHON} 'import ctypes, platform; libc = ctypes.CDLL(None, use_errno=True);"
        f' libc.syscall({{"x86_64": {x86}, "aarch64": {arm}}}[platform.machine()], {", ".join(arguments)});'
        f' print("{DID_IT}" if ctypes.get_errno() != 1 else "not permitted")\''
    )


_HOOKS = (
    "mkdir -p /repo-git/hooks; for h in post-index-change post-checkout reference-transaction pre-commit; do"
    " printf '#!/bin/sh\\n@TRAP@\\nexit 0\\n' > /repo-git/hooks/$h; chmod +x /repo-git/hooks/$h; done"
)
_POISON = (
    f"{_PYTHON} 'import os, subprocess, zlib;"
    f' plan = "/output/{PLAN_ID}.md";'
    ' sha = subprocess.check_output(["git", "hash-object", plan], text=True).strip();'
    ' path = "/repo-git/objects/" + sha[:2] + "/" + sha[2:];'
    " os.makedirs(os.path.dirname(path), exist_ok=True);"
    " os.path.exists(path) and os.unlink(path);"
    ' open(path, "wb").write(zlib.compress(b"blob 5\\0evil!"))\''
)
# The children end when they read the end of the pipe: when all have been made.
_FORKS = (
    f"{_PYTHON} 'import os\nr, w = os.pipe()\nn = 0\ntry:\n  while n < 500:\n    if not os.fork():\n"
    "      os.close(w); os.read(r, 1); os._exit(0)\n    n += 1\nexcept OSError:\n  pass\n"
    'print("FORKS", n)\''
)
_EAT = (
    f'{_PYTHON} \'open("/proc/self/oom_score_adj", "w").write("1000"); b"x" * (1600 << 20)\' && echo {DID_IT}'
)
_EVERYWHERE = r"find / \( -path /proc -o -path /sys \) -prune -o"
_RUN_FILES = ("compose.yml", "services.yml", "code.Dockerfile*", "pointer", "alternates", "git-refs.json")

HOST_GIT = (
    Attempt("hooks", _HOOKS, same(".git/hooks")),
    Attempt("config", f"{CONFIG} core.fsmonitor '@TRAP@; false'", same(".git/config")),
    Attempt(
        "included-config",
        f"{CONFIG} include.path evil; git config --file /repo-git/evil core.fsmonitor '@TRAP@; false'",
        same(".git/config", ".git/evil"),
    ),
    Attempt(
        "config-worktree",
        f"{CONFIG} extensions.worktreeConfig true; git config --file"
        f" /repo-git/worktrees/{PLAN_ID}/config.worktree core.fsmonitor '@TRAP@; false'",
        same(".git/worktrees/*/config.worktree", ".git/config.worktree"),
    ),
    Attempt(
        "commondir",
        "cp -r /repo-git /tmp/evil && git config --file /tmp/evil/config core.fsmonitor '@TRAP@; false';"
        f" cp -r /tmp/evil /repo-git/evil-common; cp /repo-git/worktrees/{PLAN_ID}/commondir /tmp/commondir;"
        f" echo ../../evil-common > /repo-git/worktrees/{PLAN_ID}/commondir;"
        f" grep -q /repo-git /workspace/.git && cp /tmp/commondir /repo-git/worktrees/{PLAN_ID}/commondir",
        same(".git/worktrees/*/commondir", ".git/evil-common"),
    ),
    Attempt(
        "gitdir",
        f"echo /elsewhere/.git > /repo-git/worktrees/{PLAN_ID}/gitdir",
        same(".git/worktrees/*/gitdir"),
    ),
    Attempt("lock", f"touch /repo-git/worktrees/{PLAN_ID}/locked", same(".git/worktrees/*/locked")),
    Attempt(
        "alternates",
        "for f in /repo-git /repo-objects/..; do echo /evil >> $f/objects/info/alternates; done;"
        " mkdir -p /repo-objects/info; echo /evil >> /repo-objects/info/alternates",
        same(".git/objects/info/alternates"),
    ),
    Attempt(
        "packed-refs",
        'echo "$(git rev-parse HEAD) refs/heads/planted" >> /repo-git/packed-refs',
        refs_are("refs/heads/", "refs/tags/"),
    ),
    Attempt("replace", "git replace -f main HEAD", refs_are("refs/replace/", "refs/heads/")),
    Attempt("other-branch", "git branch -f main HEAD; git branch -D keep", refs_are("refs/heads/")),
    Attempt("other-tag", "git tag -f release HEAD^{tree}; git tag -d old-release", refs_are("refs/tags/")),
    Attempt("head", "echo 'ref: refs/heads/evil' > /repo-git/HEAD", same(".git/HEAD")),
    Attempt("index", "echo garbage > /repo-git/index", same(".git/index")),
    Attempt("reflog", "rm -rf /repo-git/logs", kept(".git/logs/HEAD", ".git/logs/refs/heads/main")),
    Attempt(
        "objects",
        "chmod -R u+w /repo-objects; find /repo-objects -type f | while read f; do echo evil > $f; done",
        kept(".git/objects"),
    ),
    Attempt(
        "gc",
        "git reflog expire --expire=now --all; git gc --quiet --prune=now; git prune --expire=now;"
        " rm -rf /repo-objects/*",
        kept(".git/objects"),
    ),
    Attempt("worktree-prune", "git worktree prune --expire=now", kept(".git/worktrees/*/gitdir")),
    Attempt(
        "worktree-repair",
        "git worktree repair /workspace; git worktree remove --force ../other",
        same(".git/worktrees/*/gitdir"),
    ),
    Attempt("poisoned-object", _POISON, plan_reads_the_same),
    Attempt(
        "info",
        "mkdir -p /repo-git/info; echo '* filter=evil' > /repo-git/info/attributes;"
        " git rev-parse HEAD > /repo-git/info/grafts",
        same(".git/info/attributes", ".git/info/grafts"),
    ),
    Attempt(
        "pointer-replaced",
        "printf 'gitdir: @OUTSIDE@/evil\\n' > /workspace/.git;"
        " echo x > /workspace/n; mv -f /workspace/n /workspace/.git",
        pointer_is_whole,
    ),
    Attempt("pointer-removed", "rm -f /workspace/.git", pointer_is_whole),
    Attempt(
        "pointer-a-folder",
        "rm -rf /workspace/.git; mkdir -p /workspace/.git && git -C /workspace init -q"
        " && git config core.fsmonitor '@TRAP@; false' && git add README.md",
        pointer_is_whole,
    ),
    Attempt("pointer-a-link", "ln -sfn @OUTSIDE@ /workspace/.git", pointer_is_whole),
)

TRAPS = (
    Attempt(
        "filter",
        "echo '*.md filter=evil' >> /workspace/.gitattributes; echo more >> /workspace/README.md;"
        f" {CONFIG} filter.evil.clean '@TRAP@; cat'; {CONFIG} filter.evil.smudge '@TRAP@; cat'",
        quiet,
    ),
    Attempt(
        "external-diff",
        f"echo more >> /workspace/README.md; {CONFIG} diff.external '@TRAP@; true'",
        quiet,
    ),
    Attempt(
        "textconv",
        "echo '*.py diff=evil' >> /workspace/.gitattributes; echo '# more' >> /workspace/greeting.py;"
        f" {CONFIG} diff.evil.textconv '@TRAP@; cat'",
        quiet,
    ),
    Attempt(
        "person-home",
        "git config --global core.fsmonitor '@TRAP@; false'; echo '@TRAP@' >> ~/.bashrc; mkdir -p ~/.ssh",
        home_is_empty,
        ("HOME-MOUNTED",),
    ),
    Attempt(
        "link-in-worktree",
        "ln -s @ROOT@ up; ln -s @OUTSIDE@ out; ln -s @OUTSIDE@/secret .mailmap;"
        " ln -s @OUTSIDE@/secret notes.txt",
        links_were_not_followed,
        links_lead_out,
    ),
    Attempt(
        "link-in-tasks",
        "ln -s @OUTSIDE@ /output/out; echo evil > /output/evil.md; rm -f /output/*.md",
        same(".lw_coder/tasks"),
    ),
    Attempt(
        "link-in-sessions",
        "cd ~/.factory/sessions; ln -s @OUTSIDE@ out; mkdir -p closed/in; ln -s @OUTSIDE@ closed/in/out;"
        " chmod 0 closed",
        pruning_stays_inside,
        sessions_lead_out,
    ),
    Attempt(
        "settings-of-the-repository",
        "cd /workspace/.lw_coder; printf '[code]\\ndocker_run_args = [\"--privileged\"]\\n' > config.toml;"
        " echo 'RUN false' >> code.Dockerfile; echo A=b > /workspace/.env",
        settings_are_the_persons,
        agents_settings_weaken,
    ),
)

RUN = (
    Attempt(
        "run-folder",
        rf"{_EVERYWHERE} \( -name compose.yml -o -name services.yml -o -name code.Dockerfile -o -name pointer"
        r" -o -name alternates -o -name git-refs.json \) -print"
        " | while read f; do echo '# pwned' >> $f; done",
        same(*(f".lw_coder/runs/{PLAN_ID}/*/{name}" for name in _RUN_FILES)),
    ),
    Attempt(
        "settings-and-droids",
        "cd ~/.factory; for f in settings.json droids/*.md droids/new.md; do echo evil > $f; rm -f $f; done",
        same(f".lw_coder/runs/{PLAN_ID}/*/settings.json", f".lw_coder/runs/{PLAN_ID}/*/droids"),
    ),
    Attempt(
        "main-prompt",
        "echo evil > /tmp/lw_coder/main_prompt.md",
        same(f".lw_coder/runs/{PLAN_ID}/*/prompts"),
    ),
    Attempt(
        "another-run",
        rf"{_EVERYWHERE} -name {OTHER_RUN} -print -exec sh -c 'echo evil > $1/run.json' sh {{}} \;",
        same(".lw_coder/runs/other-plan"),
    ),
    Attempt(
        "control-characters-in-names",
        "sha=$(git rev-parse HEAD);"
        r" for name in 'evil\033]0;pwned\007' 'evil\302\2332J' 'evil\342\200\256'; do"
        """ echo $sha > "/repo-git/refs/heads/$(printf "$name")"; done""",
        nothing_odd_is_shown,
        names_are_raw,
    ),
    Attempt(
        "markup-in-names",
        "git branch 'odd<script>alert(1)</script>' HEAD",
        no_page_is_made,
        markup_is_raw,
    ),
)

MACHINE = (
    Attempt(
        "host-environment",
        f"grep -al {HOST_MARKER} /proc/[0-9]*/environ",
        not_said("environ"),
        ("--pid=host", "--user", "0", "--cap-add=SYS_PTRACE"),
    ),
    Attempt(
        "docker-socket",
        "for s in /var/run/docker.sock /run/docker.sock; do"
        " curl -s --max-time 3 --unix-socket $s http://localhost/version; done",
        not_said("ApiVersion"),
        ("SOCKET-MOUNTED", "--user", "0"),
    ),
    Attempt(
        "host-loopback",
        "curl -s --noproxy '*' --max-time 3 http://127.0.0.1:@PORT@/",
        not_said(LOOPBACK_ANSWER),
        ("--network=host",),
    ),
    Attempt("mount", f"mkdir -p /tmp/m; mount -t tmpfs none /tmp/m && echo {DID_IT}", did_not, OPEN_ALL),
    Attempt("remount", f"mount -o remount,bind,rw /repo-objects && echo {DID_IT}", did_not, OPEN_ALL),
    Attempt("namespaces", f"unshare --user --map-root-user true && echo {DID_IT}", did_not, OPEN_ALL),
    Attempt(
        "device",
        f"mknod /tmp/kmsg c 1 11 && dd if=/tmp/kmsg of=/dev/null bs=8192 count=1 && echo {DID_IT}",
        did_not,
        OPEN_ALL,
    ),
    Attempt("kernel-module", _syscall(175, 105, "0", "0", "0"), did_not, OPEN_ALL),
    Attempt("open-by-handle", _syscall(304, 265, "-1", "0", "0"), did_not, OPEN_ALL),
    Attempt(
        "sysrq",
        f"echo h > /proc/sysrq-trigger && echo {DID_IT}",  # h prints a help
        did_not,
        "not every kernel has it; core-pattern shows that /proc is closed in the same way",
    ),
    Attempt(
        "core-pattern",
        f'p=/proc/sys/kernel/core_pattern; v=$(cat $p) && echo "$v" > $p && echo {DID_IT}',
        did_not,
        OPEN_ALL,
    ),
    Attempt(
        "raw-socket",
        f"{_PYTHON} 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)' && echo {DID_IT}",
        did_not,
        OPEN_ALL,
    ),
    Attempt("another-user", f"{_PYTHON} 'import os; os.setuid(12345)' && echo {DID_IT}", did_not, OPEN_ALL),
    Attempt(
        "owner", f"touch /workspace/owned; chown 12345 /workspace/owned && echo {DID_IT}", did_not, OPEN_ALL
    ),
    Attempt("new-privileges", "cat /proc/self/status", not_said("NoNewPrivs:\t0"), ("--user", "0")),
    Attempt("capabilities", "cat /proc/self/status", has_no_capability, ("--user", "0")),
    Attempt(
        "setuid-file",
        "cp /bin/true /workspace/setuid-file && chmod 4755 /workspace/setuid-file",
        others_cannot_reach,
    ),
    Attempt("fork-bomb", _FORKS, few_forks),
    Attempt("memory", _EAT, did_not),
)

COMMIT = Attempt(
    "control-characters-in-a-message",
    "echo x > honest.txt; git add honest.txt;"
    r""" git commit -qm "$(printf 'Honest \033]0;pwned-by-message\007')" """,
    message_is_not_acted_upon,
    message_is_raw,
)
EVERY = (COMMIT, *TRAPS, *HOST_GIT, *RUN, *MACHINE)
