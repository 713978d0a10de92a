"""`lw_coder code`: one straight line from a plan to its commits. Each step is a module of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder import engine, git, images, prompt_assets, prompt_memo, run_record, runs_manager, signals
from lw_coder.background import Background, wait_for
from lw_coder.config_loader import load_config
from lw_coder.docker_command import COMPOSE_FILE
from lw_coder.droid_session import Ended, require_terminal, run_session, take_over
from lw_coder.ending import catch_up, exit_code, report_session
from lw_coder.groundwork import (
    Groundwork,
    Workplace,
    inside,
    look_around,
    reach_engine,
    session_spec,
    tell,
    write_build_files,
    write_compose_files,
    write_settings,
)
from lw_coder.homecoming import REFS_PREFIX, Homecoming, bring_home
from lw_coder.image_names import repo_tag
from lw_coder.locks import plan_lock
from lw_coder.plan_file import PlanFile, load_plan
from lw_coder.report import say, waiting
from lw_coder.session_git import create_session_git
from lw_coder.state import prompt_cache_folder
from lw_coder.worktrees import ensured_worktree

if TYPE_CHECKING:
    from lw_coder.compose_file import ImageBuild
    from lw_coder.docker_command import Approach, LocalImage
    from lw_coder.errors import ExitCode
    from lw_coder.images import Built
    from lw_coder.model_access import GeneratedPrompts, ModelAccess
    from lw_coder.plan_file import PlanMetadata
    from lw_coder.runs_manager import Run

_MOST_SHOWN = 5  # refs
_BRIEF = 0.3  # seconds; to show a longer wait, rich is imported


@dataclass(frozen=True)
class Job:
    """What is to be done and with what: all that was looked at before anything was made.

    Attributes:
        plan: what is carried out.
        build_files: what the repository's image is built from.
        ground: what the session stands on.
        engine: what runs it.
        base: what the base image's name meant at the start.
    """

    plan: PlanFile
    build_files: images.RepoBuildFiles
    ground: Groundwork
    engine: engine.Engine
    base: LocalImage | None

    @property
    def plan_id(self) -> str:
        """The plan's name."""
        return self.plan.metadata.plan_id


def run_code_command(name: str, start: Path, approach: Approach) -> ExitCode:
    """Carry out a plan in an interactive session.

    Args:
        name: path of a plan file, or the id of a plan in the repository's tasks folder.
        start: a folder in the repository.
        approach: the way to the engine.

    Raises:
        LwCoderError: what can be expected to go wrong: before the session, everything is then as it was;
            after it, its commits could not be brought home.
        SystemExit: a signal ended the session; its commits are home, as ever.
    """
    require_terminal()
    job = load_job(name, start, approach)
    with plan_lock(job.ground.repository.root, job.plan_id):
        work = prepare(job)
        with signals.interrupts_left_to_session():
            ended, home = carry_out(work)
    report_end(job, work, ended, home)
    return exit_code(work.run, ended, home)


def load_job(name: str, start: Path, approach: Approach) -> Job:
    """Look at everything that is cheap and can be wrong; make nothing."""
    repository = git.find_repository(start)
    plan = load_plan(repository.root, name)
    git.require_commit(repository, plan.metadata.git_sha, f"{plan.path}: git_sha")
    ground = look_around(repository, load_config(repository.root))
    build_files = images.read_build_files(repository.root, ground.environment.env_file)
    base = approach.base_image
    # A current base image was built by Compose: it will build again, and what it builds tells its version.
    found = reach_engine(approach, ground, build_tells=images.is_current(base))
    tell(ground)
    return Job(plan, build_files, ground, found, base)


def carry_out(work: Workplace) -> tuple[Ended, Homecoming]:
    """Have the agent work, with the person at the terminal, and bring home what it committed."""
    ended = run_session(work.run.folder, session_spec(work, work.run.plan_id))
    home = bring_home(work.ground.repository, work.worktree, work.git, work.run.identity)
    run_record.complete(work.run, ended, home)
    return ended, home


def prepare(job: Job) -> Workplace:
    """Make the worktree, the run's folder, the images and the prompts; all of it, or nothing."""
    repository, identity = job.ground.repository, job.ground.identity
    runs_manager.remove_partial_runs(repository.root, job.plan_id)
    catch_up(repository, identity, job.plan_id)
    with (
        ensured_worktree(repository, job.plan.metadata, f"{job.plan.path}: git_sha") as worktree,
        runs_manager.removed_on_failure(runs_manager.open_run(repository.root, job.plan_id)) as run,
    ):
        write_build_spec(job, run)
        # All else is done while the images are built: neither needs the other.
        with Background(
            lambda: images.build_images(run.folder, identity, job.base), cleans_up=True
        ) as building:
            engine.load_client()
            take_over(identity, job.plan_id, has_proxies=job.ground.config.allow_hosts is not None)
            session_git = create_session_git(repository, worktree, run.folder, git.identity(repository))
            work = Workplace(job.ground, run, worktree, session_git)
            write_settings(work)
            prompts = write_prompts(job, work, building)
            built = built_images(building, repo_tag(identity))
        seal(job, work, prompts, built)
    with signals.held():  # the run is there for good, and its session is about to begin
        for line in run_record.prune(repository, keep=run):
            say(line)
    return work.as_sealed()


