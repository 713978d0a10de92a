"""A run as a page, and in a few lines: what is in its folder and its commits, for a person to read."""
