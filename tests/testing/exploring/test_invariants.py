"""The invariants: for each, a mistake that breaks it, and the case in which it does.

A mistake of a plugin is a plugin here. A mistake that only the server could make is patched into it.
"""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from scenario_kit import NO_LOG, talk
from trichat_plugins._log_file import LogFile
from trio.lowlevel import checkpoint, spawn_system_task

from trichat import Client, Handled, Message, Refuse, format_log_lines, hookimpl, hookspecs
from trichat._base.failures import Interruption
from trichat._base.name_index import NameIndex
from trichat._chat.hub import Hub
from trichat._chat.teardown import Teardown
from trichat._net.outbox import Outbox
from trichat.testing import (
    INVARIANTS,
    Chat,
    Invariant,
    Run,
    Survey,
    Violation,
    cancel_everywhere,
    explore,
    fault_everywhere,
)
from trichat.testing._exploring.invariants import (
    backlogs_are_limited,
    cancellation_passed,
    departures_are_told,
    ended_in_time,
    history_is_whole,
    hub_is_empty,
    life_is_balanced,
    log_comes_first,
    log_is_whole,
    names_are_unique,
    no_line_is_lost,
    nothing_left,
    plugins_did_not_fail,
    server_did_not_crash,
    server_goes_on,
    title,
)
from trichat.testing._exploring.views import views_agree
from trichat.testing._probing.checkpoint_probe import Probe

BAD_PLUGINS = Path(__file__).parents[1] / "bad_plugins"


def broken(search: Callable[[], Survey], invariant: Invariant, case: str) -> str:
    """Return the first line of the report about a case that breaks an invariant."""
    with pytest.raises(Violation) as caught:
        search()
    found = {each.invariant: each.what.splitlines()[0] for each in caught.value.broken.get(case, [])}
    name = title(invariant)
    assert name in found, f"another invariant was broken: {caught.value}"
    assert f"  {name}: BROKEN\n" in str(caught.value)
    return found[name]


def test_an_invariant_is_called_by_its_docstring_or_by_its_name() -> None:
    def books_balance(run: Run) -> None:
        """All books balance."""

    def unnamed(run: Run) -> None: ...

    assert title(books_balance) == "all books balance"
    assert title(unnamed) == "unnamed"


def test_each_has_a_name_of_its_own_that_says_what_has_to_be() -> None:
    names = [title(invariant) for invariant in INVARIANTS]
    assert len(set(names)) == len(names)
    assert all(" " in name and not name.endswith(".") and name[0].islower() for name in names), names


class Spellchecker:
    """A correct plugin: it always releases its lock, and cleans up in time."""

    def __init__(self) -> None:
        self._lock = trio.Lock()
        self.checked: list[str] = []

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._save)
            yield
            nursery.cancel_scope.cancel()

    async def _save(self) -> None:
        while True:
            await trio.sleep(10)
            await trio.Path("words.txt").write_text("\n".join(self.checked))

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        async with self._lock:
            await trio.sleep(0.01)
            self.checked.append(message.text)
        return message.with_text(message.text.replace("teh", "the"))

    @hookimpl
    async def on_disconnect(self) -> None:
        with suppress(Exception), trio.move_on_after(1, shield=True):
            await checkpoint()


def test_a_good_plugin_breaks_none_of_them() -> None:
    parts = ("client", "hook spellchecker", "lifespan spellchecker")
    assert not cancel_everywhere(talk, plugins=[Spellchecker], parts=lambda label: label.startswith(parts)).broken
    assert not fault_everywhere(talk, plugins=[Spellchecker], config=NO_LOG).broken
    assert not explore(talk, 5, plugins=[Spellchecker]).broken


def test_what_is_said_of_a_broken_one_is_the_same_with_and_without_pytest() -> None:
    # pytest adds the values to the text of an `assert`, with addresses that differ each time.
    with pytest.raises(Violation) as caught:
        cancel_everywhere(talk, plugins=[Library], targets=["hook"], config=NO_LOG)
    whats = {each.what for found in caught.value.broken.values() for each in found if "crash" in each.invariant}
    assert whats == {"Shutdown()"}


# The server did not crash.


class Shutdown(Interruption):
    """An error that ends the server, and does not count as a failure of a plugin."""


class Library:
    @hookimpl
    async def on_message(self) -> None:
        try:
            await trio.sleep(0.01)
        except trio.Cancelled:
            raise Shutdown from None  # noqa: ASYNC104


