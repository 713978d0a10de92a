"""The command line. A command's module is imported only when the command is called."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from lw_coder import __version__
from lw_coder.foundation import signals
from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import ExitCode, FolderError, IdeaError, LwCoderError
from lw_coder.foundation.report import be_quiet, fail, is_utf8, tell
from lw_coder.foundation.system_errors import expected_error

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from lw_coder.containers.docker_command import EngineProbe


def _complete_plan(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from lw_coder.commands.completion import complete_plan

    return complete_plan(context, parameter, typed)


def _complete_run(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from lw_coder.commands.completion import complete_run

    return complete_run(context, parameter, typed)


def _complete_plan_of_runs(
    context: click.Context, parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    from lw_coder.commands.completion import complete_plan_of_runs

    return complete_plan_of_runs(context, parameter, typed)


def _complete_page(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from lw_coder.commands.completion import complete_page

    return complete_page(context, parameter, typed)


class _Name(click.ParamType[str]):
    """What is typed to name something."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value.strip():
            self.fail("it is empty", param, ctx)
        return value


def _help_width() -> int:
    """Return the same width as click, without `shutil`, whose import takes longer than printing the help."""
    try:
        columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(1).columns
    except (ValueError, OSError):
        columns = 80
    return max(min(columns, 100) - 2, 50)


_NAME = _Name()
_KINDS = ("uv", "poetry", "pip", "pnpm", "npm", "go", "cargo", "maven", "make", "plain")
_MOST_SHOWN = 20  # errors of one file
_OF_ALL_COMMANDS = {"-q", "--quiet", "--debug", "--version"}
CONTEXT = {"help_option_names": ["-h", "--help"], "terminal_width": _help_width()}


