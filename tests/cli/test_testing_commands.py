"""The commands that test: `trichat check-plugin` and `trichat transcript`."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_kit import PATIENCE, TRICHAT, Served, served, trichat

BAD_PLUGINS = Path(__file__).parents[1] / "testing" / "bad_plugins"
TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"

# A whole conformance run takes ten seconds on an idle machine.
LONG_PATIENCE = 10 * PATIENCE

# A case that takes no time, for those who are not interested in what is played.
QUICK = "server @ 1"

# Writes what it hears, and its option, to a file whose name is the option.
RECORDER = """
from pathlib import Path
from trichat import Message, Options, hookimpl

class RecorderOptions(Options, frozen=True):
    path: str = "recorded.txt"

class Recorder:
    def __init__(self, options: RecorderOptions) -> None:
        self._path = Path(options.path)

    @hookimpl
    def on_message(self, message: Message) -> None:
        with self._path.open("a") as file:
            file.write(message.text + "\\n")
"""


def check_plugin(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [TRICHAT, "check-plugin", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONG_PATIENCE, check=False)


def bad(plugin: str) -> str:
    return str(BAD_PLUGINS / f"{plugin}.py")


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """A plugin that writes what it hears to a file in `tmp_path`, which its options name."""
    path = tmp_path / "recorder.py"
    path.write_text(RECORDER)
    (tmp_path / "chat.toml").write_text(f"[plugins.recorder]\npath = '{tmp_path / 'heard.txt'}'\n")
    return path


# check-plugin


def test_a_good_plugin_is_good_row_by_row(tmp_path: Path) -> None:
    ended = check_plugin("commands", "--only", QUICK, cwd=tmp_path)
    *rows, blank, verdict = ended.stdout.splitlines()
    assert [row for row in rows if row[28:36] != "ok      " or not row[36:]] == []
    assert "cancelled with the server" in [row[:28].rstrip() for row in rows]
    assert (blank, verdict) == ("", "commands: good")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_plugin_fails_with_what_is_wrong_below_the_table(tmp_path: Path) -> None:
    ended = check_plugin(bad("misspelled_hook"), cwd=tmp_path)
    row, blank, check, failure, *_, verdict = ended.stdout.splitlines()
    assert row.split() == ["loads;", "its", "hooks", "FAILED"]
    assert (blank, check) == ("", "loads; its hooks")
    assert failure.startswith("    plugin 'misspelled_hook' (")
    assert "unknown hook 'on_leave'" in failure
    assert verdict.startswith("misspelled_hook: 1 check")
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_plugin_that_cannot_start_fails(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from trichat import hookimpl\n\n@hookimpl\ndef lifespan(server):\n    raise OSError('the bell is broken')\n"
    )
    ended = check_plugin("broken.py", cwd=tmp_path)
    assert "plugin 'broken' failed in lifespan: OSError('the bell is broken')" in ended.stdout
    assert (ended.returncode, ended.stderr) == (1, "")


def test_the_case_that_a_failure_names_is_played_alone(tmp_path: Path) -> None:
    case = "hook swallows_cancellation.on_message @ 1"
    ended = check_plugin(bad("swallows_cancellation"), "--only", case, cwd=tmp_path)
    failed = [row.partition("  ")[0] for row in ended.stdout.splitlines() if row[28:34] == "FAILED"]
    assert failed == ["cancelled in a hook"]
    assert "2 cases, 1 of them broken" in ended.stdout
    assert f"trichat check-plugin {bad('swallows_cancellation')} --only '{case}'" in ended.stdout
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_case_with_a_neighbour_is_played_alone(tmp_path: Path) -> None:
    case = "a neighbour that raises in on_connect, first"
    ended = check_plugin(bad("assumes_on_connect"), "--only", case, cwd=tmp_path)
    failed = [row.partition("  ")[0] for row in ended.stdout.splitlines() if row[28:34] == "FAILED"]
    assert failed == ["another plugin raises"]
    assert "2 cases, 1 of them broken" in ended.stdout
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("case", ["everything", "hook of.nobody @ 1", "server @ 9999", "server @ x"])
def test_a_case_that_there_is_not_is_told(tmp_path: Path, case: str) -> None:
    ended = check_plugin("commands", "--only", case, cwd=tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert repr(case) in ended.stderr


def test_lines_of_its_author_are_said(tmp_path: Path, recorder: Path) -> None:
    arguments = [str(recorder), "--config", "chat.toml", "--only", QUICK]
    ended = check_plugin(*arguments, "--say", "open sesame", "--say", "close it", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    heard = (tmp_path / "heard.txt").read_text().splitlines()
    assert {"open sesame", "close it"} <= set(heard)


def test_its_options_are_read_from_the_configuration(tmp_path: Path, recorder: Path) -> None:
    ended = check_plugin("recorder.py", "--config", "chat.toml", "--only", QUICK, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "good morning" in (tmp_path / "heard.txt").read_text().splitlines()


def test_without_a_configuration_its_options_have_their_defaults(tmp_path: Path, recorder: Path) -> None:
    ended = check_plugin("recorder.py", "--only", QUICK, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not (tmp_path / "heard.txt").exists()
    assert not (tmp_path / "recorded.txt").exists()


def test_options_that_are_wrong_are_told(tmp_path: Path, recorder: Path) -> None:
    (tmp_path / "chat.toml").write_text("[plugins.recorder]\npaht = 1\n")
    ended = check_plugin("recorder.py", "--config", "chat.toml", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "plugins.recorder.paht: unknown key" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = check_plugin("commands", "--config", "nowhere.toml", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "trichat: nowhere.toml: cannot be read (No such file or directory)\n"


def test_a_plugin_that_nobody_knows_is_told_in_one_sentence(tmp_path: Path) -> None:
    ended = check_plugin("nobody_knows", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("trichat: plugin 'nobody_knows' cannot be imported: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = check_plugin("nowhere.py", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"trichat: plugin '{tmp_path / 'nowhere.py'}': there is no such file\n"


@pytest.mark.parametrize(
    ("text", "error"), [("def (", "broken.py:1: invalid syntax"), ("import nothing_of_this_name", "No module")]
)
def test_a_file_that_cannot_be_imported_is_told(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "broken.py").write_text(f"{text}\n")
    ended = check_plugin("broken.py", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"trichat: plugin '{tmp_path / 'broken.py'}' cannot be imported: ")
    assert error in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_module_that_has_no_hooks_fails(tmp_path: Path) -> None:
    ended = check_plugin("json", cwd=tmp_path)
    assert "it has no hooks; is @hookimpl missing?" in ended.stdout
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_plugin_that_the_configuration_turns_off_is_not_called_good(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text("[plugins.commands]\nenabled = false\n")
    ended = check_plugin("commands", "--config", "chat.toml", "--only", QUICK, cwd=tmp_path)
    assert ended.returncode == 2
    assert "commands" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_plugin_it_tells_how_it_is_used(tmp_path: Path) -> None:
    ended = check_plugin(cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: trichat check-plugin")


@pytest.mark.parametrize("hook", ["on_join(client)", "on_broadcast(messages)"])
def test_ctrl_c_ends_it(tmp_path: Path, hook: str) -> None:
    # Whenever it comes; here, always in the middle of a hook.
    (tmp_path / "tired.py").write_text(
        "import signal\nfrom trichat import hookimpl\n\n"
        f"@hookimpl\nasync def {hook}:\n    signal.raise_signal(signal.SIGINT)\n"
    )
    ended = check_plugin("tired.py", cwd=tmp_path)
    assert ended.returncode == 128 + signal.SIGINT
    assert [row.partition("  ")[0] for row in ended.stdout.splitlines()] == ["loads; its hooks"]
    assert ended.stderr == ""


@pytest.mark.parametrize("command", ["check-plugin", "transcript"])
def test_help_tells_of_the_commands_that_test(tmp_path: Path, command: str) -> None:
    assert f"  {command} " in trichat("--help", cwd=tmp_path).stdout
    ended = trichat(command, "--help", cwd=tmp_path)
    assert ended.returncode == 0
    options = {"check-plugin": ["PLUGIN", "--config", "--say", "--only"], "transcript": ["FILE", "--connect"]}
    for option in options[command]:
        assert option in ended.stdout


# transcript

MEETING = """\
# Two people meet.
alice> alice
alice< * welcome to trichat; type your name and press Enter
alice< * welcome, alice; you are the first here; what is said is kept (dates are UTC); /help shows the commands; bye leaves
alice> hello
alice< alice: hello
"""  # noqa: E501

WRONG = MEETING.replace("alice< alice: hello", "alice< alice: hullo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with transcripts; what a server writes is elsewhere."""
    folder = tmp_path / "transcripts"
    folder.mkdir()
    (folder / "meeting.txt").write_text(MEETING)
    (folder / "wrong.txt").write_text(WRONG)
    (folder / "torn.txt").write_text("alice> hello\nalice says hello\n")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as server:
        yield server