def test_the_server_crashes() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Library], targets=["hook"], config=NO_LOG)

    assert broken(search, server_did_not_crash, "hook library.on_message @ 1") == "Shutdown()"


# What was cancelled ended soon.


class Archivist:
    @hookimpl
    async def on_disconnect(self) -> None:
        try:
            await trio.sleep(0.01)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(3600)
            raise


class Diary:
    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        try:
            yield
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(3600)
            raise


@pytest.mark.parametrize(
    ("plugin", "case"),
    [(Archivist, "hook archivist.on_disconnect @ 1"), (Diary, "lifespan diary @ 1")],
)
def test_a_shield_has_no_deadline(plugin: type, case: str) -> None:
    def search() -> Survey:
        return cancel_everywhere(
            talk, plugins=[plugin], parts=lambda label: plugin.__name__.lower() in label, config=NO_LOG
        )

    said = broken(search, ended_in_time, case)
    assert said.startswith(f"{case.partition(' @')[0]} took 3600 s to end after it was cancelled; give ")


def test_something_waits_for_ever() -> None:
    replied = trio.Event()

    async def say_goodbye() -> None:
        with trio.CancelScope(shield=True):
            await replied.wait()

    async def scenario() -> None:
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            await say_goodbye()  # noqa: ASYNC102
            raise

    said = broken(lambda: cancel_everywhere(scenario), ended_in_time, "scenario @ 1")
    assert said.startswith("it would have waited forever: the task ")
    assert said.endswith("say_goodbye: await replied.wait()")


# The cancellation was not swallowed.


class Translator:
    @hookimpl
    async def on_message(self, message: Message) -> Message | None:
        try:
            await trio.sleep(0.01)
        except BaseException:  # noqa: ASYNC103
            return None  # noqa: ASYNC104
        return message.with_text(message.text.upper())


class Bridge:
    @hookimpl
    async def on_message(self, message: Message) -> None:
        try:
            await trio.sleep(0.01)
        except BaseException as error:
            raise ConnectionError("the bridge is down") from error  # noqa: ASYNC104


async def shout(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.next_line()


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (Translator, "hook translator.on_message: it returned as if it had not been cancelled"),
        (Bridge, "hook bridge.on_message: it raised ConnectionError('the bridge is down') instead of trio.Cancelled"),
    ],
)
def test_a_plugin_catches_everything(plugin: type, said: str) -> None:
    def search() -> Survey:
        return cancel_everywhere(shout, plugins=[plugin], targets=["hook"], config=NO_LOG)

    case = f"hook {plugin.__name__.lower()}.on_message @ 1"
    assert broken(search, cancellation_passed, case).partition("; ")[0] == said


# No task, stream or file is left.


class Rules:
    """Reminds each client of the rules after half an hour. Nobody owns the task that does it."""

    @hookimpl
    def on_join(self, client: Client) -> None:
        spawn_system_task(self._remind, client)

    async def _remind(self, client: Client) -> None:
        await trio.sleep(1800)
        client.send("be kind")


def test_a_task_is_left() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Rules], targets=["hook"], config=NO_LOG)

    said = broken(search, nothing_left, "")
    assert said.startswith("the task ")
    assert "Rules._remind at test_invariants.py:" in said
    assert said.endswith("_remind: await trio.sleep(1800)")


class Guestbook:
    """Closes its file, unless it is cancelled first."""

    @hookimpl
    async def on_connect(self) -> None:
        fd = os.open("guestbook.txt", os.O_WRONLY | os.O_CREAT)
        await trio.sleep(0.01)
        os.close(fd)


def test_a_file_is_left() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Guestbook], targets=["hook"], config=NO_LOG)

    said = broken(search, nothing_left, "hook guestbook.on_connect @ 1")
    assert said.startswith("the file ")
    assert said.removesuffix(" is still open").removesuffix(" (deleted)").endswith("guestbook.txt")


async def close_carelessly(teardown: Teardown) -> None:
    """End a session as if nobody had thought of its cancellation."""
    connection, context = teardown._connection, teardown._context
    if connection.room:
        await context.broadcaster.inbox.flush()
    context.broadcaster.leave(connection)
    context.hub.release(connection)
    await context.plugins.tell(hookspecs.on_disconnect, connection.client, "")
    await teardown._transport.close()  # noqa: ASYNC102
    context.hub.dismiss(connection)


