"""`lw_coder plan`: one straight line from an idea to plans, in a worktree that is gone afterwards.

The session writes straight into the person's tasks folder: no end of it, however sudden, loses a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lw_coder import git, images, prompt_assets, run_record, runs_manager
from lw_coder.config_loader import load_config_or_defaults
from lw_coder.docker_command import Approach
from lw_coder.droid_session import (
    WORKSPACE,
    Ended,
    Mount,
    SessionSpec,
    owner_label,
    remove_leftovers,
    require_terminal,
    run_session,
)
from lw_coder.ending import bring_home_late, exit_code, report_session, unended_runs
from lw_coder.engine import Engine
from lw_coder.errors import ExitCode, GitError, IdeaError, PlanError
from lw_coder.groundwork import (
    Groundwork,
    Workplace,
    inside,
    look_around,
    reach_engine,
    session_spec,
    tell,
    write_compose_files,
    write_settings,
)
from lw_coder.homecoming import Homecoming, bring_home
from lw_coder.image_names import BASE_TAG
from lw_coder.interrupts import interrupts_held
from lw_coder.left_plans import KEPT, Left, keep_left_plans
from lw_coder.plan_file import TASKS_FOLDER, read_plan, require_unique_id
from lw_coder.planted import find_git_in, planted_note
from lw_coder.report import printable, say, waiting, warn
from lw_coder.session_git import create_session_git, open_session_git
from lw_coder.state import log_folder
from lw_coder.task_guard import Changes, Originals, find_changes, keep_originals
from lw_coder.worktrees import (
    TEMP_WORKTREES_FOLDER,
    Worktree,
    remove_stale_temp_worktrees,
    temp_worktree_names,
    temporary_worktree,
)

PLAN_RUNS = "@plan"  # stands where a run has its plan's id; no plan can have it
ORIGINALS = "tasks-before"
MOST_SHOWN = 20


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


@dataclass(frozen=True)
class Written:
    """A plan that the session wrote or changed.

    Attributes:
        path: where it stands.
        name: what `lw_coder code` knows it by, or None for one that is broken.
        problem: what is wrong with it and the remedy, in one line, or None.
    """

    path: Path
    name: str | None = None
    problem: str | None = None


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
        with interrupts_held():
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
    runs_manager.seal_run(work.run)
    return Originals(final.run.folder / ORIGINALS, kept.states)


def plan_session(work: Workplace) -> SessionSpec:
    """Describe the session's container: plans are what it may write.

    Agents also put plans where they see others: in the worktree, which is thrown away. So the tasks
    folder lies over its namesake there.
    """
    tasks = Mount(tasks_folder(work), f"{WORKSPACE}/{TASKS_FOLDER}", read_only=False)
    return session_spec(work, owner_of(work.worktree.path.name), tasks, tasks_read_only=False)


def owner_of(worktree_name: str) -> str:
    """Return what a session's container is found again by: each has a worktree of its own."""
    return f"{PLAN_RUNS}/{worktree_name}"


def tasks_folder(work: Workplace) -> Path:
    """Return the folder of the repository's plans."""
    return work.ground.repository.root / TASKS_FOLDER


def look_over(repository: git.Repository, changes: Changes) -> list[Written]:
    """Validate every plan that the session wrote or changed, at most MOST_SHOWN of them."""
    touched = [name for name in (*changes.new, *changes.changed) if name not in changes.odd]
    names = [name for name in touched if name.endswith(".md")]
    if len(names) > MOST_SHOWN:
        warn(f"{len(names) - MOST_SHOWN} more plans were written into {TASKS_FOLDER}, and not looked at")
    return [_look_at(repository, repository.root / TASKS_FOLDER / name) for name in names[:MOST_SHOWN]]


def _look_at(repository: git.Repository, path: Path) -> Written:
    try:
        plan = read_plan(path)
        require_unique_id(repository.root, plan)
        git.require_commit(repository, plan.metadata.git_sha, f"{path}: git_sha")
        git.require_no_sessions_commit(repository, plan.metadata.git_sha, f"{path}: git_sha")
    except (PlanError, GitError) as error:
        where = str(path.relative_to(repository.root))
        message = error.message.replace(str(path), where)
        told = message if message.startswith(where) else f"{where}: {message}"
        return Written(path, problem=f"{told}; {error.remedy}")
    in_top = path.parent == repository.root / TASKS_FOLDER
    return Written(path, plan.metadata.plan_id if in_top else inside(repository.root, path))


def report_end(work: Workplace, ended: Ended, home: Homecoming) -> None:
    """Say how the session ended, and what came of it but plans."""
    report_session(ended, home)
    for ref in home.refs[:MOST_SHOWN]:
        say(f"Commits:  {printable(ref)}")
    say(f"Run:      {inside(work.ground.repository.root, work.run.folder)}")


def report_planted(tasks: Path) -> None:
    """Say what of git's a session left among the plans, where git would do as it says."""
    if planted := find_git_in(tasks):
        warn(planted_note(tasks, planted))


def report_tasks(work: Workplace, changes: Changes, plans: list[Written]) -> None:
    """Say what became of the tasks folder, what is dangerous first, and what can be typed next."""
    for name in _first(changes.odd, "names that are no plain files"):
        warn(f"{_shown(TASKS_FOLDER / name)}: is no plain file; look where it leads, and remove it")
    for name in _first((*changes.changed, *changes.removed), "plans that were changed or removed"):
        _report_touched(work, name, "removed" if name in changes.removed else "changed")
    for name in _first([name for name in changes.new if not name.endswith(".md")], "new files"):
        say(f"File:     {_shown(TASKS_FOLDER / name)}")
    if not changes.is_complete:
        warn(f"{TASKS_FOLDER}: the session left more in it than is looked at; look through it yourself")
    for plan in plans:
        _report_plan(work, plan)
    if not plans:
        say("Plan:     none was written")


def _first(names: Sequence[str], what: str) -> Sequence[str]:
    """Return as many as are shown; say how many there are besides."""
    if len(names) > MOST_SHOWN:
        warn(f"{len(names) - MOST_SHOWN} more {what} are in {TASKS_FOLDER}")
    return names[:MOST_SHOWN]


def report_left(repository: git.Repository, run: runs_manager.Run, left: Left) -> None:
    """Say what was kept of the plans that the session wrote beside the tasks folder."""
    for name in left.kept[:MOST_SHOWN]:
        kept = (run.folder / KEPT / name).relative_to(repository.root)
        warn(f"{_shown(Path(name))}: written outside of {TASKS_FOLDER}; it is kept as {_shown(kept)}")
    more = len(left.kept[MOST_SHOWN:]) + left.lost
    if more:
        warn(f"{more} more Markdown files were written there; {left.lost} of them could not be kept")


def _report_touched(work: Workplace, name: str, what: str) -> None:
    root, copy = work.ground.repository.root, work.run.folder / ORIGINALS / name
    kept = f"as it was: {_shown(copy.relative_to(root))}" if copy.is_file() else "it was too large for a copy"
    warn(f"{_shown(TASKS_FOLDER / name)} was {what} during the session; {kept}")


def _report_plan(work: Workplace, plan: Written) -> None:
    if plan.problem:
        warn(printable(plan.problem))
        return
    say(f"Plan:     {printable(inside(work.ground.repository.root, plan.path))}")
    say(f"Next:     lw_coder code {printable(str(plan.name))}")


def _shown(path: Path) -> str:
    return printable(str(path))
