"""Run the gateway: python3 -m gateway SETTINGS FOLDER [PORT [HOST]]."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.http import HttpProcessingError

from .server import make_app
from .settings import read_settings

PORT = 8080
VARIABLES = Path("/run/lw_coder/variables")  # on a node of a cluster, instead of the container's environment


def main() -> None:
    """Serve until SIGTERM."""
    if VARIABLES.is_file():
        lines = shlex.split(VARIABLES.read_text(encoding="utf-8", errors="surrogateescape"))
        os.environ.update(dict(line.split("=", 1) for line in lines))
    logging.getLogger("aiohttp.server").addFilter(_is_worth_a_trace)
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


def _is_worth_a_trace(record: logging.LogRecord) -> bool:
    """Leave out requests that are no HTTP: aiohttp answers them, and their bytes belong in no log."""
    is_bad_request = (HttpProcessingError, web.RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], is_bad_request))


main()
