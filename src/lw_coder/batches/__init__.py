"""A batch: the order of many plans, what each starts from, and the state of each run."""
