"""A run's `verdict` folder before the run is verified. Every start writes it, so this imports little."""

from __future__ import annotations

from lw_coder.containers.check_stub import CHECK_FILE, render_stub
from lw_coder.runs.run_folders import Run, write_file

FOLDER = "verdict"
INCLUDED = f"{FOLDER}/{CHECK_FILE}"  # by a run's compose.yml


def write_stub(run: Run, image: str) -> None:
    """Write the Compose file of a run that has not been verified yet."""
    write_file(run.folder, INCLUDED, render_stub(image, run.identity))
