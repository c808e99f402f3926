"""A state machine of hypothesis: people come, talk, move and leave in any order, and the promises always hold.

If one does not hold, hypothesis looks for the shortest dialogue that breaks it.
"""

from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import trio
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule
from trio.lowlevel import Task

from trichat.testing._chat.chat import Chat, Tables, running
from trichat.testing._chat.person import Disconnected, Person
from trichat.testing._chat.scratch_folder import scratch
from trichat.testing._chat.stepped_run import SteppedRun
from trichat.testing._exploring.error_log import failures_logged
from trichat.testing._exploring.invariants import ALWAYS, INVARIANTS, Invariant
from trichat.testing._exploring.leftovers import all_tasks, described
from trichat.testing._exploring.random_network import RandomNetwork
from trichat.testing._exploring.run import MakePlugins, Run, made
from trichat.testing._probing.checkpoint_probe import Probe

# Virtual seconds in which everything that has begun ends, however bad the network is.
SETTLING = 60.0


def _of_machine(strategy: str) -> st.SearchStrategy[Any]:
    """Return the strategy that is an attribute of the machine, so that a subclass can replace it."""
    return st.runner().flatmap(lambda machine: getattr(machine, strategy))


class ChatMachine(RuleBasedStateMachine):
    """Draws any dialogue on one server. A subclass says what is different, and its `TestCase` is the test.

    class DiceMachine(ChatMachine):
        plugins = [Dice]
        lines = st.sampled_from(["/roll", "/roll 2d6", "/roll ?"])

    TestDice = DiceMachine.TestCase
    """

    plugins: ClassVar[MakePlugins] = ()
    config: ClassVar[Tables | None] = None
    invariants_of_its_own: ClassVar[tuple[Invariant, ...]] = ()
    """Further invariants to check after the server has stopped."""
    names: ClassVar[st.SearchStrategy[str]] = st.sampled_from(["alice", "bob", "ALICE", "Zoë", ":", "stop"])
    lines: ClassVar[st.SearchStrategy[str]] = st.one_of(
        st.sampled_from(["hello", "/who", "/help", "/seen bob", "/nothing", "// no command", " "]),
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=20),
    )

    rooms: ClassVar[st.SearchStrategy[str]] = st.sampled_from(["lobby", "dev", "#Dev", "ops", "no room"])

    people: Bundle[Person] = Bundle("people")

    def __init__(self) -> None:
        super().__init__()
        self._folder = scratch()
        self._probe = Probe()
        self._run = Run(Path(self._folder.name), self._probe)
        self._trio = SteppedRun([self._probe])
        self._stack = AsyncExitStack()
        self._log = ExitStack()
        self._log.enter_context(failures_logged(self._run.failures))
        self._before: set[Task] = set()
        """The tasks from before the start."""

    @property
    def chat(self) -> Chat:
        """The chat, after its start."""
        assert self._run.chat is not None
        return self._run.chat

    @initialize(seed=st.integers(0, 2**16))
    def start(self, seed: int) -> None:
        """Start the server on a network whose behaviour `seed` determines."""
        self._trio.do(self._start, RandomNetwork(seed, {}))

    async def _start(self, network: RandomNetwork) -> None:
        plugins = {**made(type(self).plugins), **network.plugins, "trichat_testing": self._run.witness}
        chat = running(plugins, self.config, folder=self._run.folder, transport=network.transport)
        self._before = set(all_tasks())
        self._run.chat = await self._stack.enter_async_context(chat)

    @rule(target=people, name=_of_machine("names"))
    def connect(self, name: str) -> Any:
        """Somebody connects and gives a name, which the server may refuse."""
        if len(self.chat.people) >= 10:
            return multiple()
        person = self.chat.connect_silently(name=f"guest{len(self.chat.people) + 1}")
        self._say(person, name)
        return person

    @rule(person=people, line=_of_machine("lines"))
    def say(self, person: Person, line: str) -> None:
        """Somebody says a line."""
        self._say(person, line)

    @rule(person=people, lines=st.lists(_of_machine("lines"), min_size=2, max_size=6))
    def paste(self, person: Person, lines: list[str]) -> None:
        """Somebody says several lines at once."""
        self._say(person, *lines)

    @rule(person=people, room=_of_machine("rooms"))
    def move(self, person: Person, room: str) -> None:
        """Somebody goes to another room."""
        self._say(person, f"/join {room}")

    @rule(person=people, name=_of_machine("names"))
    def rename(self, person: Person, name: str) -> None:
        """Somebody takes another name, which the server may refuse."""
        self._say(person, f"/nick {name}")

    @rule(person=people, name=_of_machine("names"), number=st.integers(1, 3))
    def tell(self, person: Person, name: str, number: int) -> None:
        """Somebody tells one person something."""
        self._say(person, f"/msg {name}: between the two of us, {number}")

    @rule(person=people, room=_of_machine("rooms"), name=_of_machine("names"))
    def hurry(self, person: Person, room: str, name: str) -> None:
        """Somebody moves and takes another name, and talks before, between and after."""
        self._say(person, "one", f"/join {room}", "two", f"/nick {name}", "three")

    @rule(person=people)
    def bye(self, person: Person) -> None:
        """Somebody leaves."""
        self._say(person, "bye")

    @rule(person=people)
    def hang_up(self, person: Person) -> None:
        """Somebody closes the connection."""
        self._trio.do(_now, person.hang_up)

    @rule(person=people, line=_of_machine("lines"))
    def break_off(self, person: Person, line: str) -> None:
        """A connection breaks while a line is on its way."""
        self._trio.do(_say, person, line)
        self._trio.do(_now, person.reset)

    @rule(person=people)
    def stop_reading(self, person: Person) -> None:
        """Somebody stops reading."""
        self._trio.do(_now, person.stop_reading)

    @rule(place=st.integers(0, 3))
    def kick(self, place: int) -> None:
        """A plugin kicks somebody."""
        clients = self.chat.server.clients
        if place < len(clients):
            self._trio.do(_now, clients[place].kick, "kicked")

    @rule(seconds=st.sampled_from([0.001, 0.01, 1, 31, 100]))
    def wait(self, seconds: float) -> None:
        """Time passes. Without this rule, everything happens at the same time."""
        self._trio.do(trio.sleep, seconds)

    @rule()
    def reload(self) -> None:
        """The server reloads: files are reopened."""
        self._trio.do(self.chat.server.reload)

    @rule()
    def settle(self) -> None:
        """Wait until there is nothing left to do, and check the promises that must hold at any time."""
        if self._run.chat is not None:
            self._trio.do(trio.sleep, SETTLING)
            self._run.take_stock()
            for each in ALWAYS:
                each(self._run)

    def _say(self, person: Person, *lines: str) -> None:
        self._trio.do(_say, person, *lines)

    def teardown(self) -> None:
        """Stop the server, and check that nothing is left."""
        try:
            if self._run.chat is not None:
                try:
                    self.settle()
                finally:
                    # If Trio ended with tasks in it, it would raise an error that hides the broken promise.
                    self._trio.do(self._stop)
                for each in (*INVARIANTS, *self.invariants_of_its_own):
                    each(self._run)
        finally:
            self._log.close()
            self._trio.close()
            self._folder.cleanup()

    async def _stop(self) -> None:
        await self._stack.aclose()
        self._run.left_behind += [described(task) for task in all_tasks() if task not in self._before]


async def _say(person: Person, *lines: str) -> None:
    try:
        await person.say(*lines)
    except Disconnected:
        await trio.lowlevel.checkpoint()


async def _now(act: Any, *arguments: Any) -> None:
    await trio.lowlevel.checkpoint()
    act(*arguments)
