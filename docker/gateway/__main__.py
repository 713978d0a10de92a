"""Run the gateway: python3 -m gateway SETTINGS FOLDER [PORT]."""

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
    settings, folder, *port = sys.argv[1:]
    app = make_app(read_settings(Path(settings)), Path(folder), os.environ)
    web.run_app(
        app,
        port=int(port[0]) if port else PORT,
        access_log=None,
        print=None,
        handler_cancellation=True,
        shutdown_timeout=5,
    )


main()
