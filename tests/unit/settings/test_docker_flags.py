"""What the tables make is compared with docker in tests/integration; here, what is refused or warned of."""

from __future__ import annotations

import pytest

from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.docker_flags import BUILD_FLAGS, RUN_FLAGS, parse_build_flags, parse_run_flags


def refused(*flags: str, build: bool = False) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        (parse_build_flags if build else parse_run_flags)(flags)
    assert "\n" not in caught.value.message + caught.value.remedy
    setting = "docker_build_args" if build else "docker_run_args"
    assert caught.value.message.startswith(f".lw_coder/config.toml: {setting}: ")
    return caught.value


@pytest.mark.parametrize(
    "flags", [["-m", "2g"], ["-m2g"], ["-m=2g"], ["--memory", "2g"], ["--memory=2g"], ["-m", "1g", "-m2g"]]
)
def test_each_way_to_write_a_flag(flags: list[str]) -> None:
    assert parse_run_flags(flags).keys == {"mem_limit": "2g"}


def test_lists_grow_and_names_are_replaced() -> None:
    flags = ["--dns", "1", "--dns", "2", "-e", "A=1", "-e", "A=2", "-e", "B", "-l", "c"]
    assert parse_run_flags(flags).keys == {
        "dns": ["1", "2"],
        "environment": {"A": "2", "B": None},
        "labels": {"c": ""},
    }


def test_a_value_may_look_like_a_flag() -> None:
    assert parse_run_flags(["--oom-score-adj", "-5"]).keys == {"oom_score_adj": -5}


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--cpus", "two"], "'--cpus' has an invalid value"),
        (["--init=maybe"], "'--init' takes true or false"),
        (["--env", "=x"], "'--env' takes NAME or NAME=VALUE"),
        (["--sysctl", "a"], "'--sysctl' takes NAME=VALUE"),
        (["--ulimit", "nofile=many"], "'--ulimit' takes a whole number"),
        (["--device-read-bps", "1mb"], "'--device-read-bps' takes DEVICE:NUMBER"),
        (["--gpus", "some"], "'--gpus' takes all, a number or device=ID[,ID]"),
        (["--network", "name=a,alias=b"], "'--network' takes the name of a network alone"),
        (["--expose", "http"], "'--expose' takes a whole number"),
        (["--mount", "type=bind,source=/a"], "'--mount' has no target"),
        (["--mount", "type=bind,target=/a"], "'--mount' has no source"),
        (["--mount", "type=image,target=/a"], "'--mount' has the type 'image'"),
        (
            ["--mount", "target=/a,volume-driver=x"],
            "'--mount' names 'volume-driver', which has no Compose key",
        ),
        (
            ["-v", "$HOME/.cache:/c"],
            "'--volume' names the volume '$HOME/.cache', which is not a valid volume name",
        ),
        (["-v", "sub/dir:/x"], "'--volume' names the volume 'sub/dir', which is not a valid volume name"),
        (["-v", ":/x"], "'--volume' names the volume ''"),
        (
            ["--mount", "src=a b,target=/x"],
            "'--mount' names the volume 'a b', which is not a valid volume name",
        ),
        (["--rm"], "'--rm' is set by lw_coder itself"),
        (["-it"], "'-it' is set by lw_coder itself"),
        (["--memory"], "'--memory' has no value"),
        (["--memorry=1"], "'--memorry' has no Compose key"),
        (["--two\nlines"], "'--two\\nlines' has no Compose key"),
        (["ls"], "'ls' is not a flag"),
        ([""], "'' is not a flag"),
    ],
)
def test_what_is_refused(flags: list[str], problem: str) -> None:
    assert problem in refused(*flags).message


def test_a_folder_that_looks_like_a_volume() -> None:
    assert refused("-v", "sub/dir:/x").remedy == "write ./sub/dir for a folder"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--secret", "src=token"], "'--secret' has no id"),
        (["--allow", "network.host"], "'--allow' has no Compose key"),
        (["--output", "x"], "'--output' is set by lw_coder itself"),
        (["--build-arg"], "'--build-arg' has no value"),
        (["."], "'.' is not a flag"),
    ],
)
def test_what_a_build_refuses(flags: list[str], problem: str) -> None:
    assert problem in refused(*flags, build=True).message


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("id=a,src=f", {"file": "f"}),
        ("id=a,source=f", {"file": "f"}),
        ("type=file,id=a,src=f", {"file": "f"}),
        ("id=a,env=TOKEN", {"environment": "TOKEN"}),
        ("type=env,id=a", {"environment": "a"}),
        ("type=env,id=a,src=TOKEN", {"environment": "TOKEN"}),
        ("id=a", {"file": "a"}),
    ],
)
def test_build_secrets(text: str, source: dict[str, str]) -> None:
    options = parse_build_flags(["--secret", text])
    assert options.keys == {"secrets": ["a"]}
    assert options.secrets == {"a": source}