@click.group(
    context_settings=CONTEXT,
    epilog="Begin with `lw_coder init`. `lw_coder docs` lists the pages of the documentation.",
)
@click.version_option(__version__)
@click.option(
    "--debug", is_flag=True, help="On an error, show where it occurred: types and stacks, no values."
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress: only results, warnings and errors.")
@click.pass_context
def cli(context: click.Context, *, debug: bool, quiet: bool) -> None:
    """Carry out Markdown plans with a coding agent, in a container that can be replayed."""
    if quiet:
        be_quiet()
    if debug:
        from lw_coder.foundation.traces import trace_shown

        context.with_resource(trace_shown())
    from lw_coder.foundation.state import require_absolute_homes

    require_absolute_homes()


_MINUTES = click.FloatRange(min=0, max=525_600, min_open=True)
_TURNS = click.IntRange(min=1, max=1_000_000)


_DELETIONS = "move the branch even if the commits delete files that the session's worktree did not have"


@cli.command()
@click.argument("plan", required=False, metavar="PLAN", type=_NAME, shell_complete=_complete_plan)
@click.option(
    "--yes",
    is_flag=True,
    help="Start even if the plan is done or abandoned, or if an earlier session left a merge or rebase "
    f"unfinished, and {_DELETIONS}.",
)
@click.option(
    "--headless",
    is_flag=True,
    help="Work without a terminal and without questions, until the agent has finished.",
)
@click.option("--json", "as_json", is_flag=True, help="With --headless: print one JSON document at the end.")
@click.option(
    "--continue",
    "continues",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    shell_complete=_complete_run,
    help="Go on with the agent's conversation in RUN, or in the plan's newest run.",
)
@click.option("--message", help="With --continue and --headless: what to tell the agent.")
@click.option(
    "--minutes", type=_MINUTES, help="End the session after so long; with --headless, 120 by default."
)
@click.option(
    "--idle-minutes",
    type=_MINUTES,
    help="End it after so long without a tool call; with --headless, 20 by default.",
)
@click.option("--turns", type=_TURNS, help="End it after so many answers of the model.")
@click.option("--requests", type=_TURNS, help="End it after so many requests; needs the gateway.")
@click.option("--tokens", type=click.IntRange(min=1), help="End it after so many tokens; needs the gateway.")
@click.option("--cost-usd", type=_MINUTES, help="End it after so many US dollars; needs the gateway.")
@click.option(
    "--requests-per-minute",
    type=_TURNS,
    help="Let the agent ask its model so often at most; needs the gateway.",
)
@click.option(
    "--max-wait",
    type=_MINUTES,
    metavar="MINUTES",
    help="With --headless: if the model's provider is busy for long, wait so many minutes at most and go on; "
    "needs the gateway.",
)
@click.option("--no-checks", is_flag=True, help="Do not run the checks after the session.")
@click.option(
    "--engine",
    type=click.Choice(["local", "swarm"]),
    help="With --headless: run the session on this machine, or on a node of a Docker Swarm.",
)
@click.option(
    "--retry-lost",
    is_flag=True,
    help="If the session's node is down, start it on another one without asking. It may still run there.",
)
def code(plan: str | None, *, yes: bool, headless: bool, as_json: bool, **more: Any) -> int:
    """Carry out PLAN, a plan file or a plan id.

    A plan id, or the name of a plan's file, is looked up in .lw_coder/tasks. Generates the prompts,
    builds the images, and runs droid in the plan's own worktree, in your terminal. Press Ctrl+C twice
    to leave; the commits are then on lw/task/<plan_id>. With --continue RUN, PLAN can be left out.
    """
    continues, message, no_checks = more.pop("continues"), more.pop("message"), more.pop("no_checks")
    engine, retry_lost = more.pop("engine"), more.pop("retry_lost")
    if plan is None and not continues:
        raise click.MissingParameter(param_hint="'PLAN'", param_type="argument")
    if as_json and not headless:
        raise click.UsageError("--json needs --headless")
    if no_checks and headless:
        raise click.UsageError("--no-checks cannot be used with --headless")
    if more["max_wait"] is not None and not headless:
        raise click.UsageError("--max-wait needs --headless")
    if (engine == "swarm" or retry_lost) and not headless:
        raise click.UsageError(f"{'--retry-lost' if retry_lost else '--engine swarm'} needs --headless")
    if message is not None and not (headless and continues is not None):
        raise click.UsageError("--message needs --continue and --headless")
    if message is not None and not (message.strip() and is_utf8(message)):
        raise click.UsageError("--message is empty, or is not UTF-8 text")
    with _probe(asks_compose=headless) as probe:
        from lw_coder.commands.code import run_code_command
        from lw_coder.commands.code_options import CodeOptions
        from lw_coder.settings.limits import limits_of

        options = CodeOptions(
            *(yes, headless, as_json, limits_of(more), continues, message),
            checks=not no_checks,
            engine=engine,
            retry_lost=retry_lost,
        )
        return run_code_command(plan, _here(), probe, options)


@cli.command("node-run", hidden=True)
def run_on_node() -> int:
    """Carry out the session of a cluster's job; a runner's container starts this."""
    from lw_coder.engines.node_run import node_run

    return node_run()


@cli.command()
@click.argument("file", required=False, type=_NAME)
@click.option("--text", help="The idea, instead of a FILE.")
@click.option(
    "--tool",
    type=click.Choice(["droid"]),
    default="droid",
    show_default=True,
    expose_value=False,
    help="The agent; only droid is available.",
)
def plan(file: str | None, text: str | None) -> int:
    """Turn an idea into a plan, in an interactive session.

    Give the idea in FILE or with --text; otherwise droid asks for it. It works in a temporary worktree
    of HEAD and writes plans into .lw_coder/tasks. Press Ctrl+C twice to leave; each plan is then
    validated, and the next command is shown.
    """
    if file is not None and text is not None:
        raise click.UsageError("give a FILE or --text, not both")
    if text is not None and not is_utf8(text):
        raise IdeaError("--text: is not UTF-8 text", "write the idea into a file, saved as UTF-8")
    with _probe(asks_compose=True) as probe:
        from lw_coder.commands.plan import run_plan_command

        return run_plan_command(file, text, _here(), probe)


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command()
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="The kind of project, instead of what its files show; can be given several times.",
)
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def init(kinds: tuple[str, ...], *, force: bool, yes: bool) -> int:
    """Write the files that a repository needs for a first session.

    These are settings, an image fitted to the project, a sample plan and ignore rules. Shows what it will
    write and asks once. In a repository without a commit it also makes the first one, because a plan starts
    from a commit.
    """
    from lw_coder.commands.init import run_init_command

    return run_init_command(_here(), kinds, yes=yes, force=force)


