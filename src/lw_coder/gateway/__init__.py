"""A session's model gateway: what it is told and what it has counted. It itself is docker/droid/gateway."""
