"""The way of a message through the plugins: what each is asked about, and what comes of it."""

import pytest
import trio
from client_kit import new_client
from dispatch_kit import HELLO, ask_message, noting
from made_kit import Made

from trichat import Client, Handled, Message, Refuse, Server
from trichat._plugins.dispatch import Plugins


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(5.0)


@pytest.fixture
def client() -> Client:
    return new_client(Server(plugins={}, listeners=[]))


@pytest.fixture
def calls() -> list[str]:
    return []


async def test_a_message_that_nobody_has_anything_to_say_about_stays_as_it_is(
    plugins: Plugins, client: Client, calls: list[str]
) -> None:
    plugins.register("silent", Made(on_message=noting(calls, "silent")))
    assert await ask_message(plugins, client) is HELLO
    assert calls == ["silent"]


async def test_a_changed_message_goes_on_to_the_next_plugin(plugins: Plugins, client: Client) -> None:
    async def shout(message: Message) -> Message:
        await trio.lowlevel.checkpoint()
        return message.with_text(message.text.upper())

    plugins.register("last", Made(on_message=lambda message: message.with_text(f"{message.text}!")))
    plugins.register("silent", Made(on_message=lambda message: None))
    plugins.register("shout", Made(on_message=shout))
    assert await ask_message(plugins, client) == HELLO.with_text("HELLO!")


async def test_the_plugins_are_told_who_sent_the_message(plugins: Plugins, client: Client) -> None:
    senders: list[Client] = []
    plugins.register("curious", Made(on_message=lambda client: senders.append(client)))
    await ask_message(plugins, client)
    assert senders == [client]


@pytest.mark.parametrize("answer", [Handled(), Refuse("no")], ids=["handled", "refused"])
async def test_a_message_that_is_handled_or_refused_goes_no_further(
    plugins: Plugins, client: Client, calls: list[str], answer: Handled | Refuse
) -> None:
    plugins.register("next", Made(on_message=noting(calls, "next")))
    plugins.register("taker", Made(on_message=lambda: answer))
    plugins.register("changer", Made(on_message=lambda message: message.with_text("other")))
    assert await ask_message(plugins, client) == answer
    assert calls == []


@pytest.mark.parametrize("answer", [True, "hello", 0], ids=repr)
async def test_what_is_no_answer_to_a_message_refuses_it(plugins: Plugins, client: Client, answer: object) -> None:
    plugins.register("odd", Made(on_message=lambda: answer))
    assert await ask_message(plugins, client) == Refuse("the plugin 'odd' failed")


async def test_nothing_has_to_be_awaited_until_a_plugin_answers(plugins: Plugins, client: Client) -> None:
    plugins.register("silent", Made(on_message=lambda: None, on_broadcast=lambda: None))
    with plugins.deadlines.calls() as own:
        assert plugins.ask_message(client, HELLO, own) is HELLO
        assert plugins.tell_batch([HELLO], own) is None


@pytest.mark.parametrize("replaced", [False, True], ids=["the same goes on", "another one took its place"])
async def test_while_a_plugin_is_held_a_message_waits_for_it(
    plugins: Plugins, client: Client, nursery: trio.Nursery, *, replaced: bool
) -> None:
    plugins.register("filter", Made(on_message=lambda message: message.with_text("old")))
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await ask_message(plugins, client))

    with plugins.gates.holding("filter"):
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        if replaced:
            new = plugins.with_another("filter", Made(on_message=lambda message: message.with_text("new")))
            plugins.active.install(new, "filter")
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [HELLO.with_text("new" if replaced else "old")]


async def test_a_plugin_that_is_asked_already_keeps_its_answer_though_it_is_held_meanwhile(
    plugins: Plugins, client: Client
) -> None:
    async def change(message: Message) -> Message:
        with plugins.gates.holding("filter"):
            await trio.lowlevel.checkpoint()
        return message.with_text("changed")

    plugins.register("filter", Made(on_message=change))
    assert await ask_message(plugins, client) == HELLO.with_text("changed")


class Noted:
    """Notes each step of a message."""

    def __init__(self) -> None:
        self.steps: list[object] = []

    def begin(self, plugin: str, message: Message) -> None:
        self.steps.append((plugin, message.text))

    def answered(self, answer: object) -> None:
        self.steps.append(answer)

    def failed(self, error: BaseException) -> None:
        self.steps.append(repr(error.__cause__ or error))


async def test_whoever_asks_step_by_step_is_told_of_each(plugins: Plugins, client: Client) -> None:
    def fail() -> None:
        raise ValueError("no")

    plugins.register("last", Made(on_message=fail))
    plugins.register("shout", Made(on_message=lambda message: message.with_text("HELLO")))
    plugins.register("silent", Made(on_message=lambda: None))
    noted = Noted()
    with plugins.deadlines.calls() as own:
        answer = await plugins.walk.ask_step_by_step(client, HELLO, own, noted)
    assert answer == Refuse("the plugin 'last' failed")
    shouted = HELLO.with_text("HELLO")
    assert noted.steps == [
        *(("silent", "hello"), None),
        *(("shout", "hello"), shouted),
        *(("last", "HELLO"), "ValueError('no')"),
    ]
