"""Commands with secret arguments: no log line and no report has a word of them."""

import logging
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import trio

from trichat import Client, Command, Server, StorageError, command, hookimpl
from trichat.testing import Chat, running

SECRET = "hunter2"


class Panic(BaseException):
    """What a library that is not written in Python may raise."""


def quoting(kind: str, word: str) -> BaseException:
    """Return an error that quotes a word, in its own text or anywhere else."""
    match kind:
        case "cause":
            error: BaseException = ValueError("refused")
            error.__cause__ = KeyError(word)
        case "context":
            error = ValueError("refused")
            error.__context__ = KeyError(word)
        case "note":
            error = ValueError("refused")
            error.add_note(f"it was {word}")
        case "file":
            error = FileNotFoundError(2, "No such file", word)
        case "storage":
            error = StorageError(f"cannot write {word}")
        case "exit":
            error = SystemExit(word)
        case "panic":
            error = Panic(word)
        case "group":
            error = BaseExceptionGroup(word, [ValueError(word), Panic(word)])
        case _:
            error = ValueError(f"not {word!r}")
    return error


KINDS = {
    "text": "ValueError",
    "cause": "ValueError",
    "context": "ValueError",
    "note": "ValueError",
    "file": "FileNotFoundError",
    "storage": "StorageError",
    "exit": "SystemExit",
    "panic": "Panic",
    "group": "ValueError, Panic",
}
"""What is logged of each of them."""


class Accounts:
    """A plugin whose commands quote their arguments in what they raise."""

    def __init__(self) -> None:
        self.kind = "text"

    @command("login", help="fails at once", secret=True)
    def login(self, client: Client, text: str) -> str:
        raise quoting(self.kind, text)

    @command("register", help="fails after a wait", secret=True)
    async def register(self, client: Client, text: str) -> str:
        await trio.sleep(1)
        raise quoting(self.kind, text)

    @hookimpl
    def commands(self) -> Iterable[Command]:
        return [Command("token", "fails, too", self._token, secret=True)]

    def _token(self, client: Client, arguments: str) -> str:
        raise quoting(self.kind, arguments)


def as_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, with the tracebacks."""
    formatter = logging.Formatter()
    return "\n".join(map(formatter.format, caplog.records))


@pytest.mark.parametrize(("kind", "error"), KINDS.items())
async def test_a_failure_is_logged_with_its_kind_and_place_but_without_its_text(
    kind: str, error: str, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = Accounts()
    accounts.kind = kind
    async with running({"accounts": accounts}) as chat:
        alice = await chat.join("alice")
        for name in ("login", "register", "token"):
            await alice.say(f"/{name} {SECRET}")
            await alice.hears(f"* /{name} of the plugin 'accounts' failed")
    logged = as_logged(caplog)
    assert SECRET not in logged
    for name in ("login", "register", "token"):
        assert (
            f"plugin 'accounts' failed in /{name}: {error} (what it says is withheld, because the arguments of /{name} "
            "are secret)"
        ) in logged
    assert re.search(r'test_secrecy\.py", line \d+, in register\n', logged)


async def test_what_fails_in_a_secret_command_that_is_cut_short_is_logged_without_its_text(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Untidy:
        @command("login", help="takes its time", secret=True)
        async def login(self, client: Client, text: str) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fails_at_its_end, text)
                await trio.sleep_forever()

        async def _fails_at_its_end(self, text: str) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError(text)

    async with running({"untidy": Untidy()}) as chat:
        alice = await chat.join("alice")
        await alice.say(f"/login {SECRET}")
        await chat.settled()
        chat.server.clients[0].kick("too slow")
        await alice.hears("* too slow")
    assert SECRET not in as_logged(caplog)
    assert "plugin 'untidy' failed in /login: ValueError (what it says is withheld" in as_logged(caplog)


async def test_a_deadline_is_logged_as_for_any_command(virtual_time: object, caplog: pytest.LogCaptureFixture) -> None:
    class Slow:
        @command("login", help="never ends", secret=True)
        async def login(self, client: Client, text: str) -> None:
            await trio.sleep_forever()

    async with running({"slow": Slow()}) as chat:
        alice = await chat.join("alice")
        await alice.say(f"/login {SECRET}")
        assert await alice.next_line(10) == "* /login of the plugin 'slow' failed"
    assert "plugin 'slow' failed in /login: it took longer than hook_timeout (5 s)" in caplog.messages
    assert SECRET not in as_logged(caplog)


class Doors:
    """A plugin whose secret command does things with its arguments."""

    @command("open", help="opens a door", secret=True)
    async def open(self, client: Client, text: str) -> None:
        client.send(text)
        await trio.lowlevel.checkpoint()
        await client.server.say(client.room, text)

    @command("knock", help="knocks on a door", secret=True)
    def knock(self, client: Client, text: str) -> None:
        client.send(text)


class Ghost:
    """A plugin in shadow that runs commands of another plugin."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._haunt, server)
            yield
            nursery.cancel_scope.cancel()

    async def _haunt(self, server: Server) -> None:
        await trio.sleep(1)
        [client] = server.clients
        server.commands["knock"].run(client, SECRET)
        await server.commands["open"].run(client, SECRET)  # type: ignore[misc]
        client.send("boo")


@pytest.mark.chat(plugins={"doors": Doors(), "ghost": Ghost()}, config={"plugins": {"ghost": {"shadow": True}}})
async def test_a_shadow_reports_no_argument_of_a_secret_command(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trichat.shadow")
    await chat.join("alice")
    await trio.sleep(2)
    noted = [line.partition("would have ")[2] for line in caplog.messages if "'ghost' in shadow" in line]
    assert noted == [
        "done something in /knock, whose arguments are secret",
        *["done something in /open, whose arguments are secret"] * 2,
        "sent alice (127.0.0.1): 'boo'",
    ]
