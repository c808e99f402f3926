"""The forced exit: no plugin keeps a server from its end."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from process_kit import Served, served, write_config

from trichat._ops.forced_exit import ForcedExit

NEVER_RETURNS = """
from trichat import hookimpl

@hookimpl
def on_message():
    print("stuck", flush=True)
    while True: pass
"""
SHIELDS_ITSELF = """
import trio
from trichat import hookimpl

@hookimpl
async def on_message(message):
    if message.text == "hello":
        print("stuck", flush=True)
        with trio.CancelScope(shield=True): await trio.sleep_forever()
"""


@contextmanager
def stuck(folder: Path, plugin: str, stderr: int | None = None) -> Iterator[Served]:
    (folder / "stuck.py").write_text(plugin)
    config = write_config(folder, "[server]\nshutdown_timeout = 0.5\n")
    with served(folder, "--config", config, "--plugin", "stuck.py", stderr=stderr) as server:
        server.join("alice").say("hello")
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == "stuck\n"
        yield server


def is_ended(server: Served) -> None:
    assert server.ends() == 1
    assert "CRITICAL the stop did not finish within shutdown_timeout (0.5 s)" in server.errors()


def test_a_signal_to_a_server_in_which_nothing_goes_on_ends_it(tmp_path: Path) -> None:
    with stuck(tmp_path, NEVER_RETURNS) as server:
        server.signal(signal.SIGTERM)
        is_ended(server)


def test_a_stop_that_somebody_has_said_ends_it(tmp_path: Path) -> None:
    with stuck(tmp_path, SHIELDS_ITSELF) as server:
        server.join("bob").say("stop")
        is_ended(server)


def test_a_log_that_nobody_reads_holds_up_no_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    try:
        with stuck(tmp_path, NEVER_RETURNS, writing) as server:
            server.signal(signal.SIGTERM)
            assert server.ends() == 1
    finally:
        os.close(reading)
        os.close(writing)


def test_who_hangs_with_the_lock_of_the_log_in_its_hands_holds_up_no_end(tmp_path: Path) -> None:
    locked = NEVER_RETURNS.replace("    while", "    logging.getLogger().handlers[0].acquire()\n    while")
    with stuck(tmp_path, f"import logging\n{locked}") as server:
        server.signal(signal.SIGTERM)
        assert server.ends() == 1


@pytest.mark.parametrize("stops", [0, 1, 2])
def test_a_server_that_ends_in_time_leaves_nothing_behind(stops: int) -> None:
    before = threading.enumerate()
    forced_exit = ForcedExit(60)
    with forced_exit.within():
        for _ in range(stops):
            forced_exit.arm()
        (thread,) = set(threading.enumerate()) - set(before)
    thread.join(20)
    assert not thread.is_alive()
