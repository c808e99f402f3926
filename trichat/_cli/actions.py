"""The commands of the command line. They raise a `TrichatError` for every problem that the user can fix."""

import argparse
import logging
import signal
import sys
import textwrap
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from trichat._base.errors import ConfigError, ControlError, PluginError, StartError
from trichat._config.options import Config, read_config
from trichat._net.listener import Address
from trichat._ops.log_writer import LogThread
from trichat._ops.plugin_versions import Versions
from trichat._ops.process import as_many_as_descriptors, serve
from trichat._plugins.loader import Choice, build_plugins, choose_plugins, unknown_tables
from trichat._server import Server

DEFAULT_CONFIG = Path("trichat.toml")


def _read(arguments: argparse.Namespace, faults: list[str]) -> tuple[Config, list[Choice]]:
    """Read the file and apply the command line to it. Each fault in the file is added to `faults`."""
    config = _read_config(arguments, faults)
    try:
        return config, choose_plugins(config, arguments.plugin, faults)
    except PluginError as error:
        faults.append(str(error))
        return config, []


def _read_config(arguments: argparse.Namespace, faults: list[str]) -> Config:
    return read_config(_config_file(arguments), faults, arguments.settings)


def _load_config(arguments: argparse.Namespace, path: Path | None) -> Config:
    """Read this file and apply the command line to it. Raises `ConfigError`."""
    faults: list[str] = []
    config = read_config(path, faults, arguments.settings)
    if faults:
        raise ConfigError(faults)
    return config


def _config_file(arguments: argparse.Namespace) -> Path | None:
    path: Path | None = arguments.config
    return DEFAULT_CONFIG if path is None and DEFAULT_CONFIG.exists() else path


def serve_chat(arguments: argparse.Namespace) -> bool:
    """Run the server until it stops. Return whether it was stopped on purpose rather than by a failing plugin."""
    # Until the server handles SIGHUP, the signal would end the process. Ignoring it loses nothing: everything that a
    # reload reads is still to be read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # If standard error is closed (`2>&-`), another file may have its descriptor.
    log = logging.NullHandler() if sys.stderr is None else LogThread(sys.stderr.fileno())
    _log_to(log, logging.DEBUG if arguments.verbose else logging.INFO)
    try:
        return _serve_chat(arguments)
    finally:
        # The error message that main() prints must come after the log.
        log.flush()


def _serve_chat(arguments: argparse.Namespace) -> bool:
    config, choices, plugins = _build(arguments)
    names = [f"{each.name} (in shadow)" if each.policy.shadow else each.name for each in choices if each.enabled]
    about = [f"configuration: {config.source}", f"plugins: {', '.join(names)}"]
    versions = Versions(partial(_read_config, arguments), config, arguments.plugin, plugins)
    # Versions must keep the configuration of the file, because a reload compares the file with it.
    config = msgspec.structs.replace(config, server=as_many_as_descriptors(config.server))
    return serve(Server(config, plugins=plugins), versions, about)


def _build(arguments: argparse.Namespace) -> tuple[Config, list[Choice], dict[str, object]]:
    faults: list[str] = []
    config, choices = _read(arguments, faults)
    plugins = build_plugins(choices, faults)
    if faults:
        raise ConfigError(faults)
    return config, choices, plugins


def check_config(arguments: argparse.Namespace) -> None:
    """Check the configuration, and say that it is good."""
    config, _, plugins = _build(arguments)
    Server(config, plugins=plugins)  # raises an error if a plugin cannot be registered
    print(f"{config.source}: good; plugins: {', '.join(plugins)}")


def print_config(arguments: argparse.Namespace) -> None:
    """Print the whole configuration in effect."""
    from trichat._cli.config_dump import render  # only this command needs it

    faults: list[str] = []
    config, choices = _read(arguments, faults)
    if faults:
        raise ConfigError(faults)
    print(render(config, choices), end="")


def show_plugins(arguments: argparse.Namespace) -> None:
    """Print a table of the plugins, or the details of one."""
    from trichat._cli.plugin_table import take_inventory  # only this command needs it

    faults: list[str] = []
    config = _read_config(arguments, faults)
    inventory = take_inventory(config, arguments.plugin)
    print(inventory.details(arguments.name) if arguments.name else inventory.table())
    faults += unknown_tables([item.found for item in inventory.items], config)
    if faults:
        raise ConfigError(faults)


def ask_server(arguments: argparse.Namespace) -> bool:
    """Send a request to a running server, print its answer, and return whether the request succeeded."""
    from trichat._ops.control_client import ANSWER_TIMEOUT, ask  # a server never needs it

    is_named = any(setting.keys == ("server", "control") for setting in arguments.settings)
    # If the user names the control socket, a faulty configuration file does not matter.
    control = _load_config(arguments, None if is_named else _config_file(arguments)).server.control
    if not control:
        raise ControlError("this server has no control socket: `control` is empty in its configuration")
    is_trace = arguments.request == "trace"
    answer = ask(Path(control), arguments.request, *arguments.words, timeout=None if is_trace else ANSWER_TIMEOUT)
    went_well = True
    # Ctrl-C is the normal end of a trace. For any other request it is an interruption.
    with suppress(KeyboardInterrupt) if is_trace else nullcontext():
        for text, failed in answer if is_trace else list(answer):
            went_well = went_well and not failed
            print(f"trichat: {text}" if failed else text, file=sys.stderr if failed else sys.stdout, flush=True)
    return went_well


def replay_log(arguments: argparse.Namespace) -> None:
    """Print what a plugin would have done with the messages in a chat log."""
    from trichat._cli.log_replay import LogReplay  # only this command needs it

    # The report lists the failures of the plugin.
    _log_to(logging.StreamHandler(), logging.CRITICAL)
    config = _load_config(arguments, _config_file(arguments))
    print(LogReplay(arguments.plugin, config, arguments.log).run())


def write_plugin(arguments: argparse.Namespace) -> None:
    """Write a new plugin."""
    from trichat._cli.scaffold import new_plugin  # only this command needs it

    folder = new_plugin(arguments.name, Path())
    print(f"{folder}: created a plugin and its test; run `cd {folder} && pytest`, then read README.md there")


def play_transcripts(arguments: argparse.Namespace) -> bool:
    """Play transcripts, and return whether all clients heard what the transcripts say."""
    from trichat.testing import Mismatch, Transcript, play_file, play_over_tcp  # a server never needs them

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


def try_plugin(arguments: argparse.Namespace) -> bool:
    """Run all checks on a plugin, and return whether it passed them."""
    from trichat.testing import Subject, check_plugin  # a server never needs them

    config = _load_config(arguments, arguments.config)
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


def _log_to(handler: logging.Handler, level: int) -> None:
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    # The format does not use these fields. Without them, logging does not look them up for each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
