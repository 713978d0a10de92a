"""The location of shipped files that are not Python: compose/, docker/ and docs/."""

from __future__ import annotations

from pathlib import Path

import lw_coder

PACKAGE = Path(lw_coder.__file__).parent  # importlib.resources imports much more
# A wheel has them inside the package; a checkout has them at its root.
_ROOTS = (PACKAGE / "shipped", PACKAGE.parent.parent)


def shipped_folder(name: str) -> Path:
    """Return the folder `compose`, `docker` or `docs` of this installation."""
    return next(root / name for root in _ROOTS if (root / name).is_dir())
