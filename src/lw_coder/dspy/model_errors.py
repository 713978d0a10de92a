"""Errors of the language model: what DSPy raises, as one line with a remedy.

The provider's text is never included: it can quote the key or the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspy.utils import exceptions as lm_errors

from lw_coder.foundation.errors import PromptError
from lw_coder.settings import model_faults as faults
from lw_coder.settings.model_faults import Fault, server_name

if TYPE_CHECKING:
    from lw_coder.settings.model_access import ModelAccess

# Specific classes come before their parents.
_BY_CLASS: tuple[tuple[type[Exception], Fault], ...] = (
    (lm_errors.LMAuthError, faults.KEY),
    (lm_errors.LMBillingError, faults.CREDIT),
    (lm_errors.ContextWindowExceededError, faults.TOO_LONG),
    (lm_errors.LMUnsupportedModelError, faults.UNKNOWN),
    (lm_errors.LMInvalidRequestError, faults.REJECTED),
    (lm_errors.LMRateLimitError, faults.BUSY),
    (lm_errors.LMTimeoutError, faults.SILENT),
    (lm_errors.LMServerError, faults.BROKEN),
    (lm_errors.LMTransportError, faults.UNREACHABLE),
    (lm_errors.LMProviderError, faults.NOT_A_MODEL),
    (lm_errors.LMUnexpectedError, faults.NOT_A_MODEL),  # JSON of an unexpected shape
)


def explain(error: Exception, access: ModelAccess) -> PromptError:
    """Make the error to show for one of DSPy's `LMError`s."""
    what, remedy = _text_of(error)
    status = getattr(error, "status", None)
    shown = f" (HTTP {status})" if status else ""
    wait = getattr(error, "retry_after", None)
    if wait and isinstance(error, lm_errors.LMRateLimitError | lm_errors.LMServerError):
        remedy = f"the server asks for a wait of {_duration(wait)}; run the command again after that"
    return PromptError(f"{server_name(access)} {what}{shown}", remedy)


def silence(access: ModelAccess) -> PromptError:
    """Make the error for a question that was not answered within the deadline."""
    what, remedy = faults.SILENT
    return PromptError(f"{server_name(access)} {what} ({access.deadline:g} s)", remedy)


def unusable(fault: str, attempts: int, access: ModelAccess) -> PromptError:
    """Make the error for answers that were all unusable; `fault` describes the last, without its text."""
    return PromptError(
        f"the language model {access.model} gave no usable prompts: {attempts} answers, and the last {fault}",
        "set another OPENROUTER_MODEL, or simplify the plan; "
        "if answers are empty, check that OPENROUTER_BASE_URL is not a redirect",
    )


def _text_of(error: Exception) -> Fault:
    if getattr(error, "status", None) == 404:  # noqa: PLR2004 - HTTP's "not found"
        return faults.UNKNOWN
    return next((text for kind, text in _BY_CLASS if isinstance(error, kind)), faults.SETTINGS)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"  # noqa: PLR2004
