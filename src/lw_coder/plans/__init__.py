"""Plan files, and what a planning session changes in them."""
