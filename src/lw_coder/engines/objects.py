"""A repository's objects in a registry: most of them once, the rest with each run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from lw_coder.engines.job_document import OBJECTS, OBJECTS_KIND
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.plain_tar import Entry, TarWriter
from lw_coder.foundation.state import APP
from lw_coder.foundation.temporary import temporary_folder
from lw_coder.repository.object_packs import present, write_pack

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact, Registry
    from lw_coder.repository.git import Repository

_LARGE = 32 << 20  # bytes of a run's own objects, from which on all are packed anew
_TAG_DIGITS = 32


class SentObjects:
    """What has been pushed for a repository: the artifact, and the commits that it reaches.

    It is remembered in a file of this machine, and only used if the registry still has the artifact.

    Args:
        repository: the user's.
        identity: the repository's, from `image_names.repo_hash`.
        registry: where objects go.
    """

    def __init__(self, repository: Repository, identity: str, registry: Registry) -> None:
        self._repository, self._registry = repository, registry
        place = registry.place.name("").replace("/", "_").replace(":", "_")
        self._file = Path(platformdirs.user_cache_dir(APP)) / "sent-objects" / f"{identity}-{place}.json"

    def ensure(self, tips: Iterable[str], folder: Path) -> Artifact:
        """Push a repository's objects if they are not there; pack what they lack of some commits.

        Args:
            tips: ids of all commits and tags that a run has.
            folder: gets the pack of what is not in the artifact.

        Raises:
            GitError: an object is missing or damaged.
            EngineError: the registry does not take them.
        """
        every = list(tips)
        sent, known = self._remembered()
        if sent is not None:
            write_pack(self._repository, folder, every, known)
            if sum(pack.stat().st_size for pack in folder.glob("*.pack")) < max(_LARGE, sent.size // 2):
                return sent
            for file in folder.iterdir():
                file.unlink()
        return self._push_all(every)

    def _push_all(self, tips: list[str]) -> Artifact:
        with temporary_folder() as (temporary, _):
            packs = temporary / "packs"
            packs.mkdir()
            write_pack(self._repository, packs, tips)
            tar = temporary / "tar"
            with tar.open("wb") as file:
                add_packs(writer := TarWriter(file), packs, "")
                writer.end()
            from lw_coder.containers.registry import digest_of

            tag = digest_of(tar).removeprefix("sha256:")[:_TAG_DIGITS]
            artifact = self._registry.push(OBJECTS, tag, tar, OBJECTS_KIND)
        self._remember(artifact, tips)
        return artifact

    def _remembered(self) -> tuple[Artifact | None, list[str]]:
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = read_json(self._file.read_text(encoding="ascii"))
            known = present(self._repository, map(str, told["tips"]))
            return self._registry.find(OBJECTS, str(told["manifest"])), known
        return None, []

    def _remember(self, artifact: Artifact, tips: list[str]) -> None:
        with suppress(OSError):  # then they are pushed again
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps({"manifest": artifact.manifest, "tips": tips})
            partial = self._file.with_suffix(".tmp")
            partial.write_text(text, encoding="ascii")
            partial.replace(self._file)


def add_packs(writer: TarWriter, packs: Path, prefix: str) -> None:
    """Add packs and their indexes to a tar."""
    for path in sorted(packs.iterdir()):
        with path.open("rb") as content:
            writer.add(Entry(prefix + path.name, path.stat().st_size), content)
