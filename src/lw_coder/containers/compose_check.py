"""Whether Compose can read what a repository's config asks for, before anything is made of it."""

from __future__ import annotations

from pathlib import Path

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.docker_command import compose_refusal, disk_error
from lw_coder.containers.engine import installed_compose
from lw_coder.containers.labels import PLAN_LABEL, RUN_LABEL
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.docker_flags import BuildOptions, RunOptions

_LABELS = {PLAN_LABEL: "check", RUN_LABEL: "check"}


def require_readable(root: Path, run: RunOptions, build: BuildOptions) -> None:
    """Check that Compose can read what docker_run_args and docker_build_args become.

    Args:
        root: the repository's root.
        run: docker_run_args.
        build: docker_build_args.

    Raises:
        ConfigError: it cannot; otherwise the person would learn that when the prompts are paid for.
        EngineError: there is no Compose, or the temporary folder cannot be written.
    """
    import tempfile

    if not (run.keys or build.keys):
        return
    try:
        with tempfile.TemporaryDirectory(prefix="lw_coder-") as folder:
            refusal = _refusal(Path(folder), root, run, build)
    except OSError as error:
        raise disk_error(Path(tempfile.gettempdir()), error) from error
    if refusal is not None:
        installed_compose()  # if there is none, the flags are not what is wrong
        raise ConfigError(
            f".lw_coder/config.toml: Docker Compose refuses docker_run_args or docker_build_args: {refusal}",
            "correct that value",
        )


def _refusal(folder: Path, root: Path, run: RunOptions, build: BuildOptions) -> str | None:
    session = SessionSpec("lw_coder-check", "0:0", (), (), {}, _LABELS)
    # An error about an env file repeats what stands in it.
    options = RunOptions({key: value for key, value in run.keys.items() if key != "env_file"})
    repo = ImageBuild("lw_coder-check", root, root / "Dockerfile", {}, {}, build)
    spec = ComposeSpec(folder, root, session, options, {"repo": repo}, None, None, "none")
    for name, text in render(spec).items():
        (folder / name).write_text(text, encoding="utf-8")
    return compose_refusal(folder)