@cli.command()
@click.option("--online", is_flag=True, help="Also ask the model for one word, which costs next to nothing.")
@AS_JSON
def doctor(*, online: bool, as_json: bool) -> int:
    """Check that everything a session needs is in place.

    Also finds what earlier sessions left behind. Changes nothing. Problems come last, each with a remedy,
    and the exit code is then 1.
    """
    with _probe(asks_compose=True) as probe:
        from lw_coder.commands.doctor.command import doctor_command

        return doctor_command(_here(), probe, as_json=as_json, online=online)


@cli.command()
@AS_JSON
def nodes(*, as_json: bool) -> int:
    """List the nodes of the cluster, their slots, and what runs where.

    The cluster is a Docker Swarm; `lw_coder docs cluster` tells how to make one.
    """
    from lw_coder.commands.nodes import nodes_command

    return nodes_command(_here(), as_json=as_json)


@cli.command()
@click.argument("page", required=False, type=_NAME, shell_complete=_complete_page)
@click.option("--path", "as_path", is_flag=True, help="Print only the path of the page, or of all pages.")
def docs(page: str | None, *, as_path: bool) -> int:
    """List the pages of the documentation, or show PAGE.

    PAGE is a name from the list. At a terminal it is shown in your pager; elsewhere it is printed as
    Markdown.
    """
    from lw_coder.commands.docs import docs_command

    return docs_command(page, as_path=as_path)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, plans and runs in SHELL.

    Write it to ~/.local/share/bash-completion/completions/lw_coder for bash, to the file lw_coder.fish in
    ~/.config/fish/completions for fish, and for zsh to the file _lw_coder in a folder of your fpath.
    """
    from lw_coder.commands.completion import script

    click.echo(script(cli, shell))


@cli.command()
@click.argument("run", type=_NAME, shell_complete=_complete_run)
@AS_JSON
def verify(run: str, *, as_json: bool) -> int:
    """Run the checks of RUN, or of a plan's newest run, and give a verdict.

    RUN is as in `runs show`, or the path of a plan file. The checks are those of config.toml and of the plan.
    They run in containers of their own, over clean checkouts of the plan's branch and of the commit that the
    plan starts from. The exit code is 6 if the verdict is not that the result passed.
    """
    with _probe(asks_compose=False) as probe:
        from lw_coder.commands.verify import verify_command

        return verify_command(_here(), run, probe, as_json=as_json)


@cli.command()
@click.argument("plans", nargs=-1, required=True, type=_NAME, metavar="PLAN...", shell_complete=_complete_run)
@click.option("--no-ff", "how", flag_value="merge", default=True, help="Make a merge commit; the default.")
@click.option(
    "--ff",
    "how",
    flag_value="fast-forward",
    help="Fast-forward if that is possible; no commit names the run.",
)
@click.option("--squash", "how", flag_value="squash", help="Make one commit of all changes.")
@click.option("--unverified", is_flag=True, help="Merge also without a verdict that the result passed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def take(plans: tuple[str, ...], how: str, *, unverified: bool, yes: bool, as_json: bool) -> int:
    """Merge the branch of PLAN into the branch that you have checked out; or of several.

    Shows the verdict of the plan's newest run, the changed files, and what is unusual in the change, such
    as hooks, CI files or links that leave the repository; then asks once. The commit has a trailer that
    names the run. If anything is in the way, such as a conflict or a file that is not committed, nothing
    is changed. The exit code is 6 if there is no verdict that the result passed.

    Several plans are merged in the order of their dependencies, and the checks run over the merged result
    before your branch moves to it: all of them are taken, or none.
    """
    from lw_coder.commands.take import TakeOptions, take_command
    from lw_coder.repository.merging import How

    options = TakeOptions(How(how), yes, unverified, as_json)
    if len(set(plans)) == 1:
        return take_command(_here(), plans[0], options)
    with _probe(asks_compose=False) as probe:
        from lw_coder.commands.take_several import take_several_command

        return take_several_command(_here(), plans, options, probe)


@cli.command()
@click.argument("plan", type=_NAME, shell_complete=_complete_run)
@click.option("--runs", "with_runs", is_flag=True, help="Also remove the folders of its runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def drop(plan: str, *, with_runs: bool, yes: bool, as_json: bool) -> int:
    """Remove the worktree and the branch of PLAN.

    Shows what would be lost, and asks once. The commits, and the uncommitted files as a commit, stay for
    30 days under refs/lw_coder/dropped/<plan_id>. Files that git ignores, and run folders, are lost.
    """
    from lw_coder.commands.drop import DropOptions, drop_command

    return drop_command(_here(), plan, DropOptions(with_runs, yes, as_json))


@cli.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, 36_500),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Remove runs that are more than DAYS days old.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def clean(days: int, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Find what takes disk space and is no longer needed, and remove it.

    These are old runs, worktrees and branches of merged plans, images of earlier builds, stopped containers,
    what killed commands left, and refs of what was dropped long ago. Shows how much each takes, and asks
    once. What is in use, has a score, or has commits or files that are nowhere else, always stays.
    """
    from lw_coder.commands.clean import CleanOptions, clean_command

    return clean_command(_here(), CleanOptions(days, yes, dry_run, as_json))


