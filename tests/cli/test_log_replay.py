"""`trichat replay`: a plugin is played the messages of a chat log, and what it would have done is counted."""

import os
import signal
import subprocess
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from process_kit import PATIENCE, TRICHAT, trichat
from trichat_plugins import _log_file

from trichat import Config, ConfigError, Message, PluginError, StartError, format_log_lines
from trichat._cli.log_replay import LONGEST_LINE, LogReplay
from trichat._cli.replay_report import EXAMPLES, Report

EXAMPLE = Path(__file__).parents[2] / "examples" / "language_filter.py"

# Bytes of zeros that a power cut leaves in a log.
HOLE = 100_000_000

SECOND = 1_000_000
START = 1_795_358_172 * SECOND

# What each of these does is in the text that it is asked about.
GUARD = """
import trio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from trichat import Client, Handled, Message, Refuse, hookimpl

class Guard:
    @hookimpl
    async def on_message(self, client: Client, message: Message):
        assert message.id == 0
        match message.text.split()[0]:
            case "refuse":
                return Refuse("no " * 100)
            case "change":
                return message.with_text("changed")
            case "same":
                return message.with_text(message.text)
            case "handle":
                return Handled()
            case "wrong":
                return 7
            case "raise":
                raise ValueError("it broke")
            case "late":
                await trio.sleep(60)
            case "kick":
                client.kick("out")
            case "stop":
                client.server.stop("enough")
            case "say":
                await client.server.say(client.room, f"hello {client.name}")
"""

PACE = """
import trio
from trichat import Client, Refuse, hookimpl

class Pace:
    @hookimpl
    def on_message(self, client: Client) -> Refuse | None:
        last = client.data.get("pace", -100)
        client.data["pace"] = trio.current_time()
        return Refuse("slowly") if trio.current_time() - last < 10 else None
"""


def log_of(*messages: Message) -> str:
    return format_log_lines(messages)


def said(text: str, sender: str = "alice", *, after: float = 0) -> Message:
    return Message(text, sender, id=START + int(after * SECOND))


Play = Callable[..., Report]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Plays lines to a plugin of this source."""

    def play(source: str, *lines: Message | str, table: dict[str, object] | None = None) -> Report:
        plugin, log = tmp_path / "guard.py", tmp_path / "log.txt"
        plugin.write_text(source)
        log.write_text("".join(line if isinstance(line, str) else format_log_lines([line]) for line in lines))
        config = Config.from_tables({"plugins": {"guard": table or {}}})
        return LogReplay(str(plugin), config, log).run()

    return play


# What is counted.


def test_what_it_answers_is_counted_by_kind_with_the_first_examples(play: Play) -> None:
    report = play(GUARD, said("refuse it"), said("change it"), said("same"), said("handle it"), said("hello"))
    assert report.messages == 5
    assert report.refused.examples == [f"2026-11-22 14:36:12 alice: 'refuse it' - {('no ' * 100)[:80]!r}..."]
    assert report.changed.examples == ["2026-11-22 14:36:12 alice: 'change it' - 'changed'"]
    assert report.handled.examples == ["2026-11-22 14:36:12 alice: 'handle it'"]
    assert (report.acted.count, report.failed.count) == (0, 0)


def test_only_the_first_examples_are_kept(play: Play) -> None:
    report = play(GUARD, *[said(f"refuse {number}", after=number) for number in range(10)])
    assert (report.refused.count, len(report.refused.examples)) == (10, EXAMPLES)
    assert "'refuse 0'" in report.refused.examples[0]
    assert "    and 7 more" in str(report).splitlines()


def test_its_failures_are_counted_and_none_of_them_ends_it(play: Play) -> None:
    # With on_error = "stop" a server would have ended.
    table: dict[str, object] = {"hook_timeout": 0.01, "on_error": "stop"}
    report = play(GUARD, *[said("raise it")] * 2, said("wrong"), said("late"), *[said("raise")] * 6, table=table)
    assert report.failed.count == report.messages == 10
    outcomes = [example.partition(" - ")[2] for example in report.failed.examples]
    assert outcomes == ["'it broke'", "'it broke'", "'7 is not an answer to this hook'"]


def test_what_it_does_besides_is_counted_and_not_done(play: Play) -> None:
    report = play(GUARD, said("kick"), said("stop"), said("say"), said("refuse"))
    assert [example.partition(" - ")[2] for example in report.acted.examples] == [
        "kicked alice (0.0.0.0): 'out'",
        "stopped the server: 'enough'",
        "said in 'lobby': 'hello alice'",
    ]
    assert report.refused.count == 1, "it was not stopped"


def test_it_is_asked_about_what_people_said_and_nothing_else(play: Play) -> None:
    report = play(
        GUARD,
        Message("", "alice", kind="joined", id=START),
        said("hello"),
        Message("refuse", kind="notice", id=START + 1),
        "no line of a log\n",
        format_log_lines([said("refuse")]).removesuffix("\n"),
    )
    assert (report.messages, report.others, report.refused.count) == (1, 2, 0)
    assert "lines that are not messages: 2" in str(report).splitlines()


# The world that it is in.


def test_its_clock_is_that_of_the_log(play: Play) -> None:
    times = [0, 5, 20, 29, 3600, 86_400]
    report = play(PACE, *[said(f"after {time}", after=time) for time in times], said("me, too", "bob", after=86_401))
    assert [example.split("'")[1] for example in report.refused.examples] == ["after 5", "after 29"]


def test_its_background_tasks_have_that_clock_too_and_are_in_shadow(play: Play) -> None:
    source = """
