"""The pytest plugin, in a project that has only trichat and pytest-trio installed."""

from collections.abc import Callable
from pathlib import Path

import pytest

# pytest's own plugin for testing plugins. It is named here because a conftest.py below the root may not name it.
pytest_plugins = ["pytester"]

PARROT = '''\
from trichat import hookimpl


class Parrot:
    """Says everything twice."""

    @hookimpl
    def on_message(self, message):
        return message.with_text(f"{message.text}, {message.text}")
'''

HEARS = """\
async def hears(chat, *lines):
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.hears(*lines)
"""

# Fixtures of a project: they replace those of trichat.
FIXTURES = """\
import pytest
from parrot import Parrot

@pytest.fixture
def chat_plugins():
    return [Parrot]

@pytest.fixture
def chat_config():
    return {"plugins": {"seen": {"enabled": False}}}
"""

GOOD = """\
| [plugins.chat_log]
| enabled = false
| [plugins.commands]
| enabled = false
alice> alice
alice< * welcome to trichat; type your name and press Enter
alice< * welcome, alice; you are the first here; bye leaves
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester) -> Run:
    """Runs pytest on a test file, in a project with a plugin. The ini file may have more options."""
    pytester.makepyfile(parrot=PARROT, helper=HEARS)
    pytester.syspathinsert()

    def run(test: str, *arguments: str, ini: str = "trio_mode = true", conftest: str | None = None) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\naddopts = --strict-markers -Werror\n{ini}\n")
        pytester.makepyfile(test_project=test)
        if conftest is not None:
            pytester.makeconftest(conftest)
        return pytester.runpytest(*arguments)

    return run


def test_the_fixture_chat_is_a_server_in_memory_and_in_virtual_time(project: Run) -> None:
    project(
        """
        import time
        import trio

        async def test_chat(chat, tmp_path):
            begun = time.monotonic()
            alice = await chat.join("alice")
            await trio.sleep(3600)
            await alice.hears_nothing()
            assert time.monotonic() - begun < 30
            assert chat.folder == tmp_path
        """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("mark", ["@pytest.mark.trio", ""])
def test_without_trio_mode_asking_for_a_chat_makes_a_test_one_of_trio(project: Run, mark: str) -> None:
    project(
        f"""
        import pytest
        from helper import hears

        {mark}
        async def test_chat(chat):
            await hears(chat, "alice: hello")
        """,
        ini="",
    ).assert_outcomes(passed=1)


def test_two_tests_do_not_share_a_chat(project: Run) -> None:
    project(
        """
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        async def test_chat(chat, number):
            assert chat.log == []
            await chat.join("alice")
        """
    ).assert_outcomes(passed=2)


def test_a_failure_shows_the_dialogue_and_the_tasks(project: Run) -> None:
    result = project(
        """
        from helper import hears

        async def test_chat(chat):
            await hears(chat, "alice: goodbye")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*NotHeard: alice expected 'alice: goodbye', but heard 'alice: hello'",
            "*the dialogue so far:",
            "*alice> hello",
            "*the tasks:",
            "*client alice  at *",
        ]
    )


def test_a_project_overrides_the_plugins_and_the_configuration(project: Run) -> None:
    project(
        """
        from helper import hears

        async def test_chat(chat):
            assert "seen" not in chat.server.plugin_names
            await hears(chat, "alice: hello, hello")
        """,
        conftest=FIXTURES,
    ).assert_outcomes(passed=1)


def test_a_test_may_keep_hold_of_the_plugin(project: Run) -> None:
    project(
        """
        import pytest
        from parrot import Parrot

        @pytest.fixture
        def parrot():
            return Parrot()

        @pytest.fixture
        def chat_plugins(parrot):
            return {"polly": parrot}

        async def test_chat(chat, parrot):
            assert chat.server.plugin_names[-1] == "polly"
        """
    ).assert_outcomes(passed=1)


