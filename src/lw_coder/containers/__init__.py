"""Docker: its clients, images, and the Compose files of a run."""
