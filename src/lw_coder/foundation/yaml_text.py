"""Read YAML of lw_coder's own: of what a person or an agent wrote, nesting could overflow libyaml's stack."""

from __future__ import annotations

from typing import Any


def read_own_yaml(text: str) -> Any:
    """Return the value of a YAML document.

    Raises:
        yaml.YAMLError: it is not valid.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's loader, if available, is much faster
    return yaml.load(text, Loader=loader)  # noqa: S506 - either of the two is a safe one
