"""A Swarm of the tests' own: two engines in namespaces of their own, and a registry that both reach.

Each engine is like a machine of its own: its own /run, /var/lib, host name, network and processes. All its
processes end with the one that made them, also when the tests are killed; then only its folder is left, which
the next cluster removes.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from lw_coder.containers import job_spec
from tests.support.engine import docker
from tests.support.patience import PATIENCE, wait_until

SLOT, NODE_MEMORY = job_spec.SLOT, job_spec.NODE_MEMORY
SLOTS = 3  # of each node

_PREFIX = "lw_coder-cluster-"
_PORT = 5000
_INTERFACE = "lwc{}"  # of the tests' own machine; who has created it has the subnet of that number
_LOOKS = 120  # at what stays the same
_GRACE = 60  # seconds for an engine to end its containers
_HINT = "there is no docker-registry or busybox: run 'sh tests/support/ensure_cluster.sh' as root"
# A process gets SIGKILL when the one that started it ends, in whatever way.
_BOUND = ("setpriv", "--pdeathsig", "KILL")
_MACHINE = ("--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
# What a machine that was switched on does. The shell stays, to collect the processes that others leave.
_BOOT = """
hostname {name}
mount -t tmpfs -o mode=755,size=256m tmpfs /run
mkdir -p /run/lock
mount --bind {folder}/lib /var/lib
mount -t tmpfs -o mode=1777 tmpfs {memory}
ip link set lo up
until ip link show dev eth0 >/dev/null 2>&1; do sleep 0.05; done
ip address add {address}/24 dev eth0
ip link set eth0 up
dockerd --host=unix:///run/docker.sock --host=unix://{folder}/sock --config-file={folder}/daemon.json &
trap 'kill -TERM $!' TERM
wait $! || wait $! || true
"""
_SWITCH = """
sysctl -q -w net.bridge.bridge-nf-call-iptables=0 || true
ip link add switch type bridge
ip link set switch up
echo ready
exec sleep infinity
"""


@dataclass
class Node:
    """One engine, with a machine around it.

    Attributes:
        name: its host name.
        address: its IPv4 address, which the registry, the other node and the tests' own machine reach.
        folder: everything that it keeps: `lib` is its /var/lib.
    """

    name: str
    address: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Its DOCKER_HOST."""
        return f"unix://{self.folder}/sock"

    @property
    def work(self) -> Path:
        """Its /var/lib/lw_coder, seen from outside."""
        return self.folder / "lib/lw_coder"

    def docker(self, *words: str) -> str:
        """Run docker there, as `tests.support.engine.docker`."""
        return docker("--host", self.host, *words)

    @property
    def memory(self) -> Path:
        """Its file system in memory, seen from outside, while it is switched on."""
        return Path(f"/proc/{self.first_process}/root{NODE_MEMORY}")

    @property
    def first_process(self) -> int:
        """The first of its processes, as this machine counts them."""
        return _inside(self.process)

    def boot(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        (self.folder / "sock").unlink(missing_ok=True)
        folder = shlex.quote(str(self.folder))
        script = _BOOT.format(name=self.name, folder=folder, address=self.address, memory=NODE_MEMORY)
        with (self.folder / "log").open("ab") as log:
            command = (*_BOUND, "unshare", *_MACHINE, "sh", "-e", "-c", script)
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return self.answers()

    def answers(self) -> bool:
        asked = ["docker", "--host", self.host, "info", "--format", "{{.ServerVersion}}"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        return told.returncode == 0 and bool(told.stdout.strip())

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def lose_power(self) -> None:
        """End all its processes at once, without any warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def shut_down(self) -> None:
        """Ask its engine to end, in good order; `wait` waits for it."""
        if self.process is not None:
            # The shell inside gets it; unshare itself would end, and all the others with it.
            with suppress(ProcessLookupError):
                os.kill(self.first_process, signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has shut down."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE)
            self.lose_power()


@dataclass
class Cluster:
    """The two nodes, and what they share.

    Attributes:
        folder: everything that it keeps.
        subnet: the first three numbers of its addresses.
        nodes: the first is the manager.
    """

    folder: Path
    subnet: str
    nodes: tuple[Node, ...]
    switch: int = 0

    @property
    def manager(self) -> Node:
        return self.nodes[0]

    @property
    def address(self) -> str:
        """Where the nodes and their containers reach a server of the tests."""
        return f"{self.subnet}.1"

    @property
    def registry(self) -> str:
        """The registry's name in an image's."""
        return f"{self.address}:{_PORT}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes lw_coder and docker use this cluster."""
        return {"DOCKER_HOST": self.manager.host}

    def start(self, *nodes: Node) -> None:
        """Switch nodes on, and wait until their engines answer."""
        for node in nodes:
            node.boot()
            self.plug_in(node.first_process, "eth0", node.name)
        for node in nodes:
            wait_until(node.is_ready, f"{node.name}'s engine")

    def plug_in(self, process: int, name: str, port: str) -> None:
        """Connect a process's network to the switch by an interface of this name."""
        run = _at(self.switch)
        # What was plugged in before can be there for a moment after its machine has gone.
        wait_until(lambda: not _succeeds(*run, "show", "dev", port), f"the port of {port}")
        subprocess.run([*run, *_cable(process, name, port)], check=True, capture_output=True)
        _switch_on(self.switch, port)

    @contextmanager
    def cut_off(self, node: Node) -> Iterator[None]:
        """Have nothing reach a node during the block, nor it anything else; what runs there goes on."""
        run = (*_at(self.switch), "set", node.name)
        subprocess.run([*run, "down"], check=True)
        try:
            yield
        finally:
            subprocess.run([*run, "up"], check=True)

    @cached_property
    def tiny(self) -> str:
        """A small image with a shell, by its digest: busybox and nothing else."""
        return self.push_rootfs("tiny", self.folder / "busybox.tar")

    def push_rootfs(self, name: str, rootfs: Path) -> str:
        if not rootfs.exists():
            _write_busybox(rootfs)
        tag = f"{self.registry}/{name}:latest"
        self.manager.docker("import", "--change", 'CMD ["sh"]', str(rootfs), tag)
        return self.push(tag)

    def push(self, tag: str) -> str:
        """Push an image of the manager's engine to the registry; return its name with its digest."""
        self.manager.docker("push", "--quiet", tag)
        shown = self.manager.docker("image", "inspect", "--format", "{{json .RepoDigests}}", tag)
        return str(next(one for one in json.loads(shown) if one.startswith(tag.rpartition(":")[0])))

    def copy_image(self, image: str, tag: str) -> str:
        """Copy an image of the machine's own engine to the manager's and the registry, under a tag."""
        save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "--host", self.manager.host, "load"],
            stdin=save.stdout,
            check=True,
            capture_output=True,
        )
        assert save.wait(PATIENCE) == 0
        self.manager.docker("tag", image, tag)
        return self.push(tag)

    @contextmanager
    def only(self, node: Node) -> Iterator[None]:
        """Have no other node take new jobs during the block."""
        others = [other.name for other in self.nodes if other is not node]
        try:
            for name in others:
                self.manager.docker("node", "update", "--availability", "pause", name)
            yield
        finally:
            for name in others:
                self.manager.docker("node", "update", "--availability", "active", name)

    def settled_leavings(self) -> list[str]:
        """Wait as long as anything is removed, since nodes still do when a job has ended; list what stays."""
        seen: list[str] = []
        while (left := self.leavings()) and seen.count(str(left)) < _LOOKS:
            seen.append(str(left))
            time.sleep(0.5)
        return left

    def leavings(self) -> list[str]:
        """List all that a run can leave in the cluster or on a node: it should be nothing."""
        found = [
            f"{kind} {name}"
            for kind in ("service", "secret", "config")
            for name in self.manager.docker(kind, "ls", "--format", "{{.Name}}").split()
        ]
        for node in self.nodes:
            if node.process is None:
                continue
            listed = node.docker("ps", "--all", "--format", "{{.Names}}").split()
            networks = node.docker(
                "network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"
            ).split()
            found += [f"{node.name}: container {name}" for name in listed]
            swarms = {"ingress", "docker_gwbridge"}
            found += [f"{node.name}: network {name}" for name in networks if name not in swarms]
        return found


