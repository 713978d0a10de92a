"""The only module that runs git: never through a shell, and without variables that redirect git."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.files import resolved
from lw_coder.foundation.processes import awaited, starting_group
from lw_coder.foundation.report import is_utf8, printable
from lw_coder.foundation.signals import interruptible
from lw_coder.repository.git_environment import kept_variables

# The version in Ubuntu 22.04, the oldest that the options used here were tested with.
OLDEST_GIT = (2, 34)
OWN_FOLDER = ".lw_coder"

# A relative core.hooksPath (husky's .husky/_) is resolved in the worktree, where the agent can replace the
# person's hooks with its own code. So no call here runs hooks, nor the person's file system monitor.
_NO_HOOKS = "core.hooksPath=/dev/null"
_QUIET_CONFIG = (_NO_HOOKS, "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false")
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_IDENT = re.compile(r"(?P<name>.+) <(?P<email>.+)> [0-9]+ [+-][0-9]+", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_LONGEST_LINE = 300
_CHUNK = 1 << 16
# If a wait is interrupted, git has this many seconds to finish; nearly all calls do. If git is killed just as
# it creates a lock file, the lock file stays.
_GRACE = 2.0


class Identity(NamedTuple):
    """The author's name and address, and the committer's if they differ."""

    name: str
    email: str
    committer: tuple[str, str] | None = None


class GitResult(NamedTuple):
    """The result of a git call: its exit code and output, without the last line feed."""

    code: int
    stdout: str
    stderr: str


class Place(Struct, frozen=True):
    """Where a git call runs.

    Attributes:
        cwd: the folder to start git in.
        git_dir: GIT_DIR, or None to let git search upward from cwd.
        work_tree: GIT_WORK_TREE, or None.
        alone: whether git reads only the settings in git_dir: then no program in the user's or the system's
            configuration (a filter, a file system monitor) can run.
    """

    cwd: Path
    git_dir: Path | None = None
    work_tree: Path | None = None
    alone: bool = False


class Repository(Struct, frozen=True):
    """A repository, as seen from the person's current directory.

    Attributes:
        root: absolute top of the working tree: of the main one, or of one of the user's linked worktrees.
            The plans and the settings in its `.lw_coder` are those that apply. Nothing inside `.lw_coder` is
            ever a root: the tree around it is.
        common_dir: absolute path of the `.git` folder that all worktrees share.
        object_format: "sha1" or "sha256".
        main: top of the main working tree, if root is a linked worktree of it and there is one; else None.
    """

    root: Path
    common_dir: Path
    object_format: str
    main: Path | None = None

    @property
    def home(self) -> Path:
        """The top of the working tree whose `.lw_coder` has the runs and the worktrees of plans.

        It is the main one: a plan has one branch, wherever the user is.
        """
        return self.main or self.root

    def shown(self, path: Path) -> Path:
        """Return a path as the user reads it: relative to the root if it is below."""
        return path.relative_to(self.root) if path.is_relative_to(self.root) else path

    @property
    def place(self) -> Place:
        """Pinned to the shared git folder: nothing in a worktree is searched or read."""
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
        keeps_open: file descriptors that git and its child processes inherit.

    Raises:
        GitError: git is not installed, the folder is absent, or (with check) git failed.
    """
    pipe = subprocess.PIPE
    started = _started(_command(args, config), place, pipe, pipe, keeps_open)
    with awaited(started, _GRACE) as process, interruptible():
        stdout, stderr = process.communicate(os.fsencode(stdin or ""))
    result = GitResult(process.returncode, _text(stdout), _text(stderr))
    if check and result.code != 0:
        raise git_failed(args[0], result)
    return result


