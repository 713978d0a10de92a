"""Errors of the language model: what DSPy raises, as one line with a remedy.

The provider's text is never included: it can quote the key or the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspy.utils import exceptions as lm_errors

from lw_coder.foundation.errors import PromptError

if TYPE_CHECKING:
    from lw_coder.settings.model_access import ModelAccess

_Text = tuple[str, str]

_KEY: _Text = ("refused the API key", "check OPENROUTER_API_KEY, and that the key may use this model")
_CREDIT: _Text = ("has no credit left for this key", "add credit to the account behind OPENROUTER_API_KEY")
_UNKNOWN: _Text = (
    "does not know the model or the address",
    "check OPENROUTER_MODEL, and that OPENROUTER_BASE_URL ends with the version, such as /api/v1",
)
_TOO_LONG: _Text = (
    "does not accept a prompt as long as this plan",
    "shorten the plan, or set OPENROUTER_MODEL to another",
)
_REJECTED: _Text = ("rejected the request", "check that OPENROUTER_MODEL names a chat model of that server")
_BUSY: _Text = ("limits the rate of requests", "wait a minute and run the command again")
_BROKEN: _Text = (
    "failed on its side",
    "run the command again in a few minutes; if it still fails, set OPENROUTER_MODEL to another model",
)
_SILENT: _Text = (
    "did not answer in time",
    (
        "run the command again, with a longer [code] model_timeout or a faster OPENROUTER_MODEL,"
        " or check OPENROUTER_BASE_URL"
    ),
)
_UNREACHABLE: _Text = (
    "could not be reached, or dropped the connection",
    "check the network, the proxy variables and OPENROUTER_BASE_URL",
)
_NOT_A_MODEL: _Text = (
    "answered with something other than a model's reply",
    "check OPENROUTER_BASE_URL: it must be an OpenAI-compatible endpoint, such as one that ends with /api/v1",
)
_SETTINGS: _Text = (
    "cannot be called with these settings",
    "check OPENROUTER_API_KEY, OPENROUTER_MODEL and OPENROUTER_BASE_URL",
)

# Specific classes come before their parents.
_BY_CLASS: tuple[tuple[type[Exception], _Text], ...] = (
    (lm_errors.LMAuthError, _KEY),
    (lm_errors.LMBillingError, _CREDIT),
    (lm_errors.ContextWindowExceededError, _TOO_LONG),
    (lm_errors.LMUnsupportedModelError, _UNKNOWN),
    (lm_errors.LMInvalidRequestError, _REJECTED),
    (lm_errors.LMRateLimitError, _BUSY),
    (lm_errors.LMTimeoutError, _SILENT),
    (lm_errors.LMServerError, _BROKEN),
    (lm_errors.LMTransportError, _UNREACHABLE),
    (lm_errors.LMProviderError, _NOT_A_MODEL),
    (lm_errors.LMUnexpectedError, _NOT_A_MODEL),  # JSON of an unexpected shape
)


def explain(error: Exception, access: ModelAccess) -> PromptError:
    """Make the error to show for one of DSPy's `LMError`s."""
    what, remedy = _text_of(error)
    status = getattr(error, "status", None)
    shown = f" (HTTP {status})" if status else ""
    wait = getattr(error, "retry_after", None)
    if wait and isinstance(error, lm_errors.LMRateLimitError | lm_errors.LMServerError):
        remedy = f"the server asks for a wait of {_duration(wait)}; run the command again after that"
    return PromptError(f"{_server(access)} {what}{shown}", remedy)


def silence(access: ModelAccess) -> PromptError:
    """Make the error for a question that was not answered within the deadline."""
    what, remedy = _SILENT
    return PromptError(f"{_server(access)} {what} ({access.deadline:g} s)", remedy)


def unusable(fault: str, attempts: int, access: ModelAccess) -> PromptError:
    """Make the error for answers that were all unusable; `fault` describes the last, without its text."""
    return PromptError(
        f"the language model {access.model} gave no usable prompts: {attempts} answers, and the last {fault}",
        "set another OPENROUTER_MODEL, or simplify the plan; "
        "if answers are empty, check that OPENROUTER_BASE_URL is not a redirect",
    )


def _text_of(error: Exception) -> _Text:
    if getattr(error, "status", None) == 404:  # noqa: PLR2004 - HTTP's "not found"
        return _UNKNOWN
    return next((text for kind, text in _BY_CLASS if isinstance(error, kind)), _SETTINGS)


def _server(access: ModelAccess) -> str:
    return f"the language model {access.model} at {_without_userinfo(access.base_url)}"


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    bare = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
    return bare.partition("?")[0]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"  # noqa: PLR2004
