"""The plugin `stop`: `stop`, alone on a line, ends the server for those who may."""

import pytest
from client_kit import OTHER_FRONT, ListeningClient, new_client
from made_kit import Made, refusing
from trichat_plugins.stop import Stop, StopOptions

from trichat import Config, ConfigError, Handled, Message, Network, Refuse, Server, load_plugins
from trichat._plugins.commands import marked_commands
from trichat.testing import Chat


class Stoppable(Server):
    """A server with the plugin alone, that notes why it was stopped."""

    def __init__(self, plugin: Stop) -> None:
        super().__init__(plugins={"stop": plugin}, listeners=[])
        self.plugin = plugin
        self.reasons: list[str] = []

    def stop(self, reason: str = "") -> None:
        self.reasons.append(reason)


def alice_at(server: Server, address: str) -> ListeningClient:
    return ListeningClient(server, "alice", address)


def allowing(*networks: str) -> Stoppable:
    return Stoppable(Stop(StopOptions(allow=tuple(map(Network, networks)))))


def say_stop(client: ListeningClient, text: str = "stop") -> Handled | None:
    assert isinstance(client.server, Stoppable)
    return client.server.plugin.on_message(client, Message(text, bare=True))


@pytest.fixture
def server() -> Stoppable:
    return Stoppable(Stop(StopOptions()))


# The plugin alone.


@pytest.mark.parametrize("text", ["stop", "  stop", "stop\t "])
def test_stop_is_handled_and_ends_the_server(server: Stoppable, text: str) -> None:
    assert say_stop(alice_at(server, "127.0.0.1"), text) == Handled()
    assert server.reasons == ["stopped by alice"]


@pytest.mark.parametrize("text", ["stop it", "don't stop", "Stop", "STOP", "stop!", "s top"])
def test_what_only_looks_like_stop_is_a_message(server: Stoppable, text: str) -> None:
    assert say_stop(alice_at(server, "127.0.0.1"), text) is None
    assert server.reasons == []


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_by_default_this_machine_may(server: Stoppable, address: str) -> None:
    say_stop(alice_at(server, address))
    assert server.reasons == ["stopped by alice"]


@pytest.mark.parametrize("address", ["10.0.0.7", "128.0.0.1", "::2", "2001:db8::1", "unix:0"])
def test_by_default_nobody_else_may(server: Stoppable, address: str) -> None:
    alice = alice_at(server, address)
    assert say_stop(alice) == Handled()
    assert server.reasons == []
    assert alice.heard == [f"you may not stop the server from {address}, only from 127.0.0.0/8, ::1"]


@pytest.mark.parametrize(
    ("allow", "address", "may"),
    [
        ((), "127.0.0.1", False),
        (("10.0.0.0/24",), "10.0.0.7", True),
        (("10.0.0.0/24",), "127.0.0.1", False),
        (("0.0.0.0/0", "::/0"), "192.0.2.1", True),
        (("0.0.0.0/0", "::/0"), "2001:db8::1", True),
        (("0.0.0.0/0", "::/0"), "unix:0", False),
    ],
)
def test_who_may_is_configured(allow: tuple[str, ...], address: str, may: bool) -> None:
    server = allowing(*allow)
    say_stop(alice_at(server, address))
    assert bool(server.reasons) is may


def test_it_may_be_nobody() -> None:
    alice = alice_at(allowing(), "127.0.0.1")
    say_stop(alice)
    assert alice.heard == ["you may not stop the server from 127.0.0.1, only from nowhere"]


@pytest.mark.parametrize("allow", [(), ("10.0.0.0/24",), ("0.0.0.0/0", "::/0")])
def test_an_address_gives_no_right_on_another_front(allow: tuple[str, ...]) -> None:
    server = allowing(*allow)
    alice = new_client(server, "127.0.0.1", name="alice", front=OTHER_FRONT)
    assert not alice.may("stop")


def test_on_another_front_a_plugin_may_give_the_right_by_other_means() -> None:
    plugins = {"stop": Stop(StopOptions()), "accounts": Made(permits=lambda: True)}
    server = Server(plugins=plugins, listeners=[])
    assert new_client(server, "192.0.2.1", name="alice", front=OTHER_FRONT).may("stop")


