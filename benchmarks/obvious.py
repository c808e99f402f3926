"""The obvious chat server in Trio: each client has a task that reads, a memory channel, and a task that writes.

It is here for comparison: trichat would cost as much if every copy of a message needed a task switch. It implements
only as much of the line protocol as a client needs to join.
"""

import argparse

import trio

# Lines that may wait for one client. A sender waits for the slowest client.
CAPACITY = 1000


class Room:
    """All clients, each with the channel to its writer."""

    def __init__(self) -> None:
        self._members: set[trio.MemorySendChannel[bytes]] = set()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client."""
        send, receive = trio.open_memory_channel[bytes](CAPACITY)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_write, stream, receive)
                await self._read(stream, send)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone
        finally:
            self._members.discard(send)

    async def _read(self, stream: trio.SocketStream, send: trio.MemorySendChannel[bytes]) -> None:
        name = b""
        rest = b""
        async for data in stream:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if name:
                    await self._tell(name + b": " + line + b"\n")
                else:
                    name = line
                    self._members.add(send)
                    await send.send(b"* welcome, " + name + b"\n")
                    await self._tell(b"* " + name + b" joined\n")

    async def _tell(self, line: bytes) -> None:
        for member in list(self._members):
            await member.send(line)


async def _write(stream: trio.SocketStream, lines: trio.MemoryReceiveChannel[bytes]) -> None:
    async for line in lines:
        await stream.send_all(line)


async def main() -> None:
    """Serve on a port of this machine until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    port: int = parser.parse_args().port
    await trio.serve_tcp(Room().serve, port, host="127.0.0.1", backlog=4096)


if __name__ == "__main__":
    trio.run(main)
