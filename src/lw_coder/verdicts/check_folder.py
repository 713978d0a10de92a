"""A run's `verdict` folder: what its check containers read, and the Compose file that they run from."""

from __future__ import annotations

from pathlib import Path

from lw_coder.containers.check_service import CHECK_HOME, CheckSpec, render_check
from lw_coder.containers.labels import check_labels
from lw_coder.containers.specs import Mount
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.repository.checkouts import Checkouts, prepare_checkouts
from lw_coder.runs.run_folders import remove_tree, write_file
from lw_coder.sessions.spec import ca_mounts, ca_variables, host_user, project_name
from lw_coder.verdicts.stub import FOLDER
from lw_coder.verdicts.subject import Subject

LOGS = "logs"

_INPUT = "input"
_SCRIPT = "run-check"
_SPARE = 60  # seconds that lw_coder has to end a check before the container does


def write_check_folder(subject: Subject, image: str) -> Checkouts:
    """Write the folder anew, with empty logs.

    Args:
        subject: what is verified.
        image: id of the image that the checks of the tip run in; the run's own is that of the base's checks.

    Raises:
        GitError: git failed.
        OSError: the folder cannot be written.
    """
    final = subject.run.folder / FOLDER
    made = subject.run.folder / f".{FOLDER}"
    remove_tree(made)
    checkouts = _write(subject, image, made)
    remove_tree(final)
    made.rename(final)
    return checkouts


def _write(subject: Subject, image: str, folder: Path) -> Checkouts:
    inputs = folder / _INPUT
    for each in (folder, folder / LOGS, inputs, inputs / "checks"):
        each.mkdir(mode=0o700)
    for number, check in enumerate(subject.checks, 1):
        write_file(inputs / "checks", check_number(number), f"{check.command}\n")
    checkouts = prepare_checkouts(subject.repository, inputs, {"base": subject.base, "tip": subject.tip})
    script = write_file(folder, _SCRIPT, (shipped_folder("compose") / _SCRIPT).read_text(encoding="utf-8"))
    script.chmod(0o700)
    for name, text in render_check(_spec(subject, image, folder, checkouts)).items():
        write_file(folder, name, text)
    return checkouts


def check_number(number: int) -> str:
    """Return the name of a check's file and logs; names sort as the numbers do."""
    return f"{number:03}"


def _spec(subject: Subject, image: str, folder: Path, checkouts: Checkouts) -> CheckSpec:
    config, run = subject.config, subject.run
    certificates = ca_mounts(subject.ca_bundle) if config.checks_network else ()
    seconds = round(config.checks_minutes * 60) + _SPARE
    own = {"HOME": CHECK_HOME, "LW_CODER_CHECK_SECONDS": str(seconds)}
    return CheckSpec(
        folder=folder,
        root=subject.repository.root,
        project=project_name(subject.identity, run.plan_id, run.name),
        user=host_user(),
        image=image,
        base_image=subject.images.repo,
        proxy_image=subject.images.base,
        mounts=(
            Mount(folder / _INPUT, "/check"),
            Mount(folder / _SCRIPT, f"/usr/local/bin/{_SCRIPT}"),
            *(Mount(*mount) for mount in checkouts.mounts),
            *certificates,
        ),
        environment={**own, **(ca_variables() if certificates else {})},
        labels=check_labels(subject.identity, run.plan_id, run.name),
        run_options=config.run_options,
        has_network=config.checks_network,
        allowed=config.allowed_hosts,
    )
