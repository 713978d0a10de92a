"""The run folder: open, seal, list, prune; and its record, run.json."""
