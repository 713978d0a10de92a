"""Where a session runs: on this machine, or on a node of a cluster."""
