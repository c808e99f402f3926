"""Transcripts: how they are read and played, in memory and over TCP, and what a difference looks like."""

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from trichat_plugins.json_lines.front import JsonFront

from trichat import Client, Config, ConfigError, Message, PluginError, Server, TcpListener, hookimpl, load_plugins
from trichat.testing import Mismatch, Transcript, TranscriptError, play, play_over_tcp, run
from trichat.testing._chat import transcript
from trichat.testing._chat.transcript import play_file

PARROT_FILE = """\
from trichat import hookimpl


@hookimpl
def on_message(message):
    return message.with_text(f"{message.text}, {message.text}")
"""

NO_LOG = """\
| [plugins.chat_log]
| enabled = false
| [plugins.commands]
| enabled = false
"""

ALICE_JOINS = """\
alice> alice
alice< * welcome to trichat; type your name and press Enter
alice< * welcome, alice; you are the first here; bye leaves
"""

BOB_JOINS = """\
bob> bob
alice< * bob joined
bob< * welcome to trichat; type your name and press Enter
bob< * welcome, bob; here: alice; bye leaves
"""

# A backend plays a transcript: `backend(text)`.
Backend = Callable[[str], None]


def in_memory(text: str) -> None:
    run(play, Transcript.parse(NO_LOG + text))


def over_tcp(text: str) -> None:
    trio.run(_play_over_tcp, text)


async def _play_over_tcp(text: str, *plugins: object) -> None:
    """Play on a server at a free port, in the same run of Trio and in real time."""
    config = Config.from_tables(Transcript.parse(NO_LOG).config)
    made = {type(plugin).__name__: plugin for plugin in plugins}
    listeners = [TcpListener("127.0.0.1", 0, front) for front in (None, JsonFront())]
    server = Server(config, plugins={**load_plugins(config), **made}, listeners=listeners)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        (host, port), other = await nursery.start(server.serve)
        try:
            await play_over_tcp(Transcript.parse(text), host, port, {"json": other})
        except BaseException as error:  # raised below, outside the group  # noqa: ASYNC103
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


