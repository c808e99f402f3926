"""Measure the cost of a fan-out for each client, compared with the system call that every server needs.

    .venv/bin/python benchmarks/fan_out.py

The same message goes to the same sockets in three ways, by turns: a loop that only calls `send`; `put_to_all`, as the
broadcaster does; and `Outbox.put` for each client, which reaches the socket through the client, its outbox and its
transport. A process on another core reads everything.
"""

import multiprocessing
import os
import select
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

import trio
from bench.processes import cores, raise_file_limit

from trichat import Server
from trichat._chat.client import Connection
from trichat._fronts.front import Limits
from trichat._fronts.line.front import LineFront
from trichat._net.outbox import Outbox, put_to_all
from trichat._net.transport import SocketTransport

CLIENTS = 500
TURNS = 200
LINE = b"alice: " + b"x" * 64 + b"\n"

# Seconds in which the reader can catch up.
PAUSE = 0.005


def read_all(address: tuple[str, int]) -> None:
    """Connect, and read until everyone is disconnected."""
    os.sched_setaffinity(0, {cores()[1]})
    with ExitStack() as stack, select.epoll() as poller:
        open_ones = {}
        for _ in range(CLIENTS):
            sock = stack.enter_context(socket.create_connection(address))
            open_ones[sock.fileno()] = sock
            poller.register(sock, select.EPOLLIN)
        while open_ones:
            for number, _ in poller.poll():
                if not open_ones[number].recv(65_536):
                    poller.unregister(open_ones.pop(number))


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Return the server's ends of all connections."""
    sockets = [listener.accept()[0] for _ in range(CLIENTS)]
    for sock in sockets:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def connected(sock: socket.socket, nursery: trio.Nursery) -> Connection:
    """Return the core's object for a client on this socket."""
    outbox = Outbox(SocketTransport(sock, "127.0.0.1"), limit=1 << 20, send_timeout=60, give_up=print)
    outbox.drain_in(nursery)
    return Connection(cast("Server", None), "127.0.0.1", "line", LineFront().dialogue(Limits(4096)), outbox)


async def measure(sockets: list[socket.socket]) -> dict[str, float]:
    """Return the processor time of a delivery in each way, in seconds."""
    async with trio.open_nursery() as nursery:
        connections = [connected(sock, nursery) for sock in sockets]
        outboxes = [connection.outbox for connection in connections]

        def send() -> None:
            for sock in sockets:
                sock.send(LINE)

        def put() -> None:
            for connection in connections:
                connection.outbox.put(LINE)

        ways: dict[str, Callable[[], None]] = {
            "send": send,
            "put_to_all": lambda: put_to_all(outboxes, LINE),
            "put for each": put,
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, way in ways.items():
                before = time.process_time()
                way()
                taken[name].append(time.process_time() - before)
                await trio.sleep(PAUSE)
    return {name: statistics.median(each) / CLIENTS for name, each in taken.items()}


def main() -> None:
    """Measure, and print a line for each way."""
    raise_file_limit()
    os.sched_setaffinity(0, {cores()[0]})
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listener:
        reader = multiprocessing.get_context("fork").Process(target=read_all, args=[listener.getsockname()])
        reader.start()
        sockets = accept_all(listener)
        costs = trio.run(measure, sockets)
        for sock in sockets:
            sock.close()
        reader.join()
    for name, cost in costs.items():
        print(f"{name:<14} {cost * 1e6:6.2f} us, {cost / costs['send']:.2f} times send alone")


if __name__ == "__main__":
    main()
