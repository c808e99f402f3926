"""The command line: `trichat serve` and the other commands."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from trichat._base.errors import TrichatError
from trichat._cli import actions
from trichat._cli.subcommands import Run, find_subcommands
from trichat._config.settings import Setting, parse_setting
from trichat._version import __version__

# Exit statuses: the user must fix something (argparse uses the same status), or the command ran and failed.
USAGE_ERROR = 2
FAILED = 1

_Add = Callable[[argparse.ArgumentParser], None]


# Where the parsed arguments keep the function to run: a name that no argument of a subcommand has.
RUN = "trichat run"


def main() -> NoReturn:
    """Run the command line, and exit: with 0 on success, 1 if the command failed, 2 if the user must fix something."""
    # A character that the terminal cannot show is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        parser = _parser(sys.argv[1:])
        arguments = parser.parse_args()
        run: Run | None = getattr(arguments, RUN)
        if run is None:
            parser.print_help(sys.stderr)
            sys.exit(USAGE_ERROR)
        went_well = run(arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader of the output has closed it, as `| head` does. Python would complain when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except TrichatError as error:
        for line in str(error).splitlines():
            print(f"trichat: {line}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.exit(FAILED if went_well is False else 0)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trichat", description="A chat server for a team's own network.")
    parser.add_argument("--version", action="version", version=f"trichat {__version__}")
    parser.set_defaults(**{RUN: None})
    used = words[0] if words else ""
    # Building a parser for every command takes three milliseconds, and looking for installed ones takes even longer.
    # Only help and usage errors need more than the parser of the command that was typed.
    built_in: Iterable[str] = [used] if used in COMMANDS else COMMANDS
    installed = [] if used in COMMANDS else find_subcommands(COMMANDS)
    usable = [each for each in installed if not each.is_built_in]
    parser.epilog = "; ".join(f"{each.name} {each.about}" for each in installed if each.is_built_in)
    names = ",".join([*COMMANDS, *(each.name for each in usable)])
    commands = parser.add_subparsers(title="commands", metavar=f"{{{names}}}")
    for name in built_in:
        run, add_arguments, about = COMMANDS[name]
        command = commands.add_parser(name, help=about)
        command.set_defaults(**{RUN: run})
        add_arguments(command)
    for subcommand in usable:
        command = commands.add_parser(subcommand.name, help=subcommand.about)
        if subcommand.name == used:
            command.set_defaults(**{RUN: subcommand.add(command)})
    return parser


def _add_config_file(command: argparse.ArgumentParser, about: str) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help=about)
    command.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=_setting,
        metavar="TABLE.KEY=VALUE",
        help="set any key of the configuration, as in --set server.max_clients=100",
    )


def _add_alias(
    command: argparse.ArgumentParser,
    option: str,
    key: str,
    metavar: str,
    about: str,
    converted: Callable[[str], object] = str,
) -> None:
    """Add an option that stands for `--set KEY=VALUE`."""
    keys = tuple(key.split("."))
    command.add_argument(
        option,
        dest="settings",
        action="append",
        type=lambda text: Setting(keys, converted(text)),
        metavar=metavar,
        help=about,
    )


def _add_configuration(command: argparse.ArgumentParser) -> None:
    _add_config_file(command, f"the configuration file (default: {actions.DEFAULT_CONFIG}, if it exists)")
    command.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="PLUGIN",
        help="add a plugin: an installed one, a .py file or a module",
    )
    _add_alias(command, "--plugins-dir", "server.plugins_dir", "DIR", "add all .py files in a folder as plugins")
    _add_alias(command, "--host", "server.host", "HOST", "the address to listen on", _host)
    _add_alias(command, "--port", "server.port", "PORT", "the TCP port; 0 picks a free one", _port)
    _add_alias(command, "--chat-log", "plugins.chat_log.path", "FILE", "the file that the chat log is written to")
    _add_alias(command, "--control", "server.control", "PATH", "the path of the control socket; empty for none")


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_configuration(command)
    command.add_argument("-v", "--verbose", action="store_true", help="log more details")


def _add_plugins(command: argparse.ArgumentParser) -> None:
    _add_configuration(command)
    command.add_argument("name", nargs="?", metavar="NAME", help="show the details of this plugin")


def _add_ask(command: argparse.ArgumentParser) -> None:
    command.add_argument("request", metavar="NAME", help="the request; an unknown name lists all requests")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="WORD", help="an argument of the request")
    _add_server(command)


def _add_request(request: str, command: argparse.ArgumentParser) -> None:
    command.set_defaults(request=request, words=[])
    _add_server(command)


def _add_server(command: argparse.ArgumentParser) -> None:
    _add_config_file(command, "the configuration file of the server")
    _add_alias(command, "--control", "server.control", "PATH", "the server's control socket (default: as configured)")


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--plugin", required=True, metavar="PLUGIN", help="an installed plugin, a .py file or a module"
    )
    command.add_argument("--log", type=Path, metavar="FILE", help="the chat log (default: as configured)")
    _add_config_file(command, "the configuration file with its options")


def _add_new_plugin(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="the name of the plugin and its folder")


def _add_transcript(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, nargs="+", metavar="FILE", help="a transcript")
    command.add_argument(
        "--connect",
        type=_place,
        metavar="HOST:PORT",
        help="play it on this running server (default: on a server in memory, in virtual time)",
    )


def _add_check_plugin(command: argparse.ArgumentParser) -> None:
    command.add_argument("plugin", metavar="PLUGIN", help="an installed plugin, a .py file or a module")
    _add_config_file(command, "the configuration file with its options")
    command.add_argument("--say", action="append", default=[], metavar="LINE", help="a line that the plugin acts on")
    command.add_argument("--only", default="", metavar="CASE", help="run only this case; a failure names its case")


def _setting(text: str) -> Setting:
    try:
        return parse_setting(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1:1024")
    return host.removeprefix("[").removesuffix("]"), _port(port)


def _host(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the address is empty; use 0.0.0.0 to listen on all addresses")
    return text


COMMANDS: Mapping[str, tuple[Run, _Add, str]] = {
    "serve": (actions.serve_chat, _add_serve, "run the server"),
    "check": (actions.check_config, _add_configuration, "validate a configuration without starting a server"),
    "config": (actions.print_config, _add_configuration, "print the whole configuration in effect, as TOML"),
    "plugins": (actions.show_plugins, _add_plugins, "list all plugins, or show the details of one"),
    "tasks": (
        actions.ask_server,
        partial(_add_request, "tasks"),
        "show the tasks of a running server, and where each one waits",
    ),
    "trace": (
        actions.ask_server,
        partial(_add_request, "trace"),
        "show what each plugin does with each message, until Ctrl-C",
    ),
    "reload": (
        actions.ask_server,
        partial(_add_request, "reload"),
        "have a running server load new versions of its plugins and reopen its files",
    ),
    "ask": (actions.ask_server, _add_ask, "send a request to a plugin of a running server"),
    "replay": (actions.replay_log, _add_replay, "show what a plugin would have done with the messages in a chat log"),
    "new-plugin": (
        actions.write_plugin,
        _add_new_plugin,
        "create a folder with a working plugin and its test",
    ),
    "transcript": (
        actions.play_transcripts,
        _add_transcript,
        "play a transcript, and check that people hear what it says",
    ),
    "check-plugin": (
        actions.try_plugin,
        _add_check_plugin,
        "test that a plugin survives everything that a server does to it",
    ),
}
