"""One session of the agent: its set-up, its container, its end, and what killed sessions left."""
