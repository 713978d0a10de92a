"""What can be wrong with a language model's server: each fault in a few words, with its remedy.

The server's own text is never among them: it can quote the key or the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lw_coder.settings.model_access import ModelAccess


class Fault(NamedTuple):
    """What the server does, as the end of a sentence that begins with its name, and what helps."""

    what: str
    remedy: str


KEY = Fault("refused the API key", "check OPENROUTER_API_KEY, and that the key may use this model")
CREDIT = Fault("has no credit left for this key", "add credit to the account behind OPENROUTER_API_KEY")
UNKNOWN = Fault(
    "does not know the model or the address",
    "check OPENROUTER_MODEL, and that OPENROUTER_BASE_URL ends with the version, such as /api/v1",
)
TOO_LONG = Fault(
    "does not accept a prompt as long as this plan",
    "shorten the plan, or set OPENROUTER_MODEL to another",
)
REJECTED = Fault("rejected the request", "check that OPENROUTER_MODEL names a chat model of that server")
BUSY = Fault("limits the rate of requests", "wait a minute and run the command again")
BROKEN = Fault(
    "failed on its side",
    "run the command again in a few minutes; if it still fails, set OPENROUTER_MODEL to another model",
)
SILENT = Fault(
    "did not answer in time",
    "run the command again, with a longer [code] model_timeout or a faster OPENROUTER_MODEL,"
    " or check OPENROUTER_BASE_URL",
)
UNREACHABLE = Fault(
    "could not be reached, or dropped the connection",
    "check the network, the proxy variables and OPENROUTER_BASE_URL",
)
NOT_A_MODEL = Fault(
    "answered with something other than a model's reply",
    "check OPENROUTER_BASE_URL: it must be an OpenAI-compatible endpoint, such as one that ends with /api/v1",
)
SETTINGS = Fault(
    "cannot be called with these settings",
    "check OPENROUTER_API_KEY, OPENROUTER_MODEL and OPENROUTER_BASE_URL",
)
NO_SUCH_NAME = Fault(
    "has an address whose name is unknown here",
    "check the host in OPENROUTER_BASE_URL, and the name servers; if only a proxy knows it, set HTTPS_PROXY",
)
NOT_TRUSTED = Fault(
    "has a certificate that is not trusted here",
    "behind a proxy that inspects TLS, set SSL_CERT_FILE to its certificates: "
    "`lw_coder docs openrouter-and-login`",
)
NO_TLS = Fault(
    "does not speak TLS at this address",
    "check whether OPENROUTER_BASE_URL begins with http:// or https://, and its port",
)


def server_name(access: ModelAccess) -> str:
    """Name a model and its server; nothing of the URL that can be a secret is in it."""
    return f"the language model {access.model} at {_without_userinfo(access.base_url)}"


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    bare = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
    return bare.partition("?")[0]
