"""The only module that runs git: never through a shell, never with the caller's GIT_* variables."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import is_utf8

# Ubuntu 22.04's, the oldest that the options used here were checked against.
OLDEST_GIT = (2, 34)
OWN_FOLDER = ".lw_coder"

# A relative core.hooksPath (husky's .husky/_) is looked up in the worktree, which the agent writes: a hook of
# the person's would be the agent's code. So no call of ours runs hooks, nor the person's file system monitor.
_QUIET_CONFIG = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false")
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_LONGEST_LINE = 300
_CHUNK = 1 << 16


class Identity(NamedTuple):
    """Who commits: user.name and user.email of the person's git configuration."""

    name: str
    email: str


class GitResult(NamedTuple):
    """What a git call left: its exit code and its text, without the last line feed."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Place:
    """Where a git call works.

    Attributes:
        cwd: the folder to start git in.
        git_dir: GIT_DIR, or None to let git search upward from cwd.
        work_tree: GIT_WORK_TREE, or None.
        alone: whether the settings in git_dir are the only ones: no program that the person's or the
            machine's configuration names (a filter, a file system monitor) can run then.
    """

    cwd: Path
    git_dir: Path | None = None
    work_tree: Path | None = None
    alone: bool = False


@dataclass(frozen=True)
class Repository:
    """A repository as the person stands in it.

    Attributes:
        root: absolute top of the working tree: the main one's, or a linked worktree's of the person's own.
            `.lw_coder` lives there. Nothing inside of that is ever a root: it means the tree around it.
        common_dir: absolute path of the `.git` folder that all worktrees share.
        object_format: "sha1" or "sha256".
    """

    root: Path
    common_dir: Path
    object_format: str

    @property
    def place(self) -> Place:
        """Pinned to the shared git folder: whatever stands in a worktree is neither searched nor read."""
        return Place(self.common_dir, git_dir=self.common_dir)

    @property
    def sha_length(self) -> int:
        """Hex digits of a full object id."""
        return 64 if self.object_format == "sha256" else 40


def run_git(
    *args: str,
    place: Place,
    config: tuple[str, ...] = (),
    stdin: str | None = None,
    check: bool = True,
    keeps_open: tuple[int, ...] = (),
) -> GitResult:
    """Run git and wait for it.

    Args:
        args: git's arguments, without "git".
        place: folder and pinned GIT_DIR.
        config: settings for this call, each `key=value`.
        stdin: text for its standard input, or None for an empty one.
        check: whether an exit code other than 0 is an error.
        keeps_open: file descriptors that git, and whatever it starts, gets as well.

    Raises:
        GitError: git is not installed, the folder is absent, or (with check) git failed.
    """
    try:
        done = subprocess.run(
            _command(args, config),
            cwd=place.cwd,
            env=_environment(place),
            input=os.fsencode(stdin or ""),
            capture_output=True,
            check=False,
            pass_fds=keeps_open,
            process_group=0,  # a Ctrl+C at the terminal is for this process to handle
        )
    except OSError as error:
        raise _not_started(place, error) from error
    result = GitResult(done.returncode, _text(done.stdout), _text(done.stderr))
    if check and result.code != 0:
        raise git_failed(args[0], result)
    return result


def stream_git(*args: str, place: Place) -> Iterator[str]:
    """Run git, and yield what it prints, piece by piece as it comes, each without the NUL at its end.

    For output that can be longer than memory; whoever has seen enough need not read it to its end.

    Raises:
        GitError: git failed.
    """
    with ExitStack() as stack:
        try:
            # A pipe that nobody reads meanwhile could keep git waiting.
            told = stack.enter_context(tempfile.TemporaryFile())
            process = stack.enter_context(_started(args, place, told))
        except OSError as error:
            raise _not_started(place, error) from error
        try:
            yield from _pieces(process.stdout)
        finally:
            process.kill()  # without effect on one that has ended
        if process.wait():
            told.seek(0)
            raise git_failed(args[0], GitResult(process.returncode, "", _text(told.read(_CHUNK))))


def _started(args: Sequence[str], place: Place, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _command(args),
        cwd=place.cwd,
        env=_environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        process_group=0,
    )


def _command(args: Sequence[str], config: tuple[str, ...] = ()) -> list[str]:
    # The git on the person's PATH is the one to run.
    return ["git", *(part for setting in (*_QUIET_CONFIG, *config) for part in ("-c", setting)), *args]


def _pieces(stream: IO[bytes] | None) -> Iterator[str]:
    rest = b""
    while stream and (chunk := stream.read(_CHUNK)):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from map(os.fsdecode, whole)


def git_failed(command: str, result: GitResult) -> GitError:
    """Make one line of a failed call: the first line of its stderr that says something, escaped."""
    found = _meaningful_line(result.stderr) or f"exit status {result.code}"
    return GitError(f"git {command}: {found}", "correct what git reports, then try again")


def shown(text: str) -> str:
    """Escape what a terminal would act upon: control and format characters, bytes that are no text."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def is_ref_name(name: str) -> bool:
    """Tell whether `git check-ref-format` would take this full name, without asking git."""
    if _FORBIDDEN_IN_REF.search(name) or name.endswith((".", "/")) or "/" not in name:
        return False
    return not any(part.startswith(".") or part.endswith(".lock") or not part for part in name.split("/"))


