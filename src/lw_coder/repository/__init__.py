"""Git: running it, worktrees, a run's private git folder."""
