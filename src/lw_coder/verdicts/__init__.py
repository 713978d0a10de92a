"""Checks of what a session committed, in containers of their own, and what their results mean."""
