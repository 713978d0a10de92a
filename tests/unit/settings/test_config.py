from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.allowed_hosts import AllowedHost
from lw_coder.settings.config import CONFIG_FILE, CodeConfig, load_config
from tests.support.patience import within_cpu_time


def written(root: Path, text: str | bytes) -> Path:
    path = root / CONFIG_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return root


def loaded(root: Path, text: str) -> CodeConfig:
    return load_config(written(root, text))


def refused(root: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(root)
    error = caught.value
    assert "\n" not in error.message + error.remedy
    assert error.message.startswith(f"{CONFIG_FILE}: ")
    assert error.remedy
    return error


def test_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[code]\n")
    assert config.forward_env == ("OPENROUTER_*",)
    assert (config.env_file, config.ca_bundle, config.prompt_program) == (None, None, None)
    assert (config.docker_run_args, config.docker_build_args) == ((), ())
    assert (config.model_timeout, config.max_output_tokens) == (100, 8192)
    assert (config.run_options.keys, config.build_options.keys, config.warnings()) == ({}, {}, [])


def test_the_gateway_and_what_needs_it(tmp_path: Path) -> None:
    text = """
        [code]
        gateway = true
        prices = { "some/model" = { input = 3, output = 15.5, cached = 0.3 } }
        record_requests = true
        limits = { tokens = 1000, cost_usd = 0.5, requests = 9, requests_per_minute = 5 }
    """
    config = loaded(tmp_path, text)
    assert (config.gateway, config.record_requests, config.has_networks) == (True, True, True)
    assert (config.prices["some/model"].output, config.prices["some/model"].cached) == (15.5, 0.3)
    assert not loaded(tmp_path, "[code]\n").has_networks
    for line, word in (
        ('prices = { "a" = { input = 1, output = 1 } }', "prices: only the model gateway uses this"),
        ("record_requests = true", "record_requests: only the model gateway uses this"),
        ("limits = { tokens = 1 }", "limits.tokens: only the model gateway can do this"),
        ("limits = { requests_per_minute = 1 }", "limits.requests_per_minute: only the model gateway"),
    ):
        assert word in refused(written(tmp_path, f"[code]\n{line}\n")).message


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('docker_run_args = ["--env", "OPENROUTER_API_KEY"]', "OPENROUTER_API_KEY: with gateway = true, no"),
        ('docker_run_args = ["--network", "host"]', "'--network' cannot be used with gateway"),
        ('prices = { "a" = { input = -1, output = 1 } }', "prices"),
        ('prices = { "a" = { input = 1 } }', "prices"),
        ('prices = { "a" = { input = 1, output = 1, extra = 1 } }', "prices"),
    ],
)
def test_what_does_not_go_with_the_gateway(tmp_path: Path, line: str, word: str) -> None:
    assert word in refused(written(tmp_path, f"[code]\ngateway = true\n{line}\n")).message


def test_all_keys(tmp_path: Path) -> None:
    (tmp_path / "program.json").touch()
    config = loaded(
        tmp_path,
        """
        [code]
        env_file = ".env.local"
        forward_env = ["OPENROUTER_*", "PATH"]
        docker_build_args = ["--build-arg", "WORD=1", "--secret=id=token,src=token"]
        docker_run_args = ["--memory=8g", "-v", "cache:/cache"]
        ca_bundle = "ca.pem"
        prompt_program = "program.json"
        model_timeout = 300
        max_output_tokens = 32_000
        """,
    )
    assert (config.model_timeout, config.max_output_tokens) == (300, 32_000)
    assert config.env_file == ".env.local"
    assert config.run_options.keys == {"mem_limit": "8g", "volumes": ["cache:/cache"]}
    assert config.build_options.keys == {"args": {"WORD": "1"}, "secrets": ["token"]}
    assert config.build_options.secrets == {"token": {"file": "token"}}
    assert config.warnings() == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('setup = ["make", " "]', "setup: contains an empty command"),
        ('setup = ["a\\u0000b"]', "setup: contains a command with a NUL"),
        ('notify = ["", "x"]', "notify: begins with an empty text instead of a program"),
        ('notify = ["x", "a\\u0000b"]', "notify: contains a NUL character"),
        ('notify = "x"', "notify: expected `array`"),
    ],
)
def test_commands_that_cannot_be_run(tmp_path: Path, line: str, word: str) -> None:
    assert word in refused(written(tmp_path, f"[code]\n{line}\n")).message


