"""A server in memory: its plugins and options, and how it starts, fails and ends."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
from built_in_kit import BUILT_IN
from front_kit import ScriptFront

from trichat import (
    Client,
    ConfigError,
    Listener,
    Message,
    Options,
    PluginError,
    StartError,
    TcpListener,
    format_log_lines,
    hookimpl,
)
from trichat._base.task_tree import task_tree
from trichat.fronts import Login
from trichat.testing import Chat, NotHeard, run, running
from trichat.testing._chat.chat import Plugins
from trichat.testing._chat.memory_transport import MemoryTransport

PARROT_FILE = """\
from trichat import hookimpl


@hookimpl
def on_message(message):
    return message.with_text(f"{message.text}, {message.text}")
"""


class Parrot:
    """Says everything twice."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def on_message(self, message: Message) -> Message:
        self.heard.append(message.text)
        return message.with_text(f"{message.text}, {message.text}")


class SuffixOptions(Options, frozen=True):
    text: str = "!"


class Suffix:
    """Ends every message with the text of its option."""

    def __init__(self, options: SuffixOptions) -> None:
        self._options = options

    @hookimpl
    def on_message(self, message: Message) -> Message:
        return message.with_text(message.text + self._options.text)


def parrot_module() -> ModuleType:
    module = ModuleType("zoo.parrot")
    exec(PARROT_FILE, vars(module))
    return module


def written(folder: Path) -> str:
    (folder / "parrot.py").write_text(PARROT_FILE)
    return str(folder / "parrot.py")


async def answer_to_hello(chat: Chat) -> str | None:
    alice = await chat.join("alice")
    await alice.say("hello")
    return await alice.next_line()


@pytest.mark.parametrize(
    "plugin",
    [
        pytest.param(lambda _: Parrot(), id="an instance"),
        pytest.param(lambda _: Parrot, id="a class"),
        pytest.param(lambda _: parrot_module(), id="a module"),
        pytest.param(written, id="a file"),
    ],
)
@pytest.mark.parametrize("name", ["", "polly"])
async def test_a_plugin_may_be_given_in_many_ways_with_a_name_or_without(
    virtual_time: object, tmp_path: Path, plugin: Callable[[Path], object], name: str
) -> None:
    given = plugin(tmp_path)
    plugins: Plugins = {name: given} if name else [given]
    async with running(plugins) as chat:
        assert await answer_to_hello(chat) == "alice: hello, hello"
        assert chat.server.plugin_names[-1] == (name or "parrot")


