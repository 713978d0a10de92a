"""Git: the only module that runs it, worktrees, a run's private git folder."""
