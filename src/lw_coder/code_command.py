"""`lw_coder code`: one straight line from a plan to its commits. Each step is a module of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder import git, images, prompt_assets, run_record, runs_manager
from lw_coder.background import Background
from lw_coder.compose_file import COMPOSE_FILE
from lw_coder.config_loader import load_config
from lw_coder.droid_session import Ended, require_no_replay, require_terminal, run_session
from lw_coder.ending import catch_up, exit_code, report_session
from lw_coder.groundwork import (
    Groundwork,
    Workplace,
    inside,
    look_around,
    session_spec,
    write_compose_files,
    write_settings,
)
from lw_coder.homecoming import Homecoming, bring_home
from lw_coder.interrupts import interrupts_held
from lw_coder.locks import plan_lock
from lw_coder.plan_file import PlanFile, load_plan
from lw_coder.report import say, waiting
from lw_coder.session_git import create_session_git
from lw_coder.state import prompt_cache_folder
from lw_coder.worktrees import ensured_worktree

if TYPE_CHECKING:
    from lw_coder.errors import ExitCode
    from lw_coder.images import Images
    from lw_coder.model_access import GeneratedPrompts


@dataclass(frozen=True)
class Job:
    """What is to be done and with what: all that was looked at before anything was made."""

    plan: PlanFile
    build_files: images.RepoBuildFiles
    ground: Groundwork


def run_code_command(name: str, start: Path) -> ExitCode:
    """Carry out a plan in an interactive session.

    Args:
        name: path of a plan file, or the id of a plan in the repository's tasks folder.
        start: a folder in the repository.

    Raises:
        LwCoderError: what can be expected to go wrong: before the session, everything is then as it was;
            after it, its commits could not be brought home.
        SystemExit: a signal ended the session; its commits are home, as ever.
    """
    require_terminal()
    job = load_job(name, start)
    repository = job.ground.repository
    with plan_lock(repository.root, job.plan.metadata.plan_id):
        require_no_replay(job.ground.identity, job.plan.metadata.plan_id)
        runs_manager.remove_partial_runs(repository.root, job.plan.metadata.plan_id)
        catch_up(repository, job.ground.identity, job.plan.metadata.plan_id)
        work = prepare(job)
        with interrupts_held():
            ended = run_session(work.run.folder, session_spec(work, work.run.plan_id))
            home = bring_home(repository, work.worktree, work.git, work.run.identity)
            run_record.complete(work.run, ended, home)
    report_end(job, work, ended, home)
    return exit_code(work.run, ended, home)


def load_job(name: str, start: Path) -> Job:
    """Look at everything that is cheap and can be wrong; make nothing."""
    repository = git.find_repository(start)
    plan = load_plan(repository.root, name)
    git.require_commit(repository, plan.metadata.git_sha)
    ground = look_around(repository, load_config(repository.root))
    return Job(plan, images.read_build_files(repository.root, ground.environment.env_file), ground)


def prepare(job: Job) -> Workplace:
    """Make the worktree, the run's folder, the prompts and the images; all of it, or nothing."""
    repository, plan = job.ground.repository, job.plan.metadata
    with (
        ensured_worktree(repository, plan) as worktree,
        runs_manager.removed_on_failure(runs_manager.open_run(repository.root, plan.plan_id)) as run,
    ):
        session_git = create_session_git(repository, worktree, run.folder, git.identity(repository))
        work = Workplace(job.ground, run, worktree, session_git)
        write_spec(job, work)
        prompts, built = prompts_and_images(job, work)
        work = seal(job, work, prompts, built)
    for line in run_record.prune(repository, keep=work.run):
        say(line)
    return work


def write_spec(job: Job, work: Workplace) -> None:
    """Write what a container is made from: Compose files, Dockerfile, settings, empty folders."""
    write_settings(work)
    runs_manager.write_file(work.run.folder, images.DOCKERFILE.name, job.build_files.dockerfile)
    runs_manager.write_file(work.run.folder, f"{images.DOCKERFILE.name}.dockerignore", job.build_files.ignore)
    tags = images.Images(images.BASE_TAG, images.repo_tag(work.ground.identity))
    write_services(work, tags, work.run.folder)


def write_services(work: Workplace, used: Images, into: Path) -> None:
    """Write the run's Compose files, with these images for the session."""
    ground = work.ground
    tag, options = images.repo_tag(ground.identity), ground.config.build_options
    repo = images.repo_build(ground.repository.root, work.run.folder, tag, options)
    session = session_spec(work, work.run.plan_id)
    write_compose_files(work, session, {"base": images.base_build(), "repo": repo}, used, into)


def prompts_and_images(job: Job, work: Workplace) -> tuple[GeneratedPrompts, Images]:
    """Ask the model and build the images, side by side: neither needs the other."""
    identity = work.ground.identity
    with Background(lambda: images.build_images(work.run.folder, identity)) as building:
        prompts = write_prompts(job, work)
        with waiting(f"Building the image {images.repo_tag(identity)} ..."):
            return prompts, building.result()


def write_prompts(job: Job, work: Workplace) -> GeneratedPrompts:
    """Have the language model write the prompts, or find them in the cache."""
    from lw_coder.dspy.prompt_orchestrator import generate_prompts

    ground, plan = work.ground, job.plan.metadata
    program = ground.repository.root / ground.config.prompt_program if ground.config.prompt_program else None
    model = ground.environment.model
    with waiting(f"Writing the prompts with {model.model} ..."):
        prompts = generate_prompts(plan, model, prompt_cache_folder(), program, on_progress=say)
    say("Prompts: from the cache." if prompts.cache_hit else "Prompts: written.")
    for path, text in prompt_assets.run_files(plan, prompts).items():
        runs_manager.write_file(work.run.folder, path, text)
    return prompts


def seal(job: Job, work: Workplace, prompts: GeneratedPrompts, built: Images) -> Workplace:
    """Complete the run's folder and give it its final name."""
    final, ground = work.as_sealed(), work.ground
    write_services(final, built, work.run.folder)
    record = run_record.begin(
        job.plan, prompts, built, ground.engine, login=ground.login.name, forwarded=ground.environment.names
    )
    runs_manager.write_record(work.run, record)
    runs_manager.seal_run(work.run)
    return final


def report_end(job: Job, work: Workplace, ended: Ended, home: Homecoming) -> None:
    """Say what there is now, and what can be typed next."""
    report_session(ended, home)
    root, branch = work.ground.repository.root, work.worktree.branch
    if not home.problem:
        say(f"Commits:  {home.commits if home.moved else 'none'} new on {branch}")
    say(f"Worktree: {inside(root, work.worktree.path)}")
    say(f"Run:      {inside(root, work.run.folder)}")
    if home.moved:
        say(f"Look:     git log -p {job.plan.metadata.git_sha[:12]}..{branch}")
        say(f"Take:     git merge {branch}")
    say(f"Replay:   docker compose -f {inside(root, work.run.folder / COMPOSE_FILE)} run --rm droid")
