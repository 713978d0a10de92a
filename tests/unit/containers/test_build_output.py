"""What a person is told of a failed build: the texts are what the builder and the tools print."""

from __future__ import annotations

import pytest

from lw_coder.containers.build_output import read_failure

STEPS = """#4 [internal] load .dockerignore
#4 DONE 0.0s

#5 [1/3] FROM docker.io/library/lw_coder_droid:latest
#5 CACHED

#6 [2/3] RUN echo of another step
#6 0.185 of another step
#6 DONE 0.2s

#7 [3/3] RUN make check
{output}
#7 ERROR: process "/bin/sh -c make check" did not complete successfully: exit code: {status}
------
 > [3/3] RUN make check:
0.185 12
------
code.Dockerfile:3
failed to solve: process "/bin/sh -c make check" did not complete successfully: exit code: {status}
"""
NO_STEP = """#1 [internal] load build definition from code.Dockerfile
#1 DONE 0.0s
code.Dockerfile:2
failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)
"""


def build(*printed: str, status: int = 7) -> list[str]:
    output = "\n".join(f"#7 {number / 10:.3f} {line}" for number, line in enumerate(printed, 1))
    return STEPS.format(output=output, status=status).splitlines(keepends=True)


def test_the_last_ten_lines_of_the_failing_step() -> None:
    failure = read_failure(build(*map(str, range(1, 13))))
    assert failure.tail == tuple(map(str, range(3, 13)))
    assert failure.reason.endswith("did not complete successfully: exit code: 7")
    assert failure.hint == ""


def test_a_step_that_printed_little() -> None:
    assert read_failure(build("only \x1b[31mthis\x1b[0m", "", "x" * 400)).tail == (
        "only this",
        "x" * 300 + " ...",
    )


def test_a_step_that_was_cancelled_is_not_the_one_that_failed() -> None:
    cancelled = ["#8 0.100 half done\n", "#8 ERROR: process failed: context canceled\n"]
    assert read_failure([*build("the cause"), *cancelled]).tail == ("the cause",)


def test_no_step_failed() -> None:
    failure = read_failure(NO_STEP.splitlines(keepends=True))
    assert failure.tail == ()
    assert failure.reason.startswith("dockerfile parse error")
    assert failure.hint == ""


CAUSES = {
    "ca_bundle": (
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
        "npm error code SELF_SIGNED_CERT_IN_CHAIN",
        "npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        "  Caused by: invalid peer certificate: UnknownIssuer",
        'go: example.org/x@v1.0.0: Get "https://x/": tls: failed to verify certificate: x509: c',
    ),
    "resolve": (
        "  Temporary failure resolving 'packages.example.org'",
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "curl: (6) Could not resolve host: example.org",
        "npm error code EAI_AGAIN",
        "dial tcp: lookup proxy.example.org: no such host",
    ),
    "disk is full": ("OSError: [Errno 28] No space left on device",),
    "apt-get update": ("E: Unable to locate package libfoo-dev",),
    "virtual environment": ("error: externally-managed-environment",),
    "build-essential": (
        "error: command 'gcc' failed: No such file or directory",
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "error: linker `cc` not found",
        "src/x.c:1:10: fatal error: Python.h: No such file or directory",
    ),
    "commit package-lock.json": (
        "npm error The `npm ci` command can only install with an existing package-lock.json or",
        "npm error `npm ci` can only install packages when your package.json and",
    ),
    "uv lock": (
        "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.",
        "error: Unable to find lockfile at `uv.lock`, but `--frozen` was provided.",
    ),
    "another version of the language": (
        "go: go.mod requires go >= 1.99 (running go 1.24.4; GOTOOLCHAIN=local)",
        "error: rustc 1.85.0 is not supported by the following package: x@1 requires rustc 1.90",
        "ERROR: Package 'x' requires a different Python: 3.13.5 not in '>=3.15'",
    ),
    "no --transport": ("error: unknown option '--transport'",),
}


@pytest.mark.parametrize(("hint", "line"), [(hint, line) for hint, lines in CAUSES.items() for line in lines])
def test_a_known_cause_is_explained(hint: str, line: str) -> None:
    assert hint in read_failure(build("before", line, "after")).hint


@pytest.mark.parametrize(("status", "hint"), [(127, "not in the image"), (137, "memory"), (1, "")])
def test_a_known_status_is_explained(status: int, hint: str) -> None:
    found = read_failure(build("/bin/sh: 1: something", status=status)).hint
    assert (hint in found) if hint else found == ""


def test_a_user_that_the_image_does_not_have() -> None:
    line = "failed to solve: unable to find user droiduser: no matching entries in passwd file\n"
    assert "remove the USER line" in read_failure([line]).hint


def test_a_file_that_is_not_in_the_context() -> None:
    line = 'failed to solve: failed to calculate checksum of ref x: "/a": not found\n'
    assert ".dockerignore" in read_failure([line]).hint
