"""Runs each example as its docstring says, and talks to it. More tests are in `tests/examples/`."""

import inspect
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from process_kit import PATIENCE, Caller

from trichat import Config, ConfigError, Message, StartError, hookimpl, hookspecs, load_plugins
from trichat._plugins.dispatch import Plugins
from trichat.testing import running

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


def read(name: str) -> str:
    return (EXAMPLES / name).read_text()


PLUGINS = [name for name in NAMES if "trichat serve --plugin" in read(name)]


@pytest.fixture
def packages(name: str) -> None:
    """Skip the test if a package is missing that the example's docstring asks for."""
    for package in re.findall(r"`pip install (\w+)`", read(name)):
        pytest.importorskip(package, reason=f"{name} needs {package}, which the group `test` has")


def plugin(name: str, options: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return the example as a plugin, loaded like any plugin file."""
    stem = name.removesuffix(".py")
    config = Config.from_tables({"plugins": {stem: options or {}}})
    return {stem: load_plugins(config, extra=[str(EXAMPLES / name)])[stem]}


class Recorder:
    """Keeps all messages that were sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.messages += messages


# 1. All of them


def test_every_example_has_a_test_of_its_own() -> None:
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    sources = "".join(map(inspect.getsource, tests))
    assert NAMES
    files = {path.name for path in Path(__file__).parent.glob("examples/test_*.py")}
    assert [name for name in NAMES if f'"{name}"' not in sources and f"test_{name}" not in files] == []


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", NAMES)
def test_the_command_in_the_docstring_runs_the_example_until_a_signal(name: str, tmp_path: Path) -> None:
    command = re.search(r"^Run it with `((?:python|trichat serve --plugin) examples/.*?)`", read(name), re.MULTILINE)
    assert command is not None
    program, *arguments = shlex.split(command[1])
    assert arguments[-1] == f"examples/{name}"
    if program == "trichat":
        arguments += ["--host", "127.0.0.1", "--port", "0"]
    (tmp_path / "examples").symlink_to(EXAMPLES)
    with started(program, *arguments, folder=tmp_path) as (process, port):
        caller = Caller(port, "127.0.0.1")
        assert caller.line() == "* welcome to trichat; type your name and press Enter"
        process.send_signal(signal.SIGTERM)
        assert caller.rest() == ["* the server is stopping (got SIGTERM)"]
        caller.hang_up()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_example_needs_nothing_of_trichat_but_its_public_names(name: str) -> None:
    imported = re.findall(r"^\s*(?:from|import) (trichat\S*)", read(name), re.MULTILINE)
    assert imported == ["trichat"]


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", PLUGINS)
async def test_a_plugin_lets_the_server_stop_without_a_wait(name: str, tmp_path: Path, virtual_time: object) -> None:
    options = {"join_notifier.py": {"path": str(tmp_path / "joins.jsonl")}}
    async with running(plugin(name, options.get(name))) as chat:
        begun = trio.current_time()
    assert trio.current_time() - begun < 0.1 * chat.server.options.shutdown_timeout


@contextmanager
def started(program: str, *arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a program of the virtual environment, and read its output up to the port. It ends with the block."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        deadline = threading.Timer(PATIENCE, process.kill)
        deadline.start()
        try:
            assert process.stdout is not None
            told = (re.fullmatch(r".* with: nc 127\.0\.0\.1 (\d+)\n", line) for line in process.stdout)
            port = next(filter(None, told), None)
            assert port is not None, "the program did not start"
            yield process, int(port[1])
        finally:
            deadline.cancel()
            process.kill()


# 2. The bot


async def test_the_bot_answers_a_question_with_its_time_in_the_room(virtual_time: object) -> None:
    recorder = Recorder()
    plugins = {**plugin("echo_bot.py"), "recorder": recorder}
    async with running(plugins) as chat:
        alice = await chat.join("alice")
        bob = await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("!time")
        await alice.hears("alice: !time")
        asked = recorder.messages[-1].time
        await alice.hears(f"* it is {asked:%H:%M:%S} UTC")
        await bob.hears("alice: !time", f"* it is {asked:%H:%M:%S} UTC")


async def test_the_bot_is_silent_where_it_is_not_asked(virtual_time: object) -> None:
    async with running(plugin("echo_bot.py")) as chat:
        alice = await chat.join("alice")
        await alice.say("what is !time?")
        await alice.hears("alice: what is !time?")
        await alice.hears_nothing()


async def test_the_bot_cannot_be_made_to_ask_itself(virtual_time: object) -> None:
    async with running(plugin("echo_bot.py")) as chat:
        alice = await chat.join("alice")
        await chat.server.say("lobby", "!time")
        await alice.hears("* !time")
        await alice.hears_nothing()


async def test_a_flood_of_questions_reaches_everyone_and_gets_a_few_answers(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    flood = 2000
    async with running(plugin("echo_bot.py")) as chat:
        alice = await chat.join("alice")
        bob = await chat.join("bob")
        await alice.say(*["!time"] * flood)
        alice.send_eof()
        lines = await alice.rest()
        await bob.say("bye")
        heard = await bob.rest()
    assert lines.count("alice: !time") == heard.count("alice: !time") == flood
    answers = [line for line in heard if line.startswith("* it is")]
    assert 0 < len(answers) < flood
    assert caplog.messages == []


# 3. The filter


async def test_words_are_replaced_by_as_many_asterisks_in_the_room_and_in_the_log(virtual_time: object) -> None:
    async with running(plugin("word_filter.py", {"words": ["darn", "darn it", "c++"]})) as chat:
        alice = await chat.join("alice")
        await alice.say("Darn it, DARN: no darning! C++ is not c++11")
        await alice.hears("alice: *******, ****: no darning! *** is not c++11")
        assert chat.log[-1] == "alice: *******, ****: no darning! *** is not c++11"


async def test_commands_get_what_was_typed_and_not_what_is_left_of_it(virtual_time: object) -> None:
    async with running(plugin("word_filter.py", {"words": ["bob"]})) as chat:
        alice = await chat.join("alice")
        await alice.say("/seen bob", "where is bob?")
        await alice.hears("* nobody named bob has left since the server started", "alice: where is ***?")


async def test_without_words_nothing_is_changed(virtual_time: object) -> None:
    async with running(plugin("word_filter.py")) as chat:
        alice = await chat.join("alice")
        await alice.say("oh, heck")
        await alice.hears("alice: oh, heck")


def test_an_empty_word_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.word_filter\.words\[1\]: .*length >= 1"):
        plugin("word_filter.py", {"words": ["heck", ""]})


# 4. The filter that is tried first

LATIN = {"words": ["darn", "darn it"], "scripts": ["latin"]}


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        pytest.param("DARN it!", "* not sent: please without 'DARN it'", id="a word of the list"),
        pytest.param("no darning", "alice: no darning", id="a part of a word"),
        pytest.param("доброе утро", "* not sent: please in these scripts: latin", id="another script"),
        pytest.param("Привет is Russian for hello", "alice: Привет is Russian for hello", id="a word of one"),
        pytest.param("Grüße, señor ✓ 42", "alice: Grüße, señor ✓ 42", id="all letters of the script"),
        pytest.param("42 :-) ✓", "alice: 42 :-) ✓", id="no letters at all"),
    ],
)
async def test_words_and_scripts_are_refused_and_the_sender_is_told(
    line: str, heard: str, virtual_time: object
) -> None:
    async with running(plugin("language_filter.py", LATIN)) as chat:
        alice = await chat.join("alice")
        await alice.say(line)
        await alice.hears(heard)


async def test_by_default_any_language_will_do(virtual_time: object) -> None:
    async with running(plugin("language_filter.py")) as chat:
        alice = await chat.join("alice")
        await alice.say("darn", "доброе утро")
        await alice.hears("alice: darn", "alice: доброе утро")


async def test_in_shadow_as_it_says_itself_it_only_logs(virtual_time: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trichat.shadow")
    shown = re.search(r"^    \[plugins\.language_filter\]\n(?:    .*\n)+", read("language_filter.py"), re.MULTILINE)
    assert shown is not None
    tables = tomllib.loads(shown[0])
    table = dict(tables["plugins"]["language_filter"])
    assert table.pop("shadow") is True
    async with running(plugin("language_filter.py", table), tables) as chat:
        alice = await chat.join("alice")
        await alice.say("heck")
        await alice.hears("alice: heck")
    deed = "would have refused 'heck' of alice (127.0.0.1): \"please without 'heck'\""
    assert caplog.messages == [f"plugin 'language_filter' in shadow: {deed}"]


def test_a_script_that_it_does_not_know_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.language_filter\.scripts\[0\]: .*'latin'"):
        plugin("language_filter.py", {"scripts": ["latn"]})


# 5. The notifier


async def test_each_join_is_a_line_of_json_also_those_just_before_the_end(tmp_path: Path, virtual_time: object) -> None:
    path = tmp_path / "joins.jsonl"
    recorder = Recorder()
    plugins = {**plugin("join_notifier.py", {"path": str(path)}), "recorder": recorder}
    async with running(plugins) as chat:
        people = [await chat.join("alice"), await chat.join("bob")]
        await people[0].say("hello")
        for person in people:
            person.hang_up()
    joins = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(join["room"], join["name"]) for join in joins] == [("lobby", "alice"), ("lobby", "bob")]
    joined = [message.time for message in recorder.messages if message.kind == "joined"]
    assert [datetime.fromisoformat(join["time"]) for join in joins] == joined
    assert joined[0].tzinfo is UTC


async def test_a_file_that_cannot_be_opened_refuses_the_start(tmp_path: Path) -> None:
    plugins = plugin("join_notifier.py", {"path": str(tmp_path / "nowhere" / "joins.jsonl")})
    with pytest.raises(StartError, match=r"'join_notifier' cannot start: .*nowhere"):
        async with running(plugins):
            pass


async def test_joins_that_come_faster_than_the_disk_are_dropped_with_one_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The lifespan is not entered, so nothing is written, as on an infinitely slow disk.
    plugins = Plugins(hook_timeout=5)
    plugins.register("join_notifier", plugin("join_notifier.py")["join_notifier"])
    joined = [Message("", f"n{id}", kind="joined", id=id) for id in range(1500)]
    await plugins.tell(hookspecs.on_broadcast, [Message("hello", "alice"), *joined])
    assert caplog.messages == ["joins.jsonl is too slow: 500 joins were dropped"]


async def test_a_full_disk_silences_the_notifier_and_nobody_else(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(plugin("join_notifier.py", {"path": "/dev/full"})) as chat:
        alice = await chat.join("alice")
        await alice.hears(
            "* the plugin 'join_notifier': it crashed; it is told nothing any more"
        )  # because she is an operator
        assert any("crashed" in line for line in caplog.messages)
        await alice.say("hello")
        await alice.hears("alice: hello")
        bob = await chat.join("bob")
        await alice.hears("* bob joined")
        for person in (alice, bob):
            person.hang_up()
    assert [line for line in caplog.messages if "join_notifier" in line] == [
        "plugin 'join_notifier': it crashed; it is told nothing any more"
    ]


# 6. The program with a server inside


def test_the_program_takes_votes_until_somebody_stops_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with started("python", str(EXAMPLES / "embedded.py"), folder=tmp_path) as (process, port):
        people = [Caller(port, "127.0.0.1") for _ in range(3)]
        for number, person in enumerate(people):
            person.say(f"voter {number}")
            person.reads_to(f"* welcome, voter {number}")
        for person, choice in zip(people, ("tea", "cocoa", "coffee"), strict=True):
            person.say(f"+1 {choice}")
            person.reads_to("* thank you for voting")
        people[2].say("+1 tea", "stop")
        heard = [line for person in people for line in person.rest()]
        assert heard.count("* the server is stopping (stopped by voter 2)") == 3
        assert not any("tea" in line for line in heard)
        for person in people:
            person.hang_up()
        assert process.stdout is not None
        assert process.stdout.read() == "result: tea: 2, cocoa: 1\n"
        assert process.wait(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []
