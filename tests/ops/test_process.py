"""The installed `trichat serve`, from the outside: real processes, real sockets, real signals."""

import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_kit import PATIENCE, TRICHAT, Caller, Served, served, trichat, without_date, write_config

GREETING = "* welcome to trichat; type your name and press Enter"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server with the default configuration."""
    with served(tmp_path) as server:
        yield server


def json_lines_of(server: Served) -> str:
    """Return the address at which the server takes JSON lines."""
    return next(line for line in server.banner if line.startswith("JSON lines: ")).partition(": ")[2]


# 1. Start


def test_the_start_tells_where_it_listens_what_runs_and_how_to_connect(server: Served) -> None:
    assert server.banner == [
        f"trichat listens on 127.0.0.1:{server.port}",
        "configuration: the defaults",
        "plugins: away, blacklist, bye, chat_log, commands, ignore, json_lines, me, msg, nick, operators, rooms, seen, "
        "stop, topic",
        f"chat log: {server.folder / 'chat_log.txt'}",
        f"JSON lines: {json_lines_of(server)}",
        f"connect with: nc 127.0.0.1 {server.port}",
    ]


def test_the_start_loads_nothing_that_it_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with served(tmp_path) as server:
        lines = server.errors().splitlines()
    # From where Python itself is ready: what measures the coverage is loaded before.
    started = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    loaded = set(started[started.index("site") :])
    assert "trio" in loaded
    # A file to read, a plugin that keeps something, a word that is misspelled, a name.
    assert not loaded & {"tomllib", "sqlite3", "difflib", "precis_i18n"}


def test_what_lives_for_a_pass_of_the_loop_is_not_taken_for_lasting(tmp_path: Path) -> None:
    plugin = tmp_path / "collector.py"
    plugin.write_text(
        "import gc\nfrom trichat import hookimpl\n\n\nclass Collector:\n    @hookimpl\n"
        "    def announcements(self):\n        return [f'young: {gc.get_threshold()[0]}']\n"
    )
    with served(tmp_path, "--plugin", str(plugin)) as server:
        assert "young: 50000" in server.banner


def test_the_start_tells_who_is_in_shadow(tmp_path: Path) -> None:
    config = write_config(tmp_path, "[plugins.seen]\nshadow = true\n")
    with served(tmp_path, "--config", config) as server:
        assert (
            "plugins: away, blacklist, bye, chat_log, commands, ignore, json_lines, me, msg, nick, operators, rooms, "
            "seen (in shadow), stop, topic" in server.banner
        )


HERALD = """
from trichat import LOBBY, Refuse, hookimpl

NAME = "announce"

@hookimpl
def announcements(server):
    return [f"ask: {NAME}"]

@hookimpl
def control_requests(server):
    async def announce(words):
        if not words:
            return Refuse("say what")
        await server.say(LOBBY, " ".join(words))
        return f"told to {len(server.members())}"

    return {NAME: announce}