def find_repository(start: Path) -> Repository:
    """Find the repository that a folder is in.

    A folder inside of `.lw_coder` means the tree around that: agents write worktrees, plans and transcripts
    there, and can plant a repository in each. So git is not run in there.

    Raises:
        GitError: no repository, a bare one, no working tree, dubious ownership, git absent or too old.
    """
    outside = _outside_own_folder(start.resolve())
    place = Place(outside)
    require_recent(run_git("version", place=place).stdout)
    asked = run_git(
        *("rev-parse", "--path-format=absolute", "--show-object-format", "--is-bare-repository"),
        *("--git-common-dir", "--show-toplevel"),
        place=place,
        check=False,
    )
    told = asked.stdout.split("\n")
    if asked.code != 0:
        if len(told) == 1:
            raise _no_repository(start, outside, asked)
        raise _no_working_tree(outside, is_bare="true" in told)  # it has printed what there is
    if len(told) != len(("format", "is bare", "folder", "root")):
        raise _unfit_path(outside, "contains a line break")
    object_format, _, common_dir, root = told
    if not is_utf8(common_dir + root):  # Compose's files are
        raise _unfit_path(outside, "is not UTF-8 text")
    return Repository(Path(root), Path(common_dir), object_format)


def require_commit(repository: Repository, sha: str, where: str = "git_sha") -> None:
    """Refuse a plan's git_sha that is not a commit of this repository.

    Args:
        repository: where it is looked for.
        sha: hex digits.
        where: the file and the field that it comes from, for the message.

    Raises:
        GitError: the id has the wrong length, is unknown, or is a tree, a blob or an annotated tag.
    """
    if len(sha) != repository.sha_length:
        raise GitError(
            f"{where}: {sha} has {len(sha)} digits; commit ids here have {repository.sha_length}",
            "write the full id that `git rev-parse HEAD` prints",
        )
    kind = run_git("cat-file", "-t", sha, place=repository.place, check=False)
    if kind.code != 0:
        raise GitError(f"{where}: {sha} is not in this repository", _unknown_commit_remedy(repository))
    if kind.stdout == "tag":
        raise GitError(
            f"{where}: {sha} is an annotated tag, not a commit",
            f"write the commit that the tag names: `git rev-parse {sha}^{{commit}}`",
        )
    if kind.stdout != "commit":
        raise GitError(
            f"{where}: {sha} is a {kind.stdout}, not a commit", "write what `git rev-parse HEAD` prints"
        )


def require_no_sessions_commit(repository: Repository, sha: str, where: str) -> None:
    """Refuse to start from a commit that an agent made, and that is on no branch or tag of the person's.

    What is planned or carried out from it would bring along what nobody has looked at.

    Args:
        repository: where it is looked for.
        sha: an existing commit.
        where: the file and the field that it comes from, for the message.

    Raises:
        GitError: only refs/lw_coder leads to it.
    """
    if _is_own(repository, sha):
        return
    only = ("for-each-ref", "--count=1", "--format=%(refname)", f"--contains={sha}", "refs/lw_coder")
    session = run_git(*only, place=repository.place).stdout
    if session:
        raise GitError(
            f"{where}: {sha} is on none of your branches, only in a session's refs ({shown(session)})",
            f"review it (git log -p {sha}); to start from it, type: git branch <name> {sha}",
        )


