"""A session: the task that serves one client, from its connection to its end.

Tasks that send what the socket does not take at once run in its nursery, and end with it.

It reads as a conversation: may you come in, who are you, this is what was said, please talk. Whatever ends it, its
`Teardown` follows, once and shielded. The session does not know what the conversation looks like in bytes: that is up
to the `Dialogue` of the client's front.
"""

import inspect
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

import trio

from trichat import hookspecs
from trichat._base import nicknames
from trichat._base.errors import ConnectionLost
from trichat._base.messages import Handled, Message, Refuse
from trichat._chat import requests, saying
from trichat._chat.client import Connection, Kind
from trichat._chat.context import Context
from trichat._chat.entering import enter, leave, move
from trichat._chat.renaming import rename
from trichat._chat.teardown import Teardown
from trichat._fronts.front import Answer, Front, Outcome
from trichat._fronts.requests import Foreign, Login, Malformed, Reply, Request, Say
from trichat._net.outbox import Outbox, Send
from trichat._net.transport import RECEIVE_BYTES, Transport
from trichat._plugins.deadlines import Calls

logger = logging.getLogger("trichat.session")

# Names that a client may try.
NAME_TRIES = 5

_BLANK = Handled()
"""The answer to a message with nothing in it."""


class Session:
    """Serves one client over `transport`, which speaks the protocol of `front`."""

    # As in everything else that each client has: without a dictionary each, ten thousand clients take far less memory.
    __slots__ = (
        "_came",
        "_context",
        "_dialogue",
        "_teardown",
        "_transport",
        "connection",
    )

    def __init__(self, transport: Transport, front: Front, context: Context) -> None:
        self._transport = transport
        self._context = context
        self._dialogue = front.dialogue(context.limits)
        self._came: Iterator[Request] = iter(())
        """Requests that arrived together with the name, after it."""
        options = context.options
        outbox = Outbox(
            transport, limit=options.backlog_bytes, send_timeout=options.send_timeout, give_up=self._give_up
        )
        self.connection = Connection(context.server, transport.address, front.name, self._dialogue, outbox, self)
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
            except (Exception, SystemExit):  # a front may be anybody's code
                logger.exception("%s: an error in the server", connection)
                connection.end("an error in the server", farewell="an error in the server; please connect again")
            finally:
                connection.end("the server was cancelled", farewell="the server is stopping")
                # It shields its own steps, each with a deadline.
                await self._teardown.run()  # noqa: ASYNC102
                nursery.cancel_scope.cancel()

    # What follows is what plugins may do with a client (`ClientActions`).

    async def enter(self, room: str, key: str) -> Refuse | None:
        """Let the client enter the room that `room` names; return why it may not."""
        with self._deadline_of_caller_suspended():
            return await move(self._context, self.connection, room, key)

    async def leave(self, room: str, reason: str) -> Refuse | None:
        """Let the client leave a room, and stay in others; return why it may not."""
        with self._deadline_of_caller_suspended():
            return await leave(self._context, self.connection, room, reason)

    async def say(self, text: str, room: str, kind: Kind) -> Message | Refuse | None:
        """Say something in a room, once all plugins were asked about it; return what was sent, or why nothing was."""
        with self._deadline_of_caller_suspended():
            return await saying.say(self._context, self.connection, text, room, kind)

    async def tell(self, name: str, text: str) -> Message | Refuse | None:
        """Say something to one person, once all plugins were asked about it; return what was sent, or why not."""
        with self._deadline_of_caller_suspended():
            return await saying.tell(self._context, self.connection, name, text)

    async def rename(self, name: str) -> Refuse | None:
        """Give the person another name; return why it may not have it."""
        with self._deadline_of_caller_suspended():
            return await rename(self._context, self.connection, name)

    async def set_away(self, text: str) -> Refuse | None:
        """Note why the person is away; return why this was refused."""
        with self._deadline_of_caller_suspended():
            return await saying.set_away(self._context, self.connection, text)

    async def quit(self, reason: str) -> None:
        """Let the client leave the chat, for a reason that its rooms are told."""
        with self._deadline_of_caller_suspended():
            await saying.quit(self._context, self.connection, reason)

    def ignore(self, name: str) -> Refuse | None:
        """Show the client nothing more of what somebody says; return why not."""
        return saying.ignore(self._context, self.connection, name)

    def unignore(self, name: str) -> Refuse | None:
        """Show the client again what somebody says; return why not."""
        return saying.unignore(self._context, self.connection, name)

    def _deadline_of_caller_suspended(self) -> AbstractContextManager[None]:
        # Each plugin that is asked has a deadline of its own. If one hangs, the command that asked is not to blame.
        return self._context.plugins.deadlines.suspended()

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
        connection.outbox.put(self._dialogue.greeting())
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
            while (request := await self._next_request()) is not None:
                if not isinstance(request, Login):
                    await self._serve(request)
                    if connection.ended:
                        return False
                    continue
                # What plugins send it in on_join follows the greeting: above a long history nobody would see it.
                async with connection.outbox.exclusive() as send:
                    refusal = await self._try_name(request.name)
                    if refusal is None:
                        patience.deadline = math.inf
                        trio.lowlevel.current_task().name = f"client {connection.name}"
                        return await self._arrive(request, send)
                if connection.ended:
                    return False
                logger.debug("%s: refused as %r: %s", connection, request.name, refusal.reason)
                tries += 1
                if tries == NAME_TRIES:
                    connection.end("no name", farewell=f"{refusal.reason}; that was the last try")
                    return False
                self._answer(request, refusal)
            connection.end("closed the connection")
        connection.end("no name in time", farewell=f"no name within {timeout:g} seconds")
        return False

    async def _next_request(self) -> Request | None:
        """Wait for the next request, and return it, or `None` if there will be none."""
        while (request := next(self._came, None)) is None:
            data = await self._transport.receive()
            self._came = iter(self._dialogue.receive(data))
            if not data:
                return next(self._came, None)
        return request

    async def _try_name(self, text: str) -> Refuse | None:
        """Give the client the name that `text` asks for, or return why it cannot have it."""
        connection, hub = self.connection, self._context.hub
        try:
            name = nicknames.prepare(text)
        except nicknames.InvalidName as invalid:
            return Refuse(str(invalid), "name_invalid")
        if not hub.claim(connection, name):
            return Refuse(f"the name {name!r} is taken", "name_taken")
        refusal = await self._context.plugins.ask(hookspecs.on_join, connection.client)
        if refusal is not None:
            hub.take_back(connection)
        return refusal

    async def _arrive(self, request: Login, send: Send) -> bool:
        """Let the client into its first room, if it wants one. Return whether it has arrived; if not, it has ended."""
        connection = self.connection
        if request.room:
            refusal = await enter(self._context, connection, request.room, "", send)
            if refusal is not None:
                connection.end(f"refused: {refusal.reason}", farewell=f"refused: {refusal.reason}")
                return False
        connection.arrived = True
        self._answer(request, Answer())
        return True

    async def _chat(self, calls: Calls) -> None:
        """Do what the client asks for, until it asks for no more."""
        transport, dialogue, turns = self._transport, self._dialogue, self._context.broadcaster.turns
        is_waiting = await self._take(self._came, calls, more_is_there=False)
        self._came = iter(())
        while True:
            data = None
            if is_waiting:
                # In a busy room, being woken for each line would cost more than all else that is done with it.
                await turns.end_of_round()
                data = transport.receive_nowait()
            if data is None:
                if dialogue.patience == math.inf:
                    data = await transport.receive()
                else:
                    data = await self._receive_in_time(calls)
            # Nothing here keeps the requests, so a silent client takes no memory for its last ones.
            is_waiting = await self._take(dialogue.receive(data), calls, len(data) == RECEIVE_BYTES)
            if not data:
                break
        self.connection.end("closed the connection")

    async def _receive_in_time(self, calls: Calls) -> bytes:
        """Return what arrives. After some silence, the dialogue completes what it can without it."""
        with trio.move_on_after(self._dialogue.patience):
            return await self._transport.receive()
        await self._take(self._dialogue.idle(), calls, more_is_there=False)
        return await self._transport.receive()

    async def _take(self, requests: Iterable[Request], calls: Calls, more_is_there: bool) -> bool:
        """Carry out requests that came together: ask plugins about what is said, and publish what may be said.

        Returns whether to wait for the end of the broadcaster's round: the last message is in the inbox, nobody else
        has run since, and no more is there to be received.
        """
        # Looked up here, and not for each message: that is four calls of Python functions.
        connection, plugins, broadcaster = self.connection, self._context.plugins, self._context.broadcaster
        client = connection.client
        is_alone = not more_is_there and isinstance(requests, list) and len(requests) < 2
        is_waiting = False
        for request in requests:
            if connection.reason is not None:
                break  # ended by somebody who ran meanwhile, or was woken together with it
            if isinstance(request, Say) and request.bare:  # nearly all requests are
                message = connection.draft.with_text(request.text)
            elif not isinstance(request, Say) or request.label:
                await self._serve(request)
                is_waiting = False
                continue
            elif isinstance(draft := self._message(request), Message):
                message = draft
            else:
                await self._withhold(request, draft)
                is_waiting = False
                continue
            # Nobody is asked about a message that is blank, or had only control characters in it.
            answer = plugins.ask_message(client, message, calls) if message.text.strip() else _BLANK
            if answer is not message and inspect.isawaitable(answer):
                answer = await answer
            if not isinstance(answer, Message):
                await self._withhold(request, answer)
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

    def _message(self, request: Say) -> Message | Refuse:
        """Return what a request says, if it is more than one line of the line protocol, or why it says nothing."""
        connection = self.connection
        room = saying.room_in(connection, request.room)
        if isinstance(room, Refuse):
            return room
        return Message(request.text, connection.name, (room,), request.kind, reply_to=request.reply_to)

    async def _withhold(self, request: Request, answer: Handled | Refuse) -> None:
        """Tell the client why a message is not sent, if it was refused."""
        connection = self.connection
        if isinstance(answer, Refuse) and not connection.ended:
            logger.debug("%s: not sent: %s", connection, answer.reason)
            self._answer(request, answer)
        # Publishing waits when there is too much of it. Without this, a chunk of commands or of blank lines would hold
        # everyone up.
        await trio.lowlevel.checkpoint()

    async def _serve(self, request: Request) -> None:
        """Carry out a request that says nothing in a room, and answer it."""
        connection = self.connection
        match request:
            case Reply(data):
                connection.outbox.put(data)
            case Foreign(reason, farewell):
                connection.end(reason, farewell=farewell)
            case Malformed(reason, code):
                self._answer(request, Refuse(reason, code))
            case _ if not connection.has_joined:
                self._answer(request, Refuse("give a name first", "login_required"))
            case Login():
                self._answer(request, Refuse("you have a name already"))
            case _:
                outcome = await requests.carry_out(self._context, connection, request)
                if not connection.ended:
                    self._answer(request, outcome)
        await trio.lowlevel.checkpoint()

    def _answer(self, request: Request, outcome: Outcome) -> None:
        self.connection.outbox.put(self._dialogue.answered(request, outcome))