"""


def test_a_plugin_adds_to_what_is_printed_and_to_what_can_be_asked(tmp_path: Path) -> None:
    (tmp_path / "herald.py").write_text(HERALD)
    with served(tmp_path, "--plugin", "herald.py") as server:
        assert server.banner[-2] == "ask: announce"
        alice = server.join("alice")
        ended = trichat("ask", "announce", "back", "at  noon", cwd=tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "told to 1\n", "")
        alice.reads("* back at  noon")
        ended = trichat("ask", "announce", cwd=tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "trichat: say what\n")
        ended = trichat("ask", "sing", cwd=tmp_path)
        assert ended.stderr == "trichat: there is no request 'sing', only: reload, tasks, trace, announce\n"


def test_a_request_of_a_plugin_that_trichat_has_itself_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "herald.py").write_text(HERALD.replace('"announce"', '"reload"'))
    ended = trichat("serve", "--port", "0", "--plugin", "herald.py", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "trichat: plugin 'herald' has the request 'reload', which is built in; rename it\n"


def test_a_standard_output_that_takes_nothing_is_no_reason_not_to_start(tmp_path: Path) -> None:
    command = [TRICHAT, "serve", "--host", "127.0.0.1", "--port", "0"]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stderr is not None
            warning = next(line for line in process.stderr if " WARNING " in line)
            problem = "but standard output cannot be written to: No space"
            listens = re.fullmatch(rf"\S+ WARNING trichat listens on 127\.0\.0\.1:(\d+), {problem} .*\n", warning)
            assert listens is not None, warning
            with socket.create_connection(("127.0.0.1", int(listens[1]))):
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_a_taken_port_is_one_sentence_and_exit_status_2(server: Served, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ended = trichat("serve", "--host", "127.0.0.1", "--port", str(server.port), cwd=other)
    assert ended.returncode == 2
    assert ended.stdout == ""
    sentence = f"cannot listen on 127.0.0.1:{server.port}: Address already in use"
    assert [line for line in ended.stderr.splitlines() if "INFO" not in line] == [
        f"trichat: {sentence} (another program has the port; choose another port, or stop it)"
    ]


def test_an_address_of_another_machine_is_one_sentence_and_exit_status_2(tmp_path: Path) -> None:
    ended = trichat("serve", "--host", "198.51.100.7", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 2
    assert "cannot listen on 198.51.100.7:0: Cannot assign requested address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_server_on_the_same_log_is_refused(server: Served) -> None:
    ended = trichat("serve", "--host", "127.0.0.1", "--port", "0", "--control", "other.sock", cwd=server.folder)
    assert ended.returncode == 2
    assert "plugin 'chat_log' cannot start" in ended.stderr
    assert "chat_log.txt: another server is writing to it" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_all_faults_of_a_configuration_are_told_and_nothing_is_started(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        """
        [server]
        prt = 1024
        port = "1024"
        [plugins.blacklist]
        addresses = ["10.0.0.7", "10.0.0.1/8"]
        [plugins.blaklist]
        """,
    )
    ended = trichat("serve", "--config", config, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"trichat: {config}: server.prt: unknown key (did you mean 'port'?)",
        f"trichat: {config}: server.port: Expected `int`, got `str` (here: '1024')",
        f"trichat: {config}: plugins.blaklist: no such plugin (did you mean 'blacklist'?)",
        f"trichat: {config}: plugins.blacklist.addresses[1]: '10.0.0.1/8' has bits beyond its prefix; "
        "the network is '10.0.0.0/8'",
    ]
    assert not (tmp_path / "chat_log.txt").exists()


# 2. Connection


def test_who_is_blacklisted_is_told_so_and_nobody_else_hears_of_it(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[plugins.blacklist]\naddresses = ["127.0.0.6/31"]\n')
    with served(tmp_path, "--config", config) as server:
        alice = server.join("alice")
        mallory = server.connect("127.0.0.7")
        mallory.say("mallory", "buy this")
        assert mallory.rest() == ["* refused: 127.0.0.6/31 is on the blacklist"]
        alice.say("anyone here?")
        alice.reads("alice: anyone here?")
        assert server.log() == ["lobby * alice joined", "lobby alice: anyone here?"]
        server.logs("WARNING 127.0.0.7 refused: 127.0.0.6/31 is on the blacklist")


def test_no_more_are_let_in_than_leave_the_process_some_of_its_descriptors(tmp_path: Path) -> None:
    with served(tmp_path, shell="ulimit -n 80") as server:
        server.logs("may open only 80 files: it admits 16 clients, and keeps 64 for the rest")
        alice = server.join("alice")
        guests = [server.connect() for _ in range(40)]
        # Which of those who come together are the first is for Trio to say.
        heard = Counter(guest.line() for guest in guests)
        assert heard == {GREETING: 15, "* refused: the server is full (16 clients)": 25}
        assert trichat("tasks", cwd=tmp_path).returncode == 0
        (tmp_path / "chat_log.txt").rename(tmp_path / "chat_log.txt.1")
        reloaded = trichat("reload", cwd=tmp_path)
        assert (reloaded.returncode, reloaded.stdout, reloaded.stderr) == (0, "reloaded\n", "")
        alice.say("hello")
        alice.reads("alice: hello")
        assert "Traceback" not in server.errors()


# 3. to 6. Names, joining, history, messages


def test_two_people_chat(server: Served) -> None:
    alice = server.connect()
    alice.reads(GREETING)
    alice.say("alice")
    alice.reads(
        "* welcome, alice; you are the first here; what is said is kept (dates are UTC); "
        "/help shows the commands; bye leaves"
    )
    bob = server.connect()
    bob.say("bob")
    bob.reads(GREETING)
    assert without_date(bob.line() or "") == "* alice joined"
    bob.reads("* welcome, bob; here: alice; what is said is kept (dates are UTC); /help shows the commands; bye leaves")
    alice.reads("* bob joined")
    alice.say("hello")
    alice.reads("alice: hello")
    bob.reads("alice: hello")
    assert server.log() == ["lobby * alice joined", "lobby * bob joined", "lobby alice: hello"]


@pytest.mark.skipif(shutil.which("nc") is None, reason="netcat is not installed")
def test_netcat_is_enough(server: Served) -> None:
    bob = server.join("bob")
    command = ["nc", "127.0.0.1", str(server.port)]
    typed = "netcat\nhello\nbye\n"
    ended = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.stdout.splitlines()[-2:] == ["netcat: hello", "* goodbye, netcat"]
    bob.reads("* netcat joined", "netcat: hello", "* netcat left")


def test_a_name_that_cannot_be_had_is_refused_with_a_sentence_and_there_are_five_tries(server: Served) -> None:
    server.join("alice")
    bob = server.connect()
    bob.say("ALICE", "x" * 33, "a:b", "", "*", "\x07")
    assert bob.rest() == [
        GREETING,
        "* the name 'ALICE' is taken; try another name",
        "* a name has at most 32 characters, this one has 33; try another name",
        "* a name cannot contain ':'; try another name",
        "* a name cannot contain '*'; try another name",
        "* a name cannot contain '\\x07'; that was the last try",
    ]


def test_a_pasted_text_of_500_lines_arrives_whole_and_in_order(server: Served) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    alice.reads("* bob joined")
    pasted = [f"{number}: {'x' * (number % 97)}" for number in range(500)]
    alice.say(*pasted)
    bob.reads(*(f"alice: {line}" for line in pasted))
    alice.reads(*(f"alice: {line}" for line in pasted))


def test_piped_input_without_a_last_line_feed_is_said_and_answered(server: Served) -> None:
    bob = server.join("bob")
    robot = server.connect()
    robot.send(b"robot\nbuild passed\ndeployed")
    robot.send_eof()
    assert robot.rest()[-2:] == ["robot: build passed", "robot: deployed"]
    bob.reads("* robot joined", "robot: build passed", "robot: deployed", "* robot left")


def test_terminals_are_safe_from_what_others_send(server: Served) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    alice.reads("* bob joined")
    alice.send(b"\x1b[2J\x1b]0;owned\x07red\x1b[31m \xe2\x80\xaelru\xff\xfb\x01\xc3\x28 bell\x07\r\n")
    bob.reads("alice: red lru\ufffd( bell")


def test_a_line_over_the_limit_is_refused_and_the_connection_lives_on(server: Served) -> None:
    alice = server.join("alice")
    alice.say("x" * 4097, "y" * 4096)
    alice.reads("* not taken: a line has at most 4096 bytes", "alice: " + "y" * 4096)


# 7. Leaving


def test_bye_says_goodbye_and_the_others_hear_of_it(server: Served) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    alice.say("so long", "bye", "this is not said")
    assert alice.rest() == ["* bob joined", "alice: so long", "* goodbye, alice"]
    bob.reads("alice: so long", "* alice left")


@pytest.mark.parametrize("how", [Caller.hang_up, Caller.reset])
def test_a_connection_that_ends_or_breaks_is_a_departure(server: Served, how: object) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    assert callable(how)
    how(alice)
    bob.reads("* alice left")


def test_a_client_that_does_not_read_is_disconnected_and_costs_the_others_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path, "[server]\nbacklog_bytes = 65536\n")
    with served(tmp_path, "--config", config) as server:
        alice, sloth = server.join("alice"), server.join("sloth")
        alice.reads("* sloth joined")
        line = "x" * 4000
        heard: list[str | None] = []
        while "* sloth left" not in heard:
            assert len(heard) < 10_000, "nobody was disconnected"
            alice.say(line)
            heard.append(alice.line())
        server.logs("sloth (127.0.0.1) disconnected: too slow: more than 65536 bytes were waiting")
        *before, last = sloth.rest()
        assert last == "* disconnected: too slow: more than 65536 bytes were waiting"
        assert set(before) == {f"alice: {line}"}


# 8. Stopping


def test_stop_tells_everyone_closes_the_log_and_exits_with_0(server: Served) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    unnamed = server.connect()
    alice.say("the end is near", "stop")
    told = "* the server is stopping (stopped by alice)"
    assert alice.rest() == ["* bob joined", "alice: the end is near", told]
    assert bob.rest()[:1] == ["alice: the end is near"]
    assert unnamed.rest() == [GREETING, told]
    assert server.ends() == 0
    assert sorted(server.log()[-2:]) == ["lobby *quit alice", "lobby *quit bob"]


def test_who_pipes_a_stop_reads_the_last_words_as_well(server: Served) -> None:
    robot = server.connect()
    robot.say("robot", "good night", "stop")
    robot.send_eof()
    assert robot.rest()[-2:] == ["robot: good night", "* the server is stopping (stopped by robot)"]
    assert server.ends() == 0


def test_stop_is_for_this_machine_unless_it_is_allowed_wider(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[plugins.stop]\nallow = ["127.0.0.2"]\n')
    with served(tmp_path, "--config", config) as server:
        alice = server.join("alice", "127.0.0.1")
        alice.say("stop", "still here")
        alice.reads("* you may not stop the server from 127.0.0.1, only from 127.0.0.2", "alice: still here")
        server.join("bob", "127.0.0.2").say("stop")
        assert alice.rest() == ["* bob joined", "* the server is stopping (stopped by bob)"]
        assert server.ends() == 0


def test_a_client_that_does_not_read_delays_a_stop_by_no_more_than_the_timeout(tmp_path: Path) -> None:
    config = write_config(tmp_path, "[server]\nbacklog_bytes = 16777216\nshutdown_timeout = 2.0\n")
    with served(tmp_path, "--config", config) as server:
        alice, sloth = server.join("alice"), server.join("sloth")
        alice.reads("* sloth joined")
        line = "x" * 4000
        for _ in range(2000):  # 8 MB: more than the kernel takes on its behalf
            alice.say(line)
            alice.reads(f"alice: {line}")
        alice.say("stop")
        # That is far sooner than send_timeout, and a forced exit would have another status.
        assert server.ends() == 0
        sloth.hang_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_like_stop(server: Served, number: signal.Signals) -> None:
    alice = server.join("alice")
    server.signal(number)
    assert alice.rest() == [f"* the server is stopping (got {number.name})"]
    assert server.ends() == 0
    assert server.log() == ["lobby * alice joined", "lobby *quit alice"]


HESITANT = """
from contextlib import asynccontextmanager
import trio
from trichat import hookimpl
@hookimpl
@asynccontextmanager
async def lifespan(server):
    print("starting", flush=True)
    await trio.sleep_forever()
    yield
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_breaks_the_start_off(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "hesitant.py").write_text(HESITANT)
    config = write_config(tmp_path, "[plugins.hesitant]\nhook_timeout = 3600.0\n")
    command = [TRICHAT, "serve", "--port", "0", "--config", config, "--plugin", "hesitant.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "starting\n"
            process.send_signal(number)
            out, log = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert f"the server is stopping (got {number.name}) before it has started" in log


def test_a_second_ctrl_c_ends_it_at_once(server: Served) -> None:
    alice = server.join("alice")
    server.signal(signal.SIGINT)
    alice.reads("* the server is stopping (got SIGINT)")  # and now it waits for alice to close
    server.signal(signal.SIGINT)
    assert server.ends() == -signal.SIGINT


def test_a_plugin_that_never_returns_holds_up_no_second_ctrl_c(tmp_path: Path) -> None:
    hook = "def on_message():\n    print('stuck', flush=True)\n    while True: pass\n"
    (tmp_path / "stuck.py").write_text(f"from trichat import hookimpl\n@hookimpl\n{hook}")
    with served(tmp_path, "--plugin", "stuck.py") as server:
        server.join("alice").say("hello")
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == "stuck\n"
        server.signal(signal.SIGINT)
        while server.process.poll() is None:  # as one does
            server.signal(signal.SIGINT)
        assert server.ends() == -signal.SIGINT


def test_a_plugin_whose_failure_stops_it_is_told_by_the_status(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("from trichat import hookimpl\n@hookimpl\ndef on_message():\n    raise KeyError\n")
    config = write_config(tmp_path, "[plugins.bad]\non_error = 'stop'\n")
    with served(tmp_path, "--config", config, "--plugin", "bad.py") as server:
        alice = server.join("alice")
        alice.say("hello")
        alice.reads_to("* the server is stopping (the plugin 'bad' failed)")
        assert server.ends() == 1


def test_no_connection_is_taken_any_more_while_it_stops(server: Served) -> None:
    alice = server.join("alice")
    alice.say("stop")
    alice.reads("* the server is stopping (stopped by alice)")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


# 9. Restart


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, "stop"])
def test_the_history_is_there_after_a_restart(tmp_path: Path, end: signal.Signals | str) -> None:
    with served(tmp_path) as server:
        alice = server.join("alice")
        alice.say("remember this")
        alice.reads("alice: remember this")
        if isinstance(end, str):
            alice.say(end)
        else:
            server.signal(end)
        server.ends()
    with served(tmp_path) as server:
        bob = server.connect()
        bob.say("bob")
        heard = bob.reads_to("* welcome, ")[1:-1]
        expected = ["* alice joined", "alice: remember this", "* alice left"]
        assert [without_date(line) for line in heard] == (expected[:2] if end == signal.SIGKILL else expected)


