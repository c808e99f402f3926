"""The command line, without serving; `trichat serve` is in tests/ops/test_process.py."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from process_kit import PATIENCE, trichat

import trichat as package


def test_the_version_is_told(tmp_path: Path) -> None:
    assert trichat("--version", cwd=tmp_path).stdout == f"trichat {package.__version__}\n"


def test_python_dash_m_is_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trichat", "--version"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ended.stdout == f"trichat {package.__version__}\n"


@pytest.mark.parametrize("command", ["serve", "check", "config", "plugins"])
def test_help_tells_of_every_command(tmp_path: Path, command: str) -> None:
    assert f"  {command} " in trichat("--help", cwd=tmp_path).stdout
    ended = trichat(command, "--help", cwd=tmp_path)
    assert ended.returncode == 0
    for option in ("--host", "--port", "--config", "--chat-log", "--control", "--plugin", "--plugins-dir"):
        assert option in ended.stdout


@pytest.mark.parametrize("words", [["--help"], ["--help", "serve"], ["serve", "--prot", "1"], ["sevre", "serve"]])
def test_help_and_complaints_tell_of_all_commands(tmp_path: Path, words: list[str]) -> None:
    # Of a command that is named first, only its own arguments are looked up.
    ended = trichat(*words, cwd=tmp_path)
    usage = "usage: trichat [-h] [--version] {serve,check,config,plugins,tasks,trace,reload,ask,replay,"
    assert "".join((ended.stdout + ended.stderr).split()).startswith("".join(usage.split()))


@pytest.mark.parametrize("command", ["tasks", "trace", "reload"])
def test_help_tells_what_a_running_server_can_be_asked(tmp_path: Path, command: str) -> None:
    assert f"  {command} " in trichat("--help", cwd=tmp_path).stdout
    ended = trichat(command, "--help", cwd=tmp_path)
    assert "--control" in ended.stdout
    assert "--config" in ended.stdout


@pytest.mark.parametrize("command", ["tasks", "trace", "reload"])
def test_without_a_server_there_is_nobody_to_ask(tmp_path: Path, command: str) -> None:
    ended = trichat(command, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "trichat: no server here: there is no 'trichat.sock'; name its control socket with --control\n"
    )


def test_which_server_to_ask_is_not_guessed_from_a_faulty_configuration_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[server]\ncontrol = 7\n")
    ended = trichat("tasks", cwd=tmp_path)
    assert ended.stderr == "trichat: trichat.toml: server.control: Expected `str`, got `int` (here: 7)\n"
    assert "there is no 'mine.sock'" in trichat("tasks", "--control", "mine.sock", cwd=tmp_path).stderr
    assert "there is no 'mine.sock'" in trichat("tasks", "--set", "server.control=mine.sock", cwd=tmp_path).stderr
    assert "--set server.control: Expected `str`" in trichat("tasks", "--set", "server.control=7", cwd=tmp_path).stderr


def test_a_server_without_a_control_socket_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text('[server]\ncontrol = ""\n')
    ended = trichat("tasks", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "trichat: this server has no control socket: `control` is empty in its configuration\n"


def test_without_a_command_it_tells_how_it_is_used(tmp_path: Path) -> None:
    ended = trichat(cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: trichat")


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    ended = trichat("serve", f"--port={port}", cwd=tmp_path)
    assert ended.returncode == 2
    assert "argument --port" in ended.stderr
    assert port in ended.stderr


def test_check_says_that_a_configuration_is_good(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text("[plugins.stop]\nenabled = false\n")
    ended = trichat("check", "--config", "chat.toml", cwd=tmp_path)
    assert ended.returncode == 0
    assert (
        ended.stdout
        == "chat.toml: good; plugins: away, blacklist, bye, chat_log, commands, ignore, json_lines, me, msg, nick, "
        "operators, rooms, seen, topic\n"
    )


def test_check_tells_every_fault_of_tables_files_and_plugins(tmp_path: Path) -> None:
    (tmp_path / "blacklist.txt").write_text("10.0.0.7\n10.0.0.300\n")
    (tmp_path / "chat.toml").write_text(
        """
        [sever]
        [server]
        port = 70000
        [plugins.blacklist]
        file = "blacklist.txt"
        [plugins.chat_log]
        replay = "some"
        fsync = "sometimes"
        [plugins.bye]
        loudly = true
        """
    )
    ended = trichat("check", "--config", "chat.toml", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "trichat: chat.toml: sever: unknown table (did you mean 'server'?)",
        "trichat: chat.toml: server.port: Expected `int` <= 65535 (here: 70000)",
        "trichat: chat.toml: plugins.bye.loudly: unknown key",
        "trichat: chat.toml: plugins.chat_log.replay: Expected `int` or 'all' (here: 'some')",
        "trichat: chat.toml: plugins.chat_log.fsync: Expected 'always' or 'everysec' or 'never' (here: 'sometimes')",
        "trichat: chat.toml: plugins.blacklist: blacklist.txt:2: '10.0.0.300' is not an IP address or network",
    ]


def test_check_refuses_a_plugin_that_is_made_wrong(tmp_path: Path) -> None:
    (tmp_path / "typo.py").write_text("from trichat import hookimpl\n\n@hookimpl\ndef on_mesage(): ...\n")
    ended = trichat("check", "--plugin", "typo.py", cwd=tmp_path)
    assert ended.returncode == 2
    assert "plugin 'typo'" in ended.stderr
    assert "unknown hook 'on_mesage'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_config_prints_what_is_in_effect_and_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text('[server]\nport = 2048\n[plugins.stop]\nallow = ["10.0.0.0/8"]\n')
    arguments = ["--config", "chat.toml", "--host", "::1", "--chat-log", "log of\ttoday.txt"]
    ended = trichat("config", *arguments, cwd=tmp_path)
    tables = tomllib.loads(ended.stdout)
    assert tables["server"]["port"] == 2048
    assert tables["server"]["host"] == "::1"
    assert tables["plugins"]["stop"] == {"enabled": True, "allow": ["10.0.0.0/8"]}
    assert tables["plugins"]["chat_log"]["path"] == "log of\ttoday.txt"
    (tmp_path / "again.toml").write_text(ended.stdout)
    assert trichat("config", "--config", "again.toml", cwd=tmp_path).stdout == ended.stdout


def test_any_key_can_be_set_on_the_command_line_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text('[server]\nport = 2048\nhost = "::1"\n[plugins.chat_log]\nreplay = 7\n')
    settings = [
        "--set",
        "server.port=0",
        "--set",
        "plugins.chat_log.path=talk.txt",
        "--set",
        "plugins.bye.enabled=false",
    ]
    tables = tomllib.loads(trichat("config", *settings, cwd=tmp_path).stdout)
    assert (tables["server"]["port"], tables["server"]["host"]) == (0, "::1")
    assert (tables["plugins"]["chat_log"]["path"], tables["plugins"]["chat_log"]["replay"]) == ("talk.txt", 7)
    assert tables["plugins"]["bye"]["enabled"] is False


def test_the_last_one_counts_however_it_is_written(tmp_path: Path) -> None:
    words = ["--port", "1", "--set", "server.port=2", "--set", "plugins.chat_log.path=a", "--chat-log", "1e3"]
    tables = tomllib.loads(trichat("config", *words, cwd=tmp_path).stdout)
    assert (tables["server"]["port"], tables["plugins"]["chat_log"]["path"]) == (2, "1e3")


def test_what_is_wrong_on_the_command_line_is_named_by_its_place_there(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[plugins.chat_log]\nreplay = -1\n")
    wrong = ["server.prot=1", "plugins.chat_log.fsync=often", "plugins.chatlog.path=x", "plugins.bye.on_error=shout"]
    ended = trichat("check", *(word for each in wrong for word in ("--set", each)), cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "trichat: --set server.prot: unknown key (did you mean 'port'?)",
        "trichat: --set plugins.chatlog: no such plugin (did you mean 'chat_log'?)",
        "trichat: --set plugins.bye.on_error: Expected 'refuse' or 'skip' or 'stop' or `NoneType` (here: 'shout')",
        "trichat: trichat.toml: plugins.chat_log.replay: Expected `int` >= 0 (here: -1)",
        "trichat: --set plugins.chat_log.fsync: Expected 'always' or 'everysec' or 'never' (here: 'often')",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["check"],
        ["config"],
        ["plugins"],
        ["tasks"],
        ["trace"],
        ["reload"],
        ["ask", "backup"],
        ["replay", "--plugin", "seen"],
        ["check-plugin", "seen"],
    ],
    ids=lambda words: words[0],
)
def test_each_command_that_reads_a_configuration_takes_settings(tmp_path: Path, command: list[str]) -> None:
    name, *words = command
    ended = trichat(name, "--set", "server.port=x", *words, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        2,
        "trichat: --set server.port: Expected `int`, got `str` (here: 'x')\n",
    )
    assert (
        "'port=1' is not of the form TABLE.KEY=VALUE" in trichat(name, "--set", "port=1", *words, cwd=tmp_path).stderr
    )


def test_trichat_toml_in_the_folder_is_taken_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[server]\nport = 2048\n")
    assert tomllib.loads(trichat("config", cwd=tmp_path).stdout)["server"]["port"] == 2048


@pytest.mark.parametrize(("content", "fault"), [(None, "cannot be read"), ("port: 1024", "is not TOML")])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content: str | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "chat.toml").write_text(content)
    ended = trichat("serve", "--config", "chat.toml", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"trichat: chat.toml: {fault}")
    assert len(ended.stderr.splitlines()) == 1


def test_a_plugin_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    ended = trichat("serve", "--plugin", "broken.py", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        "trichat: plugin 'broken.py' cannot be imported: "
        f"ModuleNotFoundError(\"No module named 'nothing_of_this_name'\") at {tmp_path / 'broken.py'}:1\n"
    )


def test_check_tells_of_a_plugin_that_is_not_there_and_of_all_else(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text("[server]\nport = 70000\n")
    ended = trichat("check", "--config", "chat.toml", "--plugin", "nothere.py", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "trichat: chat.toml: server.port: Expected `int` <= 65535 (here: 70000)",
        "trichat: plugin 'nothere.py': there is no such file",
    ]


def test_plugins_shows_what_there_is_even_if_a_plugin_is_broken(tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "bad.py").write_text("x(")
    ended = trichat("plugins", "--plugins-dir", "extra", cwd=tmp_path)
    assert ended.returncode == 0
    states = {line.split()[0]: line.split()[3] for line in ended.stdout.split("\n\n")[0].splitlines()}
    assert (states["bye"], states["bad"]) == ("on", "broken")
    assert "extra/bad.py" in ended.stdout
    assert trichat("check", "--plugins-dir", "extra", cwd=tmp_path).returncode == 2


def test_replay_is_told_of_by_help(tmp_path: Path) -> None:
    assert "  replay " in trichat("--help", cwd=tmp_path).stdout
    for option in ("--plugin", "--log", "--config"):
        assert option in trichat("replay", "--help", cwd=tmp_path).stdout


def test_plugins_shows_all_about_one(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[plugins.chat_log]\nreplay = 7\n")
    ended = trichat("plugins", "chat_log", cwd=tmp_path)
    assert ended.returncode == 0
    assert "replay = 7" in ended.stdout
    assert "by default 1000" in ended.stdout


def test_plugins_tells_of_tables_that_have_no_plugin(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[plugins.chatlog]\n")
    ended = trichat("plugins", cwd=tmp_path)
    assert ended.returncode == 2
    assert "chat_log" in ended.stdout
    assert ended.stderr == "trichat: trichat.toml: plugins.chatlog: no such plugin (did you mean 'chat_log'?)\n"


def test_a_folder_of_plugins_that_is_not_there_is_told_beside_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text("[server]\nport = 99999\nplugins_dir = 'nowhere'\n")
    ended = trichat("check", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "trichat: trichat.toml: server.port: Expected `int` <= 65535 (here: 99999)",
        "trichat: cannot find plugins: there is no folder 'nowhere'",
    ]


def test_plugins_of_a_folder_that_is_not_there_are_told(tmp_path: Path) -> None:
    ended = trichat("serve", "--plugins-dir", "nowhere", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "trichat: cannot find plugins: there is no folder 'nowhere'\n"