def test_a_session_that_is_cancelled_ends_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Teardown, "run", close_carelessly)
    with pytest.raises(Violation) as caught:
        cancel_everywhere(talk, targets=["client"], config=NO_LOG)
    # If alice is already in the room, all of these invariants are broken.
    found = next(found for found in caught.value.broken.values() if len(found) >= 4)
    said = {each.invariant: each.what.splitlines()[0] for each in found}
    assert said[title(nothing_left)] == "the server never closed its end of the connection to alice"
    assert said[title(life_is_balanced)] == "on_disconnect was not called for alice (127.0.0.1)"
    assert said[title(hub_is_empty)].startswith("the hub still knows [")
    assert said[title(departures_are_told)] == "nobody was told that alice left lobby"


# The log has only whole lines, with ascending dates.


class Notary:
    """Keeps the log instead of the built-in plugin, and waits in the middle of a line."""

    log_path = Path("chat_log.txt")

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        for message in messages:
            date, room, rest = format_log_lines([message]).split(" ", 2)
            append(f"{date} {room} ")
            await checkpoint()
            append(rest)


def append(text: str) -> None:
    with Path("chat_log.txt").open("a") as log:
        log.write(text)


def test_half_a_line_is_in_the_log_and_others_follow_it() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Notary], targets=["hook"], config=NO_LOG)

    case = "hook notary.on_broadcast @ 1"
    assert broken(search, log_is_whole, case).startswith("the log has a line that is not in its format: ")


def test_half_a_line_is_at_the_end_of_the_log() -> None:
    async def stop(chat: Chat) -> None:
        alice = await chat.join("alice")
        await alice.say("stop")
        await alice.rest()

    def search() -> Survey:
        return cancel_everywhere(stop, plugins=[Notary], targets=["hook"], config=NO_LOG)

    said = broken(search, log_is_whole, "hook notary.on_broadcast #2 @ 1")
    assert said.startswith("the log ends in the middle of a line: '20")


class Hasty:
    """Keeps the log instead of the built-in plugin. If a call is cancelled, it writes those lines later."""

    log_path = Path("chat_log.txt")

    def __init__(self) -> None:
        self._later: list[str] = []

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        lines = [format_log_lines([message]) for message in messages]
        try:
            await checkpoint()
        except trio.Cancelled:
            self._later += lines
            raise
        append("".join(lines))
        append("".join(self._later))
        self._later.clear()


def test_the_log_has_another_order() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Hasty], targets=["hook"], config=NO_LOG)

    said = broken(search, log_is_whole, "hook hasty.on_broadcast @ 1")
    assert said.startswith("the dates in the log do not ascend: ['20")


# The log has every message that anyone saw.


def test_a_full_disk_is_taken_lightly(monkeypatch: pytest.MonkeyPatch) -> None:
    append = LogFile.append

    def append_if_possible(log: LogFile, data: bytes) -> None:
        with suppress(OSError):
            append(log, data)

    monkeypatch.setattr(LogFile, "append", append_if_possible)
    assert broken(lambda: fault_everywhere(talk), log_comes_first, "write chat_log.txt #2: fails") == (
        "somebody saw 'alice: hello', but the log does not have it"
    )


# Everybody sees every message, once and in the one order.


def test_what_a_slow_client_cannot_take_at_once_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    put = Outbox.put

    def put_or_drop(outbox: Outbox, data: bytes) -> None:
        if not outbox._is_waiting:
            put(outbox, data)

    async def chatter(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        for number in range(3):
            await bob.say(f"{number}")
            await alice.hears_up_to(f"bob: {number}")

    monkeypatch.setattr(Outbox, "put", put_or_drop)
    with pytest.raises(Violation, match=f"{title(views_agree)}: BROKEN"):
        fault_everywhere(chatter, config=NO_LOG)


class Gossip:
    """Sends everybody the server's notice a second time."""

    @hookimpl
    async def on_message(self, client: Client) -> None:
        await client.server.say("lobby", "somebody speaks")
        for member in client.server.members():
            member.send("somebody speaks")


def test_something_is_seen_twice() -> None:
    async def scenario(chat: Chat) -> None:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()

    with pytest.raises(Violation, match=f"{title(views_agree)}: BROKEN") as caught:
        cancel_everywhere(scenario, plugins=[Gossip], config=NO_LOG)
    assert "in the first run, in which nothing goes wrong on purpose" in str(caught.value)


# A name belongs to one person at a time, and names that are held are released.


async def bob_is_renamed(chat: Chat) -> None:
    bob = await chat.join("bob")
    await bob.say("/nick rob")
    await chat.settled()


def test_two_people_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NameIndex, "claim", lambda *_: True)
    with pytest.raises(Violation) as caught:
        cancel_everywhere(bob_is_renamed, config=NO_LOG)
    [what] = [each.what for each in caught.value.broken[""] if each.invariant == title(names_are_unique)]
    assert what.startswith("bob (127.0.0.1) has the name 'bob', which leads to None")


