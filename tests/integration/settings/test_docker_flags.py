"""Every flag makes the container, or the image, that docker itself makes of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, named_volumes, render
from lw_coder.containers.specs import SessionSpec
from lw_coder.settings.docker_flags import (
    BUILD_FLAGS,
    RUN_FLAGS,
    BuildOptions,
    parse_build_flags,
    parse_run_flags,
)
from tests.support.engine import containers, docker

IMAGE = "debian:trixie-slim"  # nobody builds it anew while the tests run
VARIABLE = "LW_CODER_FLAG_TEST"  # set for both, so that a name without a value means the same

# What compose/services.yml says, in docker's words: a flag is added to it on both sides.
_DEFAULTS = (
    *("--interactive", "--tty", "--init", "--workdir=/workspace", "--user=0:0", "--cap-drop=ALL"),
    *("--security-opt=no-new-privileges=true", "--pids-limit=1024", "--cpu-shares=512"),
    *("--memory=4g", "--memory-swap=4g"),
)
# {root} is the repository, {volume} a volume and {donor} a container that both sides may use.
_RUN: dict[str, tuple[str, ...]] = {
    "--add-host": ("--add-host", "db:10.0.0.1", "--add-host=six:[::1]"),
    "--annotation": ("--annotation", "a.b=c=d"),
    "--blkio-weight": ("--blkio-weight", "300"),
    "--blkio-weight-device": ("--blkio-weight-device", "/dev/vda:200"),
    "--cap-add": ("--cap-add", "NET_ADMIN", "--cap-add=CHOWN"),
    "--cap-drop": ("--cap-drop", "CHOWN"),
    "--cgroup-parent": ("--cgroup-parent", "/lw_coder-test"),
    "--cgroupns": ("--cgroupns", "host"),
    "--cpu-period": ("--cpu-period", "50000"),
    "--cpu-quota": ("--cpu-quota", "20000"),
    "--cpu-rt-period": ("--cpu-rt-period", "1000000"),
    "--cpu-rt-runtime": ("--cpu-rt-runtime", "1000"),
    "--cpu-shares": ("-c", "256"),
    "--cpus": ("--cpus", "1.5"),
    "--cpuset-cpus": ("--cpuset-cpus", "0"),
    "--device": ("--device", "/dev/null:/dev/other:r"),
    "--device-cgroup-rule": ("--device-cgroup-rule", "c 1:3 mr"),
    "--device-read-bps": ("--device-read-bps", "/dev/vda:1mb"),
    "--device-read-iops": ("--device-read-iops", "/dev/vda:100"),
    "--device-write-bps": ("--device-write-bps", "/dev/vda:1mb"),
    "--device-write-iops": ("--device-write-iops", "/dev/vda:100"),
    "--dns": ("--dns", "192.0.2.1"),
    "--dns-option": ("--dns-opt", "ndots:2"),
    "--dns-search": ("--dns-search", "example.com"),
    "--domainname": ("--domainname", "example.com"),
    "--env": ("--env", "PRICE=5$HOME and #", "-e", VARIABLE, "-e=EMPTY="),
    "--env-file": ("--env-file", "extra.env"),
    "--expose": ("--expose", "8080", "--expose", "9000-9002/udp"),
    "--gpus": ("--gpus", "2"),
    "--group-add": ("--group-add", "audio"),
    "--health-cmd": ("--health-cmd", "test -e $HOME"),
    "--health-interval": ("--health-interval", "1m30s"),
    "--health-retries": ("--health-retries", "3"),
    "--health-start-interval": ("--health-start-interval", "2s"),
    "--health-start-period": ("--health-start-period", "5s"),
    "--health-timeout": ("--health-timeout", "3s"),
    "--hostname": ("-h", "here"),
    "--init": ("--init=false",),
    "--ipc": ("--ipc", "shareable"),
    "--isolation": ("--isolation", "default"),
    "--label": ("-l", "one=two=$three", "--label", "bare"),
    "--log-driver": ("--log-driver", "local"),
    "--log-opt": ("--log-opt", "max-size=10m"),
    "--memory": ("-m2g", "--memory-swap", "2g"),
    "--memory-reservation": ("--memory-reservation", "128m"),
    "--memory-swap": ("--memory-swap", "-1"),
    "--memory-swappiness": ("--memory-swappiness", "10"),
    "--mount": (
        *("--mount", "type=bind,source={root}/sub,target=/sub,readonly"),
        *("--mount", "type=tmpfs,target=/t,tmpfs-size=10m,tmpfs-mode=1770"),
        *("--mount", "source={volume},target=/v,volume-nocopy"),
    ),
    "--network": ("--network", "none"),
    "--no-healthcheck": ("--no-healthcheck",),
    "--oom-kill-disable": ("--oom-kill-disable",),
    "--oom-score-adj": ("--oom-score-adj", "-100"),
    "--pid": ("--pid", "host"),
    "--pids-limit": ("--pids-limit", "-1"),
    "--platform": ("--platform", "linux/amd64"),
    "--privileged": ("--privileged",),
    "--publish": ("-p", "127.0.0.1:18080:80/tcp", "-p9999", "--publish=7000-7001:7000-7001/udp"),
    "--read-only": ("--read-only",),
    "--runtime": ("--runtime", "runc"),
    "--security-opt": ("--security-opt", "seccomp=seccomp.json", "--security-opt=apparmor=unconfined"),
    "--shm-size": ("--shm-size", "128m"),
    "--stop-signal": ("--stop-signal", "SIGINT"),
    "--stop-timeout": ("--stop-timeout", "90"),
    "--storage-opt": ("--storage-opt", "size=20G"),
    "--sysctl": ("--sysctl", "net.ipv4.ip_unprivileged_port_start=0"),
    "--tmpfs": ("--tmpfs", "/scratch:size=64m,mode=1777"),
    "--ulimit": ("--ulimit", "nofile=1024:2048", "--ulimit", "nproc=100"),
    "--userns": ("--userns", "host"),
    "--uts": ("--uts", "host"),
    "--volume": ("-v", "{root}/sub:/sub:ro", "-v", "./sub:/sub2", "-v{volume}:/cache", "-v", "/anonymous"),
    "--volumes-from": ("--volumes-from", "{donor}"),
}
# This engine's storage driver takes no options; elsewhere it may. Whether refused or not: alike.
_MAY_BE_REFUSED = {"--storage-opt", "--cpu-rt-period", "--cpu-rt-runtime"}

# What differs between the clients, not between the flags: who is attached, and how a mount is
# spelled (what is mounted is compared).
_HOST_NOISE = {"ContainerIDFile", "ConsoleSize", "Binds", "Mounts"}
_CONFIG_NOISE = {"AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce", "Volumes"}
_ID_LENGTH = 64


@dataclass(frozen=True)
class Made:
    """What a client made of a flag: a container, as inspected, or the daemon's refusal."""

    container: Mapping[str, Any]
    refusal: str


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cost $5")  # Compose must not take it for a variable
    (folder / "sub").mkdir()
    (folder / "extra.env").write_text("QUOTED='a $b'\n# a comment\n", encoding="ascii")
    (folder / "seccomp.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}', encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def made(root: Path) -> Iterator[dict[str, tuple[Made, Made]]]:
    """For each flag, what our Compose file makes and what docker makes; all are removed at the end."""
    mark = uuid.uuid4().hex[:12]
    label, volume, donor = f"lw_coder.test={mark}", f"lw_coder_test_{mark}", f"lw_coder_test_{mark}"
    docker("volume", "create", volume)
    docker("create", "--name", donor, "--label", label, "--volume", "/donated", IMAGE, "true")
    words = {"root": str(root), "volume": volume, "donor": donor}

    def both(name: str) -> tuple[Answer, Answer]:
        flags = [word.replace("{", "%(").replace("}", ")s") % words for word in _RUN[name]]
        return _composed(root, f"{donor}{name}", label, flags), _created(root, label, flags)

    try:
        with ThreadPoolExecutor(4) as pool:
            answers = dict(zip(_RUN, pool.map(both, _RUN), strict=True))
        found = _inspected(label)
        yield {
            name: (_what_was_made(ours, found), _what_was_made(theirs, found))
            for name, (ours, theirs) in answers.items()
        }
    finally:
        docker("rm", "--force", "--volumes", *containers(label))
        docker("volume", "rm", volume)


@dataclass(frozen=True)
class Answer:
    """A client's answer: the container, by its id or by its project, or the daemon's refusal."""

    container: str
    refusal: str


def _what_was_made(answer: Answer, found: Mapping[str, Mapping[str, Any]]) -> Made:
    return Made({} if answer.refusal else found[answer.container], answer.refusal)


def _composed(root: Path, project: str, label: str, flags: list[str]) -> Answer:
    options = parse_run_flags(flags)
    folder = root / ".lw_coder/runs/plan" / project
    name, _, value = label.partition("=")
    session = SessionSpec(project, "0:0", (), (), {}, {name: value})
    _write(folder, ComposeSpec(folder, root, session, options, {}, None, None, IMAGE, IMAGE))
    result = _run(root, "compose", "-f", str(folder / "compose.yml"), "create")
    return Answer(project, result.stderr.strip().splitlines()[-1] if result.returncode else "")


def _created(root: Path, label: str, flags: list[str]) -> Answer:
    result = _run(root, "create", "--label", label, *_DEFAULTS, *flags, IMAGE, "start-session")
    if result.returncode:
        return Answer("", result.stderr.strip().splitlines()[-1])
    return Answer(result.stdout.split()[-1], "")


def _run(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, VARIABLE: "given"}
    return subprocess.run(["docker", *args], cwd=root, env=env, capture_output=True, text=True, check=False)


def _write(folder: Path, spec: ComposeSpec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render(spec).items():
        (folder / name).write_text(text, encoding="utf-8")


def _inspected(label: str) -> dict[str, dict[str, Any]]:
    """Ask for all containers with a label at once; return each by its id, and by its project, if any."""
    made = {}
    for found in json.loads(docker("inspect", *containers(label))):
        project = found["Config"]["Labels"].get("com.docker.compose.project")
        assert project not in made, project
        made[found["Id"]] = made[project or found["Id"]] = _comparable(found)
    return made


def _comparable(found: dict[str, Any]) -> dict[str, Any]:
    host = {key: value for key, value in found["HostConfig"].items() if key not in _HOST_NOISE}
    config = {key: value for key, value in found["Config"].items() if key not in _CONFIG_NOISE}
    config["Labels"] = {key: v for key, v in config["Labels"].items() if not key.startswith("com.docker.")}
    if found["Id"].startswith(config["Hostname"] or "-"):
        del config["Hostname"]
    return {
        **_plain({"HostConfig": host, "Config": config}),
        "Mounts": sorted(map(_mount, found["Mounts"])),
    }


def _mount(mount: Mapping[str, Any]) -> str:
    name = mount.get("Name", "")
    source = mount["Source"] if mount["Type"] == "bind" else name if len(name) < _ID_LENGTH else ""
    return f"{mount['Type']} {source} {mount['Destination']} {mount['RW']} {mount['Propagation']}"


def _plain(value: Any) -> Any:
    """Make null, [] and {} one and the same, and drop the order of what has none."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item not in (None, [], {}, "")}
    if isinstance(value, list):
        return sorted((_plain(item) for item in value), key=str)
    return value


def test_each_flag_has_a_sample() -> None:
    assert set(_RUN) == set(RUN_FLAGS)
    assert set(_BUILD) == set(BUILD_FLAGS)


@pytest.mark.parametrize("flag", sorted(RUN_FLAGS))
def test_a_run_flag_makes_dockers_container(flag: str, made: dict[str, tuple[Made, Made]]) -> None:
    ours, theirs = made[flag]
    assert ours.container == theirs.container
    assert ours.refusal == theirs.refusal
    assert flag in _MAY_BE_REFUSED or not ours.refusal


def test_a_mount_never_makes_its_source(root: Path) -> None:
    """As with docker: --volume makes a folder that is missing, --mount refuses."""
    flags = ["--mount", f"type=bind,source={root}/absent,target=/x"]
    ours = _composed(root, f"lw_coder_test_{uuid.uuid4().hex[:12]}", "lw_coder.test=absent", flags)
    theirs = _created(root, "lw_coder.test=absent", flags)
    assert "does not exist" in ours.refusal
    assert "does not exist" in theirs.refusal
    assert not (root / "absent").exists()


_DOCKERFILE = f"""\
FROM {IMAGE} AS one
ARG WORD=none
ARG http_word
USER 0
RUN --mount=type=secret,id=token cat /run/secrets/token > /built 2>/dev/null || true
RUN echo "$WORD" >> /built; ulimit -n >> /built; grep -h -e " /dev/shm " /proc/mounts >> /built; \\
    cat /etc/hosts >> /built; ls /sys/class/net >> /built
FROM one AS other
FROM one
COPY --from=here note /note
LABEL stage=last
"""
_HERE = ("--build-context", "here=sub")  # the Dockerfile needs it
_BUILD: dict[str, tuple[str, ...]] = {
    "--add-host": ("--add-host", "db:10.0.0.1"),
    # Not observable in the image, or not without a network: that both build is what is compared.
    "--cache-from": ("--cache-from", "type=local,src={root}/nothing"),
    "--cache-to": ("--cache-to", "type=inline"),
    "--ssh": ("--ssh", "key={root}/key"),
    "--no-cache": ("--no-cache",),
    "--pull": ("--pull=false",),  # true asks a registry, and the base image is in none
    "--build-arg": ("--build-arg", "WORD=5$HOME", "--build-arg", VARIABLE),
    "--build-context": (),  # in each
    "--label": ("--label", "one=two=$three"),
    "--network": ("--network", "none"),
    "--platform": ("--platform", "linux/amd64"),
    "--secret": ("--secret", "id=token,src=token"),
    "--shm-size": ("--shm-size", "32m"),
    "--tag": ("-t", "{tag}"),
    "--target": ("--target", "other"),
    "--ulimit": ("--ulimit", "nofile=100:200"),
}


@pytest.fixture(scope="module")
def building(root: Path) -> Iterator[Path]:
    base = f"lw_coder_test:{uuid.uuid4().hex[:12]}"  # a name of its own: the other could move meanwhile
    docker("tag", IMAGE, base)
    (root / "Dockerfile").write_text(_DOCKERFILE.replace(IMAGE, base), encoding="ascii")
    (root / "sub/note").write_text("noted\n", encoding="ascii")
    (root / "token").write_text("secret $text\n", encoding="ascii")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(root / "key"))  # a forwarded agent's socket; no step of the build asks it
        yield root
    docker("image", "rm", base)


@pytest.mark.parametrize("flag", sorted(BUILD_FLAGS))
def test_a_build_flag_makes_dockers_image(flag: str, building: Path) -> None:
    names = [f"lw_coder_test:{uuid.uuid4().hex[:12]}" for _ in range(4)]
    try:
        ours = _compose_build(building, names[0], _words(flag, building, names[1]))
        theirs = _docker_build(building, names[2], _words(flag, building, names[3]))
        assert ours == theirs
        if flag == "--tag":
            assert docker("image", "inspect", names[1], names[3])
    finally:
        _run(building, "image", "rm", "--force", *names)


def _words(flag: str, root: Path, tag: str) -> list[str]:
    return [*_HERE, *(word.replace("{root}", str(root)).replace("{tag}", tag) for word in _BUILD[flag])]


def _compose_build(root: Path, tag: str, flags: list[str]) -> dict[str, Any]:
    folder = root / ".lw_coder/runs/plan" / tag.partition(":")[2]
    build = ImageBuild(tag, root, root / "Dockerfile", {}, {}, parse_build_flags(flags))
    session = SessionSpec("lw_coder_test", "0:0", (), (), {}, {})
    _write(
        folder, ComposeSpec(folder, root, session, parse_run_flags([]), {"repo": build}, None, None, tag, tag)
    )
    result = _run(
        root, "compose", "-f", str(folder / "compose.yml"), "--profile", "build", "build", "--quiet", "repo"
    )
    assert result.returncode == 0, result.stderr
    return _image(tag)


def _docker_build(root: Path, tag: str, flags: list[str]) -> dict[str, Any]:
    result = _run(root, "build", "--quiet", "--tag", tag, *flags, ".")
    assert result.returncode == 0, result.stderr
    return _image(tag)


def _image(tag: str) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", tag))
    config = found["Config"]
    labels = {
        key: value
        for key, value in (config.get("Labels") or {}).items()
        if not key.startswith("com.docker.compose")
    }
    text = docker("run", "--rm", "--network", "none", "--entrypoint", "cat", tag, "/built")
    return {"labels": labels, "env": config.get("Env"), "os": found["Os"], "built": text}


def test_options_name_their_volumes() -> None:
    options = parse_run_flags(["-v", "cache:/c", "-v", "/abs:/a", "--mount", "source=data,target=/d"])
    assert named_volumes(options) == ["cache", "data"]
    assert BuildOptions().secrets == {}
