"""The shapes that a repository can have; each is made in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.sample_repository import run_git

MANY_FILES, MANY_BRANCHES = 50_000, 5_000
LARGE = 300 << 20  # bytes


@dataclass(frozen=True)
class Shape:
    """A shape of a repository.

    Attributes:
        name: what is odd about it.
        make: makes it in an empty folder, and returns where the person works.
        refused: what the error says, if lw_coder does not work there; else empty.
        is_of_plan: whether only this plan is refused there.
        is_gits: whether git itself refuses it; versions of git that do not are no reason for lw_coder to.
    """

    name: str
    make: Callable[[Path], Path]
    refused: str = ""
    is_of_plan: bool = False
    is_gits: bool = False


def plain(root: Path, *options: str) -> Path:
    """Make a repository with two commits."""
    root.mkdir(parents=True)
    run_git(root, "init", "--quiet", "--initial-branch=main", "--template=", *options)
    identify(root)
    commit(root, "README.md", "hello\n")
    commit(root, "src/code.py", "print(1)\n")
    return root


def identify(root: Path) -> None:
    for name, value in (("user.name", "A Person"), ("user.email", "person@example.invalid")):
        run_git(root, "config", name, value)


def commit(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    run_git(root, "add", "--", name)
    run_git(root, "commit", "--quiet", "--message", f"Add {path.name[:20]!a}")


def _called(name: str) -> Callable[[Path], Path]:
    return lambda folder: plain(folder / name)


def _cloned(*options: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        first = plain(folder / "first")
        for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            run_git(first, "config", name, "true")
        run_git(folder, "clone", "--quiet", *options, f"file://{first}", "clone")
        identify(folder / "clone")
        return folder / "clone"

    return make


def _shared(folder: Path) -> Path:
    first = plain(folder / "first")
    run_git(folder, "clone", "--quiet", "--shared", str(first), "second")
    run_git(folder, "clone", "--quiet", "--shared", str(folder / "second"), "third")
    identify(folder / "third")
    return folder / "third"


def _linked(folder: Path) -> Path:
    root = plain(folder / "main")
    run_git(root, "worktree", "add", "--quiet", "-b", "feature", str(folder / "linked"))
    return folder / "linked"


def _linked_of_bare(folder: Path) -> Path:
    plain(folder / "first")
    run_git(folder, "clone", "--quiet", "--bare", "first", "bare.git")
    identify(folder / "bare.git")
    run_git(folder / "bare.git", "worktree", "add", "--quiet", str(folder / "linked"), "main")
    return folder / "linked"


def _submodule(folder: Path) -> Path:
    plain(folder / "library")
    outer = _with_submodule(folder, "outer")
    identify(outer / "vendor/library")
    run_git(outer / "vendor/library", "switch", "--quiet", "main")
    return outer / "vendor/library"


def _with_submodule(folder: Path, name: str = "outer") -> Path:
    if not (folder / "library").exists():
        plain(folder / "library")
    outer = plain(folder / name)
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    run_git(outer, *local, str(folder / "library"), "vendor/library")
    run_git(outer, "commit", "--quiet", "--message", "Add a submodule")
    return outer


def _sparse(folder: Path) -> Path:
    root = plain(folder / "sparse")
    commit(root, "other/file", "x\n")
    # In two steps: in git before 2.37, `set` has no options for these.
    run_git(root, "sparse-checkout", "init", "--cone", "--sparse-index")
    run_git(root, "sparse-checkout", "set", "src")
    return root


def _lfs(folder: Path) -> Path:
    """Without git-lfs: the file in the working tree is the pointer."""
    root = plain(folder / "lfs")
    oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n"
    commit(root, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    commit(root, "data.bin", pointer)
    return root


def _lfs_with_its_program(folder: Path) -> Path:
    """With git-lfs: its filters and hooks in the repository's settings; the file has its content."""
    assert shutil.which("git-lfs"), "there is no git-lfs: run 'nox -s torture'"
    root = plain(folder / "lfs")
    run_git(root, "lfs", "install", "--local")
    run_git(root, "lfs", "track", "*.bin")
    (root / "data.bin").write_bytes(bytes(range(256)) * 1000)
    run_git(root, "add", ".gitattributes", "data.bin")
    run_git(root, "commit", "--quiet", "--message", "Add a large file")
    assert run_git(root, "show", "HEAD:data.bin").startswith("version https://git-lfs.github.com/spec/v1")
    return root


def _configured(*settings: str) -> Callable[[Path], Path]:
    """Make a repository with settings, each `name=value`."""

    def make(folder: Path) -> Path:
        root = plain(folder / "configured")
        for setting in settings:
            name, _, value = setting.partition("=")
            run_git(root, "config", name, value)
        run_git(root, "reset", "--quiet", "--hard")
        return root

    return make


def _worktree_config(folder: Path) -> Path:
    root = plain(folder / "root")
    run_git(root, "config", "extensions.worktreeConfig", "true")
    run_git(root, "config", "--worktree", "user.name", "Somebody Else")
    return root


def _separate(folder: Path) -> Path:
    root = folder / "work"
    plain(root, "--separate-git-dir", str(folder / "elsewhere.git"))
    return root


def _core_worktree(folder: Path) -> Path:
    root = plain(folder / "work")
    (root / ".git").rename(folder / "elsewhere.git")
    run_git(folder, "--git-dir=elsewhere.git", "config", "core.worktree", str(root))
    (root / ".git").write_text(f"gitdir: {folder}/elsewhere.git\n")
    return root


def _linked_git(folder: Path) -> Path:
    root = plain(folder / "work")
    (root / ".git").rename(folder / "elsewhere.git")
    (root / ".git").symlink_to(folder / "elsewhere.git")
    return root


def _from_stream(folder: Path, name: str, lines: Iterable[str]) -> Path:
    root = folder / name
    root.mkdir()
    run_git(root, "init", "--quiet", "--initial-branch=main", "--template=")
    identify(root)
    author = "committer A Person <person@example.invalid> 1700000000 +0000"
    head = f"commit refs/heads/main\nmark :1\n{author}\ndata 5\nfirst\n"
    stream = head + "".join(f"{line}\n" for line in lines)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=stream.encode(), check=True)
    run_git(root, "reset", "--quiet", "--hard")
    return root


def _many_files(folder: Path) -> Path:
    files = (f"M 100644 inline d{number % 100}/f{number}\ndata 2\nx\n" for number in range(MANY_FILES))
    return _from_stream(folder, "files", files)


def _many_branches(folder: Path) -> Path:
    branches = (f"reset refs/heads/topic/{number}\nfrom :1\n" for number in range(MANY_BRANCHES))
    return _from_stream(folder, "branches", ["M 100644 inline file\ndata 2\nx\n", *branches])