import trio
from contextlib import asynccontextmanager
from trichat import Message, hookimpl

@hookimpl
@asynccontextmanager
async def lifespan(server):
    server.start_soon(remind, server)
    yield

async def remind(server):
    while True:
        await trio.sleep(3600)
        await server.say("lobby", "stretch")

@hookimpl
def on_message(message: Message) -> None: ...
"""
    report = play(source, *[said("hello", after=time) for time in (0, 1, 3700, 3701, 3702)])
    assert report.acted.examples == ["in the background - said in 'lobby': 'stretch'"]


def test_its_storage_is_empty_and_gone_afterwards(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = """
from trichat import Client, Refuse, hookimpl

@hookimpl
async def on_message(client: Client) -> Refuse:
    seen = await client.server.storage("guard").get("seen", 0, type=int)
    await client.server.storage("guard").set("seen", seen + 1)
    return Refuse(f"{seen} seen")
"""
    for _ in range(2):
        report = play(source, said("hello"), said("again"))
        assert [example.partition(" - ")[2] for example in report.refused.examples] == ["'0 seen'", "'1 seen'"]
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"guard.py", "log.txt"}


def test_a_lifespan_that_refuses_the_start_is_told(play: Play) -> None:
    source = """
from contextlib import asynccontextmanager
from trichat import hookimpl

@hookimpl
@asynccontextmanager
async def lifespan():
    raise OSError("no such service")
    yield

