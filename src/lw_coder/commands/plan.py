"""`lw_coder plan`: a sequence of steps from an idea to plans, in a temporary worktree.

The session writes directly into the person's tasks folder, so that no plan is lost however it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from lw_coder.commands.plan_report import (
    report_end,
    report_nested_repositories,
    report_stray_plans,
    report_tasks,
    validate_plans,
)
from lw_coder.commands.session_report import exit_code
from lw_coder.commands.set_up import all_named
from lw_coder.containers import images
from lw_coder.containers.docker_command import EngineProbe
from lw_coder.containers.engine import Engine
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.labels import PLAN_RUNS, owner_label, owner_of
from lw_coder.containers.specs import Mount, SessionSpec
from lw_coder.foundation import signals
from lw_coder.foundation.errors import ExitCode, GitError, IdeaError
from lw_coder.foundation.report import printable, tell, waiting, warn
from lw_coder.foundation.state import log_folder
from lw_coder.foundation.temporary import remove_abandoned_temporary
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.plans.stray_plans import keep_stray_plans
from lw_coder.plans.tasks_snapshot import ORIGINALS, TasksSnapshot, find_changes, take_snapshot
from lw_coder.prompts import prompt_files
from lw_coder.repository import git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.private_git import create_private_git, open_private_git
from lw_coder.repository.temporary_worktrees import (
    TEMP_WORKTREES_FOLDER,
    remove_stale_temp_worktrees,
    temp_worktree_names,
    temporary_worktree,
)
from lw_coder.repository.worktrees import Worktree
from lw_coder.runs import run_folders, run_record
from lw_coder.runs.pruning import prune
from lw_coder.runs.temporary_runs import remove_abandoned_runs
from lw_coder.sessions.cleanup import remove_leftovers
from lw_coder.sessions.container_paths import WORKSPACE
from lw_coder.sessions.context import SessionContext, load_context, report_context, require_engine
from lw_coder.sessions.session import run_session
from lw_coder.sessions.setup import SessionSetup, write_compose_files, write_prompt_files, write_settings
from lw_coder.sessions.spec import session_spec
from lw_coder.sessions.terminal import require_terminal
from lw_coder.sessions.unfinished import import_unfinished_run, unfinished_runs
from lw_coder.settings.config import load_config_or_defaults
from lw_coder.settings.limits import Limits


class PlanInputs(Struct, frozen=True):
    """The validated inputs of the command; nothing has been created yet.

    Attributes:
        idea: the person's words, or None if the agent is to ask.
        git_sha: the commit that the session sees and its plans start from.
        context: the session's settings and variables.
        engine: the Docker engine.
    """

    idea: str | None
    git_sha: str
    context: SessionContext
    engine: Engine


def run_plan_command(file: str | None, text: str | None, start: Path, probe: EngineProbe) -> ExitCode:
    """Turn an idea into plans in an interactive session.

    A plan that breaks a rule is kept and reported with its remedy. It does not change the exit code, because
    the session itself did what it was asked to do.

    Args:
        file: path of a text with the idea, or None.
        text: the idea itself, or None; with neither, the agent asks for it.
        start: a folder in the repository.
        probe: docker queries that were started with the command.

    Raises:
        LwCoderError: an expected failure. Before the session, nothing has been changed; after it, its
            commits could not be imported.
        SystemExit: a signal ended the session; its results are kept as usual.
    """
    require_terminal()
    inputs = load_inputs(read_idea(file, text), start, probe)
    repository = inputs.context.repository
    tidy_up(inputs.context)
    with temporary_worktree(repository, inputs.git_sha) as worktree:
        setup, originals = prepare(inputs, worktree)
        result = run_session(setup.run.folder, plan_session(setup))
        imported = import_commits(repository, None, setup.git, setup.run.identity)
        stray = keep_stray_plans(
            worktree.path, git.committed_files(repository, worktree.head), setup.run.folder
        )
        changes = find_changes(tasks_folder(setup), originals)
        plans = validate_plans(repository, changes)
        paths = [str(plan.path.relative_to(repository.root)) for plan in plans]
        run_record.complete(setup.run, result, imported, paths)
        report_end(setup, result, imported)
        report_nested_repositories(tasks_folder(setup))
        report_tasks(setup, changes, plans)
        report_stray_plans(repository, setup.run, stray)
    return exit_code(setup.run, result, imported)


def read_idea(file: str | None, text: str | None) -> str | None:
    """Read the idea.

    Raises:
        IdeaError: the file cannot be read, or is empty.
    """
    if file is None and text is None:
        return None
    idea = _read_idea_file(Path(file)) if file is not None else text
    if not idea or not idea.strip():
        raise IdeaError(f"{file or '--text'}: is empty", "write what to plan")
    return idea


def _read_idea_file(path: Path) -> str:
    name = printable(str(path))
    if not path.is_file():
        problem = "is not a file" if path.exists() else "file not found"
        raise IdeaError(f"{name}: {problem}", "name a text file, or give the idea itself with --text")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise IdeaError(f"{name}: is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise IdeaError(f"{name}: cannot be read: {error.strerror}", "check its permissions") from error


def load_inputs(idea: str | None, start: Path, probe: EngineProbe) -> PlanInputs:
    """Do all checks that are cheap, and create nothing."""
    repository = git.find_repository(start)
    with all_named(repository, probe):
        git_sha = git.head_commit(repository)
        context = load_context(repository, load_config_or_defaults(repository.root))
        engine = require_engine(probe, context)
    report_context(context)
    if git.has_changes(repository, besides=TASKS_FOLDER):
        warn(f"the session sees commit {git_sha[:12]}, without your uncommitted changes")
    return PlanInputs(idea, git_sha, context, engine)


def tidy_up(context: SessionContext) -> None:
    """Import the commits of killed sessions, and remove their worktrees and containers."""
    repository = context.repository

    def keep_and_stop(name: str) -> None:
        remove_leftovers(owner_label(context.identity, owner_of(name)))
        keep_plans_of_killed(repository, name)

    for name in remove_stale_temp_worktrees(repository, keep_and_stop):
        tell(f"Removed:  {TEMP_WORKTREES_FOLDER / printable(name)}, which a session left behind")
        report_nested_repositories(repository.root / TASKS_FOLDER)
    remove_abandoned_temporary()
    remove_abandoned_runs(repository, PLAN_RUNS)
    in_use = temp_worktree_names(repository)
    for run in unfinished_runs(repository, PLAN_RUNS):
        if _worktree_of(run) not in in_use:
            import_unfinished_run(repository, run)


def keep_plans_of_killed(repository: git.Repository, name: str) -> None:
    """Copy the plans that a killed session left in its worktree to its run's folder."""
    worktree = repository.home / TEMP_WORKTREES_FOLDER / name
    for run in unfinished_runs(repository, PLAN_RUNS):
        if _worktree_of(run) == name:
            try:
                committed = git.committed_files(repository, open_private_git(run.folder).head)
            except GitError as error:
                warn(f"earlier run {run.identity}: {error.message}; all of its Markdown files are kept")
                committed = {}
            report_stray_plans(repository, run, keep_stray_plans(worktree, committed, run.folder))