def _is_own(repository: Repository, sha: str) -> bool:
    """Tell whether HEAD, a branch or a tag leads to a commit."""
    # Not `place`: where root is a linked worktree, its HEAD is not the shared git folder's.
    place, rest = Place(repository.root), ("--branches", "--tags", "--remotes", "--")
    asked = ("rev-list", "--max-count=1", sha, "--not")
    found = run_git(*asked, "HEAD", *rest, place=place, check=False)
    if found.code != 0:  # there is no commit yet in HEAD
        found = run_git(*asked, *rest, place=place)
    return not found.stdout


def committed_files(repository: Repository, sha: str) -> dict[str, str]:
    """Map the path of every file of a commit, `/` between its parts, to the id of its content."""
    listed = run_git("ls-tree", "-r", "-z", "--full-tree", sha, place=repository.place).stdout
    entries = (line.split("\t", 1) for line in listed.split("\0") if line)
    return {name: described.split(" ")[2] for described, name in entries}


def root_commit(repository: Repository) -> str:
    """Return the first commit of the main line: one id, also where unrelated histories were merged.

    In a shallow clone it is the oldest commit that the clone has. A HEAD without commits gives way to the
    smallest root of all refs.

    Raises:
        GitError: the repository has no commit.
    """
    roots = ("rev-list", "--max-parents=0")
    found = run_git(*roots, "--first-parent", "HEAD", "--", place=repository.place, check=False)
    if found.code != 0:
        found = run_git(*roots, "--all", "--", place=repository.place)
    if not found.stdout:
        raise GitError(f"{repository.root}: the repository has no commit", "make a first commit")
    return min(found.stdout.split())


def head_commit(repository: Repository) -> str:
    """Return the full id of the commit that the person has checked out.

    Raises:
        GitError: there is no commit yet.
    """
    # Not `place`: where root is a linked worktree, its HEAD is not the shared git folder's.
    found = run_git("rev-parse", "--verify", "--quiet", "HEAD", place=Place(repository.root), check=False)
    if found.code != 0:
        raise GitError(f"{repository.root}: there is no commit yet", "make a first commit")
    return found.stdout


def has_changes(repository: Repository, *, besides: Path) -> bool:
    """Tell whether tracked files differ from HEAD, other than those below a folder of the root."""
    # Submodules are left out: git would run in each, by its own configuration.
    asked = run_git(
        *("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all", "--", "."),
        f":(exclude){besides}",
        place=Place(repository.root),
        check=False,
    )
    return bool(asked.stdout)


def is_ignored(repository: Repository, path: Path) -> bool:
    """Tell whether git leaves a file alone: it is outside of the repository, or ignored and not tracked."""
    if not path.is_relative_to(repository.root):
        return True
    asked = run_git("check-ignore", "--quiet", "--", str(path), place=Place(repository.root), check=False)
    return asked.code == 0


def identity(repository: Repository) -> Identity | None:
    """Return who commits here, or None unless both user.name and user.email are configured."""
    asked = ("config", "--null", "--get-regexp", r"^user\.(name|email)$")
    told = run_git(*asked, place=repository.place, check=False).stdout
    found = dict(entry.split("\n", 1) for entry in told.split("\0") if "\n" in entry)  # the last one counts
    name, email = found.get("user.name"), found.get("user.email")
    return Identity(name, email) if name and email else None


def is_ancestor(repository: Repository, ancestor: str, descendant: str) -> bool:
    """Tell whether a commit is an ancestor of another, or the same.

    Raises:
        GitError: one of the two is not a commit of the repository.
    """
    asked = run_git("merge-base", "--is-ancestor", ancestor, descendant, place=repository.place, check=False)
    if asked.code > 1:
        raise git_failed("merge-base", asked)
    return asked.code == 0


def ref_value(repository: Repository, name: str) -> str | None:
    """Return the object id that a full ref name has, or None if there is no such ref."""
    # show-ref takes the name as it is; rev-parse would also try refs/heads/refs/heads/...
    found = run_git("show-ref", "--verify", "--hash", name, place=repository.place, check=False)
    return found.stdout if found.code == 0 else None


def list_refs(repository: Repository, *prefixes: str) -> dict[str, str]:
    """Return full name and object id of every ref below the prefixes, sorted by name."""
    listed = run_git("for-each-ref", "--format=%(objectname) %(refname)", *prefixes, place=repository.place)
    pairs = (line.split(" ", 1) for line in listed.stdout.splitlines())
    return {name: sha for sha, name in pairs}


