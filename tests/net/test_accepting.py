"""The loop that accepts connections: how many, and what a failure does to the others."""

import errno
import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trichat._net.accepting import ACCEPT_BURST, accept_all

# More than are accepted in one go.
MANY = 2 * ACCEPT_BURST + 50


class Scarce(socket.socket):
    """A listening socket that fails in the ways that the test names, before it works."""

    failures: list[OSError]

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            raise self.failures.pop()
        return super().accept()


@pytest.fixture
def listening() -> Iterator[Scarce]:
    with Scarce(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.failures = []
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.listen(MANY)
        yield sock


async def test_many_at_once_are_all_taken_with_their_addresses(listening: Scarce) -> None:
    taken: dict[object, bool] = {}

    def take(sock: socket.socket, peer: object) -> None:
        taken[peer] = sock.getblocking()
        sock.close()

    peers = [socket.create_connection(listening.getsockname()) for _ in range(MANY)]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_all, listening, take)
            while len(taken) < MANY:
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert taken == {peer.getsockname(): False for peer in peers}
    for peer in peers:
        peer.close()


@pytest.mark.parametrize(
    ("error", "told"), [(errno.EMFILE, ["cannot accept connections for now: for now"]), (errno.ECONNABORTED, [])]
)
async def test_it_accepts_again_after_an_accept_that_failed(
    listening: Scarce, caplog: pytest.LogCaptureFixture, error: int, told: list[str]
) -> None:
    listening.failures = [OSError(error, "for now")] * 2
    with socket.create_connection(listening.getsockname()), trio.fail_after(20):
        async with trio.open_nursery() as nursery:

            def take(sock: socket.socket, _: object) -> None:
                sock.close()
                nursery.cancel_scope.cancel()

            nursery.start_soon(accept_all, listening, take)
    assert listening.failures == []
    assert caplog.messages == told


async def test_a_connection_that_cannot_be_taken_is_closed_and_the_next_one_is_taken(listening: Scarce) -> None:
    tries: list[socket.socket] = []
    with (
        socket.create_connection(listening.getsockname()) as reset,
        socket.create_connection(listening.getsockname()),
        trio.fail_after(20),
    ):
        async with trio.open_nursery() as nursery:

            def take(sock: socket.socket, _: object) -> None:
                tries.append(sock)
                if len(tries) == 1:
                    raise OSError(errno.EINVAL, "Invalid argument")
                sock.close()
                nursery.cancel_scope.cancel()

            nursery.start_soon(accept_all, listening, take)
        reset.settimeout(10)
        assert reset.recv(1) == b""
