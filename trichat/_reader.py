"""What a client sends: lines, as many at a time as came together. Whoever has a reader receives the bytes."""

from trichat._client import Client
from trichat._transport import RECEIVE_BYTES
from trichat.wires import LineTooLong, Wire


class Reader:
    """Makes lines of what is received from `client`."""

    __slots__ = ("_client", "_decoder", "_lines", "at_end", "more_is_there")

    def __init__(self, client: Client, wire: Wire) -> None:
        self._client = client
        self._decoder = wire.decoder()
        self._lines: list[str] = []
        """What was received, and nobody has asked for yet."""
        self.at_end = False
        """Whether nothing is to be received any more."""
        self.more_is_there = False
        """Whether what was received last was as much as is received in one go."""

    def take(self, data: bytes) -> None:
        """Take what was received; `b""` when the client says no more."""
        self.at_end = not data
        self.more_is_there = len(data) == RECEIVE_BYTES
        for event in self._decoder.receive(data):
            if not isinstance(event, LineTooLong):
                self._lines += event.texts
            elif self._client.room or self._lines:
                self._client.send(f"not taken: a line has at most {event.limit} bytes")
            else:
                # In the place of a name. A web page may have a browser begin so, and what follows would be no chat.
                self._client._end("sent no name", farewell="that is no name; please connect again")
                self.at_end = True
                break

    def next_line(self) -> str | None:
        """Return the next line that is not blank, or `None` if there is none yet."""
        lines = self.next_lines()
        for place, line in enumerate(lines, 1):
            if line.strip():
                self._lines = lines[place:]
                return line
        return None

    def next_lines(self) -> list[str]:
        """Return all lines that are there, and keep none of them: who is silent afterwards takes no memory for them."""
        lines, self._lines = self._lines, []
        return lines
