"""`trichat new-plugin NAME`: a folder with a plugin that works, its test, and what it takes to install it."""

import importlib.util
import re
from pathlib import Path
from string import Template

from trichat._base.errors import PluginError
from trichat._plugins.discovery import find_plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

# So long that nothing made of it is too long for a file system, or for a line.
LONGEST_NAME = 25

# The plugin is a module: a class would need a name, and each one may be taken.
_FILES = {
    "trichat_$name.py": '''\
"""$name: who says `!$name` is answered, and nobody else hears of it."""

from trichat import Client, Handled, Message, hookimpl


@hookimpl
def on_message(client: Client, message: Message) -> Handled | None:
    """Answer what is for this plugin, and let everything else go on."""
    if message.text != "!$name":
        return None
    client.send(f"hello, {client.name}: $name is here")
    return Handled()
''',
    "test_trichat_$name.py": '''\
"""The plugin in a chat: what people say and hear, and what it survives."""

import pytest
from trichat.testing import Chat, cancel_everywhere

import trichat_$name

PLUGINS = {"$name": trichat_$name}


@pytest.fixture
def chat_plugins() -> dict[str, object]:
    return {**PLUGINS}


async def test_who_says_it_is_answered_and_nobody_else_hears_of_it(chat: Chat) -> None:
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

[tool.hatch.build]
dev-mode-dirs = ["."]

[tool.hatch.build.targets.wheel]
only-include = ["trichat_$name.py"]
""",
    "README.md": """\
# $name

A plugin for trichat: who says `!$name` is answered, and nobody else hears of it.

```console
$$ pytest
$$ pip install -e .
$$ trichat plugins $name
$$ trichat check-plugin $name
```

Tests need `trichat[testing]`. It is installed for a server by `pip install .` in the server's environment, and runs
when `trichat.toml` has its table:

```toml
[plugins.$name]
```

What else a plugin can do is in trichat's `docs/writing-plugins.md` and `docs/hooks.md`.
""",
}


def new_plugin(name: str, parent: Path) -> Path:
    """Write a plugin into a new folder of its name in `parent`, and return the folder.

    Raises `PluginError`, and has written nothing then, if there is something of this name or it cannot be one.
    """
    _check(name)
    folder = parent / name
    words = {"name": name, "dashed": name.replace("_", "-")}
    try:
        folder.mkdir()
        for path, text in _FILES.items():
            (folder / Template(path).substitute(words)).write_text(Template(text).substitute(words), encoding="utf-8")
    except FileExistsError:
        raise PluginError(f"{str(folder)!r} is there already; choose another name, or another place") from None
    except OSError as error:
        raise PluginError(f"{str(folder)!r} cannot be written: {error.strerror}") from None
    return folder


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise PluginError(
            f"{name!r} cannot be the name of a new plugin: it is of small letters and digits, with single `_` in "
            f"between, and of {LONGEST_NAME} at most, like 'word_filter'"
        )
    for plugin in find_plugins():
        if plugin.name == name:
            raise PluginError(f"there is a plugin {name!r} already ({plugin.origin}); choose another name")
    module = f"trichat_{name}"
    if importlib.util.find_spec(module) is not None:
        raise PluginError(f"{name!r} cannot be the name of a new plugin: there is a module {module} already")
