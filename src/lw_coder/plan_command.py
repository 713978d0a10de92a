"""`lw_coder plan`: one straight line from an idea to plans, in a worktree that is gone afterwards.

The session writes straight into the person's tasks folder: no end of it, however sudden, loses a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lw_coder import git, images, prompt_assets, run_record, runs_manager, signals
from lw_coder.config_loader import load_config_or_defaults
from lw_coder.docker_command import Approach
from lw_coder.droid_session import (
    PLAN_RUNS,
    WORKSPACE,
    Mount,
    SessionSpec,
    owner_label,
    owner_of,
    remove_leftovers,
    require_terminal,
    run_session,
)
from lw_coder.ending import bring_home_late, exit_code, unended_runs
from lw_coder.engine import Engine
from lw_coder.errors import ExitCode, GitError, IdeaError
from lw_coder.groundwork import (
    Groundwork,
    Workplace,
    look_around,
    reach_engine,
    session_spec,
    tell,
    write_compose_files,
    write_settings,
)
from lw_coder.homecoming import bring_home
from lw_coder.image_names import BASE_TAG
from lw_coder.left_plans import keep_left_plans
from lw_coder.plan_file import TASKS_FOLDER
from lw_coder.plan_outcome import look_over, report_end, report_left, report_planted, report_tasks
from lw_coder.report import printable, say, waiting, warn
from lw_coder.session_git import create_session_git, open_session_git
from lw_coder.state import log_folder
from lw_coder.task_guard import ORIGINALS, Originals, find_changes, keep_originals
from lw_coder.worktrees import (
    TEMP_WORKTREES_FOLDER,
    Worktree,
    remove_stale_temp_worktrees,
    temp_worktree_names,
    temporary_worktree,
)


@dataclass(frozen=True)
class Job:
    """What is to be planned and on what: all that was looked at before anything was made.

    Attributes:
        idea: the person's words, or None where the agent is to ask.
        git_sha: the commit that the session sees and its plans start from.
        ground: what the session stands on.
        engine: what runs it.
    """

    idea: str | None
    git_sha: str
    ground: Groundwork
    engine: Engine


def run_plan_command(file: str | None, text: str | None, start: Path, approach: Approach) -> ExitCode:
    """Turn an idea into plans in an interactive session.

    A plan that breaks a rule is kept and told of with its remedy; it does not change the exit code, for the
    session itself did what it was asked to.

    Args:
        file: path of a text with the idea, or None.
        text: the idea itself, or None; with neither, the agent asks for it.
        start: a folder in the repository.
        approach: the way to the engine.

    Raises:
        LwCoderError: what can be expected to go wrong: before the session, everything is then as it was;
            after it, its commits could not be brought home.
        SystemExit: a signal ended the session; what came of it is kept, as ever.
    """
    require_terminal()
    job = load_job(read_idea(file, text), start, approach)
    repository = job.ground.repository
    tidy_up(job.ground)
    with temporary_worktree(repository, job.git_sha) as worktree:
        work, originals = prepare(job, worktree)
        with signals.interrupts_left_to_session():
            ended = run_session(work.run.folder, plan_session(work))
            home = bring_home(repository, None, work.git, work.run.identity)
            left = keep_left_plans(
                worktree.path, git.committed_files(repository, worktree.head), work.run.folder
            )
            changes = find_changes(tasks_folder(work), originals)
            plans = look_over(repository, changes)
            paths = [str(plan.path.relative_to(repository.root)) for plan in plans]
            run_record.complete(work.run, ended, home, paths)
        report_end(work, ended, home)
        report_planted(tasks_folder(work))
        report_tasks(work, changes, plans)
        report_left(repository, work.run, left)
    return exit_code(work.run, ended, home)


def read_idea(file: str | None, text: str | None) -> str | None:
    """Read what is to be planned.

    Raises:
        IdeaError: the file cannot be read, or there is nothing in it.
    """
    if file is None and text is None:
        return None
    idea = _read_idea_file(Path(file)) if file is not None else text
    if not idea or not idea.strip():
        raise IdeaError(f"{file or '--text'}: is empty", "write what is to be planned")
    return idea


def _read_idea_file(path: Path) -> str:
    name = printable(str(path))
    if not path.is_file():
        problem = "is not a file" if path.exists() else "there is no such file"
        raise IdeaError(f"{name}: {problem}", "name a text file, or give the idea itself with --text")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise IdeaError(f"{name}: is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise IdeaError(f"{name}: cannot be read: {error.strerror}", "check its permissions") from error


def load_job(idea: str | None, start: Path, approach: Approach) -> Job:
    """Look at everything that is cheap and can be wrong; make nothing."""
    repository = git.find_repository(start)
    git_sha = git.head_commit(repository)
    ground = look_around(repository, load_config_or_defaults(repository.root))
    engine = reach_engine(approach, ground)
    tell(ground)
    if git.has_changes(repository, besides=TASKS_FOLDER):
        warn(f"the session sees commit {git_sha[:12]}, without your uncommitted changes")
    return Job(idea, git_sha, ground, engine)


def tidy_up(ground: Groundwork) -> None:
    """Bring home what killed sessions left, and remove it: worktrees whose lock nobody holds, containers."""
    repository = ground.repository

    def keep_and_stop(name: str) -> None:
        remove_leftovers(owner_label(ground.identity, owner_of(name)))
        keep_of_killed(repository, name)

    for name in remove_stale_temp_worktrees(repository, keep_and_stop):
        say(f"Removed:  {TEMP_WORKTREES_FOLDER / printable(name)}, which a session left behind")
        report_planted(repository.root / TASKS_FOLDER)
    in_use = temp_worktree_names(repository)
    for run in unended_runs(repository, PLAN_RUNS):
        if _worktree_of(run) not in in_use:
            bring_home_late(repository, run)
    if not temp_worktree_names(repository):  # each `plan` has one before it has a run
        runs_manager.remove_partial_runs(repository.root, PLAN_RUNS)


def keep_of_killed(repository: git.Repository, name: str) -> None:
    """Keep the plans that a killed session left in its worktree, in its run's folder."""
    worktree = repository.root / TEMP_WORKTREES_FOLDER / name
    for run in unended_runs(repository, PLAN_RUNS):
        if _worktree_of(run) == name:
            try:
                committed = git.committed_files(repository, open_session_git(run.folder).head)
            except GitError as error:
                warn(f"earlier run {run.identity}: {error.message}; all of its Markdown files are kept")
                committed = {}
            report_left(repository, run, keep_left_plans(worktree, committed, run.folder))


