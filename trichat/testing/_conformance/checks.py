"""The checks of a conformance run. Each tries one thing, returns what it tried, and raises what it found."""

from contextlib import AsyncExitStack, chdir, suppress
from functools import partial
from pathlib import Path

import trio

from trichat._base.loop_observer import LONGEST
from trichat._server import core_of
from trichat.testing._chat import virtual_time
from trichat.testing._chat.chat import Chat, running
from trichat.testing._chat.scratch_folder import scratch
from trichat.testing._conformance.block_finder import BlockFinder
from trichat.testing._conformance.cases import Cases
from trichat.testing._conformance.kept_clients import all_clients, clients_since
from trichat.testing._conformance.neighbour import Neighbour, Quiet
from trichat.testing._conformance.plugin_under_test import Subject
from trichat.testing._conformance.standard_dialogue import dialogue, enter, speak
from trichat.testing._exploring.run import AFTERMATH
from trichat.testing._exploring.strategies import PartDisturbance
from trichat.testing._probing.cancel_targets import Part

# Lines that are sent at once, as by somebody who pastes them.
FLOOD = 1000

# The hooks in which another plugin fails.
HOOKS = (
    "on_connect",
    "on_join",
    "on_enter",
    "on_rename",
    "on_message",
    "on_tell",
    "on_broadcast",
    "on_disconnect",
    "history",
    "on_reload",
)


def loads(subject: Subject) -> str:
    async def start() -> list[str]:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                commands = [f"/{each.name}" for each in chat.server.commands.values() if each.plugin == subject.name]
                return [*core_of(chat.server).plugins.active.registry.hooks_of(subject.name), *commands]

    return ", ".join(virtual_time.run(start))


def ordinary_dialogue(subject: Subject) -> str:
    run = Cases(subject, partial(dialogue, subject=subject, odd=True)).undisturbed()
    lines = sum(len(person.heard) for person in run.chat.people) if run.chat else 0
    return f"{len(subject.lines)} lines said, {lines} heard"


def cancelled(kind: str, subject: Subject) -> str:
    return Cases(subject).strike_each(kind)


class _HangUp(PartDisturbance):
    verb = "lost its client"
    excused = ()


def hang_up(subject: Subject) -> str:
    chats: list[Chat] = []

    async def scenario(chat: Chat) -> None:
        chats.append(chat)
        await dialogue(chat, subject)

    def reset_speaker(_: Part) -> None:
        # The hook call is about the line that was said last.
        if (speaker := chats[-1].dialogue.last_speaker) is not None:
            speaker.reset()

    return Cases(subject, scenario).strike_each("hook", reset_speaker, _HangUp)


def another_plugin(subject: Subject, *, hangs: bool) -> str:
    # Each line may run into the deadline, so a short one keeps the dialogue short. The neighbour is never quarantined.
    neighbours = {"neighbour": {"hook_timeout": 1.0, "quarantine_after": 0}}
    cases = Cases(subject, tables=neighbours)
    cases.undisturbed({"neighbour": Quiet()})
    for hook in HOOKS:
        for first in (True, False):
            neighbour = Neighbour(hook, hangs=hangs, first=first)
            cases.play(neighbour, extra={"neighbour": neighbour.plugin})
    cases.verdict()
    return f"{len(HOOKS)} hooks, before and after it"


def slow_reader(subject: Subject) -> str:
    took: list[float] = []

    async def scenario(chat: Chat, *, reads: bool) -> None:
        alice, sloth = await enter(chat, "alice"), await enter(chat, "sloth")
        if not reads:
            sloth.stop_reading()
        before = trio.current_time()
        for number in range(100):
            await speak(chat, alice, f"{number} {'x' * 1000}")
        took.append(trio.current_time() - before)
        reached = sum(len(line) for line in alice.heard)
        slow = [member.name for member in chat.server.members() if member.name == "sloth"]
        assert reads or not slow or reached < 80_000, "the server did not disconnect the client that reads nothing"

    for reads in (True, False):
        Cases(subject, partial(scenario, reads=reads)).undisturbed()
    late = took[1] - took[0]
    assert late <= 0.001, f"the other clients waited {late:g} s because one client reads nothing"
    return "100 lines of 1000 characters"


