"""A session: the one task that serves one client, from its connection to its end.

It is told here as a conversation: may you come in, who are you, this is what was said, go on. Whatever ends it,
its `Closing` follows, once and shielded.
"""

import inspect
import logging
import math
import re
from collections.abc import Awaitable, Sequence

import trio

from trichat import hookspecs
from trichat._base import nicknames
from trichat._base.errors import ConnectionLost, RequiredPluginFailed
from trichat._base.messages import LOBBY, Handled, Message, Refuse
from trichat._chat.client import Client
from trichat._chat.context import House
from trichat._chat.history import HistoryUnavailable
from trichat._chat.teardown import Closing
from trichat._fronts.wire import Event, Wire
from trichat._net.outbox import Outbox, Send
from trichat._net.transport import RECEIVE_BYTES, Transport
from trichat._plugins.deadlines import Calls
from trichat._plugins.dispatch import Answer

logger = logging.getLogger("trichat.session")

# How many names a client may try.
NAME_TRIES = 5

# How often to send what was said during a long replay, before joining with the rest.
CATCHING_UP = 3

# Names in the welcome line; a full house would be longer than any screen.
NAMES_SHOWN = 20

# A web page can have a browser send such a line to a server in its user's network, and behind it whatever it likes:
# `stop`, from an address that may.
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+\s*")

_BLANK = Handled()
"""The answer to a line with nothing in it."""


