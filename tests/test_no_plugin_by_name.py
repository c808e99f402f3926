"""The core knows no plugin by name, so any plugin can do what a built-in one does, and replace it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_in_kit import BUILT_IN

ROOT = Path(__file__).parents[1]

_ANY = "|".join(map(re.escape, BUILT_IN))
# Nobody uses these as ordinary words.
_NO_WORDS = "|".join(re.escape(name) for name in BUILT_IN if "_" in name)

# A string that names a plugin, its table, or one of its options.
_IS_NAME = re.compile(rf"(?:plugins\.)?(?:{_ANY})(?:\.\w+)*")

# A text that names one: its table, its package, its calls as the test kit labels them, or "the plugin seen". Otherwise
# such names are ordinary words: "slash commands", "stop the server".
_HAS_NAME = re.compile(
    rf"\b(?:(?:trichat_)?plugins?[. ]['\"]?(?:{_ANY})|(?:hook|lifespan) (?:{_ANY})|{_NO_WORDS})\b",
)

ALIAS = ("trichat/_cli/parser.py", "plugins.chat_log.path")

# Strings that are equal to the name of a plugin, but mean something else.
OTHER_THINGS = {
    ("trichat/_base/messages.py", "topic"): "a kind of message",
    ("trichat/_chat/broadcaster.py", "rooms"): "an attribute of messages",
    ("trichat/_chat/client.py", "rooms"): "an attribute of clients",
    ("trichat/_chat/client.py", "topic"): "a kind of message",
    ("trichat/_chat/person.py", "away"): "an attribute of people",
    ("trichat/_chat/saying.py", "topic"): "a kind of message",
    ("trichat/_cli/parser.py", "commands"): "the title in the help",
    ("trichat/_config/plugin_policy.py", "stop"): "a value of on_error",
    ("trichat/_plugins/active_hooks.py", "stop"): "a value of on_error",
    ("trichat/_plugins/commands.py", "operators"): "a value of who",
    ("trichat/_plugins/permissions.py", "stop"): "an action",
    ("trichat/_plugins/permissions.py", "topic"): "an action",
    ("trichat/_plugins/registry.py", "commands"): "the hook",
    ("trichat/_server.py", "topic"): "a kind of message",
    ("trichat/testing/_conformance/plugin_under_test.py", "bye"): "a word that people say",
    ("trichat/testing/_conformance/plugin_under_test.py", "stop"): "a word that people say",
    ("trichat/testing/_conformance/standard_dialogue.py", "bye"): "a word that people say",
    ("trichat/testing/_conformance/standard_dialogue.py", "stop"): "a word that people say",
    ("trichat/testing/_exploring/state_machine.py", "bye"): "a word that people say",
    ("trichat/testing/_exploring/state_machine.py", "rooms"): "a strategy",
    ("trichat/testing/_exploring/state_machine.py", "stop"): "a name that people try",
}


def strings(source: str) -> Iterator[str]:
    """Yield the strings in a module, including parts of f-strings, but not docstrings."""
    tree = ast.parse(source)
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def plugins_named(source: str) -> set[str]:
    return {each for each in strings(source) if _IS_NAME.fullmatch(each) or _HAS_NAME.search(each)}


def test_no_module_of_trichat_names_a_built_in_plugin_but_for_one_option_of_the_command_line() -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / "trichat").rglob("*.py")
        for name in plugins_named(path.read_text(encoding="utf-8"))
    }
    assert found == {ALIAS, *OTHER_THINGS}


def test_a_name_is_found_wherever_it_is() -> None:
    source = '''
"""Knows the chat_log."""
LOG = "chat_log"
def log(plugins, bye="bye"):
    "bye"
    return plugins["stop"] if "stopped" in plugins else f"plugins.{'seen'}" or "plugins.blacklist.file"
'''
    assert plugins_named(source) == {"chat_log", "bye", "stop", "seen", "plugins.blacklist.file"}


@pytest.mark.parametrize(
    "text",
    [
        "hook commands.",
        "lifespan chat_log #2 @ 1",
        "set any key, as in --set plugins.stop.enabled=false",
        "turn off the plugin 'seen'",
        "import trichat_plugins.bye",
        "the lines of the chat_log",
    ],
)
def test_a_name_is_found_inside_a_text(text: str) -> None:
    assert plugins_named(f"text = {text!r}") == {text}


@pytest.mark.parametrize("text", ["no slash commands.", "stop the server", "seen by nobody", "a plugin stops"])
def test_an_ordinary_word_is_not_a_name(text: str) -> None:
    assert plugins_named(f"text = {text!r}") == set()
