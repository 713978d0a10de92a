"""Ask the model a short question, as `lw_coder doctor --online` does, and tell apart what can go wrong."""

from __future__ import annotations

import json
import socket
import ssl
from difflib import get_close_matches
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import PromptError
from lw_coder.foundation.json_text import BoundsError, read_json
from lw_coder.settings import model_faults as faults
from lw_coder.settings.model_faults import Fault, server_name

if TYPE_CHECKING:
    from lw_coder.settings.model_access import ModelAccess

SECONDS = 60.0  # that the server has for each part of its answer

_LONGEST = 4 << 20  # bytes; OpenRouter's list of models has half a megabyte
_QUESTION = "Answer with the one word yes."
_BY_STATUS = {
    **dict.fromkeys((401, 403), faults.KEY),
    402: faults.CREDIT,
    404: faults.UNKNOWN,
    **dict.fromkeys((400, 422), faults.REJECTED),
    **dict.fromkeys((408, 504), faults.SILENT),
    429: faults.BUSY,
}
_FIRST_SERVER_ERROR = 500
# Specific classes come before their parents. What is none of these is a key that no header can hold.
_BY_CLASS: tuple[tuple[type[Exception], Fault], ...] = (
    (socket.gaierror, faults.NO_SUCH_NAME),
    (ssl.SSLCertVerificationError, faults.NOT_TRUSTED),
    (ssl.SSLError, faults.NO_TLS),
    (TimeoutError, faults.SILENT),
    (OSError, faults.UNREACHABLE),
    (json.JSONDecodeError, faults.NOT_A_MODEL),
    (UnicodeDecodeError, faults.NOT_A_MODEL),
    (BoundsError, faults.NOT_A_MODEL),
    (HTTPException, faults.NOT_A_MODEL),
)
_WRONG_MODEL = Fault("does not know the model", "check OPENROUTER_MODEL")
_NO_SUCH_ADDRESS = Fault(
    "has no models at this address",
    "check that OPENROUTER_BASE_URL ends with the version, such as /api/v1",
)


class _NoRedirect(HTTPRedirectHandler):
    """The key would go along, to whatever host is named."""

    def redirect_request(self, *_: object) -> None:
        """Follow no redirect; it is then an error."""


def ask_model(access: ModelAccess) -> str:
    """Ask the model for one word; return what to say if it answers.

    Raises:
        PromptError: it does not.
    """
    body = {
        "model": access.model,
        "messages": [{"role": "user", "content": _QUESTION}],
        "max_tokens": access.max_tokens,
    }
    try:
        answer = _read(access, "/chat/completions", body)
    except HTTPError as error:
        raise _explained(access, _fault_of(error.code, access), f" (HTTP {error.code})") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _explained(access, _fault_of_connection(error)) from None
    if not _is_reply(answer):
        raise _explained(access, faults.NOT_A_MODEL)
    return f"{server_name(access)} accepts the key and answers"


def _explained(access: ModelAccess, fault: Fault, more: str = "") -> PromptError:
    return PromptError(f"{server_name(access)} {fault.what}{more}", fault.remedy)


def _read(access: ModelAccess, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON that the server answers.

    Raises:
        OSError, HTTPException, ValueError: it does not answer, or not with JSON.
    """
    headers = {"Authorization": f"Bearer {access.api_key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{access.base_url}{path}", data, headers)  # noqa: S310 - http or https, as was checked
    response: HTTPResponse
    with build_opener(_NoRedirect).open(request, timeout=SECONDS) as response:
        return read_json(response.read(_LONGEST))


def _is_reply(answer: Any) -> bool:
    try:
        return isinstance(answer["choices"][0]["message"], dict)
    except (KeyError, IndexError, TypeError):
        return False


def _fault_of(status: int, access: ModelAccess) -> Fault:
    if status >= _FIRST_SERVER_ERROR and status not in _BY_STATUS:
        return faults.BROKEN
    fault = _BY_STATUS.get(status, faults.NOT_A_MODEL)
    return _narrowed(fault, access) if fault in {faults.UNKNOWN, faults.REJECTED} else fault


def _narrowed(fault: Fault, access: ModelAccess) -> Fault:
    """Tell a wrong model from a wrong address, by the server's own list of models."""
    try:
        names = _names(_read(access, "/models"))
    except HTTPError:
        return _NO_SUCH_ADDRESS if fault is faults.UNKNOWN else fault
    except (OSError, HTTPException, ValueError):
        return fault
    if not names or access.model in names:
        return fault
    close = get_close_matches(access.model, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the server has {counted(len(names), 'other')}"
    return Fault(_WRONG_MODEL.what, f"{_WRONG_MODEL.remedy}; {hint}")


def _names(answer: Any) -> list[str]:
    listed = answer.get("data") if isinstance(answer, dict) else None
    each = (
        [model.get("id") for model in listed if isinstance(model, dict)] if isinstance(listed, list) else []
    )
    return [name for name in each if isinstance(name, str)]


def _fault_of_connection(error: Exception) -> Fault:
    reason = error.reason if isinstance(error, URLError) else error
    return next((fault for kind, fault in _BY_CLASS if isinstance(reason, kind)), faults.SETTINGS)