def test_what_anyone_saw_survives_a_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        alice, bob = server.join("alice"), server.join("bob")
        alice.say(*(f"message {number}" for number in range(3000)))
        seen = [bob.line() for _ in range(1000)]
        server.signal(signal.SIGKILL)
        server.ends()
        alice.hang_up()
    with served(tmp_path) as server:
        logged = [line.removeprefix("lobby ") for line in server.log()]
        said = [line for line in logged if line.startswith("alice: ")]
        assert seen == said[:1000]
        assert said == [f"alice: message {number}" for number in range(len(said))]
        carol = server.connect()
        carol.say("carol", "and on it goes")
        carol.reads_to("carol: and on it goes")


def test_a_last_line_torn_by_a_crash_is_set_aside(tmp_path: Path) -> None:
    whole = "2026-11-22T13:29:00.123456Z lobby alice: whole\n"
    torn = "2026-11-22T13:29:00.123457Z lobby alice: to"
    (tmp_path / "chat_log.txt").write_text(whole + torn)
    with served(tmp_path) as server:
        bob = server.connect()
        bob.say("bob", "next")
        assert bob.reads_to("bob: next")[1] == "[2026-11-22 13:29:00] alice: whole"
        assert server.log() == ["lobby alice: whole", "lobby * bob joined", "lobby bob: next"]
        assert (tmp_path / "chat_log.txt.torn").read_text() == torn + "\n"
        server.logs("WARNING the last line of chat_log.txt was torn by a crash")