@hookimpl
def on_message() -> None: ...
"""
    with pytest.raises(StartError, match="plugin 'guard' cannot start: no such service"):
        play(source, said("hello"))


def test_a_long_log_of_many_people_takes_no_more_memory_than_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._cli.log_replay.SENDERS", 10)
    log = tmp_path / "log.txt"

    def peak(lines: Iterable[str]) -> int:
        log.write_text("".join(lines))
        replay = LogReplay(str(EXAMPLE), Config(), log)
        tracemalloc.start()
        try:
            assert replay.run().refused.count == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The short one is long enough to fill what remembers so many names and no more.
    short = peak(format_log_lines([said("x" * 500, f"n{number}", after=number)]) for number in range(2000))
    long = peak(format_log_lines([said("x" * 500, f"n{number}", after=number)]) for number in range(6000))
    assert long < short + 200_000


def test_a_line_that_is_too_long_is_one_line_and_no_part_of_it_is_a_message(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = format_log_lines([said("refuse")])
    longest = len(forged) - len("\n")
    monkeypatch.setattr("trichat._cli.log_replay.LONGEST_LINE", longest)
    for size in (1, longest, longest + 1, 2 * longest + 1, 5 * longest):
        report = play(GUARD, said("hello"), "x" * size + forged, said("handle", after=1), "x" * 5 * longest)
        assert (report.messages, report.others, report.refused.count, report.handled.count) == (2, 2, 0, 1)


def test_the_longest_message_of_a_client_is_a_message(play: Play) -> None:
    # The largest `max_line_bytes`, with no byte of it valid.
    assert play(GUARD, said("\ufffd" * 1024 * 1024)).messages == 1


def test_a_hole_in_the_log_is_one_line_that_takes_no_memory(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(log_of(said("before")))
    os.truncate(log, HOLE)
    with log.open("a") as file:
        file.write("\n" + log_of(said("after")))
    replay = LogReplay(str(EXAMPLE), Config(), log)
    tracemalloc.start()
    try:
        report = replay.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.messages, report.others) == (2, 1)
    # `readline` gathers a line in pieces and then joins them.
    assert peak < 2 * LONGEST_LINE + 2_000_000


def test_a_line_is_as_long_as_for_the_chat_log() -> None:
    assert LONGEST_LINE == _log_file.LONGEST_LINE


# What is asked of it on the command line.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "guard.py").write_text(GUARD)
    (tmp_path / "chat_log.txt").write_text(log_of(said("hello"), said("refuse", after=1), said("raise", after=2)))
    return tmp_path


def test_the_report_is_printed_and_nothing_else(folder: Path) -> None:
    ended = trichat("replay", "--plugin", "guard.py", cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "guard: 3 messages of chat_log.txt",
        "would have refused: 1",
        f"    2026-11-22 14:36:13 alice: 'refuse' - {('no ' * 100)[:80]!r}...",
        "would have changed: 0",
        "would have handled: 0",
        "would have acted: 0",
        "failed: 1",
        "    2026-11-22 14:36:14 alice: 'raise' - 'it broke'",
    ]


def test_the_log_is_that_of_the_configuration_and_a_server_may_be_writing_it(folder: Path) -> None:
    (folder / "chat_log.txt").rename(folder / "other.txt")
    tables = '[plugins.chat_log]\npath = "other.txt"\n[plugins.guard]\nenabled = false\n[plugins.elsewhere]\nx = 1\n'
    (folder / "trichat.toml").write_text(tables)
    before = (folder / "other.txt").stat()
    assert "3 messages of other.txt" in trichat("replay", "--plugin", "guard.py", cwd=folder).stdout
    assert (folder / "other.txt").stat().st_mtime_ns == before.st_mtime_ns


def test_a_plugin_of_the_plugins_folder_goes_by_its_name_or_by_its_file(folder: Path) -> None:
    (folder / "bots").mkdir()
    (folder / "guard.py").rename(folder / "bots" / "guard.py")
    (folder / "trichat.toml").write_text("[server]\nplugins_dir = 'bots'\n")
    for plugin in ("guard", "bots/guard.py"):
        assert trichat("replay", "--plugin", plugin, cwd=folder).stdout.startswith("guard: 3 messages")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["--plugin", "guard.py", "--log", "no.txt"], "no.txt: the log cannot be read (No such file", id="no log"
        ),
        pytest.param(
            ["--plugin", "guard.py", "--log", "."], ".: the log cannot be read (Is a directory", id="a folder"
        ),
        pytest.param(["--plugin", "no.py"], "plugin 'no.py': there is no such file", id="no such file"),
        pytest.param(["--plugin", "no_such"], "plugin 'no_such' cannot be imported", id="no such plugin"),
        pytest.param(["--plugin", "chat_log"], "plugin 'chat_log' has no on_message", id="nothing to ask"),
        pytest.param(["--plugin", "guard.py", "--config", "no.toml"], "no.toml: cannot be read", id="no configuration"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    ended = trichat("replay", *arguments, cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"trichat: {sentence}")
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_plugin_it_says_what_is_missing(folder: Path) -> None:
    ended = trichat("replay", cwd=folder)
    assert ended.returncode == 2
    assert "the following arguments are required: --plugin" in ended.stderr


def test_options_that_are_wrong_are_named(folder: Path) -> None:
    config = Config.from_tables({"plugins": {"language_filter": {"word": ["darn"]}}})
    with pytest.raises(ConfigError, match=r"plugins\.language_filter\.word: unknown key"):
        LogReplay(str(EXAMPLE), config, folder / "chat_log.txt")


def test_where_no_log_is_kept_one_has_to_be_named(folder: Path) -> None:
    config = Config.from_tables({"plugins": {"chat_log": {"enabled": False}}})
    with pytest.raises(
        StartError, match="no plugin keeps a log, or that plugin is turned off; name a log with --log FILE"
    ):
        LogReplay(str(EXAMPLE), config)


def test_a_plugin_that_is_broken_does_not_hide_the_log(folder: Path) -> None:
    (folder / "bots").mkdir()
    (folder / "bots" / "broken.py").write_text("import nothing_of_this_name\n")
    (folder / "trichat.toml").write_text(
        "[server]\nplugins_dir = 'bots'\n[plugins.chat_log]\npath = 'talk.txt'\n[plugins.bye]\nloudly = true\n"
    )
    (folder / "chat_log.txt").rename(folder / "talk.txt")
    assert "3 messages of talk.txt" in trichat("replay", "--plugin", "guard.py", cwd=folder).stdout


def test_what_is_wrong_with_the_plugins_is_told_if_none_of_the_others_keeps_a_log(folder: Path) -> None:
    config = Config.from_tables({"plugins": {"chat_log": {"replay": -1}}})
    with pytest.raises(ConfigError, match=r"plugins\.chat_log\.replay: Expected"):
        LogReplay(str(EXAMPLE), config)


def test_a_plugin_that_is_asked_nothing_is_refused(play: Play) -> None:
    with pytest.raises(PluginError, match="plugin 'guard' has no on_message, so there is nothing to replay"):
        play("from trichat import hookimpl\n\n@hookimpl\ndef on_reload(): ...\n", said("hello"))


def test_ctrl_c_prints_what_there_is_so_far(folder: Path) -> None:
    (folder / "guard.py").write_text(
        "import trio\nfrom trichat import Refuse, hookimpl\n\n@hookimpl\nasync def on_message(message):\n"
        "    if message.text == 'wait':\n        print('waiting', flush=True)\n        await trio.sleep_forever()\n"
        "    return Refuse('no')\n"
    )
    (folder / "log.txt").write_text(log_of(said("hello"), said("wait"), said("hello")))
    command = [TRICHAT, "replay", "--plugin", "guard.py", "--log", "log.txt"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        lines = process.stdout.read().splitlines()
        assert process.wait(PATIENCE) == 0
    assert lines[:3] == [
        "guard: 2 messages of log.txt",
        "interrupted: the report covers only part of the log",
        "would have refused: 1",
    ]