def _large_file(folder: Path) -> Path:
    root = plain(folder / "large")
    with (root / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    run_git(root, "add", "large.bin")
    run_git(root, "commit", "--quiet", "--message", "Add a large file")
    return root


def _names(*names: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        root = plain(folder / "names")
        for name in names:
            path = root / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x\n")
        run_git(root, "add", "--all")
        run_git(root, "commit", "--quiet", "--message", "Add names")
        return root

    return make


def _detached(folder: Path) -> Path:
    root = plain(folder / "detached")
    run_git(root, "switch", "--quiet", "--detach")
    return root


def _unborn(folder: Path) -> Path:
    run_git(folder, "init", "--quiet", "--initial-branch=main", "unborn")
    identify(folder / "unborn")
    return folder / "unborn"


def _bare(folder: Path) -> Path:
    run_git(folder, "init", "--quiet", "--bare", "bare.git")
    return folder / "bare.git"


def _linked_own_folder(folder: Path) -> Path:
    root = plain(folder / "root")
    (folder / "other-disk").mkdir()
    (root / ".lw_coder").symlink_to(folder / "other-disk")
    return root


def _branch(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        root = plain(folder / "root")
        run_git(root, "branch", name)
        return root

    return make


def _tagged(folder: Path) -> Path:
    root = plain(folder / "root")
    for name in ("lw/task/sample-plan", "main", "HEAD2"):
        run_git(root, "tag", name)
    return root


def _replaced(folder: Path) -> Path:
    root = plain(folder / "root")
    run_git(root, "replace", "--graft", "HEAD")
    return root


def _packed(folder: Path) -> Path:
    root = plain(folder / "root")
    run_git(root, "gc", "--quiet")
    run_git(root, "commit-graph", "write", "--reachable")
    run_git(root, "multi-pack-index", "write")
    return root


def _index(*commands: tuple[str, ...]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        root = plain(folder / "root")
        for command in commands:
            run_git(root, *command)
        return root

    return make


def _foreign(folder: Path) -> Path:
    root = plain(folder / "foreign")
    for path in (root, *root.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    return root


def _nested(folder: Path) -> Path:
    root = plain(folder / "outer")
    plain(root / "inner")
    return root


def _attributes(folder: Path) -> Path:
    root = plain(folder / "root")
    (root / "a").mkdir()
    commit(root, ".gitattributes", "*.txt text eol=crlf\n*.py ident\n* filter=absent\nexport export-ignore\n")
    commit(root, "a/b.txt", "one\ntwo\n")
    run_git(root, "rm", "--quiet", "-r", "--cached", ".")
    run_git(root, "reset", "--quiet", "--hard")
    return root


def _links(folder: Path) -> Path:
    root = plain(folder / "root")
    for name, target in (
        ("to-file", "README.md"),
        ("to-nothing", "nothing"),
        ("out", "/etc"),
        ("loop", "loop"),
    ):
        (root / name).symlink_to(target)
    (root / "program").write_text("#!/bin/sh\n")
    (root / "program").chmod(0o755)
    run_git(root, "add", "--all")
    run_git(root, "commit", "--quiet", "--message", "Add links")
    return root


def _hooks(folder: Path) -> Path:
    root = plain(folder / "root")
    (root / ".git/hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        hook = root / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{folder}/hooked'\nexit 1\n")
    return root


PATHS = {
    "spaces": " two  words ",
    "quotes": 'it\'s "quoted" `so`',
    "dollars": "$HOME ${x} $$",
    "hashes": "# no comment #",
    "percent signs": "100%41%25",
    "a colon": "a:b:rw",
    "unicode": "caf\u00e9 \u65e5\u672c\u8a9e \U0001f600",
    "decomposed unicode": "cafe\u0301",
    "200 characters": "x" * 200,
    "shell signs": "a;b&c|d>e<f(g)",
    "patterns": "*[a-z]?{b,c}!",
    "a backslash": "back\\slash\\n",
    "commas and equals signs": "src=a,dst=b,ro",
    "a dash": "-rf",
    "a tilde": "~root",
    "yaml": "- !!str {a: &b *c}",
    "right to left": "\u05e9\u05dc\u05d5\u05dd",
    "capitals alone": "LETTERS",
    "dots": "...a..b.git.",
}

SHAPES: tuple[Shape, ...] = (
    *(Shape(f"a path with {name}", _called(path)) for name, path in PATHS.items()),
    Shape("a path with a line break", _called("a\nb"), "control character"),
    Shape("a path with a tab", _called("a\tb"), "control character"),
    Shape("a path with a lone percent sign", _called("100%"), "escape sequence"),
    Shape("a path that is not UTF-8", _called(os.fsdecode(b"a\xff")), "UTF-8"),
    Shape("a linked worktree", _linked),
    Shape("a linked worktree of a bare repository", _linked_of_bare),
    Shape("a submodule", _submodule),
    Shape("a repository with a submodule", _with_submodule),
    Shape("a shallow clone", _cloned("--depth=1")),
    Shape("a shallow clone of one branch", _cloned("--depth=2", "--single-branch", "--no-tags")),
    Shape("a partial clone", _cloned("--filter=blob:none")),
    Shape("a partial clone without trees", _cloned("--filter=tree:0")),
    Shape("a clone that borrows its objects, twice", _shared),
    Shape("sha256", lambda folder: plain(folder / "root", "--object-format=sha256")),
    Shape("a sparse checkout", _sparse),
    Shape("LFS without git-lfs", _lfs),
    Shape("worktreeConfig", _worktree_config),
    Shape("a separate git folder", _separate),
    Shape("core.worktree", _core_worktree),
    Shape("a git folder that is a link", _linked_git),
    Shape("50,000 files", _many_files),
    Shape("5,000 branches", _many_branches),
    Shape("a file of 300 MB", _large_file),
    Shape("names that differ in their case", _names(b"a/README.md", b"a/readme.md", b"A/x", b"a/Readme.MD")),
    Shape(
        "names with line breaks",
        _names(b"a\nb", b"c\td", b"e\x1b[2Jf", b'"g"', b"-h", b" i ", b"j\\k", b":l"),
    ),
    Shape("names that are not UTF-8", _names(b"a\xff", b"\xe9/b")),
    Shape("long names", _names(b"/".join([b"n" * 200] * 10), b"m" * 255)),
    Shape("a detached HEAD", _detached),
    Shape("no commit", _unborn, "no commit", is_of_plan=True),
    Shape("a bare repository", _bare, "bare"),
    Shape(".lw_coder that is a link", _linked_own_folder),
    Shape("a branch called lw", _branch("lw"), "lw", is_of_plan=True),
    Shape("a branch called lw/task", _branch("lw/task"), "lw/task", is_of_plan=True),
    Shape(
        "a branch below the plan's", _branch("lw/task/sample-plan/x"), "lw/task/sample-plan", is_of_plan=True
    ),
    Shape("tags with the names of branches", _tagged),
    Shape("replaced commits", _replaced),
    Shape("packs, a commit graph and a multi-pack index", _packed),
    Shape("an index of version 4", _index(("update-index", "--index-version=4"))),
    Shape("a split index", _index(("config", "core.splitIndex", "true"), ("update-index", "--split-index"))),
    Shape(
        "an untracked cache",
        _index(
            ("update-index", "--force-untracked-cache"),
        ),
    ),
    Shape("files that git is not to look at", _index(("update-index", "--skip-worktree", "README.md"))),
    Shape("somebody else's files", _foreign, "another user owns it", is_gits=True),
    Shape("another repository inside", _nested),
    Shape("attributes", _attributes),
    Shape("links and programs", _links),
    Shape("hooks that are no programs", _hooks),
    Shape("signed tags", _configured("tag.gpgSign=true", "gpg.program=/nowhere")),
    Shape("line ends", _configured("core.autocrlf=true", "core.eol=crlf")),
    Shape(
        "no modes and no links",
        _configured("core.fileMode=false", "core.symlinks=false", "core.ignoreCase=true"),
    ),
    Shape("a monitor of files", _configured("core.fsmonitor=/nowhere", "core.untrackedCache=true")),
    Shape(
        "hooks elsewhere",
        _configured("core.hooksPath=/nowhere", "core.editor=/nowhere", "core.pager=/nowhere"),
    ),
    Shape(
        "odd defaults",
        _configured(
            "status.short=true",
            "color.ui=always",
            "log.showSignature=true",
            "diff.noprefix=true",
            "diff.external=/nowhere",
            "core.quotePath=false",
            "push.default=nothing",
            "merge.ff=only",
            "pull.rebase=true",
            "core.abbrev=4",
            "i18n.logOutputEncoding=latin1",
            "log.date=relative",
            "status.showUntrackedFiles=no",
            "diff.renames=copies",
            "merge.conflictStyle=diff3",
            "branch.autoSetupMerge=always",
            "core.logAllRefUpdates=false",
            "checkout.defaultRemote=x",
            "worktree.guessRemote=true",
            "fetch.prune=true",
            "transfer.fsckObjects=true",
            "gc.auto=1",
        ),
    ),
    Shape("LFS", _lfs_with_its_program),
)