def _at(switch: int) -> tuple[str, ...]:
    return ("nsenter", "--net", "--target", str(switch), "ip", "link")


def _cable(process: int, name: str, port: str) -> tuple[str, ...]:
    return ("add", port, "type", "veth", "peer", "name", name, "netns", str(process))


def _switch_on(switch: int, port: str) -> None:
    for words in (("set", port, "master", "switch"), ("set", port, "up")):
        subprocess.run([*_at(switch), *words], check=True, capture_output=True)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _inside(process: subprocess.Popen[bytes] | None) -> int:
    """Return the first process of the namespaces, seen from outside."""
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def found() -> list[str]:
        assert process.poll() is None
        return children.read_text().split()

    wait_until(found, "the namespaces")
    return int(found()[0])


def _write_busybox(rootfs: Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox, _HINT
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(rootfs, "w") as archive:
        archive.add(busybox, "bin/busybox")
        for name in listed:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if name != "busybox":
                archive.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)


@contextmanager
def running_cluster(slots: int = SLOTS, settings: Mapping[str, object] | None = None) -> Iterator[Cluster]:
    """Start a registry and two engines, and join them; everything is ended and removed afterwards.

    Args:
        slots: how many `lw-slot` each node offers.
        settings: of both nodes' daemon.json, besides what the cluster needs.
    """
    assert shutil.which("docker-registry"), (
        "no docker-registry: run 'sh tests/support/ensure_cluster.sh' as root"
    )
    sweep()
    with ExitStack() as stack:
        folder = stack.enter_context(_own_folder())
        switch = stack.enter_context(_switch())
        subnet = _own_subnet(switch)
        cluster = Cluster(folder, subnet, _nodes(folder, subnet), switch)
        stack.enter_context(_registry(folder, cluster.address))
        offered = {
            "insecure-registries": [cluster.registry],
            "node-generic-resources": [f"{SLOT}={slots}"],
            "cgroup-parent": f"/{folder.name}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        }
        for node in cluster.nodes:
            config = {**offered, **(settings or {})}
            (node.folder / "daemon.json").write_text(json.dumps(config), encoding="ascii")
        for end in (Node.wait, Node.shut_down):  # the last one is called first
            for node in cluster.nodes:
                stack.callback(end, node)
        cluster.start(*cluster.nodes)
        _join(cluster)
        yield cluster


def _nodes(folder: Path, subnet: str) -> tuple[Node, ...]:
    made = []
    for number, name in enumerate(("node-one", "node-two"), start=2):
        made.append(Node(name, f"{subnet}.{number}", folder / name))
        (folder / name).mkdir()
    return tuple(made)


def _own_subnet(switch: int) -> str:
    """Connect this machine to the switch, with an address in a subnet that no other cluster has."""
    number = next(number for number in _free_subnets() if _takes(switch, number))
    interface, subnet = _INTERFACE.format(number), f"198.18.{number}"
    _switch_on(switch, "home")
    subprocess.run(["ip", "address", "add", f"{subnet}.1/24", "dev", interface], check=True)
    subprocess.run(["ip", "link", "set", interface, "up"], check=True)
    return subnet


def _free_subnets() -> list[int]:
    """List those of the networks that are there for tests of devices (RFC 2544), in any order."""
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    free = [number for number in range(256) if f"198.18.{number}." not in routes]
    return secrets.SystemRandom().sample(free, len(free))


def _takes(switch: int, number: int) -> bool:
    """Create the interface of a subnet; two clusters that start at once cannot create the same one."""
    return _succeeds(*_at(switch), *_cable(os.getpid(), _INTERFACE.format(number), "home"))


@contextmanager
def _switch() -> Iterator[int]:
    """A network of its own for the bridge: the rules of the machine's engine do not apply to it."""
    command = (*_BOUND, "unshare", "--net", "sh", "-e", "-c", _SWITCH)
    with _ended(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid


@contextmanager
def _registry(folder: Path, address: str) -> Iterator[None]:
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "registry")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"{address}:{_PORT}"},
    }
    (folder / "registry.yml").write_text(json.dumps(config), encoding="ascii")  # which is YAML too
    with (folder / "registry.log").open("wb") as log:
        command = (*_BOUND, "docker-registry", "serve", str(folder / "registry.yml"))
        with _ended(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)) as process:

            def is_ready() -> bool:
                assert process.poll() is None, (folder / "registry.log").read_text(errors="replace")
                return _answers(f"http://{address}:{_PORT}/v2/")

            wait_until(is_ready, "the registry")
            yield


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def _join(cluster: Cluster) -> None:
    manager, *workers = cluster.nodes
    manager.docker(
        "swarm",
        "init",
        f"--advertise-addr={manager.address}",
        "--dispatcher-heartbeat=2s",  # so that a test waits for a few seconds until a node is down
        "--task-history-limit=5",
    )
    token = manager.docker("swarm", "join-token", "--quiet", "worker")
    for node in workers:
        node.docker("swarm", "join", f"--advertise-addr={node.address}", f"--token={token}", manager.address)


@contextmanager
def _own_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        _remove(folder)


def sweep() -> None:
    """Remove what clusters of tests that were killed have left; all their processes have ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_left(folder):
            _remove(folder)


def _is_left(folder: Path) -> bool:
    try:
        lock: IO[str]
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):  # one that is about to lock it has not written much
        return False
    return True


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    # An engine that was killed leaves its containers' control groups.
    for parent in Path("/sys/fs/cgroup").glob(f"**/{folder.name}"):
        for group, _, _ in os.walk(parent, topdown=False):
            with suppress(OSError):
                Path(group).rmdir()