def test_a_marker_names_the_plugins_and_the_configuration_of_one_test(project: Run) -> None:
    project(
        """
        import pytest
        from helper import hears
        from parrot import Parrot

        @pytest.mark.chat(plugins=[Parrot], config={"plugins": {"seen": {"enabled": False}}})
        async def test_with(chat):
            assert "seen" not in chat.server.plugin_names
            await hears(chat, "alice: hello, hello")

        async def test_without(chat):
            assert "seen" in chat.server.plugin_names
            await hears(chat, "alice: hello")

        @pytest.mark.chat(plugins=[Parrot])
        class TestAll:
            async def test_of_a_class(self, chat):
                await hears(chat, "alice: hello, hello")

            @pytest.mark.chat(plugins=[])
            async def test_but_one(self, chat):
                await hears(chat, "alice: hello")
        """
    ).assert_outcomes(passed=4)


def test_what_the_marker_says_counts_more_than_the_fixtures_and_what_it_does_not_say_is_theirs(project: Run) -> None:
    project(
        """
        import pytest
        from helper import hears

        @pytest.mark.chat(plugins=[])
        async def test_other_plugins(chat):
            assert "seen" not in chat.server.plugin_names
            await hears(chat, "alice: hello")

        @pytest.mark.chat(config={})
        async def test_other_configuration(chat):
            assert "seen" in chat.server.plugin_names
            await hears(chat, "alice: hello, hello")
        """,
        conftest=FIXTURES,
    ).assert_outcomes(passed=2)


def test_the_arguments_of_the_marker_may_be_given_by_position(project: Run) -> None:
    project(
        """
        import pytest
        from helper import hears
        from parrot import Parrot

        @pytest.mark.chat([Parrot], {"plugins": {"seen": {"enabled": False}}})
        async def test_chat(chat):
            assert "seen" not in chat.server.plugin_names
            await hears(chat, "alice: hello, hello")
        """
    ).assert_outcomes(passed=1)


