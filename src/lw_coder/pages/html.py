"""What all pages have in common: what a template outputs is visible and escaped, and one style is allowed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lw_coder import __version__
from lw_coder.pages.visible import visible

GENERATOR = "lw_coder"  # in a page's head: a page may replace another one

_TEMPLATES = Path(__file__).parent / "templates"


def page_environment() -> Environment:
    """Return an environment in which whatever a template outputs is visible, and escaped."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def head_values(*styles: str) -> dict[str, Any]:
    """Return what the head of a page is made of: its generator, its style, and the style's hash.

    Args:
        styles: the names of the files that the style consists of.
    """
    style = "".join((_TEMPLATES / name).read_text(encoding="ascii") for name in styles)
    return {
        "generator": f"{GENERATOR} {__version__}",
        "style": Markup(style),  # noqa: S704 - our own
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