# Signals and files


def test_sighup_reads_the_blacklist_anew(tmp_path: Path) -> None:
    blacklist = tmp_path / "blacklist.txt"
    blacklist.write_text("# nobody yet\n")
    config = write_config(tmp_path, '[plugins.blacklist]\nfile = "blacklist.txt"\n')
    with served(tmp_path, "--config", config) as server:
        alice = server.join("alice", "127.0.0.3")
        blacklist.write_text("127.0.0.3  # since today\n")
        server.signal(signal.SIGHUP)
        alice.waits_for(lambda: "blacklist.txt was read; addresses and networks in it: 1" in server.errors())
        assert server.connect("127.0.0.3").rest() == ["* refused: 127.0.0.3 is on the blacklist"]


def test_sighup_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "hup.py").write_text(
        "import os, signal\nfrom trichat import hookimpl\nos.kill(os.getpid(), signal.SIGHUP)\n"
        "@hookimpl\ndef on_reload(): ...\n"
    )
    with served(tmp_path, "--plugin", "hup.py") as server:
        server.join("alice")


def test_sighup_goes_on_with_a_new_log_after_logrotate(server: Served) -> None:
    alice = server.join("alice")
    alice.say("old")
    alice.reads("alice: old")
    (server.folder / "chat_log.txt").rename(server.folder / "chat_log.txt.1")
    server.signal(signal.SIGHUP)
    alice.waits_for((server.folder / "chat_log.txt").exists)
    alice.say("new")
    alice.reads("alice: new")
    assert server.log() == ["lobby alice: new"]
    bob = server.connect()
    bob.say("bob")
    heard = bob.reads_to("* welcome, ")[1:-1]
    assert [without_date(line) for line in heard] == ["* alice joined", "alice: old", "alice: new"]