def test_a_marker_with_an_argument_that_there_is_not_is_an_error(project: Run) -> None:
    result = project(
        """
        import pytest

        @pytest.mark.chat(plugin=[])
        async def test_chat(chat):
            pass
        """
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*TypeError: *'plugin'*"])


def test_a_plugin_that_cannot_be_made_is_an_error_that_says_so(project: Run) -> None:
    result = project(
        """
        import pytest

        @pytest.mark.chat(plugins=["no_such_file.py"])
        async def test_chat(chat):
            pass
        """
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*PluginError: plugin 'no_such_file.py': there is no such file"])


@pytest.mark.parametrize("ini", ["trio_mode = true", ""])
def test_virtual_time_can_be_had_without_a_chat_also_where_only_a_fixture_asks_for_it(project: Run, ini: str) -> None:
    project(
        """
        import time
        import pytest
        import trio

        @pytest.fixture
        async def slow(virtual_time):
            await trio.sleep(3600)

        @pytest.mark.trio
        async def test_direct(virtual_time):
            await trio.sleep(3600)

        @pytest.mark.trio
        async def test_through_a_fixture(slow):
            before = trio.current_time()
            await trio.sleep(3600)
            assert trio.current_time() - before == pytest.approx(3600)
        """,
        "-o",
        "faulthandler_timeout=20",
        ini=ini,
    ).assert_outcomes(passed=2)


def test_the_clock_of_the_fixture_is_the_one_that_runs(project: Run) -> None:
    project(
        """
        import pytest
        import trio

        @pytest.fixture
        async def later(virtual_time):
            virtual_time.jump(60)
            return trio.current_time()

        async def test_direct(virtual_time):
            assert trio.lowlevel.current_clock() is virtual_time

        async def test_through_a_fixture(later):
            assert later >= 60
        """
    ).assert_outcomes(passed=2)


def test_in_virtual_time_threads_have_all_the_time_that_they_need(project: Run) -> None:
    project(
        """
        import time
        import trio

        async def test_thread(virtual_time):
            with trio.fail_after(0.001):
                await trio.to_thread.run_sync(time.sleep, 0.02)
        """
    ).assert_outcomes(passed=1)


def test_without_it_time_is_real(project: Run) -> None:
    project(
        """
        import trio
        from trio.testing import MockClock

        async def test_real():
            assert not isinstance(trio.lowlevel.current_clock(), MockClock)
        """
    ).assert_outcomes(passed=1)


def test_a_test_that_is_not_async_is_told_what_it_lacks(project: Run) -> None:
    result = project(
        """
        def test_chat(chat):
            pass
        """
    )
    result.stdout.fnmatch_lines(["*test function `*test_chat*` is marked trio but is not async*"])


def test_the_marker_and_the_fixtures_are_explained(project: Run) -> None:
    assert "@pytest.mark.chat(plugins=(), config=None): the plugins and the configuration of the fixture" in str(
        project("", "--markers").stdout
    )
    shown = str(project("", "--fixtures").stdout)
    for text in ("A server in memory and in virtual time", "waiting takes no real time", "Tests may override it"):
        assert text in shown


TRANSCRIPTS = "trio_mode = true\ntrichat_transcripts = talks/*.txt"


@pytest.fixture
def talks(pytester: pytest.Pytester) -> Path:
    """The folder with the transcripts."""
    folder = pytester.mkdir("talks")
    (folder / "good.txt").write_text(GOOD)
    return folder


@pytest.mark.parametrize("mode", ["true", "false"])
def test_transcripts_are_tests(project: Run, talks: Path, mode: str) -> None:
    (talks / "notes.md").write_text("no transcript")
    result = project("", "-v", ini=TRANSCRIPTS.replace("true", mode))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["talks/good.txt::good PASSED*"])


def test_no_file_is_a_transcript_unless_the_project_says_so(project: Run, talks: Path) -> None:
    project("def test_nothing(): pass").assert_outcomes(passed=1)


def test_a_transcript_that_fails_is_reported_as_its_difference_alone(project: Run, talks: Path) -> None:
    (talks / "bad.txt").write_text(f"{GOOD}alice> hello\nalice< alice: good bye\n")
    result = project("", ini=TRANSCRIPTS)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*transcript: bad*",
            "*talks/bad.txt: people heard something else",
            "--- *talks/bad.txt",
            "+++ played",
            "@@ *",
            " alice< * welcome to trichat; type your name and press Enter",
            " alice< * welcome, alice; you are the first here; bye leaves",
            " alice> hello",
            "-alice< alice: good bye",
            "+alice< alice: hello",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*_transcript.py*")


def test_a_transcript_that_cannot_be_read_names_the_line(project: Run, talks: Path) -> None:
    (talks / "bad.txt").write_text("alice says hello\n")
    result = project("", ini=TRANSCRIPTS)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*talks/bad.txt:1: not a line of a transcript: 'alice says hello'"])


def test_plugins_of_a_transcript_are_found_beside_it(project: Run, talks: Path) -> None:
    (talks / "parrot.py").write_text(PARROT)
    (talks / "parrot.txt").write_text(f"| plugin = ['parrot.py']\n{GOOD}alice> hello\nalice< alice: hello, hello\n")
    project("", ini=TRANSCRIPTS).assert_outcomes(passed=2)


def test_a_transcript_can_be_chosen_by_its_name_and_by_its_file(project: Run, talks: Path) -> None:
    (talks / "other.txt").write_text(GOOD)
    project("", "-k", "other", ini=TRANSCRIPTS).assert_outcomes(passed=1, deselected=1)
    project("", "talks/good.txt", ini=TRANSCRIPTS).assert_outcomes(passed=1)
    project("", "talks/good.txt::good", ini=TRANSCRIPTS).assert_outcomes(passed=1)


def test_tests_outside_the_root_of_the_project_are_none_of_its_transcripts(
    project: Run, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    outside = tmp_path / "test_outside.py"
    outside.write_text("def test_outside(): pass\n")
    project("", str(outside), f"--rootdir={pytester.path}", "-c", "tox.ini", ini=TRANSCRIPTS).assert_outcomes(passed=1)


def test_a_plugin_may_fail_the_test_from_inside_a_hook(project: Run) -> None:
    result = project(
        """
        import pytest
        from trichat import hookimpl

        class Stub:
            @hookimpl
            def on_message(self):
                pytest.fail("it was asked")

        @pytest.mark.chat(plugins=[Stub])
        async def test_nobody_is_asked(chat):
            alice = await chat.join("alice")
            await alice.say("hello")
            await alice.hears_nothing()
        """
    )
    result.stdout.fnmatch_lines(["*it was asked*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