@pytest.fixture(params=[in_memory, over_tcp])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Each test that uses it runs with both backends."""
    monkeypatch.setattr(transcript, "SILENCE", 0.02)
    monkeypatch.setattr(transcript, "PATIENCE", 0.2)
    found: Backend = request.param
    return found


def test_a_transcript_is_a_header_and_what_people_do_and_hear() -> None:
    transcript = Transcript.parse(
        "# a comment\n| [server]\n| name_timeout = 5\n\n"
        "alice> hello\nbob< alice: hello\nbob<\n--- 1.5s\nalice!\nbob!!\nbob+\nci+ json\n"
    )
    assert transcript.config == {"server": {"name_timeout": 5}}
    assert [(entry.text, entry.is_heard) for entry in transcript.entries] == [
        ("alice> hello", False),
        ("bob< alice: hello", True),
        ("bob<", True),
        ("--- 1.5s", False),
        ("alice!", False),
        ("bob!!", False),
        ("bob+", False),
        ("ci+ json", False),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "alice says hello",
        "alice<hello",
        "alice? hello",
        "--- 30",
        "-- 30s",
        "|[server]",
        " alice> hello",
        "<",
        "ci+json",
        "ci+ ",
    ],
)
def test_a_line_that_is_none_of_a_transcript_is_named(line: str) -> None:
    with pytest.raises(TranscriptError) as caught:
        Transcript.parse(f"# comment\nalice> hello\n{line}\n", "dialogue.txt")
    assert str(caught.value) == f"dialogue.txt:3: not a line of a transcript: {line!r}"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("| [server\n", r"^dialogue\.txt: the configuration is not TOML \(.*\)$"),
        (
            "| plugin = 'parrot.py'\n",
            r"^dialogue\.txt: plugin: expected a list of files or modules \(here: 'parrot\.py'\)$",
        ),
        ("| plugin = [1]\n", r"^dialogue\.txt: plugin: expected a list of files or modules \(here: \[1\]\)$"),
    ],
)
def test_a_header_that_is_wrong_is_told(header: str, text: str) -> None:
    with pytest.raises(TranscriptError, match=text):
        Transcript.parse(header, "dialogue.txt")


@pytest.mark.parametrize("content", [None, b"alice> \xff\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "dialogue.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TranscriptError, match=r"dialogue\.txt: cannot be read \("):
        Transcript.read(path)


def test_plugin_files_are_found_beside_the_transcript_and_modules_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "dialogue.txt").write_text("| plugin = ['parrot.py', 'zoo.cockatoo']\n")
    assert Transcript.read(tmp_path / "dialogue.txt").plugins == [str(tmp_path / "parrot.py"), "zoo.cockatoo"]
    assert Transcript.parse("| plugin = ['parrot.py']\n").plugins == ["parrot.py"]


def test_a_file_is_played_with_its_plugins_and_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "parrot.py").write_text(PARROT_FILE)
    (tmp_path / "dialogue.txt").write_text(
        f"| plugin = ['parrot.py']\n{NO_LOG}{ALICE_JOINS}alice> hello\nalice< alice: hello, hello\n"
    )
    play_file(tmp_path / "dialogue.txt")


async def test_faults_of_the_configuration_and_of_plugins_come_out_as_they_are(virtual_time: object) -> None:
    with pytest.raises(ConfigError, match="prot"):
        await play(Transcript.parse("| [server]\n| prot = 1\n"))
    with pytest.raises(PluginError, match="there is no such file"):
        await play(Transcript.parse("| plugin = ['no_such_file.py']\n"))


def test_nothing_to_play_is_played(backend: Backend) -> None:
    backend("# nothing\n")


def test_people_hear_what_the_transcript_says(backend: Backend) -> None:
    backend(f"{ALICE_JOINS}{BOB_JOINS}alice> hello\nbob< alice: hello\nalice< alice: hello\n")


def test_who_of_two_people_hears_something_first_does_not_count(backend: Backend) -> None:
    backend(
        ALICE_JOINS
        + "bob> bob\n"
        + "bob< * welcome to trichat; type your name and press Enter\n"
        + "alice< * bob joined\n"
        + "bob< * welcome, bob; here: alice; bye leaves\n"
    )


def test_somebody_may_connect_without_a_word(backend: Backend) -> None:
    backend(
        "alice+\nalice< * welcome to trichat; type your name and press Enter\n"
        "alice> alice\nalice< * welcome, alice; you are the first here; bye leaves\n"
    )


def test_the_end_of_the_connection_is_heard(backend: Backend) -> None:
    backend(f"{ALICE_JOINS}{BOB_JOINS}bob> bye\nbob< * goodbye, bob\nbob<\nalice< * bob left\n")


@pytest.mark.parametrize("leave", ["bob!", "bob!!"])
def test_who_hangs_up_or_breaks_has_left(backend: Backend, leave: str) -> None:
    backend(f"{ALICE_JOINS}{BOB_JOINS}{leave}\nalice< * bob left\n")


@pytest.mark.parametrize("leave", ["bob!", "bob!!"])
def test_who_has_hung_up_says_nothing_any_more_and_may_hang_up_again(backend: Backend, leave: str) -> None:
    backend(f"{ALICE_JOINS}{BOB_JOINS}{leave}\nalice< * bob left\nbob> hello?\n{leave}\n")


def test_somebody_may_come_over_another_front_and_speaks_its_raw_lines(backend: Backend) -> None:
    backend(
        ALICE_JOINS
        + "ci+ json\n"
        + 'ci< {"hello":[...]}\n'
        + 'ci> {"login": {"name": "ci"}}\n'
        + 'ci> {"join": {"room": "lobby"}}\n'
        + 'ci< {"entered":[...]"others":["alice"][...]}\n'
        + "alice< * ci joined\n"
        + 'ci> {"say": {"text": "hello !there"}}\n'
        + "alice< ci: hello !there\n"
        + 'ci< {"message":[...]"text":"hello !there"}}\n'
    )


def test_what_nobody_can_know_is_left_blank(backend: Backend) -> None:
    backend(f"{ALICE_JOINS}alice> a b\nalice< alice: [...what]\nalice> [...what]!\nalice< alice: a b!\n")


def test_a_blank_hides_no_other_line(backend: Backend) -> None:
    with pytest.raises(Mismatch, match=r"\n-alice< \[\.\.\.\] there\n\+alice< alice: hello$"):
        backend(f"{ALICE_JOINS}alice> hello\nalice< [...] there\n")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("alice> [...seen]\n", r"alice> \[\.\.\.seen\]: nothing has filled in \[\.\.\.seen\]; give it a name"),
        ("ci+ smoke\n", r"ci\+ smoke: .* front .*'smoke'"),
    ],
)
def test_what_cannot_be_played_is_told_with_its_line(backend: Backend, text: str, fault: str) -> None:
    with pytest.raises(TranscriptError, match=f"^transcript: {fault}"):
        backend(text)


def test_what_is_left_over_is_a_difference(backend: Backend) -> None:
    with pytest.raises(Mismatch) as caught:
        backend(f"{ALICE_JOINS}{BOB_JOINS}alice> hello\nalice< alice: hello\n")
    assert str(caught.value).splitlines() == [
        "transcript: people heard something else",
        "--- transcript",
        "+++ played",
        "@@ -7,3 +7,4 @@",
        " bob< * welcome, bob; here: alice; bye leaves",
        " alice> hello",
        " alice< alice: hello",
        "+bob< alice: hello",
    ]


def test_what_is_missing_is_a_difference(backend: Backend) -> None:
    with pytest.raises(Mismatch) as caught:
        backend(f"{ALICE_JOINS}alice> hello\nalice< alice: hello\nalice< alice: hello, again\nalice!\n")
    assert str(caught.value).splitlines()[3:] == [
        "@@ -3,5 +3,4 @@",
        " alice< * welcome, alice; you are the first here; bye leaves",
        " alice> hello",
        " alice< alice: hello",
        "-alice< alice: hello, again",
        " alice!",
    ]


def test_another_line_is_a_difference(backend: Backend) -> None:
    with pytest.raises(Mismatch, match=r"\n-alice< alice: goodbye\n\+alice< alice: hello$"):
        backend(f"{ALICE_JOINS}alice> hello\nalice< alice: goodbye\n")


def test_all_is_played_to_the_end_so_that_one_difference_does_not_hide_the_next(backend: Backend) -> None:
    with pytest.raises(Mismatch) as caught:
        backend(f"{ALICE_JOINS}alice> one\nalice< alice: 1\nalice> two\nalice< alice: 2\n")
    text = str(caught.value)
    assert "-alice< alice: 1\n+alice< alice: one" in text
    assert "-alice< alice: 2\n+alice< alice: two" in text


def test_the_order_of_what_one_person_hears_counts(backend: Backend) -> None:
    with pytest.raises(Mismatch):
        backend(
            "alice> alice\n"
            "alice< * welcome, alice; you are the first here; bye leaves\n"
            "alice< * welcome to trichat; type your name and press Enter\n"
        )


def test_nobody_hears_anything_before_something_was_done(backend: Backend) -> None:
    with pytest.raises(TranscriptError, match="it begins with a line that somebody hears"):
        backend("alice< * welcome to trichat; type your name and press Enter\n")


def test_what_is_heard_is_compared_behind_the_action_that_led_to_it(backend: Backend) -> None:
    # Both lines are heard, but not at the places that the transcript says.
    with pytest.raises(Mismatch):
        backend(f"{ALICE_JOINS}alice> one\nalice> two\nalice< alice: one\nalice< alice: two\n")


def test_time_passes_in_memory_without_taking_any(tmp_path: Path) -> None:
    (tmp_path / "dialogue.txt").write_text(
        "bob+\nbob< * welcome to trichat; type your name and press Enter\n"
        "--- 29.9s\n"
        "--- 0.1s\n"
        "bob< * no name within 30 seconds\nbob<\n"
        "--- 3600s\n"
    )
    begun = time.monotonic()
    play_file(tmp_path / "dialogue.txt")
    assert time.monotonic() - begun < 10


def test_what_comes_too_early_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "dialogue.txt").write_text(
        "bob+\nbob< * welcome to trichat; type your name and press Enter\n"
        "--- 30s\n"
        "--- 5s\n"
        "bob< * no name within 30 seconds\nbob<\n"
    )
    with pytest.raises(Mismatch):
        play_file(tmp_path / "dialogue.txt")


def test_time_passes_over_tcp_as_it_does(backend: Backend) -> None:
    backend(f"{ALICE_JOINS}--- 0.1s\nalice> hello\nalice< alice: hello\n")


async def test_any_date_is_a_date(virtual_time: object) -> None:
    await play(
        Transcript.parse(
            "alice> alice\n"
            "alice< * welcome to trichat; type your name and press Enter\n"
            "alice< * welcome, alice; you are the first here; what is said is kept (dates are UTC); "
            "/help shows the commands; bye leaves\n"
            "bob> bob\n"
            "alice< * bob joined\n"
            "bob< * welcome to trichat; type your name and press Enter\n"
            "bob< [date] * alice joined\n"
            "bob< * welcome, bob; here: alice; what is said is kept (dates are UTC); "
            "/help shows the commands; bye leaves\n"
        )
    )


def test_over_tcp_the_configuration_is_that_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "SILENCE", 0.02)
    over_tcp("| plugin = ['no_such_file.py']\n" + ALICE_JOINS)


async def test_over_tcp_it_is_told_that_there_is_no_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="Connection refused"):
        await play_over_tcp(Transcript.parse("alice+\n"), "127.0.0.1", port)


class Thoughtful:
    """Takes a moment for each message."""

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await trio.sleep(0.1)


def test_over_tcp_a_slow_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "SILENCE", 0.02)
    trio.run(_play_over_tcp, f"{ALICE_JOINS}alice> hello\nalice< alice: hello\n", Thoughtful())


class Echo:
    """Answers at once. The message itself follows a moment later, and the transcript does not expect it."""

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> None:
        client.send("one moment")
        await trio.sleep(0.05)


def test_over_tcp_what_comes_a_moment_too_much_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "SILENCE", 0.3)
    with pytest.raises(Mismatch, match=r"\+alice< alice: hello$"):
        trio.run(_play_over_tcp, f"{ALICE_JOINS}alice> hello\nalice< * one moment\n", Echo())


async def _shout_at(stream: trio.SocketStream) -> None:
    """Serve something that is not trichat."""
    await stream.send_all(b"\x1b]0;owned\x07caf\xe9\n")
    await stream.receive_some()


async def _played_at_a_stranger() -> str:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), _shout_at, 0)
        with pytest.raises(Mismatch) as mismatch:
            await play_over_tcp(Transcript.parse("alice+\nalice< hello\n"), *listener.socket.getsockname())
        nursery.cancel_scope.cancel()
    return str(mismatch.value)


def test_over_tcp_nothing_that_comes_can_play_tricks_on_the_terminal() -> None:
    assert trio.run(_played_at_a_stranger).endswith("\n-alice< hello\n+alice< \\x1b]0;owned\\x07caf\\xe9")


def test_a_difference_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "accounts.py").write_text(
        "from trichat import command\n"
        "@command('login', help='say who you are', secret=True)\n"
        "def login(client, text): return 'welcome back'\n"
    )
    path = tmp_path / "login.txt"
    path.write_text(
        '| plugin = ["accounts.py"]\n'
        "alice> alice !hunter2\nalice< * welcome\nalice> /login hunter2\nalice< * welcome back\n"
    )
    with pytest.raises(Mismatch) as mismatch:
        play_file(path)
    assert "alice> alice !***" in str(mismatch.value)
    assert "alice> /login ***" in str(mismatch.value)
    assert "hunter2" not in str(mismatch.value)