# The control socket


def test_tasks_shows_the_clients_by_name_and_the_tasks_of_plugins_and_where_each_waits(server: Served) -> None:
    server.join("alice")
    ended = trichat("tasks", cwd=server.folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    for name, place in {
        "client alice": "SocketTransport.receive: await wait_readable(self._socket)",
        "trichat_plugins.chat_log.ChatLog._sync_every_second": "await trio.sleep(SYNC_INTERVAL)",
        f"listener 127.0.0.1:{server.port}": "await trio.lowlevel.wait_readable(listening)",
    }.items():
        assert any(line.strip().startswith(f"{name}  at ") and place in line for line in ended.stdout.splitlines())


def test_reload_does_what_sighup_does_and_says_so(server: Served) -> None:
    alice = server.join("alice")
    (server.folder / "chat_log.txt").rename(server.folder / "chat_log.txt.1")
    ended = trichat("reload", cwd=server.folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "reloaded\n", "")
    alice.say("new")
    alice.reads("alice: new")
    assert server.log() == ["lobby alice: new"]


def test_reload_takes_a_new_version_of_a_plugin_and_nobody_notices(tmp_path: Path) -> None:
    plugin = tmp_path / "shout.py"
    text = "from trichat import hookimpl\n@hookimpl\ndef on_message(message):\n    return message.with_text('{}')\n"
    plugin.write_text(text.format("one"))
    with served(tmp_path, "--plugin", "shout.py") as server:
        alice = server.join("alice")
        alice.say("hello")
        alice.reads("alice: one")
        plugin.write_text(text.format("the second"))
        ended = trichat("reload", cwd=tmp_path)
        news = "plugin 'shout': replaced by its new version\nreloaded\n"
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, news, "")
        alice.say("hello")
        alice.reads("alice: the second")
        plugin.write_text("def (")
        ended = trichat("reload", cwd=tmp_path)
        assert (ended.returncode, ended.stdout) == (1, "")
        fault = r"plugin 'shout\.py' cannot be imported: \S*shout\.py:1: invalid syntax"
        assert re.fullmatch(f"trichat: {fault}; the previous version keeps running", ended.stderr.strip())
        alice.say("hello")
        alice.reads("alice: the second")