def run_as_person(*args: str, place: Place, hooks: bool, config: tuple[str, ...] = ()) -> GitResult:
    """Run git as if the person had typed it: a hook, or what unlocks a signing key, can ask at the terminal.

    A Ctrl+C reaches git as well, which then undoes what it can. Call this in `signals.held()`, so that this
    process outlives git and can undo the rest.

    Args:
        args: as for `run_git`.
        place: likewise.
        hooks: whether the person's hooks run.
        config: settings for this call, each `key=value`.

    Returns:
        The exit code, and all that git and the hooks printed, as `stderr`.

    Raises:
        GitError: git is not installed, or the folder is absent.
    """
    quiet = tuple(setting for setting in _QUIET_CONFIG if not (hooks and setting == _NO_HOOKS))
    # A file and no pipe: something that a hook leaves running would keep a pipe open.
    with _error_file(place) as output:
        try:
            with subprocess.Popen(
                _command(args, config, quiet),
                cwd=place.cwd,
                env=_persons_environment(place),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            ) as process:
                code = process.wait()
        except OSError as error:
            raise _not_started(place, error) from error
        output.seek(0)
        return GitResult(code, "", _text(output.read(_CHUNK)))


def stream_git(*args: str, place: Place) -> Iterator[str]:
    """Run git, and yield the NUL-terminated parts of its output as they arrive, without the NUL.

    For output that can be larger than memory; the caller may stop reading at any time.

    Raises:
        GitError: git failed.
    """
    # If stderr were a pipe, git could block because nobody reads it.
    nothing = subprocess.DEVNULL
    with _error_file(place) as errors, awaited(_started(_command(args), place, nothing, errors)) as process:
        yield from _pieces(process.stdout)
        if process.wait():
            errors.seek(0)
            raise git_failed(args[0], GitResult(process.returncode, "", _text(errors.read(_CHUNK))))


def _error_file(place: Place) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise _not_started(place, error) from error


