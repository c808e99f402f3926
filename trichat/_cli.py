"""The command line: `trichat serve` and the other commands."""

import argparse
import logging
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
import trio

from trichat._choices import Choice, build_plugins, choose_plugins, unknown_tables
from trichat._config import Config, load_config, read_config
from trichat._errors import ConfigError, ControlError, PluginError, StartError, TrichatError
from trichat._listener import Address
from trichat._serve import serve
from trichat._server import Server
from trichat._version import __version__
from trichat._versions import Versions

DEFAULT_CONFIG = Path("trichat.toml")

# What a server that runs can be asked.
REQUESTS = {
    "tasks": "show what a running server does: its tasks, and where each waits",
    "trace": "show what each plugin makes of each message, until Ctrl-C",
    "reload": "let a running server take new versions of its plugins, and open its files anew",
}

# What a fault of the user ends with, as argparse does; and what was tried and failed.
USAGE_ERROR = 2
FAILED = 1


def main() -> NoReturn:
    """Run the command line, and exit: 0 when all went well, 1 when what was tried failed, 2 when the user must act."""
    parser = _parser()
    arguments = parser.parse_args()
    command: Callable[[argparse.Namespace], bool | None] | None = arguments.command
    if command is None:
        parser.print_help(sys.stderr)
        sys.exit(USAGE_ERROR)
    try:
        went_well = command(arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever reads the output has seen enough, as `| head` has; Python would complain when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except TrichatError as error:
        for line in str(error).splitlines():
            print(f"trichat: {line}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.exit(FAILED if went_well is False else 0)


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
    common.add_argument("--plugins-dir", metavar="DIR", help="add the plugins in a folder: all of its .py files")
    common.add_argument("--host", type=_host, help="the address to listen on")
    common.add_argument("--port", type=_port, help="the TCP port; 0 picks a free one")
    common.add_argument("--chat-log", metavar="FILE", help="the file that keeps what is said")
    common.add_argument("--control", metavar="PATH", help="the socket at which it can be asked; empty for none")

    command = commands.add_parser("serve", parents=[common], help="run the server")
    command.add_argument("-v", "--verbose", action="store_true", help="log more of what happens")
    command.set_defaults(command=_serve)
    command = commands.add_parser("check", parents=[common], help="say whether a configuration is good")
    command.set_defaults(command=_check)
    command = commands.add_parser("config", parents=[common], help="print the whole configuration in effect, as TOML")
    command.set_defaults(command=_config)

    command = commands.add_parser("plugins", parents=[common], help="show the plugins that there are, or all about one")
    command.add_argument("name", nargs="?", metavar="NAME", help="the one to show")
    command.set_defaults(command=_plugins)

    running = argparse.ArgumentParser(add_help=False)
    running.add_argument("--control", metavar="PATH", help="the server's control socket (default: as configured)")
    running.add_argument("--config", type=Path, metavar="FILE", help="the configuration of the server")
    for request, about in REQUESTS.items():
        command = commands.add_parser(request, parents=[running], help=about)
        command.set_defaults(command=_ask, request=request)

    command = commands.add_parser("replay", help="say what a plugin would have made of the messages in a chat log")
    command.add_argument(
        "--plugin", required=True, metavar="PLUGIN", help="an installed plugin, a .py file or a module"
    )
    command.add_argument("--log", type=Path, metavar="FILE", help="the chat log (default: that of the configuration)")
    command.add_argument("--config", type=Path, metavar="FILE", help="where its options are")
    command.set_defaults(command=_replay)

    command = commands.add_parser("new-plugin", help="write a plugin that works, with its test, into a new folder")
    command.add_argument("name", metavar="NAME", help="the plugin's name, and the folder's")
    command.set_defaults(command=_new_plugin)
    command = commands.add_parser("transcript", help="play a dialogue, and say whether people heard what it says")
    command.add_argument("file", type=Path, nargs="+", metavar="FILE", help="a transcript")
    command.add_argument(
        "--connect",
        type=_place,
        metavar="HOST:PORT",
        help="play it on a server that runs already, rather than on one in memory and in virtual time",
    )
    command.set_defaults(command=_transcript)
    command = commands.add_parser("check-plugin", help="try everything on a plugin that it has to survive")
    command.add_argument("plugin", metavar="PLUGIN", help="an installed plugin, a .py file or a module")
    command.add_argument("--config", type=Path, metavar="FILE", help="where its options are")
    command.add_argument("--say", action="append", default=[], metavar="LINE", help="a line to say that it acts on")
    command.add_argument("--only", default="", metavar="CASE", help="play the one case that a failure has named")
    command.set_defaults(command=_check_plugin)
    return parser


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
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _read(arguments: argparse.Namespace, faults: list[str]) -> tuple[Config, list[Choice]]:
    """Read the file and apply the command line to it. Each fault in the file is added to `faults`."""
    config = _read_config(arguments, faults)
    try:
        return config, choose_plugins(config, arguments.plugin, faults)
    except PluginError as error:
        faults.append(str(error))
        return config, []


def _read_config(arguments: argparse.Namespace, faults: list[str]) -> Config:
    path = _config_file(arguments)
    config = Config() if path is None else read_config(path, faults)
    keys = ("host", "port", "plugins_dir", "control")
    given = {key: getattr(arguments, key) for key in keys if getattr(arguments, key, None) is not None}
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **given))
    if getattr(arguments, "chat_log", None) is not None:
        config = config.with_option("chat_log", "path", arguments.chat_log)
    return config


