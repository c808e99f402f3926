"""Plugins in shadow: such a plugin runs as usual, but what it would do to the chat is logged and not done.

`Shadow` replaces the plugin's functions, and intercepts their answers. A plugin may also act by itself, for example in
a background task. The few methods of `Client` and `Server` that have an effect withhold it then. They recognize the
plugin by a context variable, which Python passes on to the tasks that the plugin starts.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec

from trichat._base.messages import Handled, Message, Refuse
from trichat._base.text import printable

logger = logging.getLogger("trichat.shadow")

# Characters of a text that are shown: enough to recognize it.
SHOWN = 80

Note = Callable[[str], None]
"""Takes what a plugin would have done, in words that follow "would have"."""

_NOTE: ContextVar[Note | None] = ContextVar("trichat.shadow", default=None)


@contextmanager
def shadowing(note: Note) -> Iterator[None]:
    """Withhold what is done in the block and in the tasks that are started there."""
    token = _NOTE.set(note)
    try:
        yield
    finally:
        _NOTE.reset(token)


@contextmanager
def noting_only(deed: str) -> Iterator[None]:
    """Let a caller in shadow note `deed` for each thing that is withheld in the block, and nothing more about it."""
    note = _NOTE.get()
    if note is None:
        yield
        return
    with shadowing(lambda _: note(deed)):
        yield


def is_withheld(deed: str, *about: object) -> bool:
    """Whether the caller is in shadow. If so, `deed` is noted, with `about` in place of each `%s`."""
    note = _NOTE.get()
    if note is None:
        return False
    note(deed % tuple(shown(each) if isinstance(each, str) else each for each in about))
    return True


def shown(text: str) -> str:
    """Return the beginning of `text`, quoted and safe on every terminal."""
    return repr(printable(text[:SHOWN])) + ("..." if len(text) > SHOWN else "")


class Shadow(msgspec.Struct, frozen=True):
    """Replaces a plugin's function in a hook. It is called with the hook's arguments, and calls the function with them.

    An answer that is one of `answers` is noted and withheld. Any other is passed on, so that it is reported as wrong.
    """

    plugin: str
    call: Callable[..., Any]
    answers: tuple[type, ...]

    def __call__(self, *arguments: Any) -> Any:
        """Call the plugin."""
        with shadowing(self._note):
            answer = self.call(*arguments)
        if isinstance(answer, AbstractAsyncContextManager):
            return self._lifespan(answer)
        if inspect.isawaitable(answer):
            return self._awaited(answer, arguments)
        return self._taken(answer, arguments)

    @asynccontextmanager
    async def _lifespan(self, manager: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        with shadowing(self._note):
            async with manager:
                yield

    async def _awaited(self, answer: Awaitable[Any], arguments: Sequence[Any]) -> Any:
        with shadowing(self._note):
            result = await answer
        return self._taken(result, arguments)

    def _taken(self, answer: Any, arguments: Sequence[Any]) -> Any:
        if answer is None or not isinstance(answer, self.answers):
            return answer
        deed = describe(answer, arguments)
        if deed:
            self._note(deed)
        return None

    def _note(self, deed: str) -> None:
        logger.info("plugin %r in shadow: would have %s", self.plugin, deed)


def describe(answer: object, arguments: Sequence[Any]) -> str:
    """Return what an answer does, in words that follow "would have"; empty if it changes nothing.

    `arguments` are those of the hook: a client, a client and its message, a client, a person and a private line, a
    client and an action in a room, or a room and what is asked of its history.
    """
    match arguments:
        case [str(room), *_]:
            return f"given the history of {shown(room)}"
        case [client, Message() as message]:
            whom = f"{shown(message.text)} of {client}"
        case [client, other, str()] if not isinstance(other, str):
            whom = f"a private line of {client} to {other}"  # nobody else may read it
        case [client, str(action), str()]:
            whom = f"{shown(action)} of {client}"
        case [client, *_]:
            whom = str(client)
    if isinstance(answer, Refuse):
        return f"refused {whom}: {shown(answer.reason)}"
    if isinstance(answer, bool):
        return f"permitted {whom}" if answer else ""
    if isinstance(answer, Message):
        return "" if answer == message else f"changed {whom} to {shown(answer.text)}"
    if isinstance(answer, str):
        return f"changed {whom}"
    assert isinstance(answer, Handled)
    return f"handled {whom}"
