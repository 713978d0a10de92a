"""The options of `lw_coder code`."""

from __future__ import annotations

from msgspec import Struct, field

from lw_coder.settings.limits import UNATTENDED, Limits

LOCAL = "local"  # the engine that is this machine


class CodeOptions(Struct, frozen=True):
    """What was typed besides the plan.

    Attributes:
        yes: start even if the plan is done or abandoned, or an earlier session left a merge or rebase
            unfinished, and move the branch even to commits that delete files which the session did not have.
        headless: without a person: the agent works until it has finished, or a limit is reached.
        as_json: print one JSON document at the end, on standard output.
        limits: those given as options; they replace the configured ones.
        continues: the run to go on with, an empty text for the plan's newest, or None for a new conversation.
        message: what the agent is told when it goes on, or None for the usual text.
        checks: run the checks of the repository and of the plan after the session.
        engine: where the session runs, instead of `[code] engine`, or None.
        retry_lost: start a session again whose node is down, without a question.
    """

    yes: bool = False
    headless: bool = False
    as_json: bool = False
    limits: Limits = field(default_factory=Limits)
    continues: str | None = None
    message: str | None = None
    checks: bool = True
    engine: str | None = None
    retry_lost: bool = False

    def runs_remotely(self, configured: str) -> bool:
        """Return whether the session runs on a node of a cluster, by the option or the configured engine."""
        return self.headless and (self.engine or configured) != LOCAL

    def effective_limits(self, configured: Limits | None) -> Limits:
        """Return the limits of the session: an option's, else the configured one, else the default."""
        defaults = UNATTENDED if self.headless else Limits()
        return self.limits.over((configured or Limits()).over(defaults))
