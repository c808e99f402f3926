"""The hooks: everything that a plugin can be asked or told.

A plugin marks its functions with `@trichat.hookimpl`; each may take any of the arguments below, by name, and be `def`
or `async def`. A plain `def` runs at once in the task named, so it must not block; what it returns is awaited if it can
be.

Plugins are called one after the other: those with the attribute `required = True` before all others; among them the
hooks marked `tryfirst` first, then the last registered first, those marked `trylast` last. A plugin may also say whom
it has to come before or after, in all its hooks, by the attributes `before = ["name"]` and `after = ["name"]`: then who
has to wait is moved behind the other. A call that is still waiting after `hook_timeout` is cancelled and counts as a
failure.

When a plugin fails (it raises, overruns its time or answers something that the hook does not know), a hook that *asks*
refuses that one action, and a hook that *tells* goes on to the next plugin; the log names the plugin either way.
One that comes to its end all the same after its time has failed where it is asked, and is done where it is told.
Cancellation is not a failure: it passes through every hook, and a plugin has to let it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pluggy

from trichat._base.messages import Handled, Message, Refuse

if TYPE_CHECKING:
    from trichat._chat.client import Client
    from trichat._plugins.commands import Command
    from trichat._server import Server

ControlRequest = Callable[[Sequence[str]], Awaitable[str | Refuse] | str | Refuse]
"""Answers a request of the control socket: takes the words after its name, and returns text, or why it is refused."""

hookspec = pluggy.HookspecMarker("trichat")
hookimpl = pluggy.HookimplMarker("trichat")
"""Marks a function of a plugin as the implementation of the hook that it is named after."""


@hookspec
def lifespan(server: "Server") -> AbstractAsyncContextManager[None]:  # type: ignore[empty-body]
    """Contribute what has to live as long as the server: files, connections, background tasks.

    Fires: at start, before the listeners open. What it returns is entered then, one plugin after the other in the order
    of their registration, and left in the reverse order after the last client is gone. A new version of a plugin is
    entered while the server runs, after the one before was left.
    Task: a task of the plugin's own. `server.start_soon(function, ...)` starts a background task of the plugin, which
    has ended before the lifespan is left; a nursery opened inside belongs to the plugin, too.
    Answer: an async context manager.
    Failure: raising while it is entered refuses the start, naming the plugin, or the new version: then the one before
    is entered again. A background task that crashes later takes down only its plugin: the hooks in which it tells are
    silent from then on, those in which it asks refuse.
    Cancellation: when the server is stopped, entering it is cancelled. Once it is entered, the plugin is kept as long
    as there are clients, even if the server is cancelled; leaving it has a share of `shutdown_timeout`, and is
    cancelled when that is over.
    """


@hookspec
def commands() -> "Iterable[Command]":  # type: ignore[empty-body]
    """Contribute slash commands, for `/help` to list and anyone to call.

    Fires: once at start, after every `lifespan` was entered; of a new version, before. It must be a plain `def`.
    Task: the server's.
    Answer: the commands.
    Failure: raising refuses the start, and so does a command that another plugin has already.
    Cancellation: it does not wait, so it cannot be cancelled.
    """


@hookspec
def announcements(server: "Server") -> Iterable[str]:  # type: ignore[empty-body]
    """Contribute lines for what `trichat serve` prints when the server listens: where a file is, say.

    Fires: once, when all listeners are open. A program that embeds the server prints nothing, and does not ask. It must
    be a plain `def`.
    Task: the server's.
    Answer: the lines. They come after the list of plugins, in the order of registration.
    Failure: the lines of this plugin are missing; the server runs.
    Cancellation: it does not wait, so it cannot be cancelled.
    """


@hookspec
def control_requests(server: "Server") -> Mapping[str, ControlRequest]:  # type: ignore[empty-body]
    """Contribute requests of the control socket: what `trichat ask NAME [WORD ...]` can ask a server that runs.

    Fires: before the start, so that a name that is taken refuses it, and anew for each request that trichat itself does
    not have. It must be a plain `def`.
    Task: the server's at the start, then that of the connection on which somebody asks.
    Answer: functions by name. Each is `def` or `async def`, is called with the words that follow the name, and returns
    text, in as many lines as there are to tell, or `Refuse(reason)`. A call has `hook_timeout` for it.
    Failure: raising here refuses the start, and so does a name that trichat or another plugin has. When a function
    fails, the log names the plugin, and whoever asks is told that it failed.
    Cancellation: the server is stopping. A request is answered even if whoever asked has gone.
    """


@hookspec
async def on_connect(client: "Client") -> Refuse | None:
    """Ask whether a connection may stay. Only its address is known; nothing has been read.

    Fires: once for each connection that the server has room for.
    Task: the client's own.
    Answer: `None`, or `Refuse(reason)`: the client is told `* refused: reason` and closed, and no room hears of it.
    Failure: the connection is refused.
    Cancellation: the client is gone or the server stops; `on_disconnect` follows.
    """


@hookspec
async def on_join(client: "Client") -> Refuse | None:
    """Ask whether a client may join. It has given a valid name that is free, and the name is kept for it.

    Fires: once for each name that could be had; nobody has been told yet.
    Task: the client's own.
    Answer: `None`, or `Refuse(reason)`: the client is told why and may try another name.
    Failure: the name is refused.
    Cancellation: the client is gone, took too long over its name, or the server stops; `on_disconnect` follows.
    """


@hookspec
async def on_message(client: "Client", message: Message) -> Message | Handled | Refuse | None:
    """Ask what to do with a line that a client sent.

    Fires: for each line that is not empty, in the order of arrival, before anyone has seen it.
    Task: the sender's own, so a plugin that waits here delays only the sender.
    Answer: `None`: go on. A `Message`: go on with that one; the plugins after this one see it. `Handled()`: it was for
    this plugin and goes no further. `Refuse(reason)`: it is not sent, and the sender is told why.
    Failure: the message is refused.
    Cancellation: the sender is gone or the server stops; the message is not sent.
    """


@hookspec
async def on_broadcast(messages: Sequence[Message]) -> None:
    """Tell what is about to be sent: a batch of messages, numbered, in the one order, of any rooms.

    Fires: for each batch, before any client sees any of it. Whoever writes them down has written everything that
    anyone ever saw.
    Task: the broadcaster; a plain `def` may also be called in the task of whoever speaks alone. Everybody waits
    meanwhile, so hand over slow work to a task of your own.
    Answer: nothing.
    Failure: skipped, unless the plugin has the attribute `required = True`: then the batch is not sent to anyone, and
    its senders are told. Only one plugin should be required: one that was told before cannot take it back.
    Cancellation: the server stops, and has run out of `shutdown_timeout`.
    """


@hookspec
async def on_disconnect(client: "Client", reason: str) -> None:
    """Tell that a client has left. It is in no room any more, and what is sent to it may not arrive.

    Fires: exactly once for each connection that `on_connect` fired for, whatever ended it. When a plugin refused it
    there, those after that plugin were not asked, and are told here all the same.
    Task: the client's own.
    Answer: nothing.
    Failure: skipped.
    Cancellation: the hook is shielded from what ended the client; only when a stop runs out of `shutdown_timeout` it
    is cancelled, at its next checkpoint, and even then every plugin is called.
    """


@hookspec
async def history(room: str, after: int, before: int) -> Iterable[Message] | None:
    """Ask for the messages of a room that a joiner is to see: those with `after < id < before`, oldest first.

    Fires: when clients join, once for all that see the same part of it.
    Task: the task of one of these clients.
    Answer: `None`: ask the next plugin. A sequence: it is in memory and short. Any other iterable: it may be long; it
    is read in worker threads, a page at a time, while the client takes it.
    Failure: the joiner is told that there is no history.
    Cancellation: the client is gone or the server stops.
    """


@hookspec
async def on_reload() -> None:
    """Tell that files may have changed (the server got SIGHUP): open them anew.

    Fires: for each call of `Server.reload`, also for who has failed so often that it is told nothing else any more;
    when this succeeds, it is told everything again.
    Task: the task that called it.
    Answer: nothing.
    Failure: skipped; go on with what you had.
    Cancellation: the server stops.
    """
