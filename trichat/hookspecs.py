"""The hooks: everything that a plugin can be asked or told.

A plugin marks its functions with `@trichat.hookimpl`. Each takes any of the arguments below, by name. Hooks to which
plugins *contribute* (`lifespan`, `commands`, `listeners`, `announcements`, `control_requests`) are a plain `def`, and
so is `permits`; all others are `def` or `async def`. A plain `def` runs at once in the task named, so it must not
block; if one of those others returns an awaitable, that is awaited.

Plugins are called one after the other: hooks marked `tryfirst` first and those marked `trylast` last; otherwise the
plugin registered last is called first. In `on_broadcast`, plugins that are required come before all others.
Contributions are collected in the order of registration. A plugin may also name others that it has to come before or
after, in all its hooks, with the attributes `before = ["name"]` and `after = ["name"]`. A call that is still waiting
after `hook_timeout` is cancelled and counts as a failure.

A plugin fails when it raises, exceeds its time, or gives an answer that the hook does not know. If the hook *asks*, the
action that it asked about is then refused. If it *tells*, the next plugin is told. The log names the plugin either way.
A call that finishes after its deadline has failed if the hook asks, and counts as done if the hook tells. Cancellation
is not a failure. It passes through every hook: a plugin that catches `trio.Cancelled` must raise it again.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pluggy

from trichat._base.messages import Handled, Message, Refuse

if TYPE_CHECKING:
    from trichat._chat.client import Client
    from trichat._chat.person import Person
    from trichat._net.listener import Listener
    from trichat._plugins.commands import Command
    from trichat._server import Server

ControlRequest = Callable[[Sequence[str]], Awaitable[str | Refuse] | str | Refuse]
"""Answers a request of the control socket: takes the words after its name, and returns text, or why it is refused."""

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("trichat")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("trichat")
"""Marks a function of a plugin as the implementation of the hook that it is named after."""


@hookspec
def lifespan(server: "Server") -> AbstractAsyncContextManager[None]:  # type: ignore[empty-body]
    """Contribute what lives as long as the server: files, connections, background tasks.

    Fires: at start, before the listeners open. The context managers are entered one after the other, in the order of
    registration, and left in the reverse order after the last client is gone. A new version of a plugin is entered
    while the server runs, after the previous version has been left.

    Task: a task of the plugin's own. `server.start_soon(function, ...)` starts a background task of the plugin, which
    ends before the lifespan is left. A nursery opened inside belongs to the plugin, too.

    Answer: an async context manager.

    Failure: if it raises on entry, the server does not start, and the error names the plugin; if it is a new version,
    the previous one is entered again. A background task that crashes later takes down only its plugin: from then on it
    is told nothing, and refuses whatever it is asked.

    Cancellation: a stop cancels an entry that is under way. Once entered, the context manager is left only after the
    last client is gone, even if the server is cancelled. Leaving gets a share of `shutdown_timeout`, and is cancelled
    when that is used up.
    """


@hookspec
def commands() -> "Iterable[Command]":  # type: ignore[empty-body]
    """Contribute slash commands, for `/help` to list and anyone to call.

    Fires: once at start, after every `lifespan` has been entered; for a new version of a plugin, before. It must be a
    plain `def`.

    Task: the server's.

    Answer: the commands.

    Failure: the server does not start; nor does it if another plugin has the same command.

    Cancellation: it does not wait, so it cannot be cancelled.
    """


@hookspec
def listeners(server: "Server") -> "Iterable[Listener]":  # type: ignore[empty-body]
    """Contribute more ways in: listeners, each with the protocol that its clients speak.

    Fires: once at start, after every `lifespan` has been entered and before any listener opens. They open after the
    server's own. For a new version of a plugin, after its `lifespan` has been entered; those of the previous version
    are closed by then, and clients that came through them stay connected. It must be a plain `def`.

    Task: the server's; for a new version, that of its lifespan. Each listener then runs as a background task of the
    plugin.

    Answer: the listeners. They have `hook_timeout` to open, all together. A stop closes them before clients are told to
    leave.

    Failure: if it raises, or if a listener cannot open, the server does not start, and the error names the plugin; if
    it is a new version, the previous one keeps running. A listener that fails later takes down only its plugin, as any
    background task does; clients that came through it stay connected.

    Cancellation: it does not wait, so it cannot be cancelled. A stop cancels the listeners.
    """


@hookspec
def announcements(server: "Server") -> Iterable[str]:  # type: ignore[empty-body]
    """Contribute lines for what `trichat serve` prints when the server listens, such as where a file is.

    Fires: once, when all listeners are open, under `trichat serve` only. It must be a plain `def`.

    Task: the server's.

    Answer: the lines. They follow the list of plugins, in the order of registration.

    Failure: the lines of this plugin are missing; the server runs.

    Cancellation: it does not wait, so it cannot be cancelled.
    """


@hookspec
def control_requests(server: "Server") -> Mapping[str, ControlRequest]:  # type: ignore[empty-body]
    """Contribute requests of the control socket: what `trichat ask NAME [WORD ...]` can ask a running server.

    Fires: before the server starts, to find names that are taken, and again for each request that is not one of
    trichat's own. It must be a plain `def`.

    Task: the server's at the start, later that of the connection that asks.

    Answer: functions by name. Each is `def` or `async def`, is called with the words after the name, and returns text
    of any number of lines, or `Refuse(reason)`. A call has `hook_timeout` to finish.

    Failure: if it raises, the server does not start; nor does it if trichat or another plugin has one of the names. If
    a function fails, the log names the plugin, and the answer says that it failed.

    Cancellation: the server is stopping. A request is answered even if the client that asked has gone.
    """


@hookspec
async def on_connect(client: "Client") -> Refuse | None:
    """Ask whether a connection may stay. Only its address is known; nothing has been read.

    Fires: once for each connection that the server has room for.

    Task: the client's own.

    Answer: `None`, or `Refuse(reason)`: the client is told `* refused: reason` and disconnected, and no room hears of
    it.

    Failure: the connection is refused.

    Cancellation: the client is gone or the server stops; `on_disconnect` follows.
    """


@hookspec
async def on_join(client: "Client") -> Refuse | None:
    """Ask whether a client may join. It has given a valid name that is free, and the name is kept for it.

    Fires: once for each name that is valid and free, before anyone is told of the client.

    Task: the client's own.

    Answer: `None`, or `Refuse(reason)`: the client is told why and may try another name.

    Failure: the name is refused.

    Cancellation: the client is gone, took too long to give a name, or the server stops; `on_disconnect` follows.
    """


@hookspec
async def on_enter(client: "Client", room: str, key: str) -> Refuse | None:
    """Ask whether a client may enter a room. `key` is what it gave to be let in; empty if it gave nothing.

    Fires: before a client enters a room, the first one too. It is in its former room meanwhile, if it has one.

    Task: the client's own, or that of the plugin that moves it.

    Answer: `None`, or `Refuse(reason)`: the client is told why and stays where it is. If it is in no room yet, it is
    disconnected.

    Failure: the client may not enter.

    Cancellation: the client is gone or the server stops.
    """


@hookspec
async def on_rename(client: "Client", name: str) -> Refuse | None:
    """Ask whether a person may have another name. The name is valid and free, and is kept for the person meanwhile.

    Fires: before the name changes, and before anyone is told of it. `client` still has the present name.

    Task: the client's own, or that of the plugin that renames it.

    Answer: `None`, or `Refuse(reason)`: the person keeps the present name, and is told why.

    Failure: the name is refused.

    Cancellation: the client is gone or the server stops.
    """


@hookspec
async def on_message(client: "Client", message: Message) -> Message | Handled | Refuse | None:
    """Ask what to do with a message of a client: with everything that people are meant to read, and nothing else.

    Fires: for each message that is not blank, in the order of arrival, before anyone has seen it. Slash commands and
    private lines are not messages. The kind of a message says what becomes of the text: words in a room (`said`, `did`,
    `noticed`), a `topic`, or the reason that somebody gives for leaving (`left`, `quit`). Why somebody is away comes as
    `did`, too; it is shown to those who ask.

    Task: the sender's own, so a plugin that waits here delays only the sender.

    Answer: `None`: no objection. A `Message`: use that one instead; the plugins after this one see it. `Handled()`: it
    was meant for this plugin and goes no further. `Refuse(reason)`: it is not sent, and the sender is told why.

    Failure: the message is refused.

    Cancellation: the sender is gone or the server stops; the message is not sent.
    """


@hookspec
async def on_tell(client: "Client", other: "Person", text: str) -> str | Handled | Refuse | None:
    """Ask what to do with a private line: what a client says to one person alone.

    Fires: for each private line that is not blank, after what the client said in rooms before was sent. The other
    person is here. No plugin is told of private lines in any other way, and trichat itself writes them nowhere.

    Task: the sender's own, or that of the plugin that makes it tell something.

    Answer: `None`: no objection. A `str`: tell this instead, or nothing if it is blank; the plugins after this one see
    it. `Handled()`: it was meant for this plugin and goes no further. `Refuse(reason)`: it is not told, and the sender
    hears why.

    Failure: the line is refused.

    Cancellation: the sender is gone or the server stops; the line is not told.
    """


@hookspec
async def on_broadcast(messages: Sequence[Message]) -> None:
    """Tell what is about to be sent: a batch of messages, numbered, in the one order, of any rooms.

    Fires: for each batch, before any client sees any of it. A plugin that stores every batch has stored everything that
    anyone has seen.

    Task: the broadcaster's; a plain `def` may also be called in the task of a client that speaks alone. No message is
    sent until it returns, so leave slow work to a task of your own.

    Answer: nothing.

    Failure: the next plugin is told. If the plugin is required, the batch is sent to nobody instead, and its senders
    are told. Only one plugin should be required: a plugin that was told before it cannot take the batch back.

    Cancellation: the server is stopping and `shutdown_timeout` is used up.
    """


@hookspec
async def on_disconnect(client: "Client", reason: str) -> None:
    """Tell that a client has left. It is in no room any more, and anything sent to it may not arrive.

    Fires: exactly once for each connection that `on_connect` fired for, whatever ended it. Every plugin is told, also
    those that were not asked there because a plugin before them refused.

    Task: the client's own.

    Answer: nothing.

    Failure: the next plugin is told.

    Cancellation: the hook is shielded from whatever ended the client. Only when a stop uses up `shutdown_timeout` is it
    cancelled, at its next checkpoint; even then every plugin is called.
    """


@hookspec
async def history(room: str, after: int, before: int, limit: int | None, newest: bool) -> Iterable[Message] | None:
    """Ask for messages of a room, oldest first: of those with `after < id < before`, the `newest` ones or the oldest.

    `limit` is how many are wanted at most; with `None`, they are for joiners, and the plugin decides how many it gives
    them.

    Fires: when clients join, once for all that see the same part of it, and when a client asks for a page of the past.

    Task: the task of one of these clients.

    Answer: `None`: ask the next plugin. A sequence: it is in memory and short. Any other iterable: it may be long;
    worker threads read it, a page at a time, as fast as the client takes it.

    Failure: the client is told that the history cannot be shown.

    Cancellation: the client is gone or the server stops.
    """


@hookspec
def permits(client: "Client", action: str, room: str) -> bool | Refuse | None:
    """Ask whether a client may do something: give a command, see operators' notices, stop the server.

    Fires: for each call of `client.may` and `server.refusal`, such as for a command that has an `action`, but not for
    each message. Plugins are asked until one refuses. It must be a plain `def` that answers from memory.

    Task: that of the code that asks.

    Answer: `Refuse(reason)`: no, whatever other plugins say. `True`: yes, unless another plugin refuses. `False` or
    `None`: no opinion; if no plugin has one, the default of the action decides. `room` is empty for the whole server.

    Failure: the action is refused.

    Cancellation: it does not wait, so it cannot be cancelled.
    """


@hookspec
async def on_reload() -> None:
    """Tell that files may have changed (the server got SIGHUP): open them again.

    Fires: for each call of `Server.reload`, also in a plugin that has failed so often that it is told nothing else;
    when this call succeeds, it is told everything again.

    Task: the task that called it.

    Answer: nothing.

    Failure: the next plugin is told. Keep what you had before.

    Cancellation: the server stops.
    """