class Session:
    """Serves `client` over `transport`."""

    # Here and in all else that each client has: without a dictionary for each, ten thousand of them take far less.
    __slots__ = (
        "_came",
        "_closing",
        "_decoder",
        "_house",
        "_transport",
        "_wire",
        "client",
    )

    def __init__(self, client: Client, transport: Transport, wire: Wire, house: House) -> None:
        self.client = client
        self._transport = transport
        self._wire = wire
        self._house = house
        self._decoder = wire.decoder()
        self._came: Sequence[Event] = ()
        """What came together with the name, behind it."""
        self._closing = Closing(client, transport, wire, house)

    async def run(self) -> None:
        """Serve the client until it leaves or is ended. Nothing but cancellation gets out of here."""
        options = self._house.options
        async with trio.open_nursery() as nursery:
            self.client._outbox = Outbox(
                self._transport,
                nursery,
                limit=options.backlog_bytes,
                send_timeout=options.send_timeout,
                give_up=self._give_up,
            )
            try:
                with self.client._conversation:
                    if await self._connect() and await self._come_in():
                        with self._house.plugins.deadlines.calls() as calls:
                            await self._chat(calls)
            except ConnectionLost as lost:
                self.client._end(str(lost))
            except Exception:
                logger.exception("%s: an error in the server", self.client)
                self.client._end("an error in the server", farewell="an error in the server; please connect again")
            finally:
                self.client._end("the server was cancelled", farewell="the server is stopping")
                # It shields its steps itself, each with a deadline.
                await self._closing.run()  # noqa: ASYNC102
                nursery.cancel_scope.cancel()

    def end(self, reason: str, deadline: float) -> None:
        """End the conversation, and be closed by `deadline` (of Trio's clock), whatever still waits for something."""
        self.client._end(reason, farewell=reason)
        self._closing.end_by(deadline)

    def _give_up(self, reason: str) -> None:
        self.client._end(reason, farewell=f"disconnected: {reason}")

    async def _connect(self) -> bool:
        """Ask whether the client may connect, and greet it. Return whether it may; if not, it has ended."""
        client = self.client
        refusal = await self._refusal()
        if refusal is not None:
            logger.warning("%s refused: %s", client, refusal.reason)
            client._end(f"refused: {refusal.reason}", farewell=f"refused: {refusal.reason}")
            return False
        logger.info("%s connected", client)
        self._closing.was_connected = True
        client.send("welcome to trichat; type your name and press Enter")
        return True

    async def _refusal(self) -> Refuse | None:
        problem = self._house.hub.admit(self.client)
        if problem is not None:
            return Refuse(problem)
        self._closing.was_admitted = True
        return await self._house.plugins.ask(hookspecs.on_connect, self.client)

    async def _come_in(self) -> bool:
        """Ask for a name, and let the client into the room with it. Return whether it is in; if not, it has ended."""
        client, timeout = self.client, self._house.options.name_timeout
        tries = 0
        with trio.move_on_after(timeout) as patience:
            while (text := await self._next_line()) is not None:
                if _HTTP_REQUEST.fullmatch(text):
                    client._end("it spoke HTTP", farewell="this is a chat, and no web server; connect with nc")
                    return False
                # What plugins say to it in on_join follows the welcome: above a long history nobody would see it.
                async with client._outbox.exclusive() as send:
                    problem = await self._try_name(text)
                    if problem is None:
                        patience.deadline = math.inf
                        trio.lowlevel.current_task().name = f"client {client.name}"
                        return await self._join(send)
                if client.ended:
                    return False
                logger.debug("%s: refused as %r: %s", client, text, problem)
                tries += 1
                if tries == NAME_TRIES:
                    client._end("no name", farewell=f"{problem}; that was the last try")
                    return False
                client.send(f"{problem}; try another name")
            client._end("closed the connection")
        client._end("no name in time", farewell=f"no name within {timeout:g} seconds")
        return False

    async def _next_line(self) -> str | None:
        """Wait for the next line that is not blank, and return it, or `None` when there is none to come."""
        while True:
            came, self._came = self._came, ()
            for place, event in enumerate(came, 1):
                if not isinstance(event, str):
                    # A web page may have a browser begin so, and what follows would be no chat.
                    self.client._end("sent no name", farewell="that is no name; please connect again")
                    return None
                if event.strip():
                    self._came = came[place:]
                    return event
            data = await self._transport.receive()
            self._came = self._decoder.receive(data)
            if not data and not self._came:
                return None

    async def _try_name(self, text: str) -> str | None:
        """Give the client the name that `text` asks for, and return why it cannot have it."""
        client, hub = self.client, self._house.hub
        try:
            name = nicknames.prepare(text)
        except nicknames.InvalidName as invalid:
            return str(invalid)
        if not hub.claim(client, name):
            return f"the name {name!r} is taken"
        answer = await self._house.plugins.ask(hookspecs.on_join, client)
        if answer is not None:
            hub.take_back(client)
            return answer.reason
        return None

    async def _join(self, send: Send) -> bool:
        """Send the history, enter the room and welcome the client, and return whether it is in. If not, it has ended.

        What is said meanwhile follows then.
        """
        client, broadcaster, replay = self.client, self._house.broadcaster, self._house.replay
        seen = 0
        problem = None
        try:
            # A long history is sent before the joining, and then what was said meanwhile, so that after the joining
            # little is left to send while live messages wait behind it.
            for _ in range(CATCHING_UP):
                last = broadcaster.last_sent
                if last == seen or not await replay.send_if_long(send, self._wire, LOBBY, seen, last + 1):
                    break
                seen = last
        except HistoryUnavailable as unavailable:
            problem = str(unavailable)
        try:
            cursor = await broadcaster.inbox.join(client)
        except RequiredPluginFailed as failure:
            client._end(f"refused: {failure}", farewell=f"refused: {failure}")
            return False
        await self._welcome(send, seen, cursor, problem)
        logger.info("%s joined", client)
        return True

    async def _welcome(self, send: Send, seen: int, cursor: int, problem: str | None) -> None:
        if problem is None:
            try:
                await self._house.replay.send(send, self._wire, LOBBY, seen, cursor)
            except HistoryUnavailable as unavailable:
                problem = str(unavailable)
        if problem is not None:
            await send(self._wire.encode_notice(problem))
        await send(self._wire.encode_notice(self._welcome_text()))

    def _welcome_text(self) -> str:
        client, plugins, commands = self.client, self._house.plugins, self.client.server.commands
        # No more than are shown: in a storm of joins everyone's welcome would walk through everyone.
        members = self._house.hub.members(client.room, NAMES_SHOWN + 1)
        others = [member.name for member in members if member is not client][:NAMES_SHOWN]
        shown = ", ".join(others)
        unnamed = self._house.hub.count(client.room) - 1 - len(others)
        if unnamed > 0:
            shown += f" and {unnamed} more"
        parts = [f"welcome, {client.name}", f"here: {shown}" if shown else "you are the first here"]
        if plugins.roster.implements(hookspecs.history):
            parts.append("what is said is kept (dates are UTC)")
        # In alphabetical order, which no reload changes.
        parts += sorted({each.hint for each in commands.values() if each.hint and each.who.includes(client)})
        return "; ".join(parts)

    async def _chat(self, calls: Calls) -> None:
        transport, decoder = self._transport, self._decoder
        is_waiting = await self._hear(self._came, calls, more_is_there=False)
        self._came = ()
        while True:
            data = None
            if is_waiting:
                # In a busy room, to be woken for each line would take more than all else that is done with it.
                await self._house.broadcaster.end_of_round()
                data = transport.receive_nowait()
            if data is None:
                data = await transport.receive()
            # Nothing here keeps what came: who is silent afterwards takes no memory for it.
            is_waiting = await self._hear(decoder.receive(data), calls, len(data) == RECEIVE_BYTES)
            if not data:
                break
        self.client._end("closed the connection")

    async def _hear(self, came: Sequence[Event], calls: Calls, more_is_there: bool) -> bool:
        """Ask about lines that came together, and publish what may be said.

        Returns whether the client is to wait for the broadcaster: the last of it does, nobody else has run since, and
        no more is there to be received.
        """
        # What is asked of the client here is asked for each line, so not by its properties: four calls of Python's.
        client, plugins, broadcaster = self.client, self._house.plugins, self._house.broadcaster
        is_alone = not more_is_there and len(came) < 2
        is_waiting = False
        for line in came:
            if client._reason is not None:
                break  # ended by somebody who ran meanwhile, or was woken together with it
            if not isinstance(line, str):
                client.send(f"not taken: a line has at most {line.limit} bytes")
                continue
            typed = client._draft.with_text(line)
            # Nobody is asked about what is blank, or had only control characters in it.
            answer = plugins.ask_message(client, typed, calls) if typed.text.strip() else _BLANK
            message: Message | None = typed
            if answer is not typed:
                message = await self._answered(answer)
                is_waiting = False
            if message is None or client._reason is not None:
                continue  # a plugin has refused or handled it, or kicked the client, or let it go
            if is_alone and broadcaster.publish_at_once(message, client):
                continue
            try:
                broadcaster.inbox.publish_nowait(message, client)
                is_waiting = True
            except trio.WouldBlock:
                await broadcaster.inbox.publish(message, client)
                is_waiting = False
        return is_waiting and not more_is_there

    async def _answered(self, answer: Answer | Awaitable[Answer]) -> Message | None:
        """Return what everyone is to see, if anything; otherwise the client knows why not."""
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Message):
            return answer
        if isinstance(answer, Refuse) and not self.client.ended:
            logger.debug("%s: not sent: %s", self.client, answer.reason)
            self.client.send(f"not sent: {answer.reason}")
        # Publishing waits when there is too much of it; without it, a chunk of commands, or of blank lines, would hold
        # everyone up.
        await trio.lowlevel.checkpoint()
        return None
