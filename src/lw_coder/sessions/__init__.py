"""One session of the agent: its set-up, its container, its end, and what killed ones left."""
