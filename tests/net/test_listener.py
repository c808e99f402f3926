"""The TCP listener: real sockets on this machine."""

import errno
import socket
from collections.abc import AsyncIterator, Sequence

import pytest
import trio

from trichat import Address, Config, Listener, Server, StartError, TcpListener
from trichat._fronts.front import Front
from trichat._fronts.line.front import LineFront
from trichat._net import listener as listener_module
from trichat._net.listener import check_listeners
from trichat._net.transport import SocketTransport, Transport

FRONT = LineFront()


class Setup:
    """Takes what a listener brings."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self._send, self.accepted = trio.open_memory_channel[tuple[Transport, Front | None]](1000)

    def accept(self, transport: Transport, front: Front | None = None) -> None:
        self._send.send_nowait((transport, front))

    async def listen(self, host: str = "127.0.0.1", port: int = 0, send_timeout: float = 60.0) -> list[Address]:
        addresses = await self.nursery.start(TcpListener(host, port, FRONT, send_timeout).serve, self.accept)
        assert isinstance(addresses, list)
        return addresses


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            yield Setup(nursery)
            nursery.cancel_scope.cancel()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    """Whatever name is looked up, it stands for these addresses."""

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        families = [socket.AF_INET6 if ":" in number else socket.AF_INET for number in numbers]
        return [
            (family, socket.SOCK_STREAM, 6, "", (number, port))
            for family, number in zip(families, numbers, strict=True)
        ]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)


async def test_it_tells_where_it_listens_and_brings_connections_with_its_front(setup: Setup) -> None:
    (address,) = await setup.listen()
    with socket.create_connection(address) as peer:
        transport, front = await setup.accepted.receive()
        assert transport.address == "127.0.0.1"
        assert front is FRONT
        transport.send_nowait(b"hello\n")
        assert peer.recv(100) == b"hello\n"
        await transport.close()


@pytest.mark.parametrize(("send_timeout", "seconds"), [(1.0, 120), (60.0, 120), (90.5, 181), (86_400.0, 172_800)])
async def test_the_kernel_ends_no_connection_before_the_outbox_would(
    setup: Setup, send_timeout: float, seconds: int
) -> None:
    (address,) = await setup.listen(send_timeout=send_timeout)
    with socket.create_connection(address):
        transport, _ = await setup.accepted.receive()
        assert isinstance(transport, SocketTransport)
        assert transport._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * seconds
        await transport.close()


async def test_without_a_wire_it_leaves_the_choice_to_the_server(setup: Setup) -> None:
    (address,) = await setup.nursery.start(TcpListener("127.0.0.1", 0).serve, setup.accept)
    with socket.create_connection(address):
        transport, wire = await setup.accepted.receive()
        assert wire is None
        await transport.close()


async def test_the_listener_of_a_server_knows_its_send_timeout(setup: Setup) -> None:
    (listener,) = Server(Config.from_tables({"server": {"send_timeout": 600}}), plugins={}).listeners
    assert isinstance(listener, TcpListener)
    assert (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1_200_000) in listener._socket_options


async def test_a_name_with_several_addresses_listens_on_all_of_them_on_one_port(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
    addresses = await setup.listen("chat.test")
    assert [address.host for address in addresses] == ["127.0.0.1", "127.0.0.2"]
    assert addresses[0].port == addresses[1].port


NOT_HERE = "198.51.100.7"


@pytest.mark.parametrize("found", [(NOT_HERE, "127.0.0.1"), ("127.0.0.1", NOT_HERE)])
async def test_a_name_listens_on_those_of_its_addresses_that_this_machine_has(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, found: Sequence[str]
) -> None:
    resolve_to(monkeypatch, *found)
    (address,) = await setup.listen("localhost.test")
    assert address.host == "127.0.0.1"
    assert f"cannot listen on {NOT_HERE}:" in caplog.text
    with socket.create_connection(address):
        transport, _ = await setup.accepted.receive()
        await transport.close()


async def test_a_name_may_stand_for_an_address_of_a_family_that_this_machine_has_not(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = listener_module._listen

    def listen_without_ipv6(family: int, address: tuple[str, int]) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return listen(family, address)

    monkeypatch.setattr(listener_module, "_listen", listen_without_ipv6)
    resolve_to(monkeypatch, "::1", "127.0.0.1")
    (address,) = await setup.listen("localhost.test")
    assert address.host == "127.0.0.1"


async def test_a_name_none_of_whose_addresses_this_machine_has_is_no_place_to_listen(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, NOT_HERE, "198.51.100.8")
    with pytest.raises(StartError, match=r"cannot listen on chat\.test:0: .* \(it is not an address of this machine\)"):
        await setup.listen("chat.test")


async def test_a_port_that_one_of_the_addresses_has_given_away_is_a_fault(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    (taken,) = await setup.listen("127.0.0.2")
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
    with pytest.raises(StartError, match="Address already in use"):
        await setup.listen("chat.test", taken.port)
    resolve_to(monkeypatch, "127.0.0.1")
    await setup.listen("chat.test", taken.port)  # which is free again


async def test_a_name_that_nobody_knows_is_named(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with pytest.raises(StartError, match=r"cannot listen on chat\.test:1024: Name or service not known"):
        await TcpListener("chat.test", 1024, FRONT).serve(setup.accept, task_status=trio.TASK_STATUS_IGNORED)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (errno.EADDRINUSE, "another program has the port"),
        (errno.EADDRNOTAVAIL, "it is not an address of this machine"),
        (errno.EACCES, "ports below 1024 need privileges"),
    ],
)
async def test_why_it_cannot_listen_comes_with_what_to_do(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, error: int, hint: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, "no")

    monkeypatch.setattr(listener_module, "_listen", refuse)
    with pytest.raises(StartError, match=hint):
        await TcpListener("127.0.0.1", 1024, FRONT).serve(setup.accept, task_status=trio.TASK_STATUS_IGNORED)


async def test_a_second_listener_on_the_same_port_is_refused_and_leaves_nothing_open(setup: Setup) -> None:
    (address,) = await setup.listen()
    with pytest.raises(StartError, match="Address already in use"):
        await TcpListener(*address, FRONT).serve(setup.accept, task_status=trio.TASK_STATUS_IGNORED)


async def test_it_knows_where_it_listens_for_as_long_as_it_does(setup: Setup) -> None:
    listener = TcpListener("127.0.0.1", 0, FRONT)
    assert (listener.host, listener.port, listener.addresses) == ("127.0.0.1", 0, ())
    async with trio.open_nursery() as nursery:
        reported = await nursery.start(listener.serve, setup.accept)
        assert listener.addresses == reported
        nursery.cancel_scope.cancel()
    assert listener.addresses == ()


async def test_one_that_is_not_required_only_says_that_it_cannot_listen(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    (address,) = await setup.listen()
    listener = TcpListener(*address, FRONT, required=False)
    assert await setup.nursery.start(listener.serve, setup.accept) == []
    assert listener.addresses == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"cannot listen on {address}: Address already in use" in caplog.text


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:1024"), ("::1", "[::1]:1024")])
def test_an_address_is_shown_as_people_write_it(host: str, shown: str) -> None:
    assert str(Address(host, 1024)) == shown


@pytest.mark.parametrize("port", [-1, 65536, "1024", None])
def test_a_port_that_there_is_not_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match=f"a port must be a number from 0 to 65535, not {port!r}"):
        TcpListener("127.0.0.1", port)


def test_a_host_is_a_string() -> None:
    with pytest.raises(TypeError, match="a host must be a string, not None"):
        TcpListener(None, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listeners", "told"),
    [
        (TcpListener("127.0.0.1", 0), "listeners must be a list of listeners, not <.*TcpListener object"),
        ("127.0.0.1:0", "listeners must be a list of listeners, not '127.0.0.1:0'"),
        (["127.0.0.1:0"], "a listener must have a method `serve`, as trichat.Listener has, not '127.0.0.1:0'$"),
        ([TcpListener], "a listener must be an object, not the class TcpListener; call it to make one"),
    ],
)
def test_what_is_not_a_list_of_listeners_is_refused(listeners: Sequence[Listener], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        check_listeners(listeners)


async def test_who_passes_a_listener_of_trio_is_told_how_to_serve_it() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        with pytest.raises(TypeError, match=r"; pass what it accepts to Server\.serve_stream$"):
            check_listeners([listener])  # type: ignore[list-item]
