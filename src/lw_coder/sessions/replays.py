"""Which runs are in use by a container, which can be a replay that lw_coder did not start."""

from __future__ import annotations

from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.errors import SessionError, SilentEngineError
from lw_coder.repository.git import Repository, root_commit
from lw_coder.runs.run_folders import Run
from lw_coder.sessions.cleanup import require_idle_if_there_is_an_engine


class Replays:
    """Knows which plans a container is running for; the engine is asked once for each."""

    def __init__(self, repository: Repository) -> None:
        self._identity = repo_hash(root_commit(repository), repository.common_dir)
        self._asked: dict[str, str | None] = {}

    def why_busy(self, run: Run) -> str | None:
        """Return why a run is in use, or None; also if there is no engine."""
        if run.plan_id not in self._asked:
            self._asked[run.plan_id] = self._ask(run.plan_id)
        return self._asked[run.plan_id]

    def _ask(self, plan_id: str) -> str | None:
        try:
            require_idle_if_there_is_an_engine(self._identity, plan_id)
        except (SessionError, SilentEngineError) as error:
            return error.message
        return None
