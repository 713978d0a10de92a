"""Import commits from a run's private git folder, which is not trusted, into the repository."""