async def test_a_plugin_may_be_given_by_the_name_of_its_module(
    virtual_time: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zoo.parrot", parrot_module())
    async with running(["zoo.parrot"]) as chat:
        assert await answer_to_hello(chat) == "alice: hello, hello"
        assert chat.server.plugin_names[-1] == "parrot"


async def test_an_instance_is_the_very_one_so_that_a_test_can_look_at_it(virtual_time: object) -> None:
    parrot = Parrot()
    async with running([parrot]) as chat:
        await answer_to_hello(chat)
        assert parrot.heard == ["hello"]


async def test_a_class_gets_its_options_from_the_configuration(virtual_time: object) -> None:
    async with running([Suffix], {"plugins": {"suffix": {"text": "?"}}}) as chat:
        assert await answer_to_hello(chat) == "alice: hello?"
    async with running({"ending": Suffix}, {"plugins": {"ending": {"text": "."}}}) as chat:
        assert await answer_to_hello(chat) == "alice: hello."
    async with running([Suffix]) as chat:
        assert await answer_to_hello(chat) == "alice: hello!"


async def test_plugins_come_after_the_built_in_ones_in_the_order_given(virtual_time: object) -> None:
    async with running([Suffix, Parrot]) as chat:
        assert chat.server.plugin_names[-2:] == ["suffix", "parrot"]
        # Of several plugins, the last one is asked first.
        assert await answer_to_hello(chat) == "alice: hello, hello!"


async def test_the_built_in_plugins_are_there_unless_they_are_turned_off(virtual_time: object) -> None:
    async with running() as chat:
        names = list(chat.server.plugin_names)
        assert names == BUILT_IN
    off = {name: {"enabled": False} for name in names if name != "blacklist"}
    async with running(config={"plugins": off}) as chat:
        assert chat.server.plugin_names == ["blacklist"]


async def test_the_configuration_of_the_server_counts(virtual_time: object) -> None:
    async with running(config={"server": {"name_timeout": 7}}) as chat:
        person = await chat.connect()
        await trio.sleep(6.9)
        await person.hears_nothing(0.09)
        await person.hears("* no name within 7 seconds")


class Lazy:
    """Takes longer to start than a plugin may."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        await trio.sleep(3600)
        yield


class Homeless:
    """Cannot start: the folder of its file is not there."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        Path("/no/such/folder/file").write_text("x")
        yield


class Hookless:
    """Lacks @hookimpl."""

    def on_message(self, message: Message) -> None: ...


@pytest.mark.parametrize(
    ("plugins", "config", "error", "text"),
    [
        ([], {"server": {"prot": 1}}, ConfigError, "prot"),
        ([], {"plugins": {"chat_log": {"replay": -1}}}, ConfigError, "plugins.chat_log.replay"),
        ([Suffix], {"plugins": {"suffix": {"text": 1}}}, ConfigError, "plugins.suffix.text"),
        (["no_such_file.py"], {}, PluginError, "there is no such file"),
        ([Hookless], {}, PluginError, "'hookless'.*it has no hooks; is @hookimpl missing?"),
        ([Hookless()], {}, PluginError, "'hookless'.*it has no hooks; is @hookimpl missing?"),
        ([Parrot, Parrot], {}, PluginError, "two plugins named 'parrot'"),
        ({"bye": Parrot}, {}, PluginError, "two plugins named 'bye'"),
        ([Homeless], {}, StartError, "plugin 'homeless' cannot start: /no/such/folder/file: No such file"),
        ([Lazy], {}, StartError, "plugin 'lazy' did not start within 5 seconds"),
    ],
)
async def test_what_keeps_a_server_from_starting_comes_out_as_it_is(
    virtual_time: object, plugins: Plugins, config: dict[str, dict[str, object]], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        async with running(plugins, config):
            raise AssertionError("it runs")


async def test_two_plugins_cannot_have_the_same_name(virtual_time: object) -> None:
    with pytest.raises(PluginError, match="two plugins named 'parrot'"):
        async with running([Parrot(), Parrot()]):
            raise AssertionError("it runs, with one of them")


@pytest.mark.parametrize(
    "plugin", ["hello.py", Path("hello.py"), pytest, dict], ids=["name", "path", "module", "class"]
)
async def test_one_plugin_in_place_of_a_list_is_named(virtual_time: object, plugin: Any) -> None:
    with pytest.raises(TypeError, match=r"hello\.py|pytest|dict.* is a single plugin; give a list"):
        async with running(plugin):
            pass


async def test_an_instance_cannot_take_the_place_of_a_built_in_plugin(virtual_time: object) -> None:
    with pytest.raises(PluginError, match="'bye'"):
        async with running({"bye": Parrot()}):
            raise AssertionError("it runs, without the other one")


async def tasks_left() -> str:
    """Return the tasks of a server that are still running."""
    await trio.testing.wait_all_tasks_blocked()
    return "\n".join(line for line in task_tree().splitlines() if "broadcaster" in line or "client " in line)


async def test_an_assertion_that_fails_in_the_block_comes_out_as_it_is_and_the_server_is_gone(
    virtual_time: object,
) -> None:
    found = AssertionError("this is what the test has found")
    chats: list[Chat] = []

    async def block() -> None:
        async with running() as chat:
            chats.append(chat)
            await chat.join("alice")
            assert await tasks_left()
            raise found

    with pytest.raises(AssertionError) as caught:
        await block()
    assert caught.value is found
    assert not await tasks_left()
    assert chats[0].transports[0].closed


async def test_an_expectation_that_is_not_met_comes_out_as_it_is(virtual_time: object) -> None:
    async def block() -> None:
        async with running() as chat:
            alice = await chat.join("alice")
            await alice.hears("bob: hi")

    with pytest.raises(NotHeard, match=r"^alice expected 'bob: hi', but heard nothing for 4 s"):
        await block()


async def test_a_test_that_gives_up_in_the_block_has_failed_with_what_it_says(virtual_time: object) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^given up$"):
        async with running():
            pytest.fail("given up")
    assert not await tasks_left()


async def test_a_block_that_is_cancelled_takes_the_server_with_it(virtual_time: object) -> None:
    with trio.move_on_after(60) as scope:
        async with running() as chat:
            await chat.join("alice")
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not await tasks_left()


async def test_at_the_end_of_the_block_the_server_stops_as_gracefully_as_ever(virtual_time: object) -> None:
    async with running() as chat:
        alice = await chat.join("alice")
    assert alice.heard[-1] == "* the server is stopping"
    assert chat.dialogue.lines()[-1] == "alice<"
    assert not await tasks_left()
    with pytest.raises(ConnectionRefusedError):
        chat.connect_silently()


async def test_a_server_that_was_stopped_inside_the_block_needs_no_other_stop(virtual_time: object) -> None:
    async with running() as chat:
        alice = await chat.join("alice")
        await alice.say("stop")
        await alice.hears("* the server is stopping (stopped by alice)")
        await alice.hears_the_end()
        with pytest.raises(ConnectionRefusedError):
            await chat.connect()


async def test_what_plugins_write_is_gone_after_the_block(virtual_time: object) -> None:
    async with running() as chat:
        await answer_to_hello(chat)
        assert (chat.folder / "chat_log.txt").exists()
    assert not chat.folder.exists()


async def test_a_folder_of_ones_own_stays(virtual_time: object, tmp_path: Path) -> None:
    async with running(folder=tmp_path) as chat:
        await answer_to_hello(chat)
        assert chat.folder == tmp_path
    assert chat.log == ["* alice joined", "alice: hello", "*quit alice"]
    async with running(folder=tmp_path) as chat:
        bob = await chat.join("bob")
        assert "[date] alice: hello" in "\n".join(chat.dialogue.lines())
        assert bob.heard[1:4] != []


async def test_the_log_is_given_as_people_see_it(virtual_time: object) -> None:
    async with running() as chat:
        assert chat.log == []
        alice = await chat.join("alice")
        await alice.say("  two spaces: and a colon", "** two stars", "* one star")
        await chat.settled()
        await chat.server.say("lobby", "back at noon")
        await chat.settled()
        assert chat.log == [
            "* alice joined",
            "alice:   two spaces: and a colon",
            "alice: ** two stars",
            "alice: * one star",
            "* back at noon",
        ]
        assert alice.heard[-4:] == chat.log[1:]


async def test_without_the_chat_log_the_log_is_empty(virtual_time: object) -> None:
    async with running(config={"plugins": {"chat_log": {"enabled": False}}}) as chat:
        await answer_to_hello(chat)
        assert chat.log == []
        assert chat.log_path is None


class DiaryOptions(Options, frozen=True):
    path: str = "/var/lib/diary.txt"
    words: int = 100

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:
        return {"path": folder / "diary.txt", "words": 1}


class Diary:
    """Keeps messages in a file of its own."""

    def __init__(self, options: DiaryOptions) -> None:
        self.options = options
        self.log_path = Path(options.path)

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        with self.log_path.open("a") as file:
            file.write(format_log_lines(messages))


async def test_a_plugin_has_the_options_for_a_trial_unless_the_test_says_otherwise(
    virtual_time: object, tmp_path: Path
) -> None:
    async with running([Diary], {"plugins": {"diary": {"words": 7}}}, folder=tmp_path) as chat:
        assert chat.plugins["diary"].options == DiaryOptions(path=str(tmp_path / "diary.txt"), words=7)  # type: ignore[attr-defined]


async def test_the_log_may_be_that_of_any_plugin_also_when_it_was_replaced(virtual_time: object) -> None:
    async with running([Diary], {"plugins": {"chat_log": {"enabled": False}}}) as chat:
        await chat.replace("diary")
        await answer_to_hello(chat)
        assert chat.log_path == chat.folder / "diary.txt"
        assert chat.log == ["* alice joined", "alice: hello"]


async def test_the_log_may_be_synced_in_virtual_time_too(virtual_time: object) -> None:
    async with running(config={"plugins": {"chat_log": {"fsync": "always"}}}) as chat:
        alice = await chat.join("alice")
        before = trio.current_time()
        await alice.say("hello")
        await alice.hears("alice: hello")
        assert trio.current_time() - before < 0.01


async def test_settled_is_when_nothing_is_left_to_do(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say(*(str(number) for number in range(50)))
    await bob.say(*(str(number) for number in range(50)))
    before = trio.current_time()
    await chat.settled()
    assert trio.current_time() == before
    assert len(chat.log) == 102


async def test_settled_does_not_wait_for_time_to_pass(chat: Chat) -> None:
    person = await chat.connect()
    await chat.settled()
    await person.hears_nothing()


async def test_two_chats_live_side_by_side(virtual_time: object) -> None:
    async with running() as one, running([Parrot]) as two:
        alice, namesake = await one.join("alice"), await two.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        await namesake.say("hello")
        await namesake.hears("alice: hello, hello")
        await alice.hears_nothing()
        assert one.folder != two.folder
        assert (one.log, two.log) == (
            ["* alice joined", "alice: hello"],
            ["* alice joined", "alice: hello, hello"],
        )
        assert "alice< alice: hello, hello" not in one.dialogue.lines()


class Addresses:
    """Notes where clients come from."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def on_connect(self, client: Client) -> None:
        self.seen.append(client.address)


async def test_people_come_from_where_the_test_says(virtual_time: object) -> None:
    addresses = Addresses()
    async with running([addresses]) as chat:
        await chat.join("alice")
        await chat.join("bob", "10.0.0.7")
        await chat.connect("::1")
        await chat.settled()
        assert addresses.seen == ["127.0.0.1", "10.0.0.7", "::1"]


async def test_a_name_that_is_refused_is_no_join(chat: Chat) -> None:
    await chat.join("alice")
    with pytest.raises(NotHeard, match=r"^alice expected '\* welcome, ...', but heard nothing"):
        await chat.join("alice")


async def test_everybody_who_ever_connected_is_known(chat: Chat) -> None:
    alice = await chat.join("alice")
    alice.hang_up()
    guest = chat.connect_silently()
    assert chat.people == [alice, guest]
    assert [person.label for person in chat.people] == ["alice", "guest2"]


class Script:
    """Contributes a listener with a front, and one with the line protocol."""

    def __init__(self) -> None:
        self.front = ScriptFront()

    @hookimpl
    def listeners(self) -> list[Listener]:
        return [TcpListener("127.0.0.1", 0), TcpListener("127.0.0.1", 0, self.front)]


async def test_a_front_that_a_plugin_brings_is_known_by_its_name(virtual_time: object) -> None:
    script = Script()
    script.front.requests.append(Login("ci"))
    async with running([script]) as chat:
        ci = chat.connect_silently(name="ci", front="script")
        assert ci.front == "script"
        await ci.say("0")
        await ci.hears("hello", "entered lobby as ci with nobody", "Login: ok")
        assert chat.dialogue.lines()[:2] == ["ci+ script", "ci> 0"]
        assert (await chat.join("alice")).front is None


async def test_a_front_that_nobody_brings_is_told_with_those_there_are(virtual_time: object) -> None:
    async with running([Script()], {"plugins": {"json_lines": {"enabled": False}}}) as chat:
        with pytest.raises(LookupError, match=r"front named 'smoke'; they carry script$"):
            chat.connect_silently(front="smoke")
    async with running(config={"plugins": {"json_lines": {"enabled": False}}}) as chat:
        with pytest.raises(LookupError, match=r"front named 'smoke'; they carry no front$"):
            chat.connect_silently(front="smoke")


async def test_a_test_may_bring_connections_of_its_own(virtual_time: object) -> None:
    class Slow(MemoryTransport):
        async def receive(self) -> bytes:
            await trio.sleep(1)
            return await super().receive()

    async with running(transport=Slow) as chat:
        alice = await chat.join("alice")
        before = trio.current_time()
        await alice.say("hello")
        await alice.hears("alice: hello")
        assert 0 < trio.current_time() - before <= 2
        assert isinstance(chat.transports[0], Slow)


async def test_the_report_is_the_dialogue_and_the_tasks(chat: Chat) -> None:
    await chat.join("alice")
    report = chat.report()
    assert report.startswith("\nthe dialogue so far:\n    alice+\n    alice> alice\n    alice< * welcome to trichat")
    assert "\nthe tasks:\n" in report
    assert "client alice  at " in report


async def test_without_virtual_time_it_is_the_same_chat() -> None:
    async with running() as chat:
        assert await answer_to_hello(chat) == "alice: hello"


def test_it_needs_no_pytest() -> None:
    async def main() -> list[str]:
        async with running() as chat:
            await answer_to_hello(chat)
            return chat.log

    assert trio.run(main) == ["* alice joined", "alice: hello"]


def test_at_the_end_people_close_the_connection_so_that_the_server_need_not_wait_for_it() -> None:
    async def main() -> float:
        async with running() as chat:
            await chat.join("alice")
            begun = trio.current_time()
        return trio.current_time() - begun

    assert run(main) == 0, "the server waited for people to close their connections"
