"""The dialogue of a conformance run. It lets everything happen, and expects nothing: the invariants do the checking."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, Literal, get_args, get_origin

import trio

from trichat._plugins.commands import Command, parameter_types
from trichat.testing._chat.chat import Chat
from trichat.testing._chat.person import Person
from trichat.testing._conformance.plugin_under_test import Subject

# Words to try for a parameter of a command, by its type. Parameters of any other type get `_WORDS`.
_ODD_WORDS: dict[Any, tuple[str, ...]] = {
    int: ("0", "-1", "1", "1" + "0" * 30),
    float: ("0", "-1", "0.5", "nan", "inf", "1e308"),
    bool: ("true", "false"),
}

# The commands that end the dialogue.
_ENDING = ("bye", "quit", "stop")

_WORDS = ("bob", "nobody", "0", "x" * 200)


async def dialogue(chat: Chat, subject: Subject, *, odd: bool = False, at_once: bool = True) -> None:
    """Three people meet and say every line alone and some at once. One goes to another room, and leaves from there.

    The dialogue has the plugin's own commands. If it is `odd`, it has all commands, also with odd values for their
    parameters. If nothing is said `at_once`, the dialogue is the same in every order in which Trio runs tasks.
    """
    alice = await enter(chat, "alice")
    bob = await enter(chat, "bob")
    await speak(chat, bob, "/msg alice: this is between the two of us")
    # The dialogue is played hundreds of times. Each line makes it longer, and adds checkpoints to be cancelled at.
    commands = [each for each in chat.server.commands.values() if odd or each.plugin == subject.name]
    for line in (*subject.lines, *chain.from_iterable(map(_usual_lines, commands))):
        await speak(chat, alice, line)
    if odd:
        for line in chain.from_iterable(map(odd_lines, commands)):
            await speak(chat, alice, line)
    await speak(chat, bob, "/join den", "/nick rob", "is anybody here?")
    await chat.server.reload()
    carol = await enter(chat, "carol")
    if at_once:
        await _speak_at_once(chat, alice, carol)
        await _speak_at_once(chat, carol, alice)
    if subject.last_words:
        await speak(chat, bob, *subject.last_words, "bye")
    else:
        bob.hang_up()
        await chat.settled()


async def enter(chat: Chat, name: str) -> Person:
    """Connect a client, and let it give a name."""
    person = chat.connect_silently(name=name)
    await speak(chat, person, name)
    return person


async def speak(chat: Chat, person: Person, *lines: str) -> None:
    """Let a client say lines, and wait until nothing is left to do."""
    with suppress(AssertionError):  # a plugin may have disconnected the client
        await person.say(*lines)
    await chat.settled()


async def _speak_at_once(chat: Chat, *people: Person) -> None:
    async with trio.open_nursery() as nursery:
        for place, person in enumerate(people):
            nursery.start_soon(speak, chat, person, f"{person.label} speaks, {place} before")


def _usual_lines(command: Command) -> Iterator[str]:
    if command.name not in _ENDING:
        yield from (f"/{command.name}", f"/{command.name} bob", f"/{command.name} 1 2 3")


def odd_lines(command: Command) -> Iterator[str]:
    """Yield lines that call a command with each odd value of each of its parameters."""
    if command.name in _ENDING:
        return
    words = [_odd_words(each) for each in parameter_types(command)]
    usual = [choices[-1] for choices in words]
    for place, choices in enumerate(words):
        for word in choices:
            yield " ".join([f"/{command.name}", *usual[:place], word, *usual[place + 1 :]])


def _odd_words(wanted: Any) -> tuple[str, ...]:
    if get_origin(wanted) is Literal:
        return tuple(str(value) for value in get_args(wanted))
    return _ODD_WORDS.get(wanted, _WORDS)
