"""The command line: `trichat serve`, `trichat check`, `trichat config`."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from trichat._config import Config, read_config
from trichat._discovery import Choice, build_plugins, choose_plugins
from trichat._errors import ConfigError, PluginError, TrichatError
from trichat._serve import serve
from trichat._server import Server
from trichat._version import __version__

DEFAULT_CONFIG = Path("trichat.toml")

# What a fault of the user ends with, as argparse does.
USAGE_ERROR = 2


def main() -> NoReturn:
    """Run the command line, and exit: 0 when all went well, 2 when the user has to change something."""
    parser = _parser()
    arguments = parser.parse_args()
    command: Callable[[argparse.Namespace], None] | None = arguments.command
    if command is None:
        parser.print_help(sys.stderr)
        sys.exit(USAGE_ERROR)
    try:
        command(arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except TrichatError as error:
        for line in str(error).splitlines():
            print(f"trichat: {line}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trichat", description="A chat server for a team's own network.")
    parser.add_argument("--version", action="version", version=f"trichat {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help=f"the configuration (default: {DEFAULT_CONFIG}, if it is there)"
    )
    common.add_argument(
        "--plugin", action="append", default=[], metavar="PLUGIN", help="add a plugin: a .py file or a module"
    )
    common.add_argument("--host", type=_host, help="the address to listen on")
    common.add_argument("--port", type=_port, help="the TCP port; 0 picks a free one")
    common.add_argument("--chat-log", metavar="FILE", help="the file that keeps what is said")

    command = commands.add_parser("serve", parents=[common], help="run the server")
    command.add_argument("-v", "--verbose", action="store_true", help="log more of what happens")
    command.set_defaults(command=_serve)
    command = commands.add_parser("check", parents=[common], help="say whether a configuration is good")
    command.set_defaults(command=_check)
    command = commands.add_parser("config", parents=[common], help="print the whole configuration in effect, as TOML")
    command.set_defaults(command=_config)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _host(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _read(arguments: argparse.Namespace, faults: list[str]) -> tuple[Config, list[Choice]]:
    """Read the file and apply the command line to it. Each fault in the file is added to `faults`."""
    path: Path | None = arguments.config
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    config = Config() if path is None else read_config(path, faults)
    given = {key: getattr(arguments, key) for key in ("host", "port") if getattr(arguments, key) is not None}
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **given))
    if arguments.chat_log is not None:
        config = config.with_option("chat_log", "path", arguments.chat_log)
    try:
        return config, choose_plugins(config, arguments.plugin, faults)
    except PluginError as error:
        faults.append(str(error))
        return config, []


def _serve(arguments: argparse.Namespace) -> None:
    _log_to_stderr(logging.DEBUG if arguments.verbose else logging.INFO)
    config, choices, plugins = _build(arguments)
    about = [f"configuration: {config.source}", f"plugins: {', '.join(plugins)}"]
    about += [f"chat log: {path}" for path in _chat_log(choices)]
    serve(Server(config, plugins=plugins), about)


def _chat_log(choices: list[Choice]) -> Iterator[Path]:
    for choice in choices:
        if choice.name == "chat_log" and choice.enabled:
            yield Path(getattr(choice.options, "path", "")).absolute()


def _build(arguments: argparse.Namespace) -> tuple[Config, list[Choice], dict[str, object]]:
    faults: list[str] = []
    config, choices = _read(arguments, faults)
    plugins = build_plugins(choices, faults)
    if faults:
        raise ConfigError(faults)
    return config, choices, plugins


def _check(arguments: argparse.Namespace) -> None:
    config, _, plugins = _build(arguments)
    Server(config, plugins=plugins)  # which refuses what is wrong with a plugin itself
    print(f"{config.source}: good; plugins: {', '.join(plugins)}")


def _config(arguments: argparse.Namespace) -> None:
    from trichat._toml import render  # only this command needs it

    faults: list[str] = []
    config, choices = _read(arguments, faults)
    if faults:
        raise ConfigError(faults)
    print(render(config, choices), end="")


def _log_to_stderr(level: int) -> None:
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
