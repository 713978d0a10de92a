"""The address of a registry, and the names that lw_coder uses there."""

from __future__ import annotations

import re

from msgspec import Struct

_PLACE = re.compile(
    r"(?P<scheme>https?://)?(?P<host>[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?)"
    r"(?P<prefix>(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)/?"
)


class RegistryPlace(Struct, frozen=True):
    """A registry, and the beginning of the names of all that lw_coder has there.

    Attributes:
        host: `host` or `host:port`.
        prefix: empty, or a path without a slash at either end.
        is_plain: whether it is reached without TLS.
    """

    host: str
    prefix: str = ""
    is_plain: bool = False

    def name(self, repository: str) -> str:
        """Return the full name of a repository, as in the name of an image."""
        return f"{self.host}/{self.path(repository)}"

    def path(self, repository: str) -> str:
        """Return the name of a repository in the registry."""
        return f"{self.prefix}/{repository}" if self.prefix else repository


def parse_place(text: str) -> RegistryPlace:
    """Read `[http://]host[:port][/prefix]`.

    Raises:
        ValueError: it is something else.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!a} is not a registry, such as registry.example.com/team")
    return RegistryPlace(found["host"], found["prefix"].strip("/"), found["scheme"] == "http://")
