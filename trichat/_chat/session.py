"""A session: the task that serves one client, from its connection to its end.

Tasks that send what the socket does not take at once run in its nursery, and end with it.

It reads as a conversation: may you come in, who are you, this is what was said, please talk. Whatever ends it, its
`Teardown` follows, once and shielded.
"""

import inspect
import logging
import math
import re
from collections.abc import Sequence

import trio

from trichat import hookspecs
from trichat._base import nicknames
from trichat._base.errors import ConnectionLost, RequiredPluginFailed
from trichat._base.messages import LOBBY, Handled, Message, Refuse
from trichat._chat.client import Connection
from trichat._chat.context import Context
from trichat._chat.history import HistoryUnavailable
from trichat._chat.teardown import Teardown
from trichat._fronts.wire import Event, Wire
from trichat._net.outbox import Outbox, Send
from trichat._net.transport import RECEIVE_BYTES, Transport
from trichat._plugins.deadlines import Calls

logger = logging.getLogger("trichat.session")

# Names that a client may try.
NAME_TRIES = 5

# How often to send what was said while a long history was sent, before joining with the rest.
CATCHING_UP = 3

# Names in the welcome line; those of a full server would be longer than any screen.
NAMES_SHOWN = 20

# A web page can make a browser send such a line to a server in its user's network, and then whatever it likes: `stop`,
# from an address that is allowed to.
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+\s*")

_BLANK = Handled()
"""The answer to a line with nothing in it."""


