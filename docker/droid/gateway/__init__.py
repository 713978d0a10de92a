"""The model gateway: it stands between a session and its model, holds the key, and counts.

It runs in a container of its own, with Debian's Python and aiohttp, and not a line of lw_coder's. All that
the agent can do is to send requests; every byte of them is taken as hostile.
"""