def _worktree_of(run: run_folders.Run) -> str | None:
    try:
        return open_private_git(run.folder).worktree_name
    except GitError:
        return None


def prepare(inputs: PlanInputs, worktree: Worktree) -> tuple[SessionSetup, TasksSnapshot]:
    """Create the run's folder and the image; on failure, remove them."""
    repository = inputs.context.repository
    with (
        _tasks_folder(repository.root),
        run_folders.removed_on_failure(run_folders.open_run(repository.home, PLAN_RUNS)) as run,
    ):
        configured = read_configuration(worktree.place)
        identity = git.identity(worktree.place, configured)
        private_git = create_private_git(repository, worktree, run.folder, identity, configured)
        limits = inputs.context.config.limits or Limits()
        for note in private_git.notes:
            warn(note)
        setup = SessionSetup(inputs.context, run, worktree, private_git, limits=limits)
        write_spec(inputs, setup)
        with waiting(f"Preparing the image {BASE_TAG} ..."):
            base = images.build_base(run.folder, log_folder() / "build-base.log")
        originals = seal(inputs, setup, base)
    with signals.held():  # the run is sealed, and its session is about to begin
        for line in prune(repository, keep=run):
            tell(line)
    return setup, originals


@contextmanager
def _tasks_folder(root: Path) -> Iterator[None]:
    """Create the tasks folder if needed; if the block fails, remove it again if it is empty."""
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


def write_spec(inputs: PlanInputs, setup: SessionSetup) -> None:
    """Write the files that a container needs, and create the folders that its mounts cover."""
    (setup.worktree.path / TASKS_FOLDER).mkdir(parents=True, exist_ok=True)
    write_settings(setup)
    write_prompt_files(setup, prompt_files.plan_run_files(inputs.git_sha, inputs.idea))
    write_services(setup, BASE_TAG)


def write_services(setup: SessionSetup, image: str) -> None:
    """Write the run's Compose files, with this image for the session."""
    used = images.Images(base=image, repo=image)
    write_compose_files(setup, plan_session(setup), {"base": images.base_build()}, used)


def seal(inputs: PlanInputs, setup: SessionSetup, base: str) -> TasksSnapshot:
    """Complete the run's folder, with a copy of the plans, and let it be listed."""
    context = inputs.context
    write_services(setup, base)
    originals = take_snapshot(tasks_folder(setup), setup.run.folder / ORIGINALS)
    record = run_record.begin_plan(
        inputs.git_sha,
        context.environment.model.model,
        base,
        inputs.engine,
        login=context.login.name,
        forwarded=context.environment.names,
    )
    run_folders.write_record(setup.run, record)
    signals.check()  # a signal until here undoes everything; after it, it ends the session
    run_folders.seal_run(setup.run)
    return originals


def plan_session(setup: SessionSetup) -> SessionSpec:
    """Describe the session's container, which may write plans.

    Agents also put plans next to the existing ones in the worktree, which is deleted afterwards. So the
    tasks folder is mounted there too.
    """
    tasks = Mount(tasks_folder(setup), f"{WORKSPACE}/{TASKS_FOLDER}", read_only=False)
    return session_spec(setup, owner_of(setup.worktree.path.name), tasks, tasks_read_only=False)


def tasks_folder(setup: SessionSetup) -> Path:
    """Return the folder of the repository's plans."""
    return setup.context.repository.root / TASKS_FOLDER
