"""One module for each command: a straight line of calls, and what it reports at the end."""
