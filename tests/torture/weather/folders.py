"""Folders that are read-only, tiny, missing, or hold what nobody can read."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lw_coder.foundation.errors import ExitCode
from tests.support.agent_script import prompt_answer
from tests.support.scripted_model import ScriptedModel
from tests.support.stand_in import SCRIPT
from tests.torture.health import changed
from tests.torture.scenes import COMMITS, Scene
from tests.torture.weather.place import Kind, Place, recovered
from tests.torture.weather.running import CODE, DONE, REFUSED, ran, unusual


def mounted(*lines: str) -> tuple[str, ...]:
    """Return a command that runs another one, which alone sees some mounts."""
    return ("unshare", "--mount", "sh", "-e", "-c", "\n".join([*lines, 'exec "$@"']), "sh")


def _read_only(path: Path) -> tuple[str, ...]:
    where = shlex.quote(str(path))
    return mounted(f"mount --bind {where} {where}", f"mount -o remount,bind,ro {where}")


def _tiny(path: Path, size: str) -> tuple[str, ...]:
    return mounted(f"mount -t tmpfs -o size={size},mode=700 tmpfs {shlex.quote(str(path))}")


def read_only(place: Place, name: str, statuses: set[ExitCode]) -> Iterator[str]:
    """A folder of the scene is read-only."""
    with place.scene() as scene:
        yield from unusual(ran(scene, *CODE), DONE)
        before = scene.persons()
        told = ran(scene, *CODE, under=_read_only(scene.folder / name))
        yield from unusual(told, statuses)
        yield from recovered(scene, before)


def cache(place: Place, harm: Callable[[Path], tuple[str, ...]]) -> Iterator[str]:
    """Something is wrong with the cache when prompts are asked for."""
    with place.scene() as scene, ScriptedModel(prompt_answer) as model:
        before = scene.persons()
        scene.sample.write_env(model.base_url, **{SCRIPT: f"'{COMMITS}'"})
        folder = scene.home / ".cache/lw_coder"
        under = harm(folder)
        yield from unusual(ran(scene, *CODE, under=under), {ExitCode.OK, ExitCode.ERROR})
        scene.sample.write_env(model.base_url, **{SCRIPT: f"'{COMMITS}'"})
        yield from (one for one in recovered(scene, before) if not one.startswith(".env of the person's"))


def corrupt(folder: Path) -> tuple[str, ...]:
    for path in [*folder.rglob("*")]:
        if path.is_file():
            path.write_bytes(b"\0garbage" * 100)
    (folder / "dspy").mkdir(parents=True, exist_ok=True)
    return ()


def done_under(place: Place, under: Callable[[Scene], Sequence[str]]) -> Iterator[str]:
    """A command runs lw_coder, which has to do its work all the same."""
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE, under=under(scene)), DONE)
        yield from recovered(scene, before, commits=1)


def _tiny_temporary_folder(scene: Scene) -> tuple[str, ...]:
    return _tiny(scene.tmp, "1m")


def homes(place: Place, value: str, statuses: set[ExitCode]) -> Iterator[str]:
    """HOME is this."""
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE, HOME=value), statuses)
        yield from changed(scene, before)
        yield from recovered(scene, before)


def kinds() -> Iterator[Kind]:
    either = {ExitCode.OK, ExitCode.ERROR}
    for name, statuses in {
        "repository": REFUSED,
        "repository/.git": REFUSED,
        "repository/.lw_coder/tasks": DONE,
        "home": either,
        "home/.cache": either,
    }.items():
        yield "folders", f"{name} read-only", partial(read_only, name=name, statuses=statuses)
    yield "folders", "cache corrupt", partial(cache, harm=corrupt)
    yield "folders", "cache read-only when prompts are asked for", partial(cache, harm=_read_only)
    yield "folders", "cache full", partial(cache, harm=partial(_tiny, size="8k"))
    yield "folders", "TMPDIR of 1 MB", partial(done_under, under=_tiny_temporary_folder)
    yield "folders", "HOME missing", partial(homes, value="/proc/nowhere", statuses=REFUSED)
    yield "folders", "HOME relative", partial(homes, value="relative", statuses=REFUSED)
