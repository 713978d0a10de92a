"""The client of registries, against a small one that can lie."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.registry import Artifact, Registry
from lw_coder.containers.registry_login import find_login
from lw_coder.foundation.errors import EngineError
from lw_coder.settings.registry_place import RegistryPlace, parse_place
from tests.support.small_registry import LOGIN, Server, served

KIND = "application/vnd.lw-coder.test"


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server()) as one:
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content" * 1000)
    return tmp_path / "file"


def fetched(registry: Registry, artifact: Artifact, most: int = 1 << 20) -> bytes:
    target = io.BytesIO()
    registry.fetch(artifact, target, most)
    return target.getvalue()


@pytest.mark.parametrize("wants", ["", "Basic", "Bearer"])
def test_a_file_goes_there_and_back(server: Server, file: Path, wants: str) -> None:
    server.wants = wants
    registry = Registry(server.place, LOGIN)
    pushed = registry.push("runs", "one", file, KIND)
    assert registry.find("runs", "one") == registry.find("runs", pushed.manifest) == pushed
    assert fetched(registry, pushed) == file.read_bytes()
    assert registry.find("runs", "two") is None
    assert json.loads(server.manifests["one"])["artifactType"] == KIND
    before = len(server.seen)
    registry.push("runs", "again", file, KIND)  # what is there is not sent again
    assert "POST" not in {method for method, *_ in server.seen[before:]}


def test_the_login_does_not_follow_to_another_host(server: Server, file: Path) -> None:
    with served(Server()) as other:
        registry = Registry(server.place, LOGIN)
        server.wants = "Basic"
        pushed = registry.push("runs", "one", file, KIND)
        other.blobs = dict(server.blobs)
        server.elsewhere = f"http://localhost:{other.port}"
        assert fetched(registry, pushed) == file.read_bytes()
        assert [told for *_, told in other.seen] == [""]


def test_a_registry_that_fails_is_asked_again(server: Server, file: Path) -> None:
    server.failures = {"uploads": 3, "manifests": 2}
    pushed = Registry(server.place).push("runs", "one", file, KIND)
    assert server.failures == {"uploads": 0, "manifests": 0}
    assert fetched(Registry(server.place), pushed) == file.read_bytes()


@pytest.mark.escape
def test_what_is_not_as_promised_is_refused(server: Server, file: Path) -> None:
    registry = Registry(server.place)
    pushed = registry.push("runs", "one", file, KIND)
    refused = r"what was fetched is refused: "
    with pytest.raises(EngineError, match=refused + "it has 7000 bytes, more than the 100 that are allowed"):
        fetched(registry, pushed, 100)
    right = server.blobs[pushed.layer]
    for content, why in (
        (b"other", "not what its digest says"),
        (right + b"more", "longer than its manifest says"),
        (right[:-1], "not what its digest says"),
    ):
        server.blobs[pushed.layer] = content
        with pytest.raises(EngineError, match=refused + f".*{why}"):
            fetched(registry, pushed)
    server.blobs[pushed.layer], server.cut = right, 10
    with pytest.raises(EngineError, match="not what its digest says"):
        fetched(registry, pushed)
    server.cut = 0
    manifest = json.loads(server.manifests["one"])
    for changed in (
        b"{}",
        b"[" * 100_000,
        b'{"layers": [{"digest": "sha256:0", "size": 1}]}',
        json.dumps({**manifest, "layers": manifest["layers"] * 2}).encode(),
        json.dumps({**manifest, "layers": [{**manifest["layers"][0], "size": -1}]}).encode(),
    ):
        server.manifests["one"] = changed
        with pytest.raises(EngineError, match="is not an artifact of lw_coder"):
            registry.find("runs", "one")
    server.manifests[pushed.manifest] = b"{}"
    with pytest.raises(EngineError, match="another digest"):
        registry.find("runs", pushed.manifest)
    server.manifests["one"] = bytes(2 << 20)
    with pytest.raises(EngineError, match="too large"):
        registry.find("runs", "one")


def test_what_keeps_it_away_is_said(server: Server, file: Path) -> None:
    server.wants = "Bearer"
    for login in (None, ("someone", "wrong")):
        with pytest.raises(EngineError, match="refuses the login") as refused:
            Registry(server.place, login).push("runs", "one", file, KIND)
        assert refused.value.remedy == f"type: docker login {server.place.host}"
        assert "wrong" not in repr(refused.value)
    server.wants, server.failures = "", {"manifests": 1000}
    with pytest.raises(EngineError, match="the registry answers with status 500"):
        Registry(server.place).push("runs", "one", file, KIND)
    with pytest.raises(EngineError, match="the registry does not answer"):
        Registry(RegistryPlace("127.0.0.1:1", is_plain=True)).find("runs", "one")


def test_dockers_logins(tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-mine"
    helper.write_text(
        '#!/bin/sh\nread host\n[ "$host" = helped:5000 ] || exit 1\n'
        'echo \'{"Username": "u", "Secret": "s"}\'\n'
    )
    helper.chmod(0o755)
    auth = base64.b64encode(b"user:pass:word").decode()
    config = {
        "auths": {"plain": {"auth": auth}, "https://old": {"auth": auth}, "bad": {"auth": "!"}},
        "credHelpers": {"helped:5000": "mine", "none": "mine", "gone": "absent"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    process = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/bin:/usr/bin"}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", process["PATH"])
        found = {host: find_login(host, process) for host in ("plain", "old", "helped:5000")}
        assert found == {
            "plain": ("user", "pass:word"),
            "old": ("user", "pass:word"),
            "helped:5000": ("u", "s"),
        }
        assert [find_login(host, process) for host in ("bad", "none", "gone", "unknown")] == [None] * 4
    memory = json.dumps({"auths": {"only": {"auth": auth}}})
    assert find_login("only", {**process, "DOCKER_AUTH_CONFIG": memory}) == ("user", "pass:word")


def test_places() -> None:
    assert parse_place("http://10.0.0.1:5000/team/a/") == RegistryPlace(
        "10.0.0.1:5000", "team/a", is_plain=True
    )
    assert parse_place("registry.example.com").name("x/y") == "registry.example.com/x/y"
    for wrong in ("ftp://a", "", "a b", "https://", "a/../b", "a/B", "user@host", "a?b", "a:port"):
        with pytest.raises(ValueError, match=re.escape(ascii(wrong))):
            parse_place(wrong)
