"""Carry out Markdown plans with a coding agent in a container."""

__all__ = ["__version__"]

__version__ = "0.1.0"
