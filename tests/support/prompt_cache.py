"""The shipped prompt cache: the sample plan's answer as DSPy itself keeps it, so that nobody has to be asked.

    python -m tests.support.prompt_cache

makes it anew: the real signature, DSPy and cache folder, and a served model that says what stands in
sample_prompts/. DSPy finds the answer by the question, so a change of the signature, of the sample or
of DSPy's version calls for that.
"""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.agent_script import prompt_answer
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import Conversation, Reply, ScriptedModel

ARCHIVE = Path(__file__).with_name("prompt-cache.tar.gz")
TEXTS = Path(__file__).with_name("sample_prompts")
REMAKE = "run `nox -s prompt_cache` and commit the archive"


class StalePromptCacheError(Exception):
    """The shipped cache is another DSPy's; the message says what makes it anew."""


def sample_prompts(sha: str) -> dict[str, Any]:
    """Give the signature's outputs for the sample plan, by name."""
    texts = {path.stem: path.read_text(encoding="utf-8").replace("@GIT_SHA@", sha) for path in _files()}
    summary = texts.pop("feedback_summary")
    return {**{name: text.strip() for name, text in texts.items()}, "feedback_summary": json.loads(summary)}


def unpack_prompt_cache(cache_home: Path, archive: Path = ARCHIVE) -> Path:
    """Put the shipped cache where `lw_coder` looks for it; return that folder.

    Args:
        cache_home: what XDG_CACHE_HOME is, or `.cache` in the home.
        archive: the packed cache.

    Raises:
        StalePromptCacheError: the installed DSPy cannot read it.
    """
    with tarfile.open(archive) as packed:
        _require_version({name.partition("/")[0] for name in packed.getnames()})
        folder = cache_home / "lw_coder" / "dspy"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        packed.extractall(folder, filter="data")
    return folder


def make_prompt_cache(archive: Path = ARCHIVE) -> None:
    """Ask for the sample plan's prompts with an empty cache, and pack what DSPy kept."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-") as name:
        folder = Path(name)
        _fill(make_sample_repository(folder / "sample"), folder / "cache")
        _settle(folder / "cache")
        archive.write_bytes(_packed(folder / "cache"))


def _files() -> list[Path]:
    return [*sorted(TEXTS.glob("*_prompt.md")), TEXTS / "feedback_summary.json"]


def _require_version(shipped: set[str]) -> None:
    from importlib.metadata import version  # DSPy's own __version__ would cost a second

    if version("dspy") not in shipped:
        was = ", ".join(sorted(shipped))
        raise StalePromptCacheError(
            f"the shipped prompt cache is of DSPy {was}, and this is {version('dspy')}: {REMAKE}"
        )


def _fill(sample: SampleRepository, cache: Path) -> None:
    from lw_coder.dspy.prompt_orchestrator import generate_prompts
    from lw_coder.plans.find_plan import find_plan
    from lw_coder.plans.plan_file import read_plan
    from lw_coder.settings.environment import DEFAULT_MODEL
    from lw_coder.settings.model_access import ModelAccess

    texts = sample_prompts(sample.sha)

    def answer(conversation: Conversation) -> Reply:
        return prompt_answer(conversation, texts)

    with ScriptedModel(answer) as model:
        plan = read_plan(find_plan(sample.root, PLAN_ID)).metadata
        prompts = generate_prompts(plan, ModelAccess(DEFAULT_MODEL, model.base_url, "no key"), cache)
    if prompts.outputs != texts or prompts.attempts != 1:
        raise AssertionError(f"sample_prompts: the orchestrator took {prompts.attempts} answers")


def _settle(folder: Path) -> None:
    """Write the databases' journals home, and take out when the answers came."""
    for path in folder.rglob("cache.db"):
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE Cache SET store_time = 0, access_time = 0")
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _packed(folder: Path) -> bytes:
    """Pack files by name, without times, owners and journals."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as packed,
    ):
        for path in sorted(set(folder.rglob("*")) - set(folder.rglob("cache.db-*"))):
            packed.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)
    return out.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    make_prompt_cache()
    sys.stdout.write(f"{ARCHIVE.name}: {ARCHIVE.stat().st_size} bytes\n")