def _worktree_of(run: runs_manager.Run) -> str | None:
    try:
        return open_session_git(run.folder).worktree_name
    except GitError:
        return None


def prepare(job: Job, worktree: Worktree) -> tuple[Workplace, Originals]:
    """Make the run's folder and the image; all of it, or nothing."""
    repository = job.ground.repository
    with (
        _tasks_folder(repository.root),
        runs_manager.removed_on_failure(runs_manager.open_run(repository.root, PLAN_RUNS)) as run,
    ):
        session_git = create_session_git(repository, worktree, run.folder, git.identity(repository))
        work = Workplace(job.ground, run, worktree, session_git)
        write_spec(job, work)
        with waiting(f"Preparing the image {BASE_TAG} ..."):
            base = images.build_base(run.folder, log_folder() / "build-base.log")
        originals = seal(job, work, base)
    with signals.held():  # the run is there for good, and its session is about to begin
        for line in run_record.prune(repository, keep=run):
            say(line)
    return work.as_sealed(), originals


@contextmanager
def _tasks_folder(root: Path) -> Iterator[None]:
    """Have a tasks folder; if the block fails, one that was made for it, and is empty, goes again."""
    folder = root / TASKS_FOLDER
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise


def write_spec(job: Job, work: Workplace) -> None:
    """Write what a container is made from, and make the folders that its mounts lie over."""
    (work.worktree.path / TASKS_FOLDER).mkdir(parents=True, exist_ok=True)
    write_settings(work)
    for path, text in prompt_assets.plan_run_files(job.git_sha, job.idea).items():
        runs_manager.write_file(work.run.folder, path, text)
    write_services(work, BASE_TAG, work.run.folder)


def write_services(work: Workplace, image: str, into: Path) -> None:
    """Write the run's Compose files, with this image for the session."""
    used = images.Images(base=image, repo=image)
    write_compose_files(work, plan_session(work), {"base": images.base_build()}, used, into)


def seal(job: Job, work: Workplace, base: str) -> Originals:
    """Complete the run's folder, the person's plans in it, and give it its final name."""
    final, ground = work.as_sealed(), job.ground
    write_services(final, base, work.run.folder)
    record = run_record.begin_plan(
        job.git_sha,
        ground.environment.model.model,
        base,
        job.engine,
        login=ground.login.name,
        forwarded=ground.environment.names,
    )
    runs_manager.write_record(work.run, record)
    kept = keep_originals(tasks_folder(work), work.run.folder / ORIGINALS)
    signals.check()  # the last moment for one to undo all of it; from here on it ends the session
    runs_manager.seal_run(work.run)
    return Originals(final.run.folder / ORIGINALS, kept.states)


def plan_session(work: Workplace) -> SessionSpec:
    """Describe the session's container: plans are what it may write.

    Agents also put plans where they see others: in the worktree, which is thrown away. So the tasks
    folder lies over its namesake there.
    """
    tasks = Mount(tasks_folder(work), f"{WORKSPACE}/{TASKS_FOLDER}", read_only=False)
    return session_spec(work, owner_of(work.worktree.path.name), tasks, tasks_read_only=False)


def tasks_folder(work: Workplace) -> Path:
    """Return the folder of the repository's plans."""
    return work.ground.repository.root / TASKS_FOLDER
