"""From a plan to the prompt files of a run."""