@cli.command()
@click.argument("plans", metavar="[PLAN]...", nargs=-1, shell_complete=_complete_plan)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Carry out N plans at a time; by default one for each core and each 4 GiB of memory.",
)
@click.option(
    "--keep-going/--fail-fast",
    default=True,
    help="If a plan does not pass, go on with those that do not need it (the default), or start no more.",
)
@click.option(
    "--max-cost",
    type=_MINUTES,
    metavar="USD",
    help="End the batch when its sessions have cost so many US dollars; needs the gateway.",
)
@click.option("--max-minutes", type=_MINUTES, metavar="MINUTES", help="End the batch after so long.")
@click.option("--dry-run", is_flag=True, help="Show what would be started from what, and start nothing.")
@AS_JSON
def batch(plans: tuple[str, ...], *, keep_going: bool, as_json: bool, **more: Any) -> int:
    """Carry out each PLAN, or all whose status is ready, several at a time.

    Each is a headless session. A plan starts once the plans that its depends_on names have passed their
    checks, and from their results. A plan that passed before, and of which nothing has changed, is not
    carried out again. Press Ctrl+C once to let running plans end, and twice to end them; their commits are
    imported. The exit code is 6 if a plan did not pass.
    """
    with _probe(asks_compose=False) as probe:
        from lw_coder.commands.batch import BatchOptions, batch_command

        options = BatchOptions(fail_fast=not keep_going, as_json=as_json, **more)
        return batch_command(_here(), plans, probe, options)


@cli.group()
def runs() -> None:
    """List, show, compare, replay, score, import, export and prune runs."""


@runs.command("list")
@click.argument("plan_id", required=False, type=_NAME, shell_complete=_complete_plan_of_runs)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@AS_JSON
def list_(plan_id: str | None, *, limit: int | None, as_json: bool) -> int:
    """List the runs of PLAN_ID, or of all plans, the newest last."""
    from lw_coder.commands.runs_list import list_command

    return list_command(_here(), plan_id, limit, as_json=as_json)


@runs.command()
@click.argument("run", required=False, metavar="RUN", type=_NAME, shell_complete=_complete_run)
@AS_JSON
@click.option(
    "--html",
    "page",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Write the run as a web page: to FILE, - for standard output, or <plan_id>-<time>.html.",
)
@click.option("--open", "opens", is_flag=True, help="With --html: open the page in your browser.")
def show(run: str | None, *, as_json: bool, page: str | None, opens: bool) -> int:
    """Show a run.

    RUN is `latest`, a plan's id for its newest run, <plan_id>/<time>, only the time, or the beginning of one.
    """
    run, page = _run_and_page(run, page)
    if page is not None and as_json:
        raise click.UsageError("--html cannot be used with --json")
    if opens and page in {None, "-"}:
        raise click.UsageError("--open needs --html, and a file")
    if page is not None:
        from lw_coder.commands.run_page import page_command

        return page_command(_here(), run, page, opens=opens)
    from lw_coder.commands.runs import show_command

    return show_command(_here(), run, as_json=as_json)


def _run_and_page(run: str | None, page: str | None) -> tuple[str, str | None]:
    """Tell a run from a file: in `--html RUN` it is the run."""
    if run is not None:
        return run, page
    if not page:
        raise click.MissingParameter(param_hint="'RUN'", param_type="argument")
    return page, ""