def test_commands_are_kept_as_they_are(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[code]\nsetup = ["make", "make"]\nnotify = ["/usr/bin/x", ""]\n')
    assert (config.setup, config.notify) == (("make", "make"), ("/usr/bin/x", ""))
    assert config.warnings() == []
    config = loaded(tmp_path, '[code]\nnotify = ["~/x", "~/y"]\n')
    assert config.notify == (str(Path.home() / "x"), "~/y")
    assert config.warnings() == []


def test_a_notification_by_a_program_of_the_repository_is_warned_of(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, '[code]\nnotify = ["tools/tell.sh"]\n').warnings()
    assert "notify: runs a program of this repository" in warning


def test_missing_file(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "file not found" in error.message
    assert "[code]" in error.remedy


def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).mkdir(parents=True)
    assert "cannot be read: Is a directory" in refused(tmp_path).message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[code\n", "is not valid TOML: "),
        ("[code]\nsetup = [\n\n", "Invalid value (at the end, line 3)"),
        ('[code]\nmodel = """x\n', "(at the end, line 2)"),
        ('[code]\nenv_file = ".env"\nenv_file = ".env"\n', "is not valid TOML: "),
        ("", "there is no [code] table"),
        ("code = 1\n", "there is no [code] table"),
        ("[[code]]\n", "there is no [code] table"),
        ('env_file = ".env"\n[code]\n', "env_file: unknown key"),
        ('"a\\nb" = 1\n[code]\n', "a\\nb: unknown key"),
        ('[code]\nenvfile = ".env"\n', "[code] envfile: unknown key"),
        ('[code]\n"a\\nb" = 1\n', "[code] a\\nb: unknown key"),
        ('[code]\nenv_file = ""\n', "[code] env_file: is empty"),
        ('[code]\nenv_file = "a\\u0000b"\n', "[code] env_file: 'a\\x00b' contains a NUL character"),
        ('[code]\nca_bundle = " "\n', "[code] ca_bundle: is empty"),
        ('[code]\nforward_env = ["A B"]\n', "[code] forward_env: 'A B' is not a variable name or pattern"),
        ('[code]\nforward_env = ["A=b"]\n', "[code] forward_env: 'A=b' is not a variable name or pattern"),
        ('[code]\nforward_env = [""]\n', "[code] forward_env: '' is not a variable name or pattern"),
        ('[code]\nallow_hosts = [""]\n', "[code] allow_hosts: '' is not a host such as example.org"),
        ('[code]\nallow_hosts = ["https://a.org"]\n', "[code] allow_hosts: 'https://a.org' is not a host"),
        ('[code]\nallow_hosts = ["a.org", "b org"]\n', "[code] allow_hosts: 'b org' is not a host"),
        ('[code]\nallow_hosts = ["a\\n.org"]\n', "[code] allow_hosts: 'a\\n.org' is not a host"),
        ("[code]\nmodel_timeout = 0\n", "[code] model_timeout: 0 is not a number of seconds from 1 to 86400"),
        ("[code]\nmodel_timeout = inf\n", "[code] model_timeout: inf is not a number of seconds"),
        ("[code]\nmodel_timeout = nan\n", "[code] model_timeout: nan is not a number of seconds"),
        ("[code]\nmodel_timeout = true\n", "[code] model_timeout: expected `float`, got `bool`"),
        ('[code]\nmodel_timeout = "60"\n', "[code] model_timeout: expected `float`, got `str`"),
        ("[code]\nmax_output_tokens = 0\n", "max_output_tokens: 0 is not a number of tokens from 256 to"),
        ("[code]\nmax_output_tokens = 9e3\n", "max_output_tokens: expected `int`, got `float`"),
        ("[code]\nmax_output_tokens = true\n", "max_output_tokens: expected `int`, got `bool`"),
        ('[code]\nforward_env = ["A", 1]\n', "[code] forward_env[1]: expected `str`, got `int`"),
    ],
)
def test_what_breaks_a_rule(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(written(tmp_path, text)).message


@pytest.mark.parametrize("key", ["env_file", "ca_bundle", "prompt_program"])
@pytest.mark.parametrize("value", ["1", "true", "[]"])
def test_texts_are_texts(tmp_path: Path, key: str, value: str) -> None:
    message = refused(written(tmp_path, f"[code]\n{key} = {value}\n")).message
    assert f"[code] {key}: expected `str`, got `" in message


@pytest.mark.parametrize("key", ["forward_env", "docker_build_args", "docker_run_args", "allow_hosts"])
@pytest.mark.parametrize("value", ['"--a"', "1", "{a = 1}"])
def test_lists_are_lists(tmp_path: Path, key: str, value: str) -> None:
    message = refused(written(tmp_path, f"[code]\n{key} = {value}\n")).message
    assert f"[code] {key}: expected `array`, got `" in message


@pytest.mark.parametrize("flag", ["--network=host", "--net=none"])
def test_a_network_of_ones_own_and_allowed_hosts_exclude_one_another(tmp_path: Path, flag: str) -> None:
    text = f'[code]\nallow_hosts = []\ndocker_run_args = ["{flag}"]\n'
    message = refused(written(tmp_path, text)).message
    assert message == f"{CONFIG_FILE}: docker_run_args: '--network' cannot be used with allow_hosts"


def test_allowed_hosts(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[code]\n").allowed_hosts is None
    assert loaded(tmp_path, "[code]\nallow_hosts = []\n").allowed_hosts == ()
    config = loaded(tmp_path, '[code]\nallow_hosts = ["a.org", "*.b.org:8080"]\n')
    assert config.allowed_hosts == (AllowedHost("a.org"), AllowedHost("*.b.org", (8080,)))


def test_not_utf8(tmp_path: Path) -> None:
    assert "is not UTF-8" in refused(written(tmp_path, b"[code]\n# caf\xe9\n")).message


@pytest.mark.parametrize(
    ("key", "flags", "problem"),
    [
        ("docker_run_args", '["--frobnicate"]', "'--frobnicate' has no Compose key"),
        ("docker_run_args", '["8g"]', "'8g' is not a flag"),
        ("docker_run_args", '["--memory"]', "'--memory' has no value"),
        ("docker_run_args", '["--user=0"]', "'--user' is set by lw_coder itself"),
        ("docker_build_args", '["-f", "x"]', "'-f' is set by lw_coder itself"),
        ("docker_build_args", '["--frobnicate"]', "'--frobnicate' has no Compose key"),
    ],
)
def test_flags_are_looked_at_when_the_config_is(tmp_path: Path, key: str, flags: str, problem: str) -> None:
    assert f"{key}: {problem}" in refused(written(tmp_path, f"[code]\n{key} = {flags}\n")).message


@pytest.mark.parametrize("pattern", ["*", "**", "?*"])
def test_a_pattern_for_everything_warns(tmp_path: Path, pattern: str) -> None:
    (line,) = loaded(tmp_path, f'[code]\nforward_env = ["{pattern}"]\n').warnings()
    assert "passes every variable" in line


def test_a_dangerous_flag_warns(tmp_path: Path) -> None:
    (line,) = loaded(tmp_path, '[code]\ndocker_run_args = ["--privileged", "--init"]\n').warnings()
    assert line == f"{CONFIG_FILE}: docker_run_args: --privileged: weakens the container's isolation"


def test_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificates", encoding="ascii")
    named = loaded(tmp_path, '[code]\nca_bundle = "ca.pem"\n')
    assert named.find_ca_bundle(tmp_path, {"SSL_CERT_FILE": "/elsewhere"}) == tmp_path / "ca.pem"
    unset = CodeConfig()
    assert unset.find_ca_bundle(tmp_path, {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}) == tmp_path / "ca.pem"
    assert unset.find_ca_bundle(tmp_path, {"SSL_CERT_FILE": str(tmp_path / "none.pem")}) is None
    assert unset.find_ca_bundle(tmp_path, {}) is None
    with pytest.raises(ConfigError, match=r"ca_bundle: none\.pem: file not found"):
        CodeConfig(ca_bundle="none.pem").find_ca_bundle(tmp_path, {})


def test_a_prompt_program_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, problem in (("none.json", "file not found"), ("folder", "is not a file")):
        written(tmp_path, f'[code]\nprompt_program = "{name}"\n')
        error = refused(tmp_path)
        assert error.message == f"{CONFIG_FILE}: prompt_program: {name}: {problem}"
        assert "CodePromptProgram.save" in error.remedy


def test_a_prompt_program_at_home(tmp_path: Path, home: Path) -> None:
    (home / "program.json").touch()
    config = loaded(tmp_path, '[code]\nprompt_program = "~/program.json"\n')
    assert config.prompt_program == str(home / "program.json")


@pytest.mark.parametrize("key", ["env_file", "ca_bundle", "prompt_program"])
def test_a_home_of_nobody(tmp_path: Path, key: str) -> None:
    written(tmp_path, f'[code]\n{key} = "~nobody-of-that-name/x"\n')
    assert "begins with the home folder of an unknown user" in refused(tmp_path).message


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).parent.mkdir()
    os.mkfifo(tmp_path / CONFIG_FILE)
    assert "there is no [code] table" in refused(tmp_path).message


@pytest.mark.parametrize(
    "text",
    [
        "[code]\nforward_env = " + "[" * 40_000,
        "[code]\nx = " + "{a = " * 20_000,
        ".".join(["a"] * 40_000) + " = 1\n",
        ".".join(['"a"'] * 20_000) + " = 1\n",
        "[" + " . ".join(["a"] * 20_000) + "]\n",
        "a" * 99_000,
        "[code]\nx = " + "9" * 90_000,
        "[code]\n" + "#" * 200_000,
    ],
    ids=["lists", "tables", "dots", "quoted", "head", "word", "number", "long"],
)
def test_what_would_take_long_is_refused_first(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG_FILE).parent.mkdir()
    (tmp_path / CONFIG_FILE).write_text(text, encoding="utf-8")
    assert len(within_cpu_time(60, lambda: refused(tmp_path).message)) < 300


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("[cod]\n", "cod: unknown table", "did you mean [code]?"),
        ("[Code]\n[code]\n", "Code: unknown table", "did you mean [code]?"),
        ("[code]\n[codes]\n", "codes: unknown table", "did you mean [code]?"),
        ("[code]\n[docker_run_arg]\n", "unknown table", "docker_run_args is a key of [code]"),
        ("[code]\n[package]\n", "package: unknown table", "the only table is [code]"),
        ('env_file = ".env"\n[code]\n', "env_file: unknown key", "put it below the line [code]"),
        ('forwardenv = ["A"]\n[code]\n', "unknown key", "did you mean forward_env? put the settings below"),
        ("speed = 1\n[code]\n", "speed: unknown key", "put the settings below the line [code]"),
        (
            '[code]\nENV-FILE = ".env"\n',
            "[code] ENV-FILE: unknown key",
            "did you mean env_file? known keys: ",
        ),
        ("[code]\nspeed = 1\n", "[code] speed: unknown key", "known keys: env_file, "),
    ],
)
def test_the_nearest_name_is_suggested(tmp_path: Path, text: str, problem: str, remedy: str) -> None:
    error = refused(written(tmp_path, text))
    assert problem in error.message
    assert error.remedy.startswith(remedy)
