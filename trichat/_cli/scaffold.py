"""`trichat new-plugin NAME`: creates a folder with a working plugin, its test, and the files to install it."""

import importlib.util
import re
from pathlib import Path
from string import Template

from trichat._base.errors import PluginError
from trichat._plugins.discovery import find_plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

# With a name of this length, no file name and no line of code becomes too long.
LONGEST_NAME = 25

# The plugin is a module. A class would need a name, and any name might clash with one in the file.
_FILES = {
    "trichat_$name.py": '''\
"""$name: answers anyone who says `!$name`, without showing it to the room."""

from trichat import Client, Handled, Message, hookimpl


@hookimpl
def on_message(client: Client, message: Message) -> Handled | None:
    """Answer `!$name`, and pass on every other message."""
    if message.text != "!$name":
        return None
    client.send(f"hello, {client.name}: $name is here")
    return Handled()
''',
    "test_trichat_$name.py": '''\
"""Test the plugin in a chat: what people say and hear, and that cancellation does no harm."""

import pytest
from trichat.testing import Chat, cancel_everywhere

import trichat_$name

PLUGINS = {"$name": trichat_$name}


@pytest.fixture
def chat_plugins() -> dict[str, object]:
    return {**PLUGINS}


async def test_it_answers_the_sender_and_nobody_else(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("!$name", "hello")
    await bob.hears("* hello, bob: $name is here", "bob: hello")
    await alice.hears("bob: hello")


async def alice_says_it(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("!$name")
    await alice.hears("* hello, alice: $name is here")


def test_it_survives_a_cancellation_anywhere() -> None:
    cancel_everywhere(alice_says_it, plugins=PLUGINS)
''',
    "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "trichat-$dashed"
version = "0.1.0"
description = "$name, a plugin for trichat"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["trichat"]

[project.optional-dependencies]
dev = ["trichat[testing]"]

[project.entry-points.trichat]
$name = "trichat_$name"

[tool.pytest.ini_options]
pythonpath = ["."]

[tool.hatch.build]
dev-mode-dirs = ["."]

[tool.hatch.build.targets.wheel]
only-include = ["trichat_$name.py"]
""",
    "README.md": """\
# $name

A plugin for trichat. It answers anyone who says `!$name`; nobody else sees the question or the answer.

```console
$$ pytest
$$ pip install -e .
$$ trichat plugins $name
$$ trichat check-plugin $name
```

The tests need `trichat[testing]`. To use the plugin, run `pip install .` in the server's environment, and add its
table to `trichat.toml`:

```toml
[plugins.$name]
```

To learn what else a plugin can do, read `docs/writing-plugins.md` and `docs/hooks.md` of trichat.
""",
}


def new_plugin(name: str, parent: Path) -> Path:
    """Write a plugin into a new folder with its name in `parent`, and return the folder.

    Raises `PluginError`, and writes nothing, if the name is taken or invalid.
    """
    _check(name)
    folder = parent / name
    words = {"name": name, "dashed": name.replace("_", "-")}
    try:
        folder.mkdir()
        for path, text in _FILES.items():
            (folder / Template(path).substitute(words)).write_text(Template(text).substitute(words), encoding="utf-8")
    except FileExistsError:
        raise PluginError(f"{str(folder)!r} exists already; choose another name or another folder") from None
    except OSError as error:
        raise PluginError(f"{str(folder)!r} cannot be written: {error.strerror}") from None
    return folder


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise PluginError(
            f"{name!r} cannot be the name of a new plugin: begin with a letter, and use at most {LONGEST_NAME} "
            "lower-case letters, digits and single `_` in between, like 'word_filter'"
        )
    for plugin in find_plugins():
        if plugin.name == name:
            raise PluginError(f"there is a plugin {name!r} already ({plugin.origin}); choose another name")
    module = f"trichat_{name}"
    if importlib.util.find_spec(module) is not None:
        raise PluginError(f"there is a module {module!r} already; choose another name than {name!r}")