def test_a_name_that_was_held_is_not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "let_go", lambda *_: None)

    def search() -> Survey:
        return cancel_everywhere(bob_is_renamed, plugins={"clerk": Clerk}, targets=["hook"], config=NO_LOG)

    said = broken(search, names_are_unique, "hook clerk.on_rename @ 1")
    assert said == "a name is held for nobody: 'bob' holds 2 names"


class Clerk:
    @hookimpl
    async def on_rename(self) -> None:
        await trio.sleep(0.01)


# Every line is passed on or answered.


class OneAtATime:
    """Ignores messages while it is thinking. If that call is cancelled, it never stops thinking."""

    def __init__(self) -> None:
        self._thinking = False

    @hookimpl
    async def on_message(self) -> Handled | None:
        if self._thinking:
            return Handled()
        self._thinking = True
        await trio.sleep(0.01)
        self._thinking = False
        return None


def test_a_line_is_lost() -> None:
    async def scenario(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("hello")
        await trio.sleep(1)
        await bob.say("hello, alice")
        await trio.sleep(1)

    def search() -> Survey:
        return cancel_everywhere(scenario, plugins={"one": OneAtATime}, targets=["hook"], config=NO_LOG)

    assert broken(search, no_line_is_lost, "hook one.on_message @ 1") == (
        "these lines of bob were not passed on, and bob was told nothing: ['hello, alice']"
    )


# The server keeps working for others.


class OnePerson:
    """Lets in one client at a time, and counts it before it has noted it."""

    def __init__(self) -> None:
        self._count = 0
        self._known: set[Client] = set()

    @hookimpl
    async def on_connect(self, client: Client) -> Refuse | None:
        if self._count:
            return Refuse("there is somebody here")
        self._count += 1
        await trio.sleep(0.01)
        self._known.add(client)
        return None

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        if client in self._known:
            self._known.remove(client)
            self._count -= 1


def test_nobody_can_come_any_more() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins={"one": OnePerson}, targets=["hook"], config=NO_LOG)

    assert broken(search, server_goes_on, "hook one.on_connect @ 1") == (
        "a client that joined afterwards should hear '* welcome, newcomer', "
        "but heard ['* refused: there is somebody here']"
    )


# No plugin fails because something else went wrong.


class Clock:
    """Knows since when each client is connected, but only if its `on_connect` was not cancelled."""

    def __init__(self) -> None:
        self._since: dict[Client, float] = {}

    @hookimpl
    async def on_connect(self, client: Client) -> None:
        await trio.sleep(0.01)
        self._since[client] = trio.current_time()

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        del self._since[client]


def test_a_plugin_fails_later_because_it_was_cancelled_before() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[Clock], targets=["client"], config=NO_LOG)

    said = broken(search, plugins_did_not_fail, "client @ 1")
    assert said.startswith("plugin 'clock' failed in on_disconnect: <Client 127.0.0.1>")


# No client's backlog exceeds the limit.


async def test_more_waits_for_somebody_than_may(chat: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    await chat.join("alice")
    run = Run(tmp_path, Probe())
    run.chat = chat
    backlogs_are_limited(run)
    limit = chat.server.options.backlog_bytes
    monkeypatch.setattr(Outbox, "backlog_bytes", limit + 1)
    with pytest.raises(AssertionError, match=rf"{limit + 1} bytes wait for .*; the limit is {limit}"):
        backlogs_are_limited(run)
    monkeypatch.undo()


# A client that joins afterwards is shown everything that was sent before.


def test_the_history_is_lost() -> None:
    def search() -> Survey:
        return cancel_everywhere(talk, plugins=[str(BAD_PLUGINS / "loses_history.py")], targets=["hook"], config=NO_LOG)

    assert broken(search, history_is_whole, "hook loses_history.on_broadcast #3 @ 1") == (
        "a client that joined afterwards was not shown ['alice: hello']"
    )
