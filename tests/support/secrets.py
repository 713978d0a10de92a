"""Where a secret could have got to: files, command lines, containers, images. Each search names its finds."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.engine import docker


def in_files(secret: str, *roots: Path) -> list[str]:
    """Search names, contents and symlinks' targets, as they are and in base64."""
    return sorted(str(path) for root in roots for path in _paths(root) if _holds(path, secret))


def _paths(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in [*folders, *files])


def _holds(path: Path, secret: str) -> bool:
    content = os.fsencode(path.name)
    if path.is_symlink():
        content += os.fsencode(path.readlink())
    elif path.is_file():
        content += path.read_bytes()
    return any(form in content for form in _forms(secret))


def _forms(secret: str) -> tuple[bytes, bytes]:
    return secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")


def in_container(secret: str, container: str) -> list[str]:
    """Search all that the engine tells of a container, but its environment, which has to hold it."""
    (told,) = json.loads(docker("inspect", container))
    told["Config"].pop("Env")
    return [f"{name}: {part}" for name, part in told.items() if secret in json.dumps(part)]


def in_image(secret: str, image: str) -> list[str]:
    """Search an image's configuration, and the steps that it was made by."""
    told = docker("inspect", image) + "\n" + docker("history", "--no-trunc", image)
    return [line for line in told.splitlines() if secret in line]


class CommandLines:
    """Looks at the command lines of all processes, all the time that its `with` block takes."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.finds: set[str] = set()
        self.seen: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                self._look(path)

    def _look(self, path: Path) -> None:
        try:
            line = path.read_bytes()
        except OSError:  # it has ended meanwhile
            return
        shown = line.replace(b"\0", b" ").decode(errors="replace")
        self.seen.add(shown)
        if self._secret in line:
            self.finds.add(shown)
