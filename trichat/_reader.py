"""What a client sends: lines, as many at a time as came together."""

from collections.abc import Sequence

from trichat._client import Client
from trichat._transport import RECEIVE_BYTES, Transport
from trichat.wires import LineTooLong, Wire


class Reader:
    """The receiving half of the connection of `client`. Its methods raise `ConnectionLost` when that breaks."""

    __slots__ = ("_at_end", "_client", "_decoder", "_lines", "_transport", "more_is_there")

    def __init__(self, client: Client, transport: Transport, wire: Wire) -> None:
        self._client = client
        self._transport = transport
        self._decoder = wire.decoder()
        self._lines: list[str] = []
        """What was received, and nobody has asked for yet."""
        self._at_end = False
        self.more_is_there = False
        """Whether what was received last was as much as is received in one go."""

    async def next_line(self) -> str | None:
        """Wait for the next line that is not blank, and return it, or `None` when there is none to come."""
        while lines := await self.next_lines():
            line, *self._lines = lines
            if line.strip():
                return line
        return None

    async def next_lines(self) -> Sequence[str]:
        """Wait for the next lines, and return all that came together; none when there are none to come."""
        while not self._lines and not self._at_end:
            self._take(await self._transport.receive())
        lines, self._lines = self._lines, []
        return lines

    def take_what_came(self) -> None:
        """Receive what is there already, so that `next_lines` need not wait for it."""
        data = None if self._at_end else self._transport.receive_nowait()
        if data is not None:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._at_end = not data
        self.more_is_there = len(data) == RECEIVE_BYTES
        for event in self._decoder.receive(data):
            if not isinstance(event, LineTooLong):
                self._lines += event.texts
            elif self._client.room or self._lines:
                self._client.send(f"not taken: a line has at most {event.limit} bytes")
            else:
                # In the place of a name. A web page may have a browser begin so, and what follows would be no chat.
                self._client._end("sent no name", farewell="that is no name; please connect again")
                self._at_end = True
                break