def missing_objects(repository: Repository, shas: list[str]) -> list[str]:
    """Return those of the object ids that the repository does not have."""
    listed = run_git(
        "cat-file", "--batch-check", place=repository.place, stdin="".join(f"{sha}\n" for sha in shas)
    )
    return [line.split(" ")[0] for line in listed.stdout.splitlines() if line.endswith(" missing")]


def init_bare(folder: Path, object_format: str) -> None:
    """Make a bare repository without templates, in the plain ref format, whatever the person configured.

    Raises:
        GitError: git could not make it.
    """
    run_git(
        *("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(folder)),
        place=Place(folder.parent),
        config=("init.defaultRefFormat=files",),
    )


def config_text(settings: Mapping[str, str]) -> str:
    """Write settings, each `section.key` or `section.subsection.key`, as a file of git's configuration."""
    lines = []
    for name, value in settings.items():
        section, _, rest = name.partition(".")
        subsection, _, key = rest.rpartition(".")
        head = f'{section} "{_escaped(subsection)}"' if subsection else section
        quoted = _escaped(value).replace("\n", "\\n")
        lines.append(f'[{head}]\n\t{key} = "{quoted}"\n')
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _environment(place: Place) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    kept |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    if place.git_dir is not None:
        kept["GIT_DIR"] = str(place.git_dir)
    if place.work_tree is not None:
        kept["GIT_WORK_TREE"] = str(place.work_tree)
    if place.alone:
        kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return kept


def _text(output: bytes) -> str:
    return os.fsdecode(output).removesuffix("\n")


def _not_started(place: Place, error: OSError) -> GitError:
    if not place.cwd.is_dir():
        return GitError(f"{shown(str(place.cwd))}: is not a folder", "name a folder inside a git repository")
    return GitError(f"git could not be started: {error.strerror}", "install git and add it to the PATH")


def _meaningful_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    loud = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    first = next(iter(loud or lines), "")
    plain = first.removeprefix("fatal: ").removeprefix("error: ")
    return shown(_CREDENTIALS.sub("", plain))[:_LONGEST_LINE]


def _outside_own_folder(folder: Path) -> Path:
    parts = folder.parts
    return Path(*parts[: parts.index(OWN_FOLDER)]) if OWN_FOLDER in parts else folder


def require_recent(version: str) -> None:
    """See that what `git version` prints is new enough.

    Raises:
        GitError: it is older than OLDEST_GIT.
    """
    match = re.search(r"(\d+)\.(\d+)", version)
    if match and (int(match[1]), int(match[2])) < OLDEST_GIT:
        wanted = ".".join(map(str, OLDEST_GIT))
        raise GitError(f"{shown(version)} is too old", f"install git {wanted} or newer")


def _no_repository(start: Path, folder: Path, asked: GitResult) -> GitError:
    if "dubious ownership" in asked.stderr:
        advice = next(
            (line.strip() for line in asked.stderr.splitlines() if "--add safe.directory" in line), ""
        )
        return GitError(
            f"{folder}: git does not trust this repository: another user owns it",
            f"if you trust it, type: {shown(advice) or 'git config --global --add safe.directory <folder>'}",
        )
    if "not a git repository" in asked.stderr and OWN_FOLDER in start.resolve().parts:
        return GitError(
            f"{start}: a folder inside {OWN_FOLDER} is never used as a repository",
            "move the repository elsewhere",
        )
    if "not a git repository" in asked.stderr:
        return GitError(f"{folder}: is not in a git repository", "change to one, or type: git init")
    return git_failed("rev-parse", asked)


def _unfit_path(folder: Path, problem: str) -> GitError:
    return GitError(f"{shown(str(folder))}: the path {problem}", "move the repository to another folder")


def _no_working_tree(folder: Path, *, is_bare: bool) -> GitError:
    if is_bare:
        return GitError(
            f"{folder}: is a bare repository, without files to work on", "clone it, and work in the clone"
        )
    return GitError(f"{folder}: is inside a .git folder", "change to the repository's top folder")


def _unknown_commit_remedy(repository: Repository) -> str:
    if (repository.common_dir / "shallow").exists():
        return "type: git fetch --unshallow (this clone is shallow), or correct the plan"
    return "type: git fetch, or correct the plan"
