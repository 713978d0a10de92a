"""The configuration of docker's client for a session: the person's own, with detach keys that nobody types.

docker leaves a session at Ctrl+P Ctrl+Q, and holds back a single Ctrl+P until the next key comes. `docker
compose run` has no flag for other keys: it takes them from the client's config.json alone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lw_coder.settings.docker_variables import client_config, config_folder

# An empty list would mean docker's own. The first one is held back until the next key comes, so it is one
# that hardly a program uses; and nobody types all of them in this order.
DETACH_KEYS = ",".join(["ctrl-^", "ctrl-@"] * 8)

_CONFIG = "config.json"


@contextmanager
def keys_freed(process: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield variables with which docker's client leaves every key that a person types to the session.

    Everything else of the person's configuration holds: contexts, plugins, proxies, headers. Where that is
    not possible, on another system than Linux or for a client that cannot see it, nothing is yielded.
    """
    with ExitStack() as made:
        try:
            variables = {"DOCKER_CONFIG": _changed_copy(process, made)} if _can_see_it() else {}
        except OSError:  # no room for some links, or no memory of that kind: a session can do without
            variables = {}
        yield variables


def _can_see_it() -> bool:
    import shutil

    return sys.platform == "linux" and "/snap/" not in str(shutil.which("docker"))


def _changed_copy(process: Mapping[str, str], made: ExitStack) -> str:
    """Make a folder that links to everything in the person's, and to a changed config.json in memory.

    That file can hold credentials, so that no copy of it is written.
    """
    import shutil
    import tempfile

    memory = os.memfd_create("docker-config")
    made.callback(os.close, memory)
    os.write(memory, json.dumps({**client_config(process), "detachKeys": DETACH_KEYS}).encode())
    folder = Path(tempfile.mkdtemp(prefix="lw_coder-docker-"))
    made.callback(shutil.rmtree, folder, ignore_errors=True)
    (folder / _CONFIG).symlink_to(f"/proc/{os.getpid()}/fd/{memory}")
    source = config_folder(process)
    for entry in source.iterdir() if source.is_dir() else ():
        if entry.name != _CONFIG:
            (folder / entry.name).symlink_to(entry.absolute())
    return str(folder)
