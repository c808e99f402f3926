"""Commands with secret arguments: what the log says of them has no word that may come from the arguments.

An error may quote what was typed, in its own text or in that of its cause, in whatever form. So nothing of that text is
logged, only the kind of the error and where it was raised.
"""

import inspect
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trichat._base.failures import leaves, split_failure
from trichat._base.messages import Refuse
from trichat._plugins.commands import Answered, Command, Room, TakesRoom
from trichat._plugins.shadow import noting_only

if TYPE_CHECKING:
    from trichat._chat.client import Client


class Withheld(Exception):
    """A command with secret arguments failed. The text names the errors, and leaves out what they say."""


class SecretRun(TakesRoom):
    """Runs a command whose arguments are secret. What the command raises becomes a `Withheld`, in the same place."""

    def __init__(self, command: Command) -> None:
        self.__wrapped__ = command.run
        self._command = command
        self._what = f"/{command.name}"

    def run_in(self, client: "Client", arguments: str, room: Room) -> Answered:
        with self._secretly():
            answer = self._command.run_in(client, arguments, room)
        return self._wait_for(answer) if inspect.isawaitable(answer) else answer

    async def _wait_for(self, answer: Awaitable[str | Refuse | None]) -> str | Refuse | None:
        with self._secretly():
            return await answer

    @contextmanager
    def _secretly(self) -> Iterator[None]:
        with noting_only(f"done something in {self._what}, whose arguments are secret"):
            try:
                yield
            except BaseException as error:
                failure, passing = split_failure(error)
                if failure is None:
                    raise
                withheld = self._withheld(failure)
                if passing is not None:
                    raise BaseExceptionGroup("cut short", [passing, withheld]) from None
                raise withheld from None  # noqa: ASYNC104 -- there is no cancellation in it

    def _withheld(self, failure: BaseException) -> Withheld:
        kinds = ", ".join(type(leaf).__name__ for leaf in leaves(failure))
        text = f"{kinds} (what it says is withheld, because the arguments of {self._what} are secret)"
        return Withheld(text).with_traceback(failure.__traceback__)
