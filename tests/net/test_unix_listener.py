"""A listener on a Unix socket: who its clients are, and who may be one."""

import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from process_kit import PATIENCE, is_root

from trichat import Config, Server, StartError, TcpListener, UnixListener
from trichat._fronts.front import Front
from trichat._fronts.line.front import LineFront
from trichat._net.transport import Transport

# Somebody who is not the user that runs the tests.
NOBODY = 65534

ME = f"unix:{os.getuid()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.sock"


@asynccontextmanager
async def listening(listener: UnixListener) -> AsyncIterator[trio.MemoryReceiveChannel[tuple[Transport, Front | None]]]:
    """Run a listener, and yield what it brings. All of that is closed at the end."""
    send, accepted = trio.open_memory_channel[tuple[Transport, Front | None]](10)
    brought: list[Transport] = []

    def accept(transport: Transport, front: Front | None = None) -> None:
        brought.append(transport)
        send.send_nowait((transport, front))

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            assert await nursery.start(listener.serve, accept) == []
            yield accepted
            for transport in brought:
                await transport.close()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("front", [None, LineFront()])
async def test_it_brings_connections_with_their_user_and_its_front(path: Path, front: Front | None) -> None:
    async with listening(UnixListener(path, front)) as accepted, await trio.open_unix_socket(path) as peer:
        transport, theirs = await accepted.receive()
        assert transport.address == ME
        assert theirs is front
        transport.send_nowait(b"hello\n")
        assert await peer.receive_some() == b"hello\n"
        await peer.send_all(b"hi\n")
        assert await transport.receive() == b"hi\n"


@pytest.mark.skipif(not is_root(), reason="only root can become somebody else")
async def test_it_knows_its_client_by_the_user_that_has_connected() -> None:
    with TemporaryDirectory() as folder:  # nobody else may enter that of pytest
        os.chmod(folder, 0o755)
        path = f"{folder}/chat.sock"
        visit = f"import os, socket; os.setuid({NOBODY}); socket.socket(socket.AF_UNIX).connect({path!r})"
        async with listening(UnixListener(path, mode=0o666)) as accepted:
            await trio.run_process([sys.executable, "-c", visit])
            transport, _ = await accepted.receive()
        assert transport.address == f"unix:{NOBODY}"


@pytest.mark.parametrize("mode", [0o600, 0o660])
async def test_it_has_its_mode_and_is_removed_at_the_end(path: Path, mode: int) -> None:
    async with listening(UnixListener(str(path), mode=mode)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert not path.exists()


@pytest.mark.parametrize("mode", [660, -1, "660", None])
def test_a_mode_that_no_file_has_is_refused(path: Path, mode: int) -> None:
    with pytest.raises(ValueError, match=f"{mode!r} is not the mode of a file; write it in octal, such as 0o660"):
        UnixListener(path, mode=mode)


async def test_a_server_refuses_to_start_where_another_one_listens(path: Path) -> None:
    async with listening(UnixListener(path)):
        with pytest.raises(StartError, match=f"^another server uses the socket '{path}'; stop it, or choose another "):
            await Server(plugins={}, listeners=[UnixListener(path)]).serve()


async def test_what_a_server_left_that_was_killed_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    async with listening(UnixListener(path)), await trio.open_unix_socket(path):
        pass


class Line:
    """A client, line by line."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._received = b""

    async def says(self, *lines: str) -> None:
        await self._stream.send_all("".join(f"{line}\n" for line in lines).encode())

    async def hears(self, beginning: str) -> str:
        """Read up to the line that begins like this, and return it."""
        line = ""
        while not line.startswith(beginning):
            while b"\n" not in self._received:
                data = await self._stream.receive_some()
                assert data, f"{beginning!r} was not heard"
                self._received += data
            first, _, self._received = self._received.partition(b"\n")
            line = first.decode()
        return line


async def test_its_clients_chat_with_the_others_and_are_not_operators(path: Path) -> None:
    everyone = ["0.0.0.0/0", "::/0"]
    config = Config.from_tables(
        {
            "server": {"operators": everyone, "max_clients_per_address": 1},
            "plugins": {"chat_log": {"enabled": False}, "stop": {"allow": everyone}},
        }
    )
    listeners: Sequence[TcpListener | UnixListener] = [TcpListener("127.0.0.1", 0), UnixListener(path)]
    server = Server(config, listeners=listeners)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            [(host, port)] = await nursery.start(server.serve)
            async with await trio.open_tcp_stream(host, port) as over_tcp, await trio.open_unix_socket(path) as local:
                alice, bob = Line(over_tcp), Line(local)
                await alice.says("alice")
                await alice.hears("* welcome, alice")
                await bob.says("bob", "hello", "stop")
                assert await alice.hears("bob: ") == "bob: hello"
                assert (
                    await bob.hears("* you may not")
                    == f"* you may not stop the server from {ME}, only from 0.0.0.0/0, ::/0"
                )
                assert [(client.name, client.is_operator) for client in server.clients] == [
                    ("alice", True),
                    ("bob", False),
                ]
                async with await trio.open_unix_socket(path) as another:
                    refusal = await Line(another).hears("* refused")
                    assert refusal == f"* refused: too many connections from {ME} (1)"
                server.stop()
    assert not path.exists()
