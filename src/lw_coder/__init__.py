"""Carry out Markdown plans with a coding agent in a container."""

from importlib.metadata import version

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    # Read when asked for: the metadata's look-up is slower than the rest of `--help`.
    if name == "__version__":
        return version("lw-coder")
    raise AttributeError(name)