def built_images(building: Background[Built], tag: str) -> Built:
    """Wait for the images; a wait that the person would notice is shown."""
    if building.ends_within(_BRIEF):
        return building.result()
    with waiting(f"Building the image {tag} ..."):
        return building.result()


def write_build_spec(job: Job, run: Run) -> None:
    """Write what the images are built from."""
    runs_manager.write_file(run.folder, images.DOCKERFILE.name, job.build_files.dockerfile)
    runs_manager.write_file(run.folder, f"{images.DOCKERFILE.name}.dockerignore", job.build_files.ignore)
    write_build_files(job.ground, run.folder, _builds(job.ground, run.folder))


def _builds(ground: Groundwork, folder: Path) -> dict[str, ImageBuild]:
    tag = repo_tag(ground.identity)
    repo = images.repo_build(ground.repository.root, folder, tag, ground.config.build_options)
    return {"base": images.base_build(), "repo": repo}


def write_prompts(job: Job, work: Workplace, building: Background[Built]) -> GeneratedPrompts:
    """Write the prompts that the language model makes of the plan, or made of it before."""
    ground, plan = work.ground, job.plan.metadata
    program = ground.repository.root / ground.config.prompt_program if ground.config.prompt_program else None
    memo = prompt_memo.memo_path(prompt_cache_folder(), plan, ground.environment.model, program)
    prompts = prompt_memo.recall(memo)
    if prompts is None:
        prompts = ask_model(plan, ground.environment.model, program, building)
        prompt_memo.keep(memo, prompts)
    say("Prompts: from the cache." if prompts.cache_hit else "Prompts: written.")
    for path, text in prompt_assets.run_files(plan, prompts).items():
        runs_manager.write_file(work.run.folder, path, text)
    return prompts


def ask_model(
    plan: PlanMetadata, model: ModelAccess, program: Path | None, building: Background[Built]
) -> GeneratedPrompts:
    """Have the language model write the prompts, in a process that takes DSPy's memory with it.

    Raises:
        LwCoderError: it could not, or the images could not be built meanwhile.
    """

    def generate() -> GeneratedPrompts:
        from lw_coder.dspy.prompt_orchestrator import generate_prompts

        return generate_prompts(plan, model, prompt_cache_folder(), program, on_progress=say)

    with Background(generate) as asking, waiting(f"Writing the prompts with {model.model} ..."):
        return wait_for(asking, building)


def seal(job: Job, work: Workplace, prompts: GeneratedPrompts, built: Built) -> None:
    """Complete the run's folder and give it its final name."""
    final, ground = work.as_sealed(), work.ground
    session, builds = session_spec(final, work.run.plan_id), _builds(ground, final.run.folder)
    write_compose_files(final, session, builds, built.images, into=work.run.folder)
    login, forwarded = ground.login.name, ground.environment.names
    used = replace(job.engine, compose_version=built.compose_version)
    record = run_record.begin(job.plan, prompts, built.images, used, login=login, forwarded=forwarded)
    runs_manager.write_record(work.run, record)
    signals.check()  # the last moment for one to undo all of it; from here on it ends the session
    runs_manager.seal_run(work.run)


def report_end(job: Job, work: Workplace, ended: Ended, home: Homecoming) -> None:
    """Say what there is now, and what can be typed next."""
    report_session(ended, home)
    root, branch = work.ground.repository.root, work.worktree.branch
    if not home.problem:
        say(f"Commits:  {home.commits if home.moved else 'none'} new on {branch}")
    own = f"{REFS_PREFIX}/{work.run.identity}/heads/{branch}"
    others = [ref for ref in home.refs if ref != own]
    for ref in others[:_MOST_SHOWN]:
        say(f"Also:     {ref}")
    if others[_MOST_SHOWN:]:
        say(f"Also:     {len(others) - _MOST_SHOWN} more; git for-each-ref refs/lw_coder/{work.run.identity}")
    say(f"Worktree: {inside(root, work.worktree.path)}")
    say(f"Run:      {inside(root, work.run.folder)}")
    if home.moved:
        say(f"Look:     git log -p {job.plan.metadata.git_sha[:12]}..{branch}")
        say(f"Take:     git merge {branch}")
    say(f"Replay:   docker compose -f {inside(root, work.run.folder / COMPOSE_FILE)} run --rm droid")