def _config_file(arguments: argparse.Namespace) -> Path | None:
    path: Path | None = arguments.config
    return DEFAULT_CONFIG if path is None and DEFAULT_CONFIG.exists() else path


def _serve(arguments: argparse.Namespace) -> None:
    _log_to_stderr(logging.DEBUG if arguments.verbose else logging.INFO)
    config, choices, plugins = _build(arguments)
    names = [f"{each.name} (in shadow)" if each.policy.shadow else each.name for each in choices if each.enabled]
    about = [f"configuration: {config.source}", f"plugins: {', '.join(names)}"]
    about += [f"chat log: {path}" for path in _chat_log(choices)]
    versions = Versions(partial(_read_config, arguments), config, arguments.plugin, plugins)
    serve(Server(config, plugins=plugins), versions, about)


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


def _plugins(arguments: argparse.Namespace) -> None:
    from trichat._inventory import take_inventory  # only this command needs it

    faults: list[str] = []
    config = _read_config(arguments, faults)
    inventory = take_inventory(config, arguments.plugin)
    print(inventory.details(arguments.name) if arguments.name else inventory.table())
    faults += unknown_tables([item.found for item in inventory.items], config)
    if faults:
        raise ConfigError(faults)


def _ask(arguments: argparse.Namespace) -> bool:
    from trichat._ask import ANSWER_TIMEOUT, ask  # which a server never needs

    faults: list[str] = []
    control = _read_config(arguments, faults).server.control
    if faults and arguments.control is None:
        raise ConfigError(faults)
    if not control:
        raise ControlError("this server has no control socket: its `control` is empty")
    is_trace = arguments.request == "trace"
    answer = ask(Path(control), arguments.request, timeout=None if is_trace else ANSWER_TIMEOUT)
    went_well = True
    # Ctrl-C is how a trace ends; whoever has typed anything else has broken it off.
    with suppress(KeyboardInterrupt) if is_trace else nullcontext():
        for text, failed in answer if is_trace else list(answer):
            went_well = went_well and not failed
            print(f"trichat: {text}" if failed else text, file=sys.stderr if failed else sys.stdout, flush=True)
    return went_well


def _replay(arguments: argparse.Namespace) -> None:
    from trichat._rehearsal import Rehearsal  # only this command needs it

    # Its failures are in the report.
    _log_to_stderr(logging.CRITICAL)
    path = _config_file(arguments)
    config = Config() if path is None else load_config(path)
    print(Rehearsal(arguments.plugin, config, arguments.log).run())


def _new_plugin(arguments: argparse.Namespace) -> None:
    from trichat._new_plugin import new_plugin  # only this command needs it

    folder = new_plugin(arguments.name, Path())
    print(f"{folder}: a plugin with its test; try `cd {folder} && pytest`, and go on with its README.md")


def _transcript(arguments: argparse.Namespace) -> bool:
    from trichat.testing import Mismatch, Transcript, play_file, play_over_tcp  # which a server never needs

    went_well = True
    for path in arguments.file:
        try:
            if arguments.connect:
                trio.run(play_over_tcp, Transcript.read(path), *arguments.connect)
            else:
                play_file(path)
        except Mismatch as mismatch:
            went_well = False
            print(mismatch)
        except OSError as error:
            raise StartError(f"cannot connect to {Address(*arguments.connect)}: {error.strerror or error}") from None
        else:
            print(f"{path}: everybody heard what it says")
    return went_well


def _check_plugin(arguments: argparse.Namespace) -> bool:
    from trichat.testing import Subject, check_plugin  # which a server never needs

    config = Config() if arguments.config is None else load_config(arguments.config)
    subject = Subject(arguments.plugin, config, arguments.say, arguments.only)
    failed = []
    for result in check_plugin(subject):
        print(f"{result.check:<26}  {'FAILED' if result.failure else 'ok':<6}  {result.remark}", flush=True)
        if result.failure:
            failed.append(result)
    for result in failed:
        print(f"\n{result.check}\n{textwrap.indent(result.failure, '    ')}")
    count = f"{len(failed)} check{'s' if len(failed) > 1 else ''} failed"
    print(f"\n{subject.name}: {count if failed else 'good'}")
    return not failed


def _log_to_stderr(level: int) -> None:
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
