"""The plugin that a conformance run tries: how it is found, and which lines its source suggests."""

from pathlib import Path

import pytest

from trichat import Config, ConfigError, PluginError
from trichat.testing import Subject
from trichat.testing._conformance.plugin_under_test import LONGEST_WORD, ORDINARY, OWN_WORDS

BAD_PLUGINS = Path(__file__).parents[1] / "bad_plugins"


def bad(plugin: str) -> Subject:
    return Subject(str(BAD_PLUGINS / f"{plugin}.py"))


def test_a_plugin_that_cannot_be_found_is_told_at_once() -> None:
    with pytest.raises(PluginError, match=r"plugin '.*nowhere\.py': there is no such file"):
        Subject("nowhere.py")


def test_options_that_are_wrong_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.seen\.color: unknown key"):
        Subject("seen", Config.from_tables({"plugins": {"seen": {"color": "red"}}}))


def test_what_a_plugin_compares_with_is_said_to_it() -> None:
    assert "!poke" in bad("hangs").lines


def test_what_its_author_gives_is_said_to_it() -> None:
    assert Subject("seen", say=["/seen everybody"]).lines[-1] == "/seen everybody"


def test_what_ends_the_dialogue_is_said_last() -> None:
    stop = Subject("stop")
    assert "stop" not in stop.lines
    assert "stop" in stop.last_words


def test_usual_lines_are_said_to_every_plugin() -> None:
    assert Subject("seen").lines[: len(ORDINARY)] == list(ORDINARY)


def test_of_its_own_words_a_few_short_ones_are_tried(tmp_path: Path) -> None:
    words = [f"word {number}" for number in range(2 * OWN_WORDS)]
    file = tmp_path / "talkative.py"
    file.write_text(
        "from trichat import hookimpl\n"
        "@hookimpl\n"
        f"def on_message(message):\n    return message.text in {['x' * (LONGEST_WORD + 1), *words]!r} or None\n"
    )
    assert Subject(str(file)).lines[len(ORDINARY) :] == words[:OWN_WORDS]


def test_a_file_is_imported_anew_each_time_it_is_loaded() -> None:
    subject = bad("breaks_in_two_servers")
    assert subject.load() is not subject.load()


def test_a_plugin_that_is_turned_off_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="the plugin 'seen' is turned off"):
        Subject("seen", Config.from_tables({"plugins": {"seen": {"enabled": False}}}))


DIARY = """
from pathlib import Path
from trichat import Options, hookimpl

class DiaryOptions(Options, frozen=True):
    path: str = "diary.txt"
    patience: float = 60.0
    words: int = 100

    @classmethod
    def for_trial(cls, folder):
        return {"path": folder / "diary.txt", "patience": 0.1}

class Diary:
    def __init__(self, options: DiaryOptions) -> None: ...

    @hookimpl
    def on_broadcast(self): ...
"""


def test_a_trial_has_files_of_its_own_and_all_other_options_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "diary.py"
    file.write_text(DIARY)
    table = {"path": "/var/lib/diary.txt", "patience": 30, "words": 7}
    subject = Subject(str(file), Config.from_tables({"plugins": {"diary": table}}))
    assert subject.config["plugins"] == {"diary": {"patience": 30, "words": 7}}


def test_what_is_said_goes_into_no_log_that_somebody_keeps() -> None:
    table = {"path": "/var/log/chat.txt", "fsync": "always"}
    subject = Subject("chat_log", Config.from_tables({"plugins": {"chat_log": table}}))
    assert subject.config["plugins"] == {"chat_log": {"fsync": "always"}}
