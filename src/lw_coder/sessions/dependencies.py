"""Start the services that a session depends on, its proxy and its gateway, while its run is prepared."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lw_coder.containers.docker_command import DEPENDENCIES_FILE
from lw_coder.containers.labels import PLAN_LABEL
from lw_coder.foundation import signals
from lw_coder.foundation.report import warn
from lw_coder.sessions.cleanup import remove_idle_proxies, removed_late
from lw_coder.sessions.setup import write_dependencies
from lw_coder.sessions.spec import session_spec

if TYPE_CHECKING:
    from lw_coder.containers.service_call import ServicesStart
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.sessions.setup import SessionSetup


class Dependencies:
    """The services that a session depends on. They are removed if the `with` block fails before the session.

    Compose would start them itself, before the session: two containers, one after the other.
    """

    def __init__(self) -> None:
        self._start: ServicesStart | None = None
        self._session: SessionSpec | None = None

    @property
    def are_started(self) -> bool:
        """Whether they were started here, so that Compose need not do it."""
        return self._start is not None

    def start(self, setup: SessionSetup, image: str) -> None:
        """Start them, if the session has any, and do not wait for them.

        Args:
            setup: the session's folders; its settings are written.
            image: id of the base image.

        Raises:
            EngineError: docker cannot be started.
        """
        if not setup.context.config.has_networks:
            return
        from lw_coder.containers.service_call import ServicesStart

        folder, session = setup.run.folder, session_spec(setup, setup.run.plan_id)
        write_dependencies(setup, session, image)
        env_file, project = setup.context.environment.env_file, session.project
        self._session = session
        self._start = ServicesStart(folder, DEPENDENCIES_FILE, project, folder, env_file)

    def wait_for_networks(self, setup: SessionSetup) -> None:
        """Wait until the session can join their networks; the services themselves may still be starting.

        Raises:
            EngineError: they could not be created.
        """
        if self._start:
            self._start.wait_for_networks()
            (setup.run.folder / DEPENDENCIES_FILE).unlink()  # the run's own files have the services

    def warn_of_failure(self) -> None:
        """Say why a service did not start, after a session that cannot have worked without it."""
        if self._start and (reason := self._start.failure()):
            warn(f"a service that the session depends on could not be started: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._start is None or self._session is None:
            return
        with signals.held():
            was_starting = self._start.end()
            if kind:
                remove = partial(remove_idle_proxies, self._session.labels[PLAN_LABEL])
                removed_late(remove) if was_starting else remove()
