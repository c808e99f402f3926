"""What `trichat plugins` shows."""

from pathlib import Path

import pytest

from trichat import Config, PluginError
from trichat._cli.plugin_table import Inventory, take_inventory

POLL = '''"""Asks a question.

Everybody may answer once.
"""

from typing import Annotated

from trichat import Message, Options, hookimpl

__version__ = "2.1"


class PollOptions(Options, frozen=True):
    question: Annotated[str, "What to ask."] = "tea?"
    answers: tuple[str, ...] = ("yes", "no")
    seconds: int | None = None


class Poll:
    """A poll."""

    before = ["bye"]

    def __init__(self, options: PollOptions) -> None: ...

    @hookimpl
    def on_message(self, message: Message) -> None: ...
'''

# File by file, what cannot be used, and what is said of it.
BROKEN = {
    "unreadable": ("x(", "unreadable.py:1: '(' was never closed"),
    "misspelled": ("from trichat import hookimpl\n@hookimpl\ndef on_mesage(message): ...", "on_mesage"),
    "wrong_argument": ("from trichat import hookimpl\n@hookimpl\ndef on_message(msg): ...", "msg"),
    "wrapper": ("from trichat import hookimpl\n@hookimpl(wrapper=True)\ndef on_message(): yield", "is a wrapper"),
    "no_hooks": ("x = 1", "it has no hooks; is @hookimpl missing?"),
    "cannot_be_made": (
        "from trichat import hookimpl\n"
        "class P:\n    def __init__(self): 1 / 0\n    @hookimpl\n    def on_reload(self): ...",
        "cannot be built: ZeroDivisionError",
    ),
}


def inventory(folder: Path, **tables: dict[str, object]) -> Inventory:
    return take_inventory(Config.from_tables({"server": {"plugins_dir": str(folder)}, "plugins": tables}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "poll.py").write_text(POLL)
    return tmp_path


def test_each_plugin_is_a_line_with_version_place_state_and_hooks(folder: Path) -> None:
    lines = inventory(folder, seen={"enabled": False}).table().splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "FROM", "STATE", "HOOKS", "AND", "COMMANDS"]
    rows = {line.split()[0]: line.split(maxsplit=4)[1:] for line in lines[1 : lines.index("")]}
    assert rows["poll"] == ["2.1", str(folder / "poll.py"), "on", "on_message"]
    assert rows["blacklist"][1:] == ["trichat", "on", "on_connect, on_reload"]
    assert rows["seen"][1:] == ["trichat", "off"]


def test_a_plugin_in_shadow_is_shown_as_one(folder: Path) -> None:
    row = next(line for line in inventory(folder, poll={"shadow": True}).table().splitlines() if "poll" in line)
    assert row.split()[-2:] == ["shadow", "on_message"]


def test_behind_them_is_the_order_in_each_hook(folder: Path) -> None:
    lines = inventory(folder).table().splitlines()
    assert "on_message: stop, poll, bye" in lines
    assert "lifespan: chat_log, topic" in lines
    assert not [line for line in lines if line.startswith("on_disconnect") and "bye" in line]


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name, (_, fault) in BROKEN.items()], ids=BROKEN)
def test_a_broken_plugin_is_shown_with_the_reason_and_the_others_as_they_are(
    folder: Path, name: str, fault: str
) -> None:
    (folder / f"{name}.py").write_text(BROKEN[name][0])
    shown = inventory(folder)
    states = {item.found.name: item.state for item in shown.items}
    assert states.pop(name) == "broken"
    assert set(states.values()) == {"on"}
    (line,) = [line for line in shown.table().splitlines() if line.startswith(name)]
    assert fault in line
    assert fault in shown.details(name)


def test_a_plugin_with_a_faulty_table_is_broken(folder: Path) -> None:
    text = inventory(folder, poll={"question": 3}).details("poll")
    assert "poll -, from" in text
    assert "plugins.poll.question: Expected `str`, got `int` (here: 3)" in text