def test_a_plugin_that_takes_too_long_to_be_imported_again_holds_nobody_up(tmp_path: Path) -> None:
    plugin = tmp_path / "slow.py"
    text = "import time\nfrom trichat import hookimpl\ntime.sleep({})\n@hookimpl\ndef on_reload(): ...\n"
    plugin.write_text(text.format(0))
    config = write_config(tmp_path, "[server]\nhook_timeout = 0.5\n")
    with served(tmp_path, "--config", config, "--plugin", "slow.py") as server:
        plugin.write_text(text.format(1.5))
        ended = trichat("reload", cwd=tmp_path)
        fault = "trichat: plugin 'slow' cannot be imported within 0.5 seconds; the previous version keeps running\n"
        assert (ended.returncode, ended.stderr) == (1, fault)
        assert "blocks the server" not in server.errors()


def test_reload_tells_what_has_failed_and_ends_with_status_1(tmp_path: Path) -> None:
    blacklist = tmp_path / "blacklist.txt"
    blacklist.write_text("127.0.0.3\n")
    config = write_config(tmp_path, '[plugins.blacklist]\nfile = "blacklist.txt"\n')
    with served(tmp_path, "--config", config) as server:
        blacklist.write_text("127.0.0.300\n")
        ended = trichat("reload", cwd=tmp_path)
        fault = "blacklist.txt:1: '127.0.0.300' is not an IP address or network"
        assert ended.returncode == 1
        assert ended.stderr == f"trichat: the plugin 'blacklist' failed: {fault}; it keeps what it had\n"
        server.logs(f"ERROR plugin 'blacklist' failed in on_reload: {fault}")
        assert "Traceback" not in server.errors()
        assert server.connect("127.0.0.3").rest() == ["* refused: 127.0.0.3 is on the blacklist"]