def _started(
    command: list[str], place: Place, stdin: int, stderr: IO[bytes] | int, keeps_open: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    try:
        with starting_group():
            return subprocess.Popen(
                command,
                cwd=place.cwd,
                env=_environment(place),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=keeps_open,
                process_group=0,  # this process handles a Ctrl+C in the terminal
            )
    except OSError as error:
        raise _not_started(place, error) from error


def _command(
    args: Sequence[str], config: tuple[str, ...] = (), quiet: tuple[str, ...] = _QUIET_CONFIG
) -> list[str]:
    # Run the git on the person's PATH.
    return ["git", *(part for setting in (*quiet, *config) for part in ("-c", setting)), *args]


def _pieces(stream: IO[bytes] | None) -> Iterator[str]:
    rest = b""
    while stream and (chunk := _read(stream)):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from map(os.fsdecode, whole)


def _read(stream: IO[bytes]) -> bytes:
    with interruptible():
        return stream.read(_CHUNK)


def text_lines(text: str) -> list[str]:
    """Split at line feeds only; `str.splitlines` also splits at U+2028 and others, which can be in names."""
    return text.removesuffix("\n").split("\n") if text else []


def git_failed(command: str, result: GitResult) -> GitError:
    """Make the error for a failed call: the first meaningful line of its stderr, escaped."""
    found = _meaningful_line(result.stderr) or f"exit status {result.code}"
    return GitError(f"git {command}: {found}", "correct what git reports, then try again")


def is_ref_name(name: str) -> bool:
    """Return whether `git check-ref-format` would accept this full name, without running git."""
    if _FORBIDDEN_IN_REF.search(name) or name.endswith((".", "/")) or "/" not in name:
        return False
    return not any(part.startswith(".") or part.endswith(".lock") or not part for part in name.split("/"))


def find_repository(start: Path) -> Repository:
    """Find the repository that a folder is in.

    A folder inside `.lw_coder` stands for the tree around it: agents write worktrees, plans and transcripts
    there, and can create a repository in each. So git is not run inside.

    Raises:
        GitError: no repository, a bare one, no working tree, dubious ownership, git absent or too old.
    """
    outside = _outside_own_folder(resolved(start))
    require_fit_path(outside)
    place = Place(outside)
    require_recent(run_git("version", place=place).stdout)
    asked = run_git(
        *("rev-parse", "--path-format=absolute", "--show-object-format", "--is-bare-repository"),
        *("--git-common-dir", "--git-dir", "--show-toplevel"),
        place=place,
        check=False,
    )
    output = asked.stdout.split("\n")
    if asked.code != 0:
        if len(output) == 1:
            raise _no_repository(start, outside, asked)
        raise _no_working_tree(outside, is_bare="true" in output)  # git printed what it found
    if len(output) != len(("format", "is bare", "folder", "own folder", "root")):
        raise _unfit_path(outside, "contains a line break")
    object_format, _, common_dir, git_dir, root = output
    if not is_utf8(common_dir + root):  # Compose files are UTF-8
        raise _unfit_path(outside, "is not UTF-8 text")
    main = None if git_dir == common_dir else _main_worktree(Path(common_dir))
    for folder in (Path(root), main):
        if folder:
            require_fit_path(folder)
    return Repository(Path(root), Path(common_dir), object_format, main)


def _main_worktree(common_dir: Path) -> Path | None:
    """Return the top of the main working tree; None if it is bare, or the git folder is not in it."""
    if common_dir.name != ".git":
        return None
    place = Place(common_dir.parent)
    asked = ("rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel")
    found = run_git(*asked, place=place, check=False)
    lines = text_lines(found.stdout)
    is_its_own = found.code == 0 and lines[:1] == [str(common_dir)] and len(lines) == len(("folder", "root"))
    return Path(lines[1]) if is_its_own and is_utf8(lines[1]) else None


def require_fit_path(folder: Path) -> None:
    """Refuse a folder in which Docker Compose would not start, because it makes a URL of the path.

    Raises:
        GitError: the path contains a control character, or a percent sign without two hex digits.
    """
    if _CONTROL.search(str(folder)):
        raise _unfit_path(folder, "contains a control character, which Docker Compose does not accept")
    if _PERCENT.search(str(folder)):
        raise _unfit_path(folder, "contains a % that Docker Compose reads as the start of an escape sequence")


def committed_files(repository: Repository, sha: str) -> dict[str, str]:
    """Map the path of every file of a commit, with `/` as separator, to its blob id."""
    listed = run_git("ls-tree", "-r", "-z", "--full-tree", sha, place=repository.place).stdout
    entries = (line.split("\t", 1) for line in listed.split("\0") if line)
    return {name: described.split(" ")[2] for described, name in entries}


def root_commit(repository: Repository) -> str:
    """Return the first commit of HEAD's main line: one id, even if unrelated histories were merged.

    In a shallow clone it is the oldest commit that the clone has. If HEAD has no commit, it is the smallest
    root of all refs.

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


def is_empty(repository: Repository) -> bool:
    """Return whether the repository has no commit at all: neither HEAD nor a branch or tag names one."""
    place = Place(repository.root)
    if run_git("rev-parse", "--verify", "--quiet", "HEAD", place=place, check=False).code == 0:
        return False
    return not run_git("for-each-ref", "--count=1", place=place).stdout


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
    """Return whether tracked files differ from HEAD, except below one folder of the root."""
    # Submodules are left out: git would run in each, with its own configuration.
    asked = run_git(
        *("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all", "--", "."),
        f":(exclude){besides}",
        place=Place(repository.root),
        check=False,
    )
    return bool(asked.stdout)


def changed_since(repository: Repository, commit: str, patterns: Sequence[str]) -> dict[str, bool]:
    """Find the files of the user's working tree that are not as in a commit; files that git ignores are not.

    Args:
        repository: the user's.
        commit: an existing commit.
        patterns: pathspecs, relative to the root.

    Returns:
        The path of each file, and whether it is new: whether the commit does not have it.
    """
    place = Place(repository.root)
    # Submodules are left out: git would run in each, with its own configuration. Compared as text, a file of
    # which only the time is new has no numbers; git would note that time in the index, which is the user's.
    numbers = ("--raw", "--numstat", "--text", "-z")
    diff = ("diff", *numbers, "--no-renames", "--no-ext-diff", "--ignore-submodules=all")
    config = ("diff.autoRefreshIndex=false",)
    told = run_git(*diff, commit, "--", *patterns, place=place, config=config, check=False).stdout
    changed = _changed(iter(told.split("\0")))
    others = ("ls-files", "--others", "--exclude-standard", "-z", "--", *patterns)
    untracked = run_git(*others, place=place, check=False).stdout.split("\0")
    return {**dict.fromkeys(filter(None, untracked), True), **changed}


def _changed(parts: Iterator[str]) -> dict[str, bool]:
    """Read git's raw lines, which have the kind of a change, and the numbers of lines behind them."""
    kinds, counted = {}, []
    for part in filter(None, parts):
        if part.startswith(":"):
            kinds[next(parts)] = part[-1]
        else:
            counted.append(part.split("\t", 2)[-1])
    return {name: kinds.get(name) == "A" for name in counted}


def is_ignored(repository: Repository, path: Path) -> bool:
    """Return whether git would not add a file: it is outside the repository, or ignored and untracked."""
    if not path.is_relative_to(repository.root):
        return True
    asked = run_git("check-ignore", "--quiet", "--", str(path), place=Place(repository.root), check=False)
    return asked.code == 0


def identity(place: Place, settings: Mapping[str, str] | None = None) -> Identity | None:
    """Return the identity that git uses in a place, or None if git knows none; see `require_identity`."""
    try:
        return require_identity(place, settings)
    except GitError:
        return None


def require_identity(place: Place, settings: Mapping[str, str] | None = None) -> Identity:
    """Return the identity that git uses in a place, from its variables and its configuration with includes.

    Args:
        place: where git would commit.
        settings: git's settings there, if they are known: git need then not be asked twice.

    Raises:
        GitError: git knows no identity, and could not commit there.
    """
    author = _ident("AUTHOR", place)
    if settings is not None and not _names_two(settings):
        return Identity(*author)
    committer = _ident("COMMITTER", place)
    return Identity(*author, None if author == committer else committer)


def _names_two(settings: Mapping[str, str]) -> bool:
    """Return whether author and committer can differ: a setting or a variable is about one of them alone."""
    in_settings = any(name.startswith(("author.", "committer.")) for name in settings)
    return in_settings or any(name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_")) for name in os.environ)


def _ident(kind: str, place: Place) -> tuple[str, str]:
    asked = run_git("var", f"GIT_{kind}_IDENT", place=place, check=False)
    match = _IDENT.fullmatch(asked.stdout) if asked.code == 0 else None
    if match is None:
        raise GitError(
            f"git does not know who commits here: {_meaningful_line(asked.stderr) or 'it names nobody'}",
            'type: git config --global user.name "Your Name" && '
            "git config --global user.email you@example.com",
        )
    return match["name"], match["email"]


def is_ancestor(repository: Repository, ancestor: str, descendant: str) -> bool:
    """Return whether a commit is an ancestor of another, or the same.

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


def unambiguous_name(repository: Repository, ref: str) -> str:
    """Return the shortest unambiguous name of a ref."""
    asked = ("for-each-ref", "--count=1", "--format=%(refname:short)", ref)
    return run_git(*asked, place=repository.place, check=False).stdout or ref


def list_refs(repository: Repository, *prefixes: str) -> dict[str, str]:
    """Return full name and object id of every ref below the prefixes, sorted by name."""
    listed = run_git("for-each-ref", "--format=%(objectname) %(refname)", *prefixes, place=repository.place)
    pairs = (line.split(" ", 1) for line in text_lines(listed.stdout))
    return {name: sha for sha, name in pairs}


def missing_objects(repository: Repository, shas: list[str]) -> list[str]:
    """Return the object ids that the repository does not have."""
    listed = run_git(
        "cat-file", "--batch-check", place=repository.place, stdin="".join(f"{sha}\n" for sha in shas)
    )
    return [line.split(" ")[0] for line in text_lines(listed.stdout) if line.endswith(" missing")]


def init_bare(folder: Path, object_format: str) -> None:
    """Create an empty bare repository in the files ref format: gitrepository-layout(5) says what that is.

    Unlike `git init`, this takes no process, and nothing that the user configured changes the result.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    extended = {} if object_format == "sha1" else {"extensions.objectformat": object_format}
    version = {"core.repositoryformatversion": "1" if extended else "0"}
    settings = {**version, "core.filemode": "true", "core.bare": "true", **extended}
    (folder / "config").write_text(config_text(settings), encoding="ascii")
    (folder / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")


def config_text(settings: Mapping[str, str]) -> str:
    """Format settings, each `section.key` or `section.subsection.key`, as a git config file."""
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
    kept = kept_variables(os.environ)
    if place.alone:
        kept = {name: value for name, value in kept.items() if not name.startswith("GIT_")}
    kept |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    if place.git_dir is not None:
        kept["GIT_DIR"] = str(place.git_dir)
    if place.work_tree is not None:
        kept["GIT_WORK_TREE"] = str(place.work_tree)
    if place.alone:
        kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return kept


def _persons_environment(place: Place) -> dict[str, str]:
    """Return the environment of a call that runs the person's hooks: their language, and git's questions."""
    quiet = {"LC_ALL", "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"}
    kept = {name: value for name, value in _environment(place).items() if name not in quiet}
    return {**kept, **{name: os.environ[name] for name in quiet & os.environ.keys()}}


def _text(output: bytes) -> str:
    return os.fsdecode(output).removesuffix("\n")


def _not_started(place: Place, error: OSError) -> GitError:
    if not place.cwd.is_dir():
        return GitError(
            f"{printable(str(place.cwd))}: is not a folder", "name a folder inside a git repository"
        )
    return GitError(f"git could not be started: {error.strerror}", "install git and add it to the PATH")


def _meaningful_line(stderr: str) -> str:
    lines = [line.strip() for line in text_lines(stderr) if line.strip()]
    loud = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    first = next(iter(loud or lines), "")
    plain = first.removeprefix("fatal: ").removeprefix("error: ")
    return printable(_CREDENTIALS.sub("", plain))[:_LONGEST_LINE]


def _outside_own_folder(folder: Path) -> Path:
    parts = folder.parts
    return Path(*parts[: parts.index(OWN_FOLDER)]) if OWN_FOLDER in parts else folder


def is_older(version: str, than: tuple[int, int]) -> bool:
    """Return whether the output of `git version` names an older version than this one."""
    match = re.search(r"(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) < than


def require_recent(version: str) -> None:
    """Check the output of `git version`.

    Raises:
        GitError: it is older than OLDEST_GIT.
    """
    if is_older(version, OLDEST_GIT):
        wanted = ".".join(map(str, OLDEST_GIT))
        raise GitError(f"{printable(version)} is too old", f"install git {wanted} or newer")


def _no_repository(start: Path, folder: Path, asked: GitResult) -> GitError:
    if "dubious ownership" in asked.stderr:
        advice = next(
            (line.strip() for line in text_lines(asked.stderr) if "--add safe.directory" in line), ""
        )
        return GitError(
            f"{folder}: git does not trust this repository: another user owns it",
            "if you trust it, type: "
            f"{printable(advice) or 'git config --global --add safe.directory <folder>'}",
        )
    if "not a git repository" in asked.stderr and OWN_FOLDER in resolved(start).parts:
        return GitError(
            f"{start}: a folder inside {OWN_FOLDER} is never used as a repository",
            "move the repository elsewhere",
        )
    if "not a git repository" in asked.stderr:
        return GitError(f"{folder}: is not in a git repository", "change to one, or type: git init")
    return git_failed("rev-parse", asked)


def _unfit_path(folder: Path, problem: str) -> GitError:
    remedy = "change to another folder of the repository, or rename the folder"
    return GitError(f"{printable(str(folder))}: the path {problem}", remedy)


def _no_working_tree(folder: Path, *, is_bare: bool) -> GitError:
    if is_bare:
        return GitError(
            f"{folder}: is a bare repository, without files to work on", "clone it, and work in the clone"
        )
    return GitError(f"{folder}: is inside a .git folder", "change to the repository's top folder")
