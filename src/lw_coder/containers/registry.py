"""A small client of registries: artifacts of one file, as the OCI distribution specification has them.

Docker's client moves images alone, and the libraries that move artifacts unpack what they fetch, without
bounds. Here a file is fetched into a file: its length is bounded, and its digest is checked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from msgspec import Struct, field

from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import printable
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.values import Secret
from lw_coder.settings.registry_place import RegistryPlace

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LARGEST_MANIFEST = 1 << 20  # bytes

_IMAGE_KINDS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_PATIENCE = 60.0  # seconds without a byte
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds before a request is made again that failed in the registry
_NOT_FOUND, _DENIED, _FAILED = 404, (401, 403), 500
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_LOGIN_REMEDY = "type: docker login "


class Artifact(Struct, frozen=True):
    """A file in a registry.

    Attributes:
        repository: where it is, without the registry's prefix.
        manifest: digest of its manifest.
        layer: digest of the file.
        size: its length in bytes.
    """

    repository: str
    manifest: str
    layer: str
    size: int


class _MissingError(EngineError):
    """The registry has no such thing."""


class _FailedError(EngineError):
    """The registry itself has failed."""


class Registry(Secret, frozen=True):
    """Talks to one registry.

    Attributes:
        place: where it is.
        login: user and password, or None. Secret.
    """

    place: RegistryPlace
    login: tuple[str, str] | None = None
    _tokens: dict[str, str] = field(default_factory=dict)

    def push(self, repository: str, tag: str, file: Path, kind: str) -> Artifact:
        """Store a file as an artifact.

        Args:
            repository: without the registry's prefix.
            tag: its name there.
            file: the file.
            kind: the media type of the artifact.

        Raises:
            EngineError: the registry does not take it, or does not answer.
            OSError: the file cannot be read.
        """
        layer, size = digest_of(file), file.stat().st_size
        self._push_blob(repository, digest_of_bytes(_EMPTY), _EMPTY)
        self._push_blob(repository, layer, file)
        manifest = _manifest(kind, layer, size)
        self._call(repository, "PUT", f"manifests/{tag}", manifest, {"Content-Type": MANIFEST}).close()
        return Artifact(repository, digest_of_bytes(manifest), layer, size)

    def find(self, repository: str, reference: str) -> Artifact | None:
        """Find an artifact by its tag or its manifest's digest; None if there is none.

        Raises:
            EngineError: what is there is no such artifact, or the registry does not answer.
        """
        try:
            with self._call(
                repository, "GET", f"manifests/{reference}", headers={"Accept": MANIFEST}
            ) as told:
                manifest = _read(told, LARGEST_MANIFEST + 1)
        except _MissingError:
            return None
        digest = digest_of_bytes(manifest)
        if len(manifest) > LARGEST_MANIFEST or (_DIGEST.fullmatch(reference) and digest != reference):
            raise self._bad(f"{repository}:{reference} has another digest, or is too large")
        try:
            layer, size = _only_layer(manifest)
        except (ValueError, KeyError, TypeError):
            raise self._bad(f"{repository}:{reference} is not an artifact of lw_coder") from None
        return Artifact(repository, digest, layer, size)

    def has_image(self, repository: str, digest: str) -> bool:
        """Return whether an image of this digest is there.

        Raises:
            EngineError: the registry does not answer.
        """
        accept = {"Accept": ", ".join((MANIFEST, *_IMAGE_KINDS))}
        try:
            self._call(repository, "HEAD", f"manifests/{digest}", headers=accept).close()
        except _MissingError:
            return False
        return True

    def fetch(self, artifact: Artifact, target: IO[bytes], most: int) -> None:
        """Fetch an artifact's file.

        Args:
            artifact: from `find`.
            target: receives it.
            most: bytes; a longer one is an error, before it is fetched.

        Raises:
            EngineError: it is too long, not what its digest says, or the registry does not answer.
            OSError: the disk is full.
        """
        if artifact.size > most:
            raise self._bad(f"it has {artifact.size} bytes, more than the {most} that are allowed")
        digest, left = hashlib.sha256(), artifact.size
        with self._call(artifact.repository, "GET", f"blobs/{artifact.layer}") as told:
            while chunk := _read(told, min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise self._bad("it is longer than its manifest says")
                digest.update(chunk)
                target.write(chunk)
        if left or f"sha256:{digest.hexdigest()}" != artifact.layer:
            raise self._bad("it is not what its digest says")

    def delete(self, artifact: Artifact) -> None:
        """Delete an artifact, if the registry allows that."""
        with suppress(EngineError):
            self._call(artifact.repository, "DELETE", f"manifests/{artifact.manifest}").close()

    def require_answer(self) -> None:
        """Check that it answers, and takes the login.

        Raises:
            EngineError: it does not.
        """
        self._open(_request(self._url(""), "GET"), "").close()

    def _push_blob(self, repository: str, digest: str, content: bytes | Path) -> None:
        """Upload a blob that is not there. An upload ends if the registry fails; then there is a new one."""
        for pause in PAUSES:
            try:
                self._upload(repository, digest, content)
            except (_FailedError, _MissingError):
                with interruptible():
                    time.sleep(pause)
            else:
                return
        self._upload(repository, digest, content)

    def _upload(self, repository: str, digest: str, content: bytes | Path) -> None:
        if self._has_blob(repository, digest):
            return
        with self._call(repository, "POST", "blobs/uploads/", b"") as begun:
            location = begun.headers.get("Location") or ""
        url = urllib.parse.urljoin(self._url(repository), location)
        if not url.startswith(("https://", "http://") if self.place.is_plain else "https://"):
            raise self._bad("it names no address to upload to")
        url += ("&" if "?" in url else "?") + urllib.parse.urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        if isinstance(content, bytes):
            self._send(repository, url, content, headers)
        else:
            # For urllib a file has a length only if it is told.
            with content.open("rb") as file:
                length = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
                self._send(repository, url, file, {**headers, **length})

    def _send(self, repository: str, url: str, data: bytes | IO[bytes], headers: Mapping[str, str]) -> None:
        self._open(_request(url, "PUT", data, headers), repository, self._answer).close()

    def _has_blob(self, repository: str, digest: str) -> bool:
        try:
            self._call(repository, "HEAD", f"blobs/{digest}").close()
        except _MissingError:
            return False
        return True

    def _call(
        self,
        repository: str,
        method: str,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        url = f"{self._url(repository)}/{path}"
        return self._open(_request(url, method, data, headers), repository)

    def _url(self, repository: str) -> str:
        base = f"{'http' if self.place.is_plain else 'https'}://{self.place.host}/v2/"
        return base + self.place.path(repository) if repository else base

    def _open(
        self,
        request: urllib.request.Request,
        repository: str,
        ask: Callable[[urllib.request.Request], HTTPResponse] | None = None,
    ) -> HTTPResponse:
        self._add_login(request, repository)
        try:
            return (ask or self._patient_answer)(request)
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                raise _MissingError(
                    f"{self.place.host}: has no {request.selector}", "look for it there"
                ) from None
            challenge = error.headers.get("WWW-Authenticate") or ""
            if error.code not in _DENIED or not challenge.startswith("Bearer ") or repository in self._tokens:
                raise self._refused(error.code) from None
        self._tokens[repository] = self._token(challenge)
        return self._open(request, repository, ask)

    def _patient_answer(self, request: urllib.request.Request) -> HTTPResponse:
        """Ask; ask again where the registry itself failed, as one does in which others write the same tag."""
        for pause in PAUSES:
            try:
                return self._answer(request)
            except urllib.error.HTTPError as error:
                if error.code < _FAILED:
                    raise
                error.close()
            with interruptible():
                time.sleep(pause)
        return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> HTTPResponse:
        if isinstance(request.data, io.IOBase):
            request.data.seek(0)
        try:
            with interruptible():
                answer: HTTPResponse = urllib.request.urlopen(request, timeout=_PATIENCE)  # noqa: S310
                return answer
        except urllib.error.HTTPError:
            raise
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from None

    def _add_login(self, request: urllib.request.Request, repository: str) -> None:
        # Unredirected: a registry can send a client to another host for the file itself.
        if token := self._tokens.get(repository):
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        elif self.login:
            request.add_unredirected_header("Authorization", self._basic())

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.login or ()).encode()).decode("ascii")

    def _token(self, challenge: str) -> str:
        """Get a token for a repository, from the server that the registry names for that."""
        told = dict(_CHALLENGE.findall(challenge))
        realm = told.pop("realm", "")
        if not realm.startswith(("https://", "http://") if self.place.is_plain else "https://"):
            raise self._refused(_DENIED[0])
        query = urllib.parse.urlencode({name: told[name] for name in ("service", "scope") if name in told})
        request = _request(f"{realm}?{query}", "GET")
        if self.login:
            request.add_unredirected_header("Authorization", self._basic())
        try:
            with self._patient_answer(request) as answer:
                found: dict[str, Any] = read_json(_read(answer, LARGEST_MANIFEST))
            return str(found.get("token") or found["access_token"])
        except urllib.error.HTTPError as error:
            raise self._refused(error.code) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._refused(_DENIED[0]) from None

    def _refused(self, code: int) -> EngineError:
        if code in _DENIED:
            return EngineError(
                f"{self.place.host}: the registry refuses the login", _LOGIN_REMEDY + self.place.host
            )
        kind = _FailedError if code >= _FAILED else EngineError
        return kind(
            f"{self.place.host}: the registry answers with status {code}", "look into the registry's log"
        )

    def _unreachable(self, error: Exception) -> EngineError:
        reason = getattr(error, "reason", None) or error
        told = printable(str(getattr(reason, "strerror", None) or reason or type(error).__name__))
        return EngineError(
            f"{self.place.host}: the registry does not answer: {told}",
            "correct [code.swarm] registry, or start the registry; one without TLS needs http:// before it",
        )

    def _bad(self, why: str) -> EngineError:
        return EngineError(f"{self.place.host}: what was fetched is refused: {why}", "see what pushed it")


def _request(
    url: str, method: str, data: bytes | IO[bytes] | None = None, headers: Mapping[str, str] | None = None
) -> urllib.request.Request:
    # Each address is one that `_url` made, or was checked to be of its kind.
    return urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310


def digest_of(file: Path) -> str:
    """Return a file's digest, as registries write it."""
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def digest_of_bytes(content: bytes) -> str:
    """Return the digest of bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _read(answer: HTTPResponse, count: int) -> bytes:
    try:
        with interruptible():
            return answer.read(count)
    except (OSError, HTTPException, ValueError):
        return b""  # what is missing shows in the digest


def _manifest(kind: str, layer: str, size: int) -> bytes:
    empty = {"mediaType": _EMPTY_TYPE, "digest": digest_of_bytes(_EMPTY), "size": len(_EMPTY)}
    file = {"mediaType": "application/octet-stream", "digest": layer, "size": size}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": empty}
    return json.dumps({**manifest, "layers": [file]}, sort_keys=True).encode()


def _only_layer(manifest: bytes) -> tuple[str, int]:
    (layer,) = read_json(manifest)["layers"]
    digest, size = layer["digest"], layer["size"]
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and type(size) is int and size >= 0):
        raise ValueError("is not a layer")
    return digest, size
