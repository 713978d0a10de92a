"""The verdict on a session, after its commits were imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from lw_coder.foundation import signals
from lw_coder.foundation.errors import LwCoderError
from lw_coder.foundation.report import say, warn
from lw_coder.foundation.signals import Signalled
from lw_coder.sessions.context import session_redaction
from lw_coder.verdicts.checks import configured_checks

if TYPE_CHECKING:
    from lw_coder.plans.plan_file import PlanFile
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.verdicts.subject import Subject
    from lw_coder.verdicts.verdict import Verdict


def judged(
    setup: SessionSetup, plan: PlanFile, result: SessionResult, imported: ImportResult
) -> tuple[Verdict | None, SessionResult]:
    """Run the checks, if there are any, and record the verdict.

    Args:
        setup: the session's folders.
        plan: the plan as it was at the start.
        result: how the session ended.
        imported: its commits.

    Returns:
        The verdict, or None if there are no checks, the commits could not be imported, or a signal arrived;
        and how the session ended, which a signal changes.
    """
    checks = configured_checks(setup.context.config.checks, plan.checks)
    if not checks or imported.problem or result.signalled:
        return None, result
    from lw_coder.verdicts.subject import subject_of

    context, identity = setup.context, setup.run.identity
    verdict, interrupted = None, False
    signals.raise_again()
    try:
        say(f"Checks:   running {len(checks)}, each at the tip and at the base; Ctrl+C skips them")
        subject = subject_of(context.repository, setup.run, context.config, plan)
        verdict = _verified(replace(subject, redaction=session_redaction(context)))
    except Signalled:
        interrupted = True
    signalled = signals.stop_raising()
    if interrupted:
        warn(f"the checks were interrupted; to run them, type: lw_coder verify {identity}")
    return verdict, result if signalled is None else replace(result, signalled=signalled)


def _verified(subject: Subject) -> Verdict:
    """Verify; if that is impossible, the verdict says why."""
    from lw_coder.verdicts.verification import unverified, verify

    try:
        return verify(subject)
    except LwCoderError as error:
        return unverified(subject, f"{error.message}; {error.remedy}")
