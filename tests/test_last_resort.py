"""The last resort: no plugin keeps a server from its end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from process_kit import Served, served, write_config

from trichat._last_resort import LastResort

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
def stuck(folder: Path, plugin: str) -> Iterator[Served]:
    (folder / "stuck.py").write_text(plugin)
    config = write_config(folder, "[server]\nshutdown_timeout = 0.5\n")
    with served(folder, "--config", config, "--plugin", "stuck.py") as server:
        server.join("alice").say("hello")
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == "stuck\n"
        yield server


def is_ended(server: Served) -> None:
    assert server.ends() == 1
    assert "CRITICAL the stop has not come to its end within shutdown_timeout (0.5 s)" in server.errors()


def test_a_signal_to_a_server_in_which_nothing_goes_on_ends_it(tmp_path: Path) -> None:
    with stuck(tmp_path, NEVER_RETURNS) as server:
        server.signal(signal.SIGTERM)
        is_ended(server)


def test_a_stop_that_somebody_has_said_ends_it(tmp_path: Path) -> None:
    with stuck(tmp_path, SHIELDS_ITSELF) as server:
        server.join("bob").say("stop")
        is_ended(server)


@pytest.mark.parametrize("stops", [0, 1, 2])
def test_a_server_that_ends_in_time_leaves_nothing_behind(stops: int) -> None:
    before = threading.enumerate()
    last_resort = LastResort(60)
    with last_resort.within():
        for _ in range(stops):
            last_resort.arm()
        (thread,) = set(threading.enumerate()) - set(before)
    thread.join(20)
    assert not thread.is_alive()
