"""Run the gateway: python3 -m gateway SETTINGS FOLDER [PORT [HOST]]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aiohttp import web

from .server import make_app
from .settings import read_settings

PORT = 8080


def main() -> None:
    """Serve until SIGTERM."""
    settings, folder, *place = sys.argv[1:]
    app = make_app(read_settings(Path(settings)), Path(folder), os.environ)
    web.run_app(
        app,
        port=int(place[0]) if place else PORT,
        host=place[1] if place[1:] else None,
        access_log=None,
        print=None,
        handler_cancellation=True,
        shutdown_timeout=5,
    )


main()