@pytest.mark.parametrize("action", ["operate", "kick", "Stop", ""])
def test_it_has_no_opinion_on_other_actions(server: Stoppable, action: str) -> None:
    assert server.plugin.permits(alice_at(server, "10.0.0.7"), action) is None


def test_the_command_does_the_same(server: Stoppable) -> None:
    [command] = marked_commands(server.plugin)
    assert (command.usage, command.action) == ("/stop", "stop")
    command.run(alice_at(server, "127.0.0.1"), "")
    assert server.reasons == ["stopped by alice"]


def test_a_fault_in_its_table_is_named_by_its_place() -> None:
    with pytest.raises(ConfigError) as wrong:
        load_plugins(Config.from_tables({"plugins": {"stop": {"allow": ["127.0.0.1", "everyone"]}}}))
    [fault] = wrong.value.faults
    assert fault.startswith("configuration: plugins.stop.allow[1]: 'everyone' is not an IP address or network")


# In a running server.


@pytest.mark.parametrize("text", ["stop", " stop ", "/stop"])
async def test_everyone_is_told_who_stopped_the_server_and_is_disconnected(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob", "10.0.0.7")
    await alice.hears("* bob joined")
    await alice.say(text)
    assert await alice.rest() == ["* the server is stopping (stopped by alice)"]
    assert await bob.rest() == ["* the server is stopping (stopped by alice)"]
    with pytest.raises(ConnectionRefusedError):
        chat.connect_silently()


async def test_who_has_more_to_say_to_the_command_than_its_name_has_not_stopped_it(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/stop now please", "well")
    await alice.hears("* usage: /stop", "alice: well")


@pytest.mark.parametrize("text", ["stop", "/stop"])
async def test_who_may_not_is_told_and_the_server_goes_on(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    mallory = await chat.join("mallory", "10.0.0.7")
    await alice.hears("* mallory joined")
    await mallory.say(text, "well")
    await mallory.hears("* you may not stop the server from 10.0.0.7, only from 127.0.0.0/8, ::1", "mallory: well")
    await alice.hears("mallory: well")


@pytest.mark.chat(config={"plugins": {"stop": {"allow": ["10.0.0.0/24"]}}})
async def test_who_may_is_read_from_the_configuration(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("stop")
    await alice.hears("* you may not stop the server from 127.0.0.1, only from 10.0.0.0/24")
    operator = await chat.join("operator", "10.0.0.7")
    await alice.hears("* operator joined")
    await operator.say("stop")
    await alice.hears("* the server is stopping (stopped by operator)")


async def test_help_shows_the_command_to_those_who_may_stop_the_server(chat: Chat) -> None:
    server = "* server  /bye  /help [COMMAND]  /quit [REASON]"
    alice = await chat.join("alice")
    mallory = await chat.join("mallory", "10.0.0.7")
    for person in (alice, mallory):
        await person.say("/help")
    await chat.settled()
    assert f"{server}  /stop" in await alice.unheard()
    assert server in await mallory.unheard()


@pytest.mark.chat(plugins=[Made(permits=lambda action: Refuse("not on a Friday") if action == "stop" else None)])
async def test_another_plugin_may_keep_everybody_from_stopping(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("stop", "/stop")
    await alice.hears("* not on a Friday", "* not on a Friday")


async def test_what_was_said_before_stop_is_heard_and_kept(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("hello", "stop")
    assert await bob.rest() == ["alice: hello", "* the server is stopping (stopped by alice)"]
    assert "alice: hello" in chat.log


async def test_stop_is_no_name_and_stops_nothing_before_there_is_one(chat: Chat) -> None:
    alice = await chat.join("alice")
    person = await chat.connect()
    await person.say("stop")
    await person.hears("* give a name first, and then say stop; try another name")
    await alice.hears_nothing()


@pytest.mark.chat(plugins=[Made(on_message=refusing)])
async def test_a_plugin_that_refuses_messages_keeps_nobody_from_stopping(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello", "stop")
    await alice.hears("* not sent: quiet, please", "* the server is stopping (stopped by alice)")


async def test_stop_in_a_message_of_several_lines_is_text(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("```", "stop", "```")
    await alice.hears("alice: stop")