@pytest.mark.parametrize(
    "flag",
    [
        "--privileged",
        "--cap-add=NET_ADMIN",
        "--security-opt=seccomp=unconfined",
        "--security-opt=no-new-privileges=false",
        "--device=/dev/kvm",
        "--userns=host",
        "--network=host",
        "--network=container:other",
        "--pid=host",
        "--ipc=host",
        "--uts=host",
        "--cgroupns=host",
        "--volumes-from=other",
        "--volume=/var/run/docker.sock:/var/run/docker.sock",
        "--volume=/:/host:ro",
        "--volume=/run:/run",
        "--mount=type=bind,source=/,target=/host",
        "--mount=type=bind,src=/run/docker.sock,dst=/x",
    ],
)
def test_dangers(flag: str) -> None:
    (line,) = parse_run_flags([flag]).dangers
    name, _, value = flag.partition("=")
    assert line == f"{name} {value}".strip() + ": weakens the container's isolation"


@pytest.mark.parametrize(
    "flag",
    [
        "--privileged=false",
        "--security-opt=no-new-privileges",
        "--security-opt=no-new-privileges:true",
        "--network=none",
        "--ipc=private",
        "--cap-drop=ALL",
        "--volume=cache:/run",
        "--volume=./docker:/x",
        "--mount=type=tmpfs,target=/run",
        "--volume=/anonymous",
        "--volume=~/.cache:/cache",
        "--mount=target=/anonymous",
    ],
)
def test_no_danger(flag: str) -> None:
    assert parse_run_flags([flag]).dangers == ()


def test_every_flag_is_a_long_one() -> None:
    assert all(name.startswith("--") for name in (*RUN_FLAGS, *BUILD_FLAGS))


@pytest.mark.parametrize(
    "text", ["80", "80/udp", "8080:80", "0:80", "127.0.0.1::80", "[::1]:80:80", "9000-9005:9000-9005/tcp"]
)
def test_published_ports_are_as_docker_takes_them(text: str) -> None:
    assert parse_run_flags(["--publish", text]).keys == {"ports": [text]}


@pytest.mark.parametrize(
    "text", ["", ",", "x", "0", "70000", "1-3000000000", "70000:80", "1-70000:1-70000", "5-1"]
)
def test_published_ports_that_there_are_not(text: str) -> None:
    assert "'--publish' takes" in refused("--publish", text).message


@pytest.mark.parametrize("flag", ["--memory", "--memory-swap", "--memory-reservation", "--shm-size"])
def test_sizes(flag: str) -> None:
    for text in ("4g", "512M", "1.5gb", "1 GiB", "1024", "10k"):
        assert text in parse_run_flags([flag, text]).keys.values()
    for text in ("", "much", "4g,", "1e3", "nan", "-2"):
        assert "takes a size" in refused(flag, text).message


@pytest.mark.parametrize("text", ["", "id=", "src=x", "id=a,src=./x,", "id=a,,src=./x", "id=a,other=x", ","])
def test_secrets_that_docker_would_not_take(text: str) -> None:
    with pytest.raises(ConfigError, match="docker_build_args: '--secret' "):
        parse_build_flags(["--secret", text])


@pytest.mark.parametrize("text", ["device=", "device=a,", "device=a,,b", "\u00b2", "1_0", "9" * 5000])
def test_gpus_that_there_are_not(text: str) -> None:
    assert "'--gpus' " in refused("--gpus", text).message


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "x"])
def test_cpus_that_there_are_not(text: str) -> None:
    assert "'--cpus' " in refused("--cpus", text).message


def test_a_nul_stands_nowhere() -> None:
    assert "contains a NUL" in refused("--env", "A=\0").message


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-v /a:/b"], '"-v", "/a:/b"'),
        (["--init", "-v /a:/b -v /c:/d"], '"-v", "/a:/b", "-v", "/c:/d"'),
        (["--memory 8g"], '"--memory", "8g"'),
        (["--rm -it"], '"--rm", "-it"'),
        (["-v\t/a:/b"], '"-v", "/a:/b"'),
        (["-e TOKEN=hidden"], '"-e", "TOKEN=..."'),
        (["--label a=hidden --cpus=2"], '"--label", "a=...", "--cpus=2"'),
        (["-v "], '"-v"'),
    ],
)
def test_a_flag_in_one_string_with_its_value(flags: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_run_flags(flags)
    assert "is in one string with other words" in caught.value.message
    assert caught.value.remedy == f"write each word as a string of its own: {words}"
    assert "hidden" not in caught.value.message


def test_spaces_within_a_value_are_its_own() -> None:
    flags = ["-v/a b:/c", "--env", "-v x", "--env=A=b c", "--health-cmd", "curl -f x"]
    keys = parse_run_flags(flags).keys
    assert keys["volumes"] == ["/a b:/c"]
    assert keys["environment"] == {"-v x": None, "A": "b c"}
    assert keys["healthcheck"] == {"test": "curl -f x"}