@runs.command()
@click.argument("a", metavar="RUN_A", type=_NAME, shell_complete=_complete_run)
@click.argument("b", metavar="RUN_B", type=_NAME, shell_complete=_complete_run)
@AS_JSON
def diff(a: str, b: str, *, as_json: bool) -> int:
    """Show what differs between two runs.

    A table has the models, images, results, costs and verdicts of both. A unified diff follows of each
    prompt, of the prompt program, the Compose files and the Dockerfile, if they differ. RUN_A and RUN_B are
    as in `runs show`.
    """
    from lw_coder.commands.runs_diff import diff_command

    return diff_command(_here(), a, b, as_json=as_json)


@runs.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, 36_500),
    metavar="DAYS",
    help="Remove the runs that are more than DAYS days old; 30 by default, and 0 with --keep.",
)
@click.option(
    "--keep", type=click.IntRange(0, 1_000_000), metavar="N", help="Keep the newest N of each plan."
)
@click.option("--scored", is_flag=True, help="Also remove runs with a score.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
def prune(days: int | None, keep: int | None, *, scored: bool, dry_run: bool) -> int:
    """Remove old runs.

    This also removes training data: an optimiser of the prompts can no longer learn from a run that was
    removed. So runs with a score stay, unless --scored is given, and `runs export` prints what is worth
    keeping. Runs that are in use, or have commits that are not in the repository, always stay.
    """
    from lw_coder.commands.runs_prune import prune_command

    if days is None:
        days = 30 if keep is None else 0
    return prune_command(_here(), days, keep or 0, scored=scored, dry_run=dry_run)


# What begins with a hyphen is an argument here, so that `-1` is refused as the score that it is.
@runs.command(context_settings={"ignore_unknown_options": True})
@click.argument("run", type=_NAME, shell_complete=_complete_run)
@click.argument("score")
@click.option("--feedback", default="", metavar="TEXT", help="Why: what was good, and what was missing.")
def score(run: str, score: str, *, feedback: str) -> int:
    """Give RUN a SCORE from 0 (useless) to 1 (nothing to improve).

    It replaces an earlier score of that run, with its feedback. `runs show` and `runs export` print both;
    an optimiser of the prompts learns from them.

    RUN is `latest`, a plan's id for its newest run, <plan_id>/<time>, only the time, or the beginning of one.
    """
    from lw_coder.commands.runs import score_command

    return score_command(_here(), run, score, feedback)


@runs.command()
@click.argument("run", type=_NAME, shell_complete=_complete_run)
@click.option("--fresh", is_flag=True, help="Over a new worktree at the commit that RUN started from.")
@click.option("--yes", is_flag=True, help=f"{_DELETIONS.capitalize()}.")
def replay(run: str, *, fresh: bool, yes: bool) -> int:
    """Run the container of RUN again, and import its commits.

    It is the command that `runs show` prints, with the same image, prompts and settings, over the plan's
    worktree as it is now. With --fresh the replay is a run of its own, @replay/<time>; its commits are then
    only in refs/lw_coder, and its worktree is removed. The prompts are not written anew.
    """
    with _probe(asks_compose=False) as probe:
        from lw_coder.commands.runs_replay import replay_run_command

        return replay_run_command(_here(), run, probe, fresh=fresh, yes=yes)


@runs.command("import")
@click.argument("run", type=_NAME, shell_complete=_complete_run)
@click.option("--yes", is_flag=True, help=f"{_DELETIONS.capitalize()}.")
def import_(run: str, *, yes: bool) -> int:
    """Import the commits of RUN, after a replay or a crash."""
    from lw_coder.commands.runs_import import import_command

    return import_command(_here(), run, yes=yes)


@runs.command()
@click.argument("plan_id", required=False, type=_NAME, shell_complete=_complete_plan_of_runs)
def export(plan_id: str | None) -> int:
    """Print the runs as JSON Lines, for an optimiser such as GEPA.

    Each line has the inputs, outputs, result and score of a run.
    """
    from lw_coder.commands.runs import export_command

    return export_command(_here(), plan_id)


@cli.group(invoke_without_command=True)
@AS_JSON
@click.pass_context
def plans(context: click.Context, *, as_json: bool) -> int:
    """List and check the plans of this repository.

    Without a command it lists them, as `plans list`.
    """
    if context.invoked_subcommand is None:
        return _list_plans(as_json=as_json)
    if as_json:
        raise click.UsageError(f"type --json after `{context.invoked_subcommand}`")
    return ExitCode.OK


@plans.command("list")
@AS_JSON
def list_plans(*, as_json: bool) -> int:
    """List the plans, each with its status, its last run and its branch.

    Also shows whether `lw_coder code` can start each of them, and if not, why. Needs neither a terminal
    nor Docker.
    """
    return _list_plans(as_json=as_json)


def _list_plans(*, as_json: bool) -> int:
    from lw_coder.commands.plans_list import list_command

    return list_command(_here(), as_json=as_json)


@plans.command()
@click.argument("names", metavar="[PLAN]...", nargs=-1, type=_NAME, shell_complete=_complete_plan)
@AS_JSON
def check(names: tuple[str, ...], *, as_json: bool) -> int:
    """Show all problems of each PLAN, or of all plans.

    PLAN is a plan file, a plan id or the name of a plan's file in .lw_coder/tasks. Needs neither a
    terminal nor Docker. The exit code is 1 if there is a problem.
    """
    from lw_coder.commands.plans import check_command

    return check_command(_here(), names, as_json=as_json)


def main() -> None:
    """Run the command line and exit with its ExitCode, or with 128 + n after signal n."""
    gc.set_threshold(200_000)  # a start creates many objects that live on, and few that could be freed
    signals.install()
    try:
        code = _exit_code()
    finally:
        signals.ignore_all()
    gc.freeze()  # else the interpreter scans all objects at exit, only to free them with the process
    sys.exit(code)


def _exit_code() -> int:
    """The outermost boundary: a signal decides, even if its exception was lost or became another error."""
    try:
        code = int(cli(standalone_mode=False) or 0)
        signalled = signals.stop_raising()
    except BaseException as error:  # noqa: BLE001 - what is no Exception is raised again
        signalled = signals.stop_raising()
        code = _report(error) if signalled is None else signalled
    if signalled == ExitCode.INTERRUPTED:
        tell("interrupted")  # over the ^C that the terminal shows
    return code if signalled is None else signalled


def _report(error: BaseException) -> int:
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            _with_hint(error).show()
            return ExitCode.USAGE
        case LwCoderError():
            _show(error)
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            tell("interrupted")  # over the ^C that the terminal shows
            return ExitCode.INTERRUPTED
        case OSError() if expected := expected_error(error):
            _show(expected)
            return expected.exit_code
        case Exception():
            return _report_bug(error)  # anything else is a bug
        case _:
            raise error


def _with_hint(error: click.ClickException) -> click.ClickException:
    """Say where an option of lw_coder itself is typed."""
    if not (isinstance(error, click.NoSuchOption) and error.ctx and error.option_name in _OF_ALL_COMMANDS):
        return error
    program, _, command = error.ctx.command_path.partition(" ")
    hint = f"Type it before the command: {program} {error.option_name} {command}"
    return click.UsageError(f"{error.message} {hint}", error.ctx)


def _show(error: LwCoderError) -> None:
    for detail in error.details:
        tell(detail)
    for part in error.parts[:_MOST_SHOWN]:
        fail(f"{part.message}; {part.remedy}")
    if more := len(error.parts[_MOST_SHOWN:]):
        tell(f"... and {counted(more, 'more problem')}")


def _report_bug(error: Exception) -> int:
    from lw_coder.foundation.state import write_crash_log

    try:
        proof = f"with {write_crash_log(error)}"
    except (OSError, LwCoderError) as trouble:
        proof = f"(no log could be written: {getattr(trouble, 'message', type(trouble).__name__)})"
    fail(f"a bug in lw_coder ({type(error).__name__}); please report it {proof}")
    return ExitCode.BUG


def _probe(*, asks_compose: bool) -> EngineProbe:
    """Query docker first: it answers while the command's module is imported."""
    from lw_coder.containers.docker_command import EngineProbe

    return EngineProbe(asks_compose=asks_compose)


def _here() -> Path:
    from pathlib import Path

    try:
        return Path.cwd()
    except FileNotFoundError:
        raise FolderError("the current folder no longer exists", "change to another folder") from None
