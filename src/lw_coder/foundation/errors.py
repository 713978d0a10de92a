"""The hierarchy of expected errors. Each has a line that says what is wrong and where, and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `lw_coder`; docs/reference/result.md has the same table."""

    OK = 0
    ERROR = 1  # expected: one line with a remedy was shown; also if commits could not be imported
    USAGE = 2  # the command line itself is wrong
    BUG = 3  # unexpected: the log's path was shown
    SESSION = 4  # the agent's session ended with a non-zero status, or headless without finishing
    LIMIT = 5  # a limit ended the session, or the batch
    VERDICT = 6  # a check did not pass, nothing was committed, or there is no verdict; in a batch, of a plan
    SETUP = 7  # a command of `[code] setup` failed, and the agent was not started
    PAUSED = 8  # the model's provider is to be asked again later; the session can go on then
    INTERRUPTED = 130  # Ctrl+C


class LwCoderError(Exception):
    """An expected failure.

    `message` says what is wrong and where, `remedy` what the person can do about it. Neither ever
    contains the value of an environment variable, nor text that a model or an agent wrote, except a plan's.
    """

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[LwCoderError], tuple[str, str]]:
        """Make the error picklable."""
        return type(self), (self.message, self.remedy)

    @property
    def parts(self) -> tuple[LwCoderError, ...]:
        """The errors to show, one line each."""
        return (self,)

    @property
    def details(self) -> tuple[str, ...]:
        """Lines to show right above the message."""
        return ()


class PlanError(LwCoderError):
    """A plan file that is missing or invalid."""


class InvalidPlanError(PlanError):
    """Everything that is wrong with a plan file. It has the message and remedy of the first error."""

    def __init__(self, errors: Sequence[PlanError]) -> None:
        super().__init__(errors[0].message, errors[0].remedy)
        self._parts = tuple(errors)

    def __reduce__(self) -> tuple[type[InvalidPlanError], tuple[tuple[LwCoderError, ...]]]:  # type: ignore[override]
        """Make the error picklable."""
        return type(self), (self._parts,)

    @property
    def parts(self) -> tuple[LwCoderError, ...]:
        """The errors to show, one line each."""
        return self._parts


class IdeaError(LwCoderError):
    """An idea that cannot be read, or is empty."""


class ConfigError(LwCoderError):
    """A `.lw_coder/config.toml` that is missing or wrong."""


class EnvironmentFileError(LwCoderError):
    """An env file, or a variable that should come from it, that is missing or wrong."""


class GitError(LwCoderError):
    """A repository, worktree or branch in a state that a run cannot use; or git itself failed."""


class EngineError(LwCoderError):
    """Docker is absent, unreachable or too old, or a build failed."""


class SilentEngineError(EngineError):
    """Docker has not answered within the time that an answer may take."""


class BuildError(EngineError):
    """A build failed; its details are what the failing step printed at its end."""

    def __init__(self, message: str, remedy: str, details: tuple[str, ...]) -> None:
        super().__init__(message, remedy)
        self._details = details

    def __reduce__(self) -> tuple[type[BuildError], tuple[str, str, tuple[str, ...]]]:  # type: ignore[override]
        """Make the error picklable."""
        return type(self), (self.message, self.remedy, self._details)

    @property
    def details(self) -> tuple[str, ...]:
        """Lines to show right above the message."""
        return self._details


class PromptError(LwCoderError):
    """The language model could not be called, or returned no usable prompts."""


class FolderError(LwCoderError):
    """A folder of lw_coder in a repository that cannot be read, or a file in its place."""


class RunError(LwCoderError):
    """A run folder that is in use, missing or damaged."""


class LockedError(RunError):
    """Another command holds the lock that is needed."""


class VerdictError(LwCoderError):
    """What would be used has no verdict that it passed."""

    exit_code = ExitCode.VERDICT


class StateError(LwCoderError):
    """A folder of lw_coder, outside any repository, that cannot be created or written."""


class SessionError(LwCoderError):
    """The interactive session could not be started."""


class SetUpError(LwCoderError):
    """A repository that is not set up for lw_coder, or several problems of a session's set-up at once.

    Attributes:
        problems: each of the problems, if there are several.
    """

    def __init__(self, message: str, remedy: str, problems: tuple[LwCoderError, ...] = ()) -> None:
        super().__init__(message, remedy)
        self.problems = problems

    @property
    def parts(self) -> tuple[LwCoderError, ...]:
        """The problems, or this error itself."""
        return self.problems or (self,)


class DocsError(LwCoderError):
    """A page of the documentation that does not exist."""