class Session:
    """Serves one client over `transport`, which speaks `wire`."""

    # As in everything else that each client has: without a dictionary each, ten thousand clients take far less memory.
    __slots__ = (
        "_came",
        "_context",
        "_decoder",
        "_teardown",
        "_transport",
        "connection",
    )

    def __init__(self, transport: Transport, wire: Wire, context: Context) -> None:
        self._transport = transport
        self._context = context
        self._decoder = wire.decoder()
        self._came: Sequence[Event] = ()
        """Lines that arrived together with the name, after it."""
        options = context.options
        outbox = Outbox(
            transport, limit=options.backlog_bytes, send_timeout=options.send_timeout, give_up=self._give_up
        )
        self.connection = Connection(context.server, transport.address, wire, outbox)
        self._teardown = Teardown(self.connection, transport, context)

    async def run(self) -> None:
        """Serve the client until it leaves or is ended. Raises nothing but cancellation."""
        connection = self.connection
        async with trio.open_nursery() as nursery:
            connection.outbox.drain_in(nursery)
            try:
                with connection.conversation:
                    if await self._connect() and await self._come_in():
                        with self._context.plugins.deadlines.calls() as calls:
                            await self._chat(calls)
            except ConnectionLost as lost:
                connection.end(str(lost))
            except Exception:
                logger.exception("%s: an error in the server", connection)
                connection.end("an error in the server", farewell="an error in the server; please connect again")
            finally:
                connection.end("the server was cancelled", farewell="the server is stopping")
                # It shields its own steps, each with a deadline.
                await self._teardown.run()  # noqa: ASYNC102
                nursery.cancel_scope.cancel()

    def end(self, reason: str, deadline: float) -> None:
        """End the conversation, and be closed by `deadline` (of Trio's clock), whatever it still waits for."""
        self.connection.end(reason, farewell=reason)
        self._teardown.end_by(deadline)

    def _give_up(self, reason: str) -> None:
        self.connection.end(reason, farewell=f"disconnected: {reason}")

    async def _connect(self) -> bool:
        """Ask whether the client may connect, and greet it. Return whether it may; if not, it has ended."""
        connection = self.connection
        refusal = await self._refusal()
        if refusal is not None:
            logger.warning("%s refused: %s", connection, refusal.reason)
            connection.end(f"refused: {refusal.reason}", farewell=f"refused: {refusal.reason}")
            return False
        logger.info("%s connected", connection)
        self._teardown.was_connected = True
        connection.notice("welcome to trichat; type your name and press Enter")
        return True

    async def _refusal(self) -> Refuse | None:
        problem = self._context.hub.admit(self.connection)
        if problem is not None:
            return Refuse(problem)
        self._teardown.was_admitted = True
        return await self._context.plugins.ask(hookspecs.on_connect, self.connection.client)

    async def _come_in(self) -> bool:
        """Ask for a name, and let the client into the room with it. Return whether it is in; if not, it has ended."""
        connection, timeout = self.connection, self._context.options.name_timeout
        tries = 0
        with trio.move_on_after(timeout) as patience:
            while (text := await self._next_line()) is not None:
                if _HTTP_REQUEST.fullmatch(text):
                    connection.end("it spoke HTTP", farewell="this is a chat server, not a web server; connect with nc")
                    return False
                # What plugins send it in on_join follows the welcome: above a long history nobody would see it.
                async with connection.outbox.exclusive() as send:
                    problem = await self._try_name(text)
                    if problem is None:
                        patience.deadline = math.inf
                        trio.lowlevel.current_task().name = f"client {connection.name}"
                        return await self._join(send)
                if connection.ended:
                    return False
                logger.debug("%s: refused as %r: %s", connection, text, problem)
                tries += 1
                if tries == NAME_TRIES:
                    connection.end("no name", farewell=f"{problem}; that was the last try")
                    return False
                connection.notice(f"{problem}; try another name")
            connection.end("closed the connection")
        connection.end("no name in time", farewell=f"no name within {timeout:g} seconds")
        return False

    async def _next_line(self) -> str | None:
        """Wait for the next line that is not blank, and return it, or `None` if there will be none."""
        while True:
            came, self._came = self._came, ()
            for place, event in enumerate(came, 1):
                if not isinstance(event, str):
                    # A web page may make a browser start like this, and what follows would not be chat.
                    self.connection.end("sent no name", farewell="that is not a name; please connect again")
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
        connection, hub = self.connection, self._context.hub
        try:
            name = nicknames.prepare(text)
        except nicknames.InvalidName as invalid:
            return str(invalid)
        if not hub.claim(connection, name):
            return f"the name {name!r} is taken"
        answer = await self._context.plugins.ask(hookspecs.on_join, connection.client)
        if answer is not None:
            hub.take_back(connection)
            return answer.reason
        return None

    async def _join(self, send: Send) -> bool:
        """Send the history, enter the room and welcome the client. Return whether it is in; if not, it has ended.

        What others say meanwhile is sent afterwards.
        """
        connection, broadcaster, history = self.connection, self._context.broadcaster, self._context.history
        seen = 0
        problem = None
        try:
            # A long history is sent before joining, then what was said meanwhile. After joining, little is left to
            # send while live messages wait.
            for _ in range(CATCHING_UP):
                last = broadcaster.last_sent
                if last == seen or not await history.send_if_long(send, connection.wire, LOBBY, seen, last + 1):
                    break
                seen = last
        except HistoryUnavailable as unavailable:
            problem = str(unavailable)
        try:
            cursor = await broadcaster.inbox.join(connection)
        except RequiredPluginFailed as failure:
            connection.end(f"refused: {failure}", farewell=f"refused: {failure}")
            return False
        await self._welcome(send, seen, cursor, problem)
        logger.info("%s joined", connection)
        return True

    async def _welcome(self, send: Send, seen: int, cursor: int, problem: str | None) -> None:
        wire = self.connection.wire
        if problem is None:
            try:
                await self._context.history.send(send, wire, LOBBY, seen, cursor)
            except HistoryUnavailable as unavailable:
                problem = str(unavailable)
        if problem is not None:
            await send(wire.encode_notice(problem))
        await send(wire.encode_notice(self._welcome_text()))

    def _welcome_text(self) -> str:
        connection, context = self.connection, self._context
        # Only as many as are shown: in a storm of joins, each welcome would walk through everyone.
        members = context.hub.members(connection.room, NAMES_SHOWN + 1)
        others = [member.name for member in members if member is not connection][:NAMES_SHOWN]
        shown = ", ".join(others)
        unnamed = context.hub.count(connection.room) - 1 - len(others)
        if unnamed > 0:
            shown += f" and {unnamed} more"
        parts = [f"welcome, {connection.name}", f"here: {shown}" if shown else "you are the first here"]
        if context.plugins.active.implements(hookspecs.history):
            parts.append("what is said is kept (dates are UTC)")
        client = connection.client
        hints = {each.hint for each in context.server.commands.values() if each.hint and each.who.includes(client)}
        parts += sorted(hints)  # an order that no reload changes
        return "; ".join(parts)

    async def _chat(self, calls: Calls) -> None:
        """Take what the client says, until it says no more."""
        transport, decoder, turns = self._transport, self._decoder, self._context.broadcaster.turns
        is_waiting = await self._take(self._came, calls, more_is_there=False)
        self._came = ()
        while True:
            data = None
            if is_waiting:
                # In a busy room, being woken for each line would cost more than all else that is done with it.
                await turns.end_of_round()
                data = transport.receive_nowait()
            if data is None:
                data = await transport.receive()
            # Nothing here keeps the lines, so a silent client takes no memory for its last ones.
            is_waiting = await self._take(decoder.receive(data), calls, len(data) == RECEIVE_BYTES)
            if not data:
                break
        self.connection.end("closed the connection")

    async def _take(self, came: Sequence[Event], calls: Calls, more_is_there: bool) -> bool:
        """Ask plugins about lines that came together, and publish what may be said.

        Returns whether to wait for the end of the broadcaster's round: the last line is in the inbox, nobody else has
        run since, and no more is there to be received.
        """
        # Looked up here, and not for each line: that is four calls of Python functions.
        connection, plugins, broadcaster = self.connection, self._context.plugins, self._context.broadcaster
        client = connection.client
        is_alone = not more_is_there and len(came) < 2
        is_waiting = False
        for line in came:
            if connection.reason is not None:
                break  # ended by somebody who ran meanwhile, or was woken together with it
            if not isinstance(line, str):
                connection.notice(f"not taken: a line has at most {line.limit} bytes")
                continue
            message = connection.draft.with_text(line)
            # Nobody is asked about a line that is blank, or had only control characters in it.
            answer = plugins.ask_message(client, message, calls) if message.text.strip() else _BLANK
            if answer is not message and inspect.isawaitable(answer):
                answer = await answer
            if not isinstance(answer, Message):
                await self._withhold(answer)
                is_waiting = False
            elif connection.reason is not None:
                break  # a plugin has kicked it
            elif not (is_alone and broadcaster.publish_at_once(answer, connection)):
                try:
                    broadcaster.inbox.publish_nowait(answer, connection)
                    is_waiting = True
                except trio.WouldBlock:
                    await broadcaster.inbox.publish(answer, connection)
                    is_waiting = False
        return is_waiting and not more_is_there

    async def _withhold(self, answer: Handled | Refuse) -> None:
        """Tell the client why a line is not sent, if it was refused."""
        connection = self.connection
        if isinstance(answer, Refuse) and not connection.ended:
            logger.debug("%s: not sent: %s", connection, answer.reason)
            connection.notice(f"not sent: {answer.reason}")
        # Publishing waits when there is too much of it. Without this, a chunk of commands or of blank lines would hold
        # everyone up.
        await trio.lowlevel.checkpoint()
