"""The conformance run: the built-in plugins and the examples pass, and each plugin in bad_plugins/ fails for its fault.

Most checks play a hundred runs each. Such a check is tried on a bad plugin only if it is the one that finds its fault.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from built_in_kit import BUILT_IN

from trichat.testing import Invariant, Result, Subject, check_plugin
from trichat.testing._conformance import cases, runner
from trichat.testing._conformance.plugin_under_test import ORDINARY
from trichat.testing._exploring import invariants
from trichat.testing._exploring.invariants import title

BAD_PLUGINS = Path(__file__).parents[1] / "bad_plugins"
EXAMPLES = Path(__file__).parents[3] / "examples"

# Examples that are not plugins: this one is a program that embeds a server.
PROGRAMS = {"embedded"}

EXAMPLE_PLUGINS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in PROGRAMS)

LOADS = "loads; its hooks"
DIALOGUE = "an ordinary dialogue"
BLOCKS = "blocks nobody"
HOOK = "cancelled in a hook"
CLIENT = "cancelled with its client"
LIFESPAN = "cancelled in a lifespan"
SERVER = "cancelled with the server"
HANG_UP = "hang-up in a hook"
RAISING = "another plugin raises"
HANGING = "another plugin hangs"
SLOW_READER = "a slow reader"
FLOOD = "a flood"
RELOAD = "reload and restart"
TWO = "two servers"
KEEPS = "keeps nothing"

ALL = [LOADS, DIALOGUE, BLOCKS, HOOK, CLIENT, LIFESPAN, SERVER, HANG_UP, RAISING, HANGING]
ALL += [SLOW_READER, FLOOD, RELOAD, TWO, KEEPS]

# The checks that take a second or two. Each of the others plays a hundred runs.
SMALL = [LOADS, DIALOGUE, BLOCKS, LIFESPAN, SLOW_READER, FLOOD, RELOAD, TWO, KEEPS]


def broken(invariant: Invariant) -> str:
    """Return the heading of a failure of this invariant."""
    return f"{title(invariant)}: BROKEN"


NOT_SWALLOWED = broken(invariants.cancellation_passed)
ENDED = broken(invariants.ended_in_time)
NOTHING_LEFT = broken(invariants.nothing_left)
NOT_LOST = broken(invariants.no_line_is_lost)
HISTORY = broken(invariants.history_is_whole)
OWN_LINE = broken(cases.a_call_costs_its_own_line)
GOES_ON = broken(invariants.server_goes_on)
NO_FAILURE = broken(invariants.plugins_did_not_fail)


def failures(subject: Subject) -> dict[str, str]:
    return {result.check: result.failure for result in check_plugin(subject) if result.failure}


def bad(plugin: str, only: str = "") -> Subject:
    return Subject(str(BAD_PLUGINS / f"{plugin}.py"), only=only)


# Plugins that must fail


# The phrases that the text of a failure must have, by check.
Fault = Mapping[str, Sequence[str]]


def in_each(checks: Sequence[str], *phrases: str) -> Fault:
    return dict.fromkeys(checks, phrases)


FAULTS: Mapping[str, Fault] = {
    # Cancellation
    "swallows_cancellation": in_each(
        [HOOK],
        NOT_SWALLOWED,
        "hook swallows_cancellation.on_message: it returned as if it had not been cancelled",
        "swallows_cancellation.py:18 in LinkTitles._title_of",
        "--only 'hook swallows_cancellation.on_message @ 1'",
    ),
    "bare_except": in_each(
        [HOOK],
        NOT_SWALLOWED,
        "hook bare_except.on_join: it returned as if it had not been cancelled",
        "bare_except.py:12 in GuestBook.on_join: book = await",
    ),
    "gives_up_silently": in_each(
        [HOOK],
        NOT_SWALLOWED,
        "hook gives_up_silently.on_message: it returned as if it had not been cancelled",
        "gives_up_silently.py:19 in Translator._translated",
    ),
    "turns_cancellation_into_an_error": {
        HOOK: [
            NOT_SWALLOWED,
            "it raised FilterError('the spam filter does not answer') instead of trio.Cancelled",
            "turns_cancellation_into_an_error.py:22 in SpamFilter._ask",
        ],
        CLIENT: [
            NO_FAILURE,
            "plugin 'turns_cancellation_into_an_error' failed in on_message: the spam filter does not answer",
            "turns_cancellation_into_an_error.py:22 in SpamFilter._ask",
        ],
    },
    "shields_for_an_hour": in_each(
        [HOOK],
        ENDED,
        "hook shields_for_an_hour.on_message took 3600 s to end",
        "shields_for_an_hour.py:20 in Mirror._post",
    ),
    "keeps_its_lock": in_each(
        [HOOK],
        "keeps_its_lock.py:20 in SpellChecker._corrected",
        NO_FAILURE,
        "plugin 'keeps_its_lock' failed in /spell: it took longer than hook_timeout",
    ),
    "keeps_its_turn": in_each(
        [HOOK],
        "keeps_its_turn.py:20 in SpellChecker._corrected",
        NO_FAILURE,
        "plugin 'keeps_its_turn' failed in on_message: it took longer than hook_timeout",
    ),
    "passes_lines_on_itself": in_each(
        [HOOK],
        "passes_lines_on_itself.py:16 in Joiner.on_message",
        GOES_ON,
        "a client that joined afterwards should hear",
    ),
    "swallows_it_around_a_nursery": in_each(
        [HOOK],
        NOT_SWALLOWED,
        "hook swallows_it_around_a_nursery.on_message: it returned as if it had not been cancelled",
        "swallows_it_around_a_nursery.py:13 in Dictionaries.on_message",
    ),
    # Lines and history
    "loses_lines_of_its_queue": in_each([LIFESPAN], NOT_LOST, "these lines of ", " was told nothing: "),
    "loses_anothers_line": in_each(
        [HOOK], NOT_LOST, "alice speaks", "these lines of alice were not passed on, and alice was told nothing: "
    ),
    "stays_busy": in_each([HOOK], OWN_LINE, "these lines were not passed on after the cancellation"),
    "loses_history": in_each([HOOK], HISTORY, "a client that joined afterwards was not shown"),
    "closes_its_file_only_if_all_goes_well": {
        LIFESPAN: [NOTHING_LEFT, "copy.txt"],
        TWO: [NO_FAILURE, "failed in on_broadcast: 'copy'"],  # two servers also share its file
    },
    # Left over
    "leaks_a_task": in_each(
        [DIALOGUE, LIFESPAN, SLOW_READER, FLOOD, RELOAD, TWO],
        NOTHING_LEFT,
        "leaks_a_task.py:17 in Rules._remind: await trio.sleep(7 * 24 * 3600)",
    ),
    "keeps_a_file_open": in_each([DIALOGUE, LIFESPAN, SLOW_READER, FLOOD], NOTHING_LEFT, "visitors.txt"),
    "keeps_a_client_in_a_global": in_each(
        [KEEPS], "after everybody has left, last_speakers of ", ".py still refers to 1 client; drop them"
    ),
    "leaks_a_thread": in_each([DIALOGUE, LIFESPAN, SLOW_READER, FLOOD], NOTHING_LEFT, "the thread visitors"),
    "keeps_clients_that_left": in_each([KEEPS], "after everybody has left, something still refers to 2 clients"),
    "breaks_in_two_servers": in_each([TWO], "alice, bob and carol hear ", " lines on a single server, but "),
    "forgets_to_await": in_each(
        [DIALOGUE, LIFESPAN, SLOW_READER, FLOOD],
        NOTHING_LEFT,
        "the coroutine 'Server.say' was never awaited (forgets_to_await.py:9)",
    ),
    "forgets_to_cancel": in_each(
        [DIALOGUE, SLOW_READER, FLOOD, RELOAD, TWO], "plugin 'forgets_to_cancel' did not end within"
    ),
    # Time
    "blocks_the_loop": in_each(
        [BLOCKS],
        "it blocked the whole server for more than 0.2 s; move this to trio.to_thread.run_sync:",
        "blocks_the_loop.py:11 in Links.on_reload: time.sleep(0.3)",
    ),
    "hangs": in_each([FLOOD], "plugin 'hangs' failed in on_message: it took longer than hook_timeout"),
    "slows_everybody_down": in_each(
        [SLOW_READER, FLOOD], "plugin 'slows_everybody_down' failed in on_broadcast: it took longer than hook_timeout"
    ),
    "opens_a_nursery_by_hand": in_each([DIALOGUE], "Nursery stack corrupted", "<Task 'client "),
    "never_ends": in_each([LOADS], "the task ", "runs forever at never_ends.py:27 in Seconds._run"),
    "answers_itself": in_each([DIALOGUE], ENDED, "runs forever"),
    # Errors
    "raises_on_odd_numbers": in_each(
        [DIALOGUE],
        "plugin 'raises_on_odd_numbers' failed in /roll",
        "ValueError at raises_on_odd_numbers.py:11 in Dice.roll",
    ),
    "says_it_in_on_broadcast": in_each(
        [DIALOGUE, FLOOD, RELOAD, TWO],
        NO_FAILURE,
        "plugin 'says_it_in_on_broadcast' failed in on_broadcast: this would wait forever",
    ),
    "raises_on_odd_arguments": in_each([DIALOGUE, RELOAD, TWO], "plugin 'raises_on_odd_arguments' failed in /roll"),
    "raises_on_odd_lines": in_each(
        [DIALOGUE, FLOOD, RELOAD, TWO], "plugin 'raises_on_odd_lines' failed in on_message: division by zero"
    ),
    # Rooms, names that change, and private lines
    "forgets_renames": in_each([DIALOGUE, RELOAD, TWO], "plugin 'forgets_renames' failed in on_disconnect: 'rob'"),
    "knows_only_the_lobby": in_each([DIALOGUE, RELOAD, TWO], "plugin 'knows_only_the_lobby' failed in on_broadcast: '"),
    "raises_on_private_lines": in_each(
        [DIALOGUE, RELOAD, TWO],
        "plugin 'raises_on_private_lines' failed in on_tell: 'Person' object has no attribute 'room'",
    ),
    "raises_on_others_actions": in_each([DIALOGUE], "plugin 'raises_on_others_actions' failed in permits"),
    "exits": in_each([DIALOGUE, FLOOD, RELOAD, TWO], "plugin 'exits' failed in on_message"),
    "assumes_on_connect": in_each(
        [RAISING, HANGING],
        "in on_connect, first",
        NO_FAILURE,
        "plugin 'assumes_on_connect' failed in on_disconnect",
    ),
    "fails_to_reload": in_each(
        [DIALOGUE, RELOAD, TWO], "plugin 'fails_to_reload' failed in on_reload: motd.txt: No such file"
    ),
    "starts_only_once": in_each([RELOAD], "plugin 'starts_only_once' cannot start: copy.txt: File exists"),
    "waits_for_everybody": in_each([RELOAD], "plugin 'waits_for_everybody' did not end within 5 seconds"),
    # Structure
    "wrong_signature": in_each([LOADS], "plugin 'wrong_signature'", "wrong_signature.py", "'on_message'", "{'text'}"),
    "misspelled_hook": in_each([LOADS], "plugin 'misspelled_hook'", "misspelled_hook.py", "unknown hook 'on_leave'"),
    "wrapper": in_each([LOADS], "plugin 'wrapper'", "wrapper.py", "on_message is a wrapper, which trichat does"),
}


def test_each_bad_plugin_is_found() -> None:
    assert FAULTS.keys() == {path.stem for path in BAD_PLUGINS.glob("*.py")}


@pytest.fixture
def _forgotten() -> Iterator[None]:
    """Close what a bad plugin has left open, at the end of its own test."""
    yield
    for name in [name for name in sys.modules if name.startswith("trichat_plugin_file.")]:
        del sys.modules[name]
    gc.collect()


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("plugin", FAULTS)
def test_a_bad_plugin_fails_for_its_fault_and_for_nothing_else(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[plugin]
    tried = [check for check in runner.CHECKS if check.name in SMALL or check.name in fault]
    monkeypatch.setattr(runner, "CHECKS", tried)
    subject = bad(plugin)
    del subject.lines[1 : len(ORDINARY)]  # a short dialogue is enough
    failed = failures(subject)
    assert fault.keys() <= failed.keys()
    for check, phrases in fault.items():
        for phrase in phrases:
            assert phrase in failed[check]
    telling = {phrase for phrases in fault.values() for phrase in phrases if not phrase.endswith(": BROKEN")}
    for text in failed.values():
        assert any(phrase in text for phrase in telling)


# The run itself


def test_a_plugin_that_cannot_be_used_is_tried_no_further() -> None:
    results = list(check_plugin(bad("wrapper")))
    assert [result.check for result in results] == [LOADS]


def test_each_result_is_there_as_soon_as_its_check_has_ended() -> None:
    assert next(iter(check_plugin(Subject("seen")))) == Result(LOADS, "", "on_disconnect, /seen")


def test_only_one_case_is_played_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHECKS", [check for check in runner.CHECKS if check.name in (LOADS, HOOK)])
    case = "hook swallows_cancellation.on_message #2 @ 1"
    (result,) = check_plugin(bad("swallows_cancellation", only=case))
    assert result.check == HOOK
    assert "2 cases, 1 of them broken" in result.failure
    assert "hook swallows_cancellation.on_message #2 was cancelled at its checkpoint 1" in result.failure
    assert f"--only '{case}'" in result.failure


def test_the_log_of_the_server_is_kept_from_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    results = check_plugin(bad("raises_on_odd_lines"))
    assert next(results).failure == ""
    assert next(results).failure != ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_what_a_plugin_writes_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = check_plugin(bad("keeps_a_file_open"))
    assert [next(results).check, next(results).check] == [LOADS, DIALOGUE]
    assert list(tmp_path.iterdir()) == []


# Plugins that must pass. Each is checked in a process, as its author would do it.

# Seconds for one plugin, on a busy machine.
PATIENCE = 300.0

# docs/testing.md shows the run of `seen`, and another test compares it.
SHOWN = {"seen"}

GOOD: Mapping[str, str] = {
    **dict.fromkeys([name for name in (*BUILT_IN, *EXAMPLE_PLUGINS) if name not in SHOWN], ""),
    "blacklist": "addresses = ['10.0.0.7', '192.168.4.0/24']",
    "word_filter": "words = ['hello', 'darn']",
    "language_filter": "words = ['hello', 'darn']\nscripts = ['latin', 'cjk']",
    "chat_log with all of its past, always on the disk": "replay = 'all'\nfsync = 'always'",
}

# Plugins with a command or two and nothing else: `make everywhere` checks all of them, `make test` one.
LEFT_OUT = (
    ()
    if "TRICHAT_EVERYWHERE" in os.environ
    else ("away", "bye", "commands", "ignore", "me", "nick", "operators", "rooms")
)


def run_alone(case: str, folder: Path) -> str:
    """Check a plugin with the options of its case, and return the output."""
    name = case.split()[0]
    plugin = str(EXAMPLES / f"{name}.py") if name in EXAMPLE_PLUGINS else name
    config = folder / "trichat.toml"
    config.write_text(f"[plugins.{name}]\n{GOOD[case]}\n")
    command = [sys.executable, "-m", "trichat", "check-plugin", plugin, "--config", str(config)]
    # `make coverage` does not measure this. It would take twice as long, and other tests cover all of it.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(
        command, cwd=folder, env=unmeasured, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return ended.stderr + ended.stdout


@pytest.mark.parametrize("case", [case for case in GOOD if case not in LEFT_OUT])
def test_a_built_in_plugin_or_an_example_passes(case: str, tmp_path: Path) -> None:
    *rows, blank, verdict = run_alone(case, tmp_path).splitlines()
    assert [row for row in rows if row[28:36] != "ok      "] == []
    assert [row[:28].rstrip() for row in rows] == ALL
    assert (blank, verdict) == ("", f"{case.split()[0]}: good")
