"""The docker client's configuration for a session: the user's, with detach keys that nobody types.

By default, docker detaches from a session at Ctrl+P Ctrl+Q, and holds back a single Ctrl+P until the next
key. `docker compose run` has no flag for other keys: it reads them only from the client's config.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from lw_coder.foundation.temporary import TemporaryFolder, temporary_folder
from lw_coder.settings.docker_variables import client_config, config_folder

# An empty list would select docker's default. docker holds back the first key until the next one, so it is a
# key that few programs use. Nobody types all sixteen in this order.
DETACH_KEYS = ",".join(["ctrl-^", "ctrl-@"] * 8)

_CONFIG = "config.json"


@contextmanager
def keys_freed(process: Mapping[str, str]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Yield variables for docker's client with which every key goes to the session, and what it keeps open.

    The rest of the user's configuration still applies: contexts, plugins, proxies, headers. If this is not
    possible, because the system is not Linux or the client is a snap, the variables are empty.
    """
    with ExitStack() as made:
        try:
            folder = _changed_copy(process, made) if _can_see_it() else None
        except OSError:  # the disk is full, or there is no memfd: a session works without
            folder = None
        yield ({"DOCKER_CONFIG": str(folder.path)}, (folder.descriptor,)) if folder else ({}, ())


def _can_see_it() -> bool:
    import shutil

    return sys.platform == "linux" and "/snap/" not in str(shutil.which("docker"))


def _changed_copy(process: Mapping[str, str], made: ExitStack) -> TemporaryFolder:
    """Create a folder with links to the files in the user's folder, and to a changed config.json in memory.

    config.json can contain credentials, so no copy of it is written to disk.
    """
    memory = os.memfd_create("docker-config")
    made.callback(os.close, memory)
    os.write(memory, json.dumps({**client_config(process), "detachKeys": DETACH_KEYS}).encode())
    folder = made.enter_context(temporary_folder())
    (folder.path / _CONFIG).symlink_to(f"/proc/{os.getpid()}/fd/{memory}")
    source = config_folder(process)
    for entry in source.iterdir() if source.is_dir() else ():
        if entry.name != _CONFIG:
            (folder.path / entry.name).symlink_to(entry.absolute())
    return folder
