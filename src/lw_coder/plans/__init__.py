"""Plan files, and what a planning session does to them."""
