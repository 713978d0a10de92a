"""Check that Compose accepts a repository's docker flags, before anything is created."""

from __future__ import annotations

from pathlib import Path

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.docker_command import compose_refusal, disk_error
from lw_coder.containers.engine import installed_compose
from lw_coder.containers.labels import PLAN_LABEL, RUN_LABEL
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import ConfigError
from lw_coder.foundation.temporary import temporary_folder
from lw_coder.settings.docker_flags import BuildOptions, RunOptions

_LABELS = {PLAN_LABEL: "check", RUN_LABEL: "check"}


def require_readable(root: Path, run: RunOptions, build: BuildOptions) -> None:
    """Check that Compose accepts docker_run_args and docker_build_args.

    Args:
        root: the repository's root.
        run: docker_run_args.
        build: docker_build_args.

    Raises:
        ConfigError: Compose refuses them. Without this check, the user would see that only after paying
            for the prompts.
        EngineError: there is no Compose, or the temporary folder cannot be written.
    """
    import tempfile

    if not (run.keys or build.keys):
        return
    try:
        with temporary_folder() as (folder, _):
            refusal = _refusal(folder, root, run, build)
    except OSError as error:
        raise disk_error(Path(tempfile.gettempdir()), error) from error
    if refusal is not None:
        installed_compose()  # if Compose is missing, the flags are not the cause
        raise ConfigError(
            f".lw_coder/config.toml: Docker Compose refuses docker_run_args or docker_build_args: {refusal}",
            "correct that value",
        )


def _refusal(folder: Path, root: Path, run: RunOptions, build: BuildOptions) -> str | None:
    session = SessionSpec("lw_coder-check", "0:0", (), (), {}, _LABELS)
    # An error about an env file repeats its lines.
    options = RunOptions({key: value for key, value in run.keys.items() if key != "env_file"})
    repo = ImageBuild("lw_coder-check", root, root / "Dockerfile", {}, {}, build)
    spec = ComposeSpec(folder, root, session, options, {"repo": repo}, None, None, "none")
    for name, text in render(spec).items():
        (folder / name).write_text(text, encoding="utf-8")
    return compose_refusal(folder)