def test_the_details_are_documentation_hooks_and_options_with_type_default_and_value(folder: Path) -> None:
    text = inventory(folder, poll={"question": "coffee?", "on_error": "skip"}).details("poll")
    assert text.splitlines() == [
        f"poll 2.1, from {folder / 'poll.py'}: on",
        "",
        "Asks a question.",
        "",
        "Everybody may answer once.",
        "",
        "A poll.",
        "",
        "hooks: on_message",
        "",
        "[plugins.poll]",
        "# Whether the plugin runs.",
        "# bool; by default True.",
        "enabled = true",
        '# The effect of a failure: "refuse" what the plugin was asked or told; "skip" the plugin, as if it',
        '# had not answered; "stop" the server. By default a hook that asks refuses, and a hook that tells',
        "# skips.",
        "# 'refuse' | 'skip' | 'stop' | None; by default None.",
        'on_error = "skip"',
        "# Whether a batch is sent to nobody if the plugin's on_broadcast fails; by default what the plugin",
        "# says of itself.",
        "# bool | None; by default None.",
        "# required is not set",
        "# Seconds that one call of the plugin may take; by default the hook_timeout of [server].",
        "# float | None; by default None.",
        "# hook_timeout is not set",
        "# Failures within a minute after which the plugin is told nothing until it reloads; 0 for never.",
        "# int; by default 5.",
        "quarantine_after = 5",
        "# Whether the plugin runs without effect: what it would have done to the chat is logged, and not",
        "# done.",
        "# bool; by default False.",
        "shadow = false",
        "# What to ask.",
        "# str; by default 'tea?'.",
        'question = "coffee?"',
        "# tuple[str, ...]; by default ('yes', 'no').",
        "answers = [",
        '    "yes",',
        '    "no",',
        "]",
        "# int | None; by default None.",
        "# seconds is not set",
    ]


def test_a_plugin_that_is_not_there_is_named_with_those_that_are(folder: Path) -> None:
    with pytest.raises(PluginError) as refusal:
        inventory(folder).details("pol")
    assert str(refusal.value) == (
        "there is no plugin 'pol' (did you mean 'poll'?); "
        "there are: away, blacklist, bye, chat_log, commands, ignore, json_lines, me, msg, nick, operators, rooms, "
        "seen, stop, topic, poll"
    )


BROKEN_COMMANDS = {
    "takes nothing": ("def roll(): ...", "the function of /roll must take the client as its first argument"),
    "unknown type": ("def roll(client, sides: Sides): ...", "cannot resolve the types of the arguments of /roll"),
}


@pytest.mark.parametrize(("function", "fault"), BROKEN_COMMANDS.values(), ids=BROKEN_COMMANDS)
def test_a_plugin_whose_commands_are_broken_is_shown_as_broken(tmp_path: Path, function: str, fault: str) -> None:
    source = f"from __future__ import annotations\nfrom trichat import command\n@command('roll', help='')\n{function}\n"
    (tmp_path / "dice.py").write_text(source)
    (item,) = [each for each in inventory(tmp_path).items if each.found.name == "dice"]
    assert item.state == "broken"
    assert fault in item.faults[0]


TABLES = """from contextlib import asynccontextmanager

from trichat import Command, command, hookimpl


class Tables:
    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server):
        self.names = ["chess", "go"]
        yield

    @hookimpl
    def commands(self):
        return [Command(name, "play it", lambda client, arguments: None) for name in self.names]

    @command("rules", help="show the rules")
    def rules(self, client, game: str): ...
"""


def test_commands_that_need_the_lifespan_are_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "tables.py").write_text(TABLES)
    shown = inventory(tmp_path)
    (row,) = [line for line in shown.table().splitlines() if line.startswith("tables")]
    assert row.split()[3:] == ["on", "commands,", "lifespan,", "/rules"]
    assert shown.details("tables").splitlines()[2:8] == [
        "It has no documentation.",
        "",
        "hooks: commands, lifespan",
        "",
        "commands: /rules GAME",
        "",
    ]
    assert "It may contribute more commands when the server starts." in shown.details("tables").splitlines()


def test_a_plugin_in_shadow_has_no_commands(tmp_path: Path) -> None:
    (tmp_path / "tables.py").write_text(TABLES)
    assert "/rules" not in inventory(tmp_path, tables={"shadow": True}).table()