@pytest.fixture
def watching(server: Served) -> Iterator[subprocess.Popen[str]]:
    """Somebody who has typed `trichat trace`."""
    command = [TRICHAT, "trace"]
    with subprocess.Popen(
        command, cwd=server.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline().startswith("watching; ")
            yield it
        finally:
            it.kill()


def test_trace_shows_what_plugins_make_of_what_is_said_until_ctrl_c(
    server: Served, watching: subprocess.Popen[str]
) -> None:
    alice = server.join("alice")
    alice.say("hello", "bye")
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(6)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z lobby alice: hello\n", lines[0])
    assert re.fullmatch(r"  bye +consumed +\d+\.\d µs\n", lines[-1])
    watching.send_signal(signal.SIGINT)
    assert watching.stdout.read() == ""
    assert watching.wait(PATIENCE) == 0


def test_who_traces_a_server_that_ends_is_told_so(server: Served, watching: subprocess.Popen[str]) -> None:
    server.signal(signal.SIGTERM)
    assert watching.stdout is not None
    assert watching.stdout.read() == "trichat: the server closed the connection in the middle of its answer\n"
    assert watching.wait(PATIENCE) == 2


def test_who_has_read_enough_of_an_answer_is_not_told_of_a_broken_pipe(server: Served) -> None:
    command = f"{TRICHAT} tasks | true"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=server.folder, capture_output=True, timeout=PATIENCE, check=True
    )
    assert ended.stderr == b""


def test_a_second_server_in_the_same_folder_is_told_of_the_first(server: Served) -> None:
    ended = trichat("serve", "--host", "127.0.0.1", "--port", "0", cwd=server.folder)
    assert ended.returncode == 2
    assert ended.stderr == (
        "trichat: another server uses the control socket 'trichat.sock'; "
        "stop it, or name another socket with --control\n"
    )
    assert trichat("tasks", cwd=server.folder).returncode == 0


def test_the_control_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.signal(signal.SIGKILL)
        server.ends()
        assert (tmp_path / "trichat.sock").exists()
        ended = trichat("tasks", cwd=tmp_path)
        assert ended.returncode == 2
        assert ended.stderr == "trichat: no server here: nothing listens on 'trichat.sock' any more\n"
    with served(tmp_path):
        assert trichat("reload", cwd=tmp_path).returncode == 0


def test_the_control_socket_goes_with_the_server(server: Served) -> None:
    assert (server.folder / "trichat.sock").is_socket()
    server.signal(signal.SIGTERM)
    assert server.ends() == 0
    assert not (server.folder / "trichat.sock").exists()


def test_a_stop_that_waits_for_a_plugin_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import trio\nfrom trichat import hookimpl\n@hookimpl\nasync def on_disconnect():\n    await trio.sleep(60)\n"
    )
    with served(tmp_path, "--plugin", "slow.py") as server:
        alice = server.join("alice")
        alice.say("stop")
        alice.reads("* the server is stopping (stopped by alice)")
        assert "slow.py:5 in on_disconnect: await trio.sleep(60)" in trichat("tasks", cwd=tmp_path).stdout


def test_the_control_socket_is_where_it_is_configured_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "trichat.toml").write_text('[server]\ncontrol = "elsewhere.sock"\n')
    with served(tmp_path) as server:
        assert trichat("reload", cwd=tmp_path).returncode == 0
        assert trichat("reload", "--control", "elsewhere.sock", cwd=tmp_path).returncode == 0
        assert trichat("reload", "--control", "trichat.sock", cwd=tmp_path).returncode == 2
        server.signal(signal.SIGTERM)
        server.ends()
    with served(tmp_path, "--control", ""):
        assert [*tmp_path.glob("*.sock")] == []


def test_verbose_logs_more(tmp_path: Path) -> None:
    with served(tmp_path, "-v") as server:
        alice = server.connect()
        alice.say("not: a name", "alice", "hello")
        alice.reads_to("alice: hello")
        server.logs("DEBUG 127.0.0.1: refused as 'not: a name': a name cannot contain ':'")


def test_the_log_of_the_server_tells_who_comes_and_goes(server: Served) -> None:
    alice, bob = server.join("alice"), server.join("bob")
    alice.say("bye")
    bob.reads_to("* alice left")
    bob.waits_for(lambda: "disconnected" in server.errors())
    log = [line.partition(" ")[2] for line in server.errors().splitlines()]
    assert log == [
        f"INFO plugin 'json_lines' listens on {json_lines_of(server)}",
        "INFO 127.0.0.1 connected",
        "INFO alice (127.0.0.1) joined lobby",
        "INFO 127.0.0.1 connected",
        "INFO bob (127.0.0.1) joined lobby",
        "INFO alice (127.0.0.1) disconnected: goodbye, alice",
    ]
