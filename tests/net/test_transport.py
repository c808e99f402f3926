"""Both ways to a client: a real socket, and a stream of Trio; and what each makes of a break."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from trichat._base.errors import ConnectionLost
from trichat._net.transport import SEND_BYTES, SocketTransport, StreamTransport


@pytest.fixture
async def pair() -> AsyncIterator[tuple[SocketTransport, socket.socket]]:
    """A transport over a real connection, and the socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as peer:
        sock, address = listening.accept()
        sock.setblocking(False)
        peer.settimeout(10)
        transport = SocketTransport(sock, address[0])
        yield transport, peer
        await transport.close()


def break_off(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


async def test_a_socket_receives_what_comes_and_then_the_end(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, peer = pair
    peer.sendall(b"hello")
    assert await transport.receive() == b"hello"
    peer.shutdown(socket.SHUT_WR)
    assert await transport.receive() == b""
    assert await transport.receive() == b""


async def test_a_socket_sends_without_waiting_until_it_is_full(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, peer = pair
    assert transport.send_nowait(b"hello\n") == 6
    assert peer.recv(100) == b"hello\n"
    chunk = b"x" * 1_000_000
    sent = 0
    while taken := transport.send_nowait(chunk):
        sent += taken
    with trio.move_on_after(0.01) as scope:
        await transport.send_some(b"more")
    assert scope.cancelled_caught, "a full socket waits"
    while sent:
        sent -= len(peer.recv(1_000_000))
    assert await transport.send_some(b"more") == 4


async def test_a_socket_gives_what_is_there_without_waiting(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, peer = pair
    assert transport.receive_nowait() is None
    peer.sendall(b"hello")
    await trio.lowlevel.wait_readable(transport._socket)
    assert transport.receive_nowait() == b"hello"
    peer.shutdown(socket.SHUT_WR)
    assert await transport.receive() == b""
    assert transport.receive_nowait() == b""


async def test_the_direct_way_of_a_socket_is_its_own(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, peer = pair
    assert transport.direct is not None
    assert transport.direct(b"hello\n") == 6
    assert peer.recv(100) == b"hello\n"
    await transport.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        transport.direct(b"hello\n")


async def test_a_broken_socket_says_so_whatever_is_done(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, peer = pair
    break_off(peer)
    with pytest.raises(ConnectionLost, match="connection lost: Connection reset by peer"):
        await transport.receive()
    assert transport.receive_nowait() == b"", "the break is told once, and then there is nothing more"
    with pytest.raises(ConnectionLost):
        transport.send_nowait(b"hello")
    with pytest.raises(ConnectionLost):
        await transport.send_some(b"hello")
    with pytest.raises(ConnectionLost):
        await transport.send_eof()


async def test_closing_a_socket_may_be_repeated_and_wakes_who_waits(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, peer = pair

    async def expect_the_end() -> None:
        with pytest.raises(ConnectionLost):
            await transport.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_the_end)
        await trio.testing.wait_all_tasks_blocked()
        await transport.close()
    await transport.close()
    assert peer.recv(1) == b""


async def test_an_ipv4_address_seen_through_an_ipv6_socket_is_an_ipv4_address(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    ours, theirs = memory_stream_pair()
    assert StreamTransport(ours, "::ffff:10.0.0.7").address == "10.0.0.7"
    assert StreamTransport(theirs, "fe80::1%eth0").address == "fe80::1"


def test_an_address_that_is_not_an_ip_address_stays_as_it_is() -> None:
    stream, _ = memory_stream_pair()
    assert StreamTransport(stream, "a pair in memory").address == "a pair in memory"


async def test_a_stream_has_no_direct_way() -> None:
    ours, theirs = memory_stream_pair()
    transport = StreamTransport(ours, "127.0.0.1")
    assert transport.send_nowait(b"hello") == 0
    assert await transport.send_some(memoryview(b"hello")) == 5
    assert await theirs.receive_some() == b"hello"
    await theirs.send_all(b"hi")
    assert await transport.receive() == b"hi"
    await transport.send_eof()
    assert await theirs.receive_some() == b""


async def test_what_a_stream_takes_of_much_is_told_piece_by_piece() -> None:
    ours, theirs = memory_stream_pair()
    transport = StreamTransport(ours, "127.0.0.1")
    much = memoryview(bytes(range(256)) * 256)
    sent = [await transport.send_some(much)]
    while sum(sent) < len(much):
        sent.append(await transport.send_some(much[sum(sent) :]))
    assert max(sent) == SEND_BYTES
    assert await theirs.receive_some() == bytes(much)


async def test_a_broken_stream_says_so() -> None:
    ours, theirs = memory_stream_pair()
    transport = StreamTransport(ours, "127.0.0.1")
    await theirs.aclose()
    with pytest.raises(ConnectionLost, match="connection lost"):
        await transport.send_some(b"hello")
    await transport.close()
    with pytest.raises(ConnectionLost):
        await transport.receive()


async def test_nothing_follows_a_send_that_was_cut_off(virtual_time: object) -> None:
    ours, theirs = lockstep_stream_pair()
    transport = StreamTransport(ours, "127.0.0.1")
    with trio.move_on_after(1):
        await transport.send_some(b"half of it")
    with pytest.raises(ConnectionLost, match="cut off"):
        await transport.send_some(b"and more")
    await theirs.aclose()


async def test_a_task_that_is_cancelled_already_has_cut_nothing_off() -> None:
    ours, theirs = memory_stream_pair()
    transport = StreamTransport(ours, "127.0.0.1")
    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.send_some(b"never begun")
    assert await transport.send_some(b"hello") == 5
    assert await theirs.receive_some() == b"hello"


@pytest.mark.parametrize("stream", [None, "a stream", trio.testing.MemorySendStream])
def test_what_is_not_a_stream_is_refused(stream: trio.abc.Stream) -> None:
    with pytest.raises(TypeError, match="a client must be served over a stream of Trio, not "):
        StreamTransport(stream, "10.0.0.7")


@pytest.mark.parametrize("address", [None, ("10.0.0.7", 4096), b"10.0.0.7"])
def test_what_is_not_the_text_of_an_address_is_refused(address: str) -> None:
    stream, _ = memory_stream_pair()
    with pytest.raises(TypeError) as refused:
        StreamTransport(stream, address)
    assert str(refused.value) == f"the address of a client must be a string, not {address!r}; '192.0.2.1' is one"