def flood(subject: Subject) -> str:
    async def scenario(chat: Chat) -> None:
        alice, bob = await enter(chat, "alice"), await enter(chat, "bob")
        lines = [subject.lines[number % len(subject.lines)] for number in range(FLOOD)]
        await speak(chat, alice, *(f"line {number}" for number in range(FLOOD)))
        await speak(chat, alice, *lines)
        await speak(chat, bob, "is anybody here?")

    Cases(subject, scenario).undisturbed()
    return f"{FLOOD} lines at once, twice"


def reload(subject: Subject) -> str:
    async def scenario() -> None:
        with scratch() as folder, chdir(folder):
            for _ in range(2):
                async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                    await chat.server.reload()
                    await chat.replace(subject.name)
                    await dialogue(chat, subject)
                    with suppress(OSError):
                        await enter(chat, "carol")
                        await chat.server.reload()
                        await chat.replace(subject.name)

    Cases(subject, scenario).undisturbed()
    return "reloads, replacements, and a restart in the same folder"


def two_servers(subject: Subject) -> str:
    heard: list[list[int]] = []

    async def play(*, servers: int) -> None:
        async with AsyncExitStack() as stack:
            # Imported once for all servers here, and new: earlier runs must not have used it.
            plugins = {subject.name: subject.load()} if subject.extra else {}
            chats: list[Chat] = []
            for _ in range(servers):
                folder = stack.enter_context(scratch())
                stack.enter_context(chdir(folder))
                chats.append(await stack.enter_async_context(running(plugins, subject.config, folder=Path(folder))))
            for chat in chats:
                await dialogue(chat, subject, at_once=False)
            heard.extend([len(person.heard) for person in chat.people] for chat in chats)

    async def one() -> None:
        await play(servers=1)

    async def two() -> None:
        await play(servers=2)

    for scenario in (one, two):
        Cases(subject, scenario).undisturbed()
    alone, *both = heard
    for each in both:
        assert each == alone, (
            f"alice, bob and carol hear {alone} lines on a single server, but {each} if two run in one process; "
            "keep state in the plugin's instance, not in its module or class"
        )
    return "the same dialogue on both"


def keeps_nothing(subject: Subject) -> str:
    async def everybody_leaves() -> None:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                people = [await enter(chat, name) for name in ("alice", "bob")]
                for person in people:
                    await speak(chat, person, *subject.lines)
                    person.hang_up()
                await trio.sleep(AFTERMATH)
                await chat.settled()
                seen["everybody has left"] = clients_since(before, subject)

    async def the_server_ends() -> None:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                await dialogue(chat, subject)

    before = all_clients()  # kept, so that no later client can have the id of one of them
    seen: dict[str, str] = {}
    Cases(subject, everybody_leaves).undisturbed()
    Cases(subject, the_server_ends).undisturbed()
    seen["the server has ended"] = clients_since(before, subject)
    for when, kept in seen.items():
        assert not kept, f"after {when}, {kept}; drop them in on_disconnect"
    return "all clients are forgotten"


def does_not_block(subject: Subject) -> str:
    # A busy machine may delay any step once. If it happens twice, the plugin is the cause.
    for _ in range(2):
        finder = BlockFinder(subject.file)
        with finder.watching():
            Cases(subject).play(instruments=[finder])
        if not finder.blocks:
            return f"no step took longer than {LONGEST:g} s"
    raise AssertionError(
        f"it blocked the whole server for more than {LONGEST:g} s; move this to trio.to_thread.run_sync:\n"
        f"  {finder.blocks[0].place}"
    )
