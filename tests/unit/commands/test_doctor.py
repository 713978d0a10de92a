"""`lw_coder doctor` where no engine answers: each fault is caused, named, and told with what helps.

What needs an engine is in tests/integration/commands/test_doctor.py. docs/reference/doctor.md lists them all.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.sample_repository import KEY, SampleRepository, make_sample_repository, run_git
from tests.support.scripted_model import HttpFailure, Reply, ScriptedModel

REFERENCE = Path(__file__).parents[3] / "docs/reference/doctor.md"
NOBODY = "http://192.0.2.1:9/v1"


@dataclass
class Case:
    """A sample repository in which a fault is caused, and what the person's shell has."""

    sample: SampleRepository
    folder: Path
    shell: dict[str, str] = field(default_factory=dict)
    place: Path = Path()

    @property
    def root(self) -> Path:
        return self.sample.root

    def configure(self, *lines: str) -> None:
        text = "\n".join(["[code]", *lines, ""])
        (self.root / ".lw_coder/config.toml").write_text(text, encoding="utf-8")

    def set_env(self, **values: str) -> None:
        self.sample.write_env(values.pop("base_url", NOBODY), **values)

    def put_on_path(self, name: str, text: str) -> None:
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        self.shell["PATH"] = f"{folder}:{os.environ['PATH']}"

    def doctor(self, *options: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        own = {"HOME": str(home), "DOCKER_HOST": "unix:///nowhere.sock", "GIT_CONFIG_NOSYSTEM": "1"}
        return forked("doctor", *options, cwd=self.root / self.place, env={**kept, **own, **self.shell})

    def findings(self, *options: str) -> dict[str, dict[str, str]]:
        """Return what is wrong, by its subject, besides the engine that does not answer."""
        done = self.doctor("--json", *options)
        assert done.returncode == 1, done.stderr
        assert KEY not in done.stdout + done.stderr
        found = {one["subject"]: one for one in json.loads(done.stdout) if one["remedy"]}
        return {subject: one for subject, one in found.items() if subject != "docker"}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(make_sample_repository(tmp_path / "sample"), tmp_path)
    made.set_env()
    return made


def no_repository(case: Case) -> None:
    case.place = Path("../elsewhere")
    (case.root / case.place).mkdir()


def no_commit(case: Case) -> None:
    case.sample.git("checkout", "--quiet", "--orphan", "empty")


def old_git(case: Case) -> None:
    real = shutil.which("git")
    case.put_on_path(
        "git", f'#!/bin/sh\ncase "$*" in *version*) echo git version 2.20.1;; *) exec {real} "$@";; esac\n'
    )


def no_identity(case: Case) -> None:
    case.sample.git("config", "user.useConfigOnly", "true")
    case.sample.git("config", "--unset", "user.email")


def no_config(case: Case) -> None:
    (case.root / ".lw_coder/config.toml").unlink()


def no_dockerfile(case: Case) -> None:
    (case.root / ".lw_coder/code.Dockerfile").unlink()


def no_key(case: Case) -> None:
    (case.root / ".env").write_text("")


def empty_key_in_shell(case: Case) -> None:
    case.shell["OPENROUTER_API_KEY"] = ""


def tracked_env(case: Case) -> None:
    case.sample.git("add", "--force", ".env")


def unreadable_env(case: Case) -> None:
    (case.root / ".env").write_bytes(b"\xff\xfe")


def no_folder(case: Case) -> None:
    (case.folder / "file").touch()
    case.shell["XDG_CACHE_HOME"] = str(case.folder / "file")


def no_state(case: Case) -> None:
    (case.folder / "file").touch()
    case.shell["XDG_STATE_HOME"] = str(case.folder / "file")


def lost_objects(case: Case) -> None:
    (case.root / ".git/objects/info/alternates").write_text(f"{case.folder}/gone/objects\n")


def no_lfs(case: Case) -> None:
    (case.root / ".gitattributes").write_text("*.png filter=lfs diff=lfs merge=lfs -text\n")
    case.sample.git("add", ".gitattributes")


def planted(case: Case) -> None:
    (case.root / ".lw_coder/tasks/.git").mkdir()


def factory_login(case: Case) -> None:
    case.configure("gateway = true")
    case.shell["FACTORY_API_KEY"] = "fk-1"


def configured(line: str) -> Callable[[Case], None]:
    return lambda case: case.configure(line)


def environment(**values: str) -> Callable[[Case], None]:
    return lambda case: case.set_env(**values)


# By name: what causes it, and the subject, the words and the remedy that are told.
FAULTS: dict[str, tuple[Callable[[Case], None], str, str, str]] = {
    "no-repository": (no_repository, "git", "is not in a git repository", "change to"),
    "no-commit": (no_commit, "git set-up", "there is no commit yet", "commit"),
    "old-git": (old_git, "git", "git version 2.20.1 is too old", "install git 2.34 or newer"),
    "no-identity": (no_identity, "identity", "git does not know who commits", "git config --global"),
    "no-config": (no_config, "config.toml", "file not found", "lw_coder init"),
    "broken-config": (configured("x = ["), "config.toml", "is not valid TOML", "correct that line"),
    "unknown-key": (configured("colour = 1"), "config.toml", "[code] colour: unknown key", "known keys"),
    "no-dockerfile": (no_dockerfile, "code.Dockerfile", "not found", "lw_coder init"),
    "no-key": (no_key, "variables", "OPENROUTER_API_KEY: is set neither in .env", "openrouter.ai/keys"),
    "empty-key": (empty_key_in_shell, "variables", "is empty in the environment, which overrides", "unset"),
    "key-not-forwarded": (configured("forward_env = []"), "login", "does not forward OPENROUTER", "add"),
    "no-env-file": (configured('env_file = "keys"'), "variables", "keys: file not found", "create it"),
    "tracked-env-file": (tracked_env, "env file", "git does not ignore it", "git rm --cached"),
    "unreadable-env-file": (unreadable_env, "variables", ".env: is not UTF-8 text", "save it as UTF-8"),
    "no-url": (environment(base_url="ftp://x"), "variables", "is not an http(s) URL", "use a URL such as"),
    "loopback": (environment(base_url="http://127.0.0.1:9/v1"), "model", "cannot reach 127.0.0.1", "172.17"),
    "no-certificates": (configured('ca_bundle = "ca.pem"'), "certificates", "ca.pem: file not found", "path"),
    "no-notifier": (
        configured('notify = ["no-such-program", "x"]'),
        "notify",
        "no-such-program: is not a program that can be run",
        "correct notify",
    ),
    "no-cost": (
        configured("gateway = true\nlimits = { cost_usd = 1 }"),
        "model gateway",
        "may report no cost",
        "write prices =",
    ),
    "gateway-and-login": (factory_login, "login", "the agent signs in with Factory", "remove gateway = true"),
    "no-build-argument": (
        configured('docker_build_args = ["--build-arg", "WORD"]'),
        "variables",
        "WORD: is set neither in .env",
        "put WORD=...",
    ),
    "no-cache-folder": (no_folder, "folders", "is not a folder that you can write to", "XDG_CACHE_HOME"),
    "no-log-folder": (no_state, "folders", "is not a folder that you can write to", "XDG_STATE_HOME"),
    "lost-objects": (lost_objects, "clone", "gone/objects, which does not exist", "restore that folder"),
    "no-lfs": (no_lfs, "clone", "it has files in Git LFS, and git has no settings", "git lfs install"),
    "planted-repository": (planted, "nested repositories", ".lw_coder/tasks: do not run git", "inspect"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_what_helps(case: Case, name: str) -> None:
    cause, subject, words, remedy = FAULTS[name]
    cause(case)
    found = case.findings()
    assert list(found) == [subject]
    assert words in found[subject]["result"]
    assert remedy in found[subject]["remedy"]


def test_without_docker(case: Case) -> None:
    for name in ("git", "sh"):
        case.put_on_path(name, f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
    case.shell["PATH"] = str(case.folder / "bin")
    found = json.loads(case.doctor("--json").stdout)
    (wrong,) = [one for one in found if one["remedy"]]
    unknown = "images, containers and the flags of docker are not checked"
    assert (wrong["subject"], wrong["result"]) == ("docker", f"docker: command not found; {unknown}")


def test_a_full_disk(case: Case, small_disk: Path) -> None:
    case.sample = make_sample_repository(small_disk / "sample")
    case.set_env()
    (wrong,) = case.findings().values()
    assert "the repository's disk has less than 1.0 GiB" in wrong["result"]
    assert "lw_coder runs prune" in wrong["remedy"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=16m", "lw_coder-test", str(folder))
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_what_is_wrong_comes_last_with_its_remedy(case: Case) -> None:
    no_dockerfile(case)
    tracked_env(case)
    lines = case.doctor().stdout.splitlines()
    marks = [line.split()[0] for line in lines]
    wrong = marks.index("wrong")
    assert set(marks[:wrong]) == {"ok"}
    assert marks[wrong:] == ["wrong", "->"] * 3
    assert "docker" in lines[wrong]


def test_a_special_clone_is_described(case: Case) -> None:
    copy, borrowed = case.folder / "copy", case.root
    run_git(case.folder, "clone", "--quiet", "--depth=1", f"file://{case.root}", "copy")
    run_git(copy, "sparse-checkout", "set", "tests")
    (copy / ".git/objects/info/alternates").write_text(f"{case.root}/.git/objects\n")
    case.sample = SampleRepository(copy, "")
    found = {one["subject"]: one for one in json.loads(case.doctor("--json").stdout)}
    for words in ("shallow", "a sparse checkout", "single worktrees", f"{borrowed}/.git/objects"):
        assert words in found["clone"]["result"]
    assert found["clone"]["remedy"] == ""
    assert f"{copy}, with git version " in found["git"]["result"]


# The model, asked with --online. A careless server repeats the key.
def _failing(status: int) -> Reply:
    return Reply(failure=HttpFailure(status, f'{{"error": {{"message": "no luck with {KEY}"}}}}'))


ANSWERS = {
    "wrong-key": (_failing(401), "refused the API key (HTTP 401)", "check OPENROUTER_API_KEY"),
    "forbidden": (_failing(403), "refused the API key (HTTP 403)", "may use this model"),
    "no-credit": (_failing(402), "has no credit left for this key (HTTP 402)", "add credit"),
    "busy": (_failing(429), "limits the rate of requests (HTTP 429)", "wait a minute"),
    "broken": (_failing(503), "failed on its side (HTTP 503)", "in a few minutes"),
    "redirect": (
        Reply(failure=HttpFailure(302, headers={"Location": "http://192.0.2.1/"})),
        "answered with something other than a model's reply (HTTP 302)",
        "check OPENROUTER_BASE_URL",
    ),
    "no-model": (
        Reply(failure=HttpFailure(200, "<html>Please sign in</html>", "text/html")),
        "answered with something other than a model's reply",
        "check OPENROUTER_BASE_URL",
    ),
    "deep": (Reply(failure=HttpFailure(200, "[" * 100_000)), "something other than a model's reply", "check"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_model_that_fails(case: Case, name: str) -> None:
    reply, words, remedy = ANSWERS[name]
    with ScriptedModel(lambda _: reply) as model:
        _assert_answer(case, model.base_url, words, remedy)
        assert model.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def _assert_answer(case: Case, base_url: str, words: str, remedy: str) -> None:
    case.set_env(base_url=base_url)
    found = case.findings("--online")
    found.pop("model", None)  # a loopback address, which the tests' servers have
    assert list(found) == ["model's answer"]
    assert words in found["model's answer"]["result"]
    assert remedy in found["model's answer"]["remedy"]


def test_a_model_that_answers(case: Case) -> None:
    with ScriptedModel(lambda _: Reply("yes")) as model:
        case.set_env(base_url=model.base_url)
        found = {one["subject"]: one for one in json.loads(case.doctor("--json", "--online").stdout)}
        assert found["model's answer"]["remedy"] == ""
        assert "accepts the key and answers" in found["model's answer"]["result"]
        assert len(model.requests) == 1
        assert "model's answer" not in case.doctor("--json").stdout
        assert len(model.requests) == 1


class _Listing(BaseHTTPRequestHandler):
    """A server that knows some models, and no other address."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self.send_error(404)
            return
        names = ["anthropic/claude-sonnet-4.5", "b/c"]
        body = json.dumps({"data": [{"id": name} for name in names] + [3]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_error(404 if self.path.startswith("/v1/") else 405)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Listing) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_wrong_model_is_told_from_a_wrong_address(case: Case) -> None:
    with serving() as port:
        case.shell["OPENROUTER_MODEL"] = "antropic/claude-sonnet-4.5"
        words = ("does not know the model (HTTP 404)", "did you mean anthropic/claude-sonnet-4.5?")
        _assert_answer(case, f"http://127.0.0.1:{port}/v1", *words)
        case.shell["OPENROUTER_MODEL"] = "zzz"
        _assert_answer(case, f"http://127.0.0.1:{port}/v1", words[0], "the server has 2 others")
        del case.shell["OPENROUTER_MODEL"]
        _assert_answer(case, f"http://127.0.0.1:{port}/v1", "does not know the model or the address", "check")


def test_an_address_without_its_version(case: Case) -> None:
    with ScriptedModel(lambda _: Reply("yes")) as model:
        address = model.base_url.removesuffix("/v1")
        _assert_answer(case, address, "has no models at this address (HTTP 404)", "ends with the version")


def test_a_name_that_does_not_resolve(case: Case) -> None:
    _assert_answer(case, "http://no-such-host.invalid/v1", "whose name is unknown here", "name servers")


def test_nobody_listens(case: Case) -> None:
    with socket.socket() as nobody:  # bound, and not listening: a connection is refused
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        _assert_answer(case, address, "could not be reached", "check the network")


def test_tls(case: Case, tmp_path: Path) -> None:
    with serving() as port:
        _assert_answer(case, f"https://127.0.0.1:{port}/v1", "does not speak TLS", "http:// or https://")
    made = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-days",
        "2",
    )
    files = ("-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem")
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run([*made, *files, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(context) as port:
        address = f"https://127.0.0.1:{port}/v1"
        _assert_answer(case, address, "has a certificate that is not trusted here", "SSL_CERT_FILE")
        case.shell["SSL_CERT_FILE"] = str(tmp_path / "cert.pem")
        _assert_answer(case, address, "does not know the model or the address", "OPENROUTER_MODEL")
        _assert_answer(case, address.replace("https", "http"), "could not be reached", "OPENROUTER_BASE_URL")


def test_a_key_that_no_request_can_have_is_not_shown(case: Case) -> None:
    case.shell["OPENROUTER_API_KEY"] = f"{KEY}\u00e9\u4e2d"
    with ScriptedModel(lambda _: Reply("yes")) as model:
        _assert_answer(case, model.base_url, "cannot be called with these settings", "OPENROUTER_API_KEY")


def test_the_reference_lists_each_fault() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    told = [(words, remedy) for _, _, words, remedy in FAULTS.values()]
    told += [(words.partition(" (HTTP")[0], "") for _, words, _ in ANSWERS.values()]
    assert [words for words, _ in told if words not in text] == []
