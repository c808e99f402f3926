"""The plugin: which port it listens on, and what it does if another program has it."""

import socket
from collections.abc import Iterator, Sequence

import pytest
import trio
from trichat_plugins.json_lines import JsonLines
from trichat_plugins.json_lines.plugin import JsonLinesOptions

from trichat import Address, Config, Listener, Server, StartError, TcpListener, Transport, UnixListener
from trichat.fronts import Front


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A socket that has a port on this machine."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def server(port: int) -> Server:
    return Server(Config.from_tables({"server": {"host": "127.0.0.1", "port": port}}), plugins={})


async def listen(plugin: JsonLines, port: int) -> tuple[Sequence[Address], str, Sequence[Front | None]]:
    """Let it listen for a server on this port. Return where, its announcement, and the front of a connection."""
    fronts: list[Front | None] = []

    def accept(transport: Transport, front: Front | None = None) -> None:
        fronts.append(front)
        nursery.start_soon(transport.close)
        nursery.cancel_scope.cancel()

    [listener] = plugin.listeners(server(port))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            addresses = await nursery.start(listener.serve, accept)
            [line] = plugin.announcements()
            if addresses:
                with socket.create_connection(addresses[0]):
                    await trio.sleep_forever()
    return addresses, line, fronts


@pytest.mark.parametrize("port", [0, 65535])
async def test_it_picks_a_free_port_if_the_server_does_or_has_the_last_one(port: int) -> None:
    addresses, line, fronts = await listen(JsonLines(JsonLinesOptions()), port)
    assert [address.host for address in addresses] == ["127.0.0.1"]
    assert line == f"JSON lines: 127.0.0.1:{addresses[0].port}"
    assert [front and front.name for front in fronts] == ["json"]


async def test_by_default_it_listens_on_the_port_after_that_of_the_server(taken: socket.socket) -> None:
    port = port_of(taken)
    taken.close()
    addresses, line, _ = await listen(JsonLines(JsonLinesOptions()), port - 1)
    assert addresses == [("127.0.0.1", port)]
    assert line == f"JSON lines: 127.0.0.1:{port}"


async def test_if_another_program_has_that_port_the_server_runs_without_it(
    taken: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = port_of(taken)
    addresses, line, _ = await listen(JsonLines(JsonLinesOptions()), port - 1)
    assert addresses == []
    assert line == "JSON lines: none; the log says why"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "WARNING",
            f"cannot listen on 127.0.0.1:{port}: Address already in use "
            "(another program has the port; choose another port, or stop it); running without it",
        )
    ]


def test_it_follows_the_listeners_that_a_program_gives_the_server() -> None:
    given: list[Listener] = [TcpListener("127.0.0.1", 2048), UnixListener("chat.sock"), TcpListener("::1", 0)]
    embedded = Server(plugins={}, listeners=given)
    found = [each for each in JsonLines(JsonLinesOptions()).listeners(embedded) if isinstance(each, TcpListener)]
    assert [(each.host, each.port) for each in found] == [("127.0.0.1", 2049), ("::1", 0)]


def test_without_a_tcp_port_of_the_server_it_opens_none_unless_it_was_configured() -> None:
    embedded = Server(plugins={}, listeners=[])
    assert [*JsonLines(JsonLinesOptions()).listeners(embedded)] == []
    [found] = JsonLines(JsonLinesOptions(port=2048)).listeners(embedded)
    assert isinstance(found, TcpListener)
    assert (found.host, found.port) == ("0.0.0.0", 2048)


async def test_a_port_that_was_configured_must_be_had(taken: socket.socket) -> None:
    port = port_of(taken)
    with pytest.RaisesGroup(pytest.RaisesExc(StartError, match=f"cannot listen on 127.0.0.1:{port}: ")):
        await listen(JsonLines(JsonLinesOptions(port=port)), 0)


async def test_a_port_that_was_configured_is_the_one(taken: socket.socket) -> None:
    port = port_of(taken)
    taken.close()
    addresses, _, _ = await listen(JsonLines(JsonLinesOptions(port=port)), 1024)
    assert addresses == [("127.0.0.1", port)]