def test_a_transcript_that_is_true_passes(folder: Path) -> None:
    ended = trichat("transcript", "meeting.txt", cwd=folder)
    assert ended.stdout == "meeting.txt: everybody heard what it says\n"
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_transcripts_of_this_repository_pass_all_at_once(tmp_path: Path) -> None:
    files = sorted(map(str, TRANSCRIPTS.glob("*.txt")))
    ended = trichat("transcript", *files, cwd=tmp_path)
    assert ended.stdout.splitlines() == [f"{file}: everybody heard what it says" for file in files]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


DIFFERENCE = """\
wrong.txt: people heard something else
--- wrong.txt
+++ played
@@ -2,4 +2,4 @@
 alice< * welcome to trichat; type your name and press Enter
 alice< * welcome, alice; you are the first here; what is said is kept (dates are UTC); /help shows the commands; bye leaves
 alice> hello
-alice< alice: hullo
+alice< alice: hello
"""  # noqa: E501


def test_one_that_is_not_true_shows_the_difference_and_the_others_are_played(folder: Path) -> None:
    ended = trichat("transcript", "wrong.txt", "meeting.txt", cwd=folder)
    assert ended.stdout == DIFFERENCE + "meeting.txt: everybody heard what it says\n"
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("alice says hello\n", "faulty.txt:1: not a line of a transcript: 'alice says hello'"),
        ("alice< hello\n", "faulty.txt: it begins with a line that somebody hears; begin with an action"),
        ("| [server\n", "faulty.txt: the configuration is not TOML ("),
        ("| [server]\n| prot = 3\nalice+\n", "server.prot: unknown key (did you mean 'port'?)"),
        ('| plugin = ["nowhere.py"]\nalice+\n', "plugin 'nowhere.py': there is no such file"),
        ('| plugin = "nowhere.py"\nalice+\n', "faulty.txt: plugin: expected a list of files or modules"),
    ],
)
def test_a_file_that_is_no_transcript_is_told_with_its_fault(folder: Path, text: str, fault: str) -> None:
    (folder / "faulty.txt").write_text(text)
    ended = trichat("transcript", "faulty.txt", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("trichat: ")
    assert fault in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_transcript_that_is_not_there_is_told(folder: Path) -> None:
    ended = trichat("transcript", "nowhere.txt", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("trichat: nowhere.txt: cannot be read (")
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_transcript_it_tells_how_it_is_used(folder: Path) -> None:
    ended = trichat("transcript", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: trichat transcript")


# transcript --connect


def test_a_transcript_is_played_on_a_server_that_runs(folder: Path, server: Served) -> None:
    ended = trichat("transcript", "--connect", f"127.0.0.1:{server.port}", "meeting.txt", cwd=folder)
    assert ended.stdout == "meeting.txt: everybody heard what it says\n"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "lobby alice: hello" in server.log()


def test_the_address_may_be_a_name(folder: Path, server: Served) -> None:
    ended = trichat("transcript", "meeting.txt", "--connect", f"localhost:{server.port}", cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_address_may_be_of_ipv6(folder: Path, tmp_path: Path) -> None:
    with served(tmp_path, "--host", "::1") as server:
        ended = trichat("transcript", "meeting.txt", "--connect", f"[::1]:{server.port}", cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_people_heard_on_a_server_that_runs_is_compared_too(folder: Path, server: Served) -> None:
    ended = trichat("transcript", "--connect", f"127.0.0.1:{server.port}", "wrong.txt", cwd=folder)
    assert ended.stdout == DIFFERENCE
    assert (ended.returncode, ended.stderr) == (1, "")


def test_where_no_server_listens_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = trichat("transcript", "--connect", f"127.0.0.1:{port}", "meeting.txt", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"trichat: cannot connect to 127.0.0.1:{port}: Connection refused\n"


@pytest.mark.parametrize("place", ["127.0.0.1", ":1024", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"])
def test_what_is_no_address_is_told(folder: Path, place: str) -> None:
    ended = trichat("transcript", f"--connect={place}", "meeting.txt", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "argument --connect: " in ended.stderr


def test_a_faulty_transcript_is_told_before_anything_is_played_on_a_server_that_runs(
    folder: Path, server: Served
) -> None:
    ended = trichat("transcript", "--connect", f"127.0.0.1:{server.port}", "torn.txt", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "trichat: torn.txt:2: not a line of a transcript: 'alice says hello'\n"
    assert server.log() == []
