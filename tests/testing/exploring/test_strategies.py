"""cancel_everywhere, fault_everywhere and explore: what they play, what they find, and how they report it."""

import inspect
import os
import re
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import hypothesis.strategies as st
import pytest
import trio
from scenario_kit import NO_LOG, talk
from trio.lowlevel import checkpoint

from trichat import Client, Message, hookimpl
from trichat.testing import (
    Chat,
    NotHeard,
    Run,
    Survey,
    Violation,
    cancel_everywhere,
    explore,
    fault_everywhere,
    part,
)
from trichat.testing._exploring.faults import STREAM_FAULTS
from trichat.testing._exploring.invariants import cancellation_passed, plugins_did_not_fail, title
from trichat.testing._probing.cancel_targets import Strike


class Forgetful:
    """Has a bug that no ordinary test sees: if on_connect is cancelled, it does not know the client that leaves."""

    def __init__(self) -> None:
        self._moods: dict[Client, str] = {}

    @hookimpl
    async def on_connect(self, client: Client) -> None:
        await trio.sleep(0.01)
        self._moods[client] = "fine"

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        del self._moods[client]


class Checker:
    """Has no bug. It only waits in a hook."""

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await trio.sleep(0.01)


def violation(search: Callable[[], Survey]) -> Violation:
    with pytest.raises(Violation) as caught:
        search()
    return caught.value


def line_of(source: type, text: str) -> int:
    """Return the number of the line of a class that has this text."""
    lines, first = inspect.getsourcelines(source)
    return first + next(index for index, line in enumerate(lines) if text in line)


# cancel_everywhere


def test_an_ordinary_test_of_a_plugin_with_a_bug_passes() -> None:
    assert not cancel_everywhere(talk, plugins=[Forgetful], targets=[]).broken


def test_a_violation_names_the_part_the_checkpoint_the_task_the_line_the_invariant_and_how_to_play_it_alone() -> None:
    found = violation(lambda: cancel_everywhere(talk, plugins=[Forgetful], targets=["client"], config=NO_LOG))
    text = str(found)
    number = line_of(Forgetful, "trio.sleep")
    assert (
        "client was cancelled at its checkpoint 1, in the task client 127.0.0.1,\n"
        f"  at test_strategies.py:{number} in Forgetful.on_connect: await trio.sleep(0.01)\n"
        f"  {title(plugins_did_not_fail)}: BROKEN\n"
        "      plugin 'forgetful' failed in on_disconnect: "
    ) in text
    assert re.search(r"\n  play this case alone: cancel_everywhere\(talk, .*only='client @ 1'\)\n", text)
    assert "  the dialogue:\n      alice+\n      alice> alice\n" in text
    assert "client @ 1" in found.broken


def test_a_case_can_be_played_alone_and_is_broken_in_the_same_way() -> None:
    found = violation(lambda: cancel_everywhere(talk, plugins=[Forgetful], targets=["client"], config=NO_LOG))
    case = next(iter(found.broken))
    again = violation(lambda: cancel_everywhere(talk, plugins=[Forgetful], config=NO_LOG, only=case))
    assert list(again.broken) == [case]
    assert [each.invariant for each in again.broken[case]] == [each.invariant for each in found.broken[case]]
    assert str(again).startswith("2 cases, 1 of them broken\n")


def test_the_line_that_plays_a_case_alone_is_code() -> None:
    found = violation(lambda: cancel_everywhere(talk, plugins=[Forgetful], targets=["client"], config=NO_LOG))
    line = re.search(r"this case alone: (.*)", str(found))
    assert line is not None
    again = violation(lambda: eval(line[1]))
    assert list(again.broken) == [next(iter(found.broken))]


def test_a_case_that_is_in_order_can_be_played_alone_too() -> None:
    assert cancel_everywhere(talk, plugins=[Checker], only="client @ 2").cases == ["", "client @ 2"]


@pytest.mark.parametrize("only", ["nonsense", "client @ x", "client"])
def test_a_case_that_is_none_is_refused(only: str) -> None:
    with pytest.raises(ValueError, match=only):
        cancel_everywhere(talk, only=only)


def test_a_case_of_a_part_that_there_is_not_does_not_pass_for_one_that_is_in_order() -> None:
    with pytest.raises(ValueError, match="chekcer"):
        cancel_everywhere(talk, plugins=[Checker], only="hook chekcer.on_message @ 1")


def test_every_part_is_cancelled_at_each_of_its_checkpoints_until_it_runs_through() -> None:
    survey = cancel_everywhere(talk, plugins=[Checker], targets=["client", "hook"], config=NO_LOG)
    assert survey.cases[0] == ""
    assert not survey.broken
    assert str(survey) == f"{len(survey.cases)} cases, 0 of them broken"
    strikes = [Strike.parse(case) for case in survey.cases[1:]]
    assert {strike.part for strike in strikes} == {"client", "hook checker.on_message"}
    for label, early in product({strike.part for strike in strikes}, (True, False)):
        steps = [strike.step for strike in strikes if (strike.part, strike.early) == (label, early)]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= 2


def test_targets_are_the_kinds_of_parts_to_cancel() -> None:
    survey = cancel_everywhere(talk, plugins=[Checker], targets=["hook", "lifespan"])
    assert {case.partition(" ")[0] for case in survey.cases[1:]} == {"hook", "lifespan"}


def test_parts_may_be_chosen_by_their_label() -> None:
    survey = cancel_everywhere(talk, plugins=[Checker], parts=lambda label: "checker" in label)
    assert {case.rpartition(" @ ")[0] for case in survey.cases[1:]} == {"hook checker.on_message"}


def test_each_run_has_plugins_of_its_own() -> None:
    made: list[Checker] = []

    def make() -> list[object]:
        made.append(Checker())
        return [made[-1]]

    survey = cancel_everywhere(talk, plugins=make, targets=["hook"], config=NO_LOG)
    assert len(made) == len(survey.cases)


def test_two_surveys_of_the_same_scenario_have_the_same_cases() -> None:
    async def crowd(chat: Chat) -> None:
        people = [await chat.join(name) for name in ("alice", "bob")]
        for person in people:
            await person.say("hello")
        await chat.settled()

    def survey() -> list[str]:
        return cancel_everywhere(crowd, plugins=[Checker], targets=["hook", "lifespan"]).cases

    assert survey() == survey()


def test_another_seed_is_another_order_of_tasks() -> None:
    async def race(order: list[int]) -> None:
        async def walk(number: int) -> None:
            await checkpoint()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(walk, number)

    def order(seed: int) -> list[int]:
        noted: list[int] = []

        async def scenario() -> None:
            await race(noted)

        cancel_everywhere(scenario, targets=[], seed=seed)
        return noted

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_what_is_broken_although_nothing_went_wrong_is_said_before_anything_is_cancelled() -> None:
    def never_holds(run: Run) -> None:
        raise AssertionError("it never does")

    found = violation(lambda: cancel_everywhere(talk, invariants=[never_holds]))
    assert list(found.broken) == [""]
    assert (
        "in the first run, in which nothing goes wrong on purpose\n  never_holds: BROKEN\n      it never does"
        in str(found)
    )
    assert "only=" not in str(found)


def test_what_the_scenario_raises_when_nothing_is_cancelled_comes_out() -> None:
    async def wrong(chat: Chat) -> None:
        alice = await chat.join("alice")
        await alice.hears("bob: hello")

    with pytest.raises(NotHeard, match=r"^alice expected 'bob: hello'"):
        cancel_everywhere(wrong)


def test_authors_add_invariants_of_their_own() -> None:
    class Scores:
        """Appends half an entry before it waits."""

        @hookimpl
        async def on_message(self, message: Message) -> None:
            append(f"{message.sender} ")
            await trio.sleep(0.01)
            append("1\n")

    def append(text: str) -> None:
        with Path("scores.txt").open("a") as file:
            file.write(text)

    def scores_are_whole(run: Run) -> None:
        """Every score is a name and a number.

        And nothing else.
        """
        for line in (run.folder / "scores.txt").read_text().splitlines():
            assert len(line.split()) == 2, line

    found = violation(
        lambda: cancel_everywhere(
            talk, plugins=[Scores], invariants=[scores_are_whole], targets=["hook"], config=NO_LOG
        )
    )
    (broken,) = found.broken["hook scores.on_message @ 1"]
    assert broken.invariant == "every score is a name and a number"
    assert broken.what.startswith("alice newcomer 1")


# Plain functions on Trio, without a chat


class Account:
    """Moves money from one purse to another, with a pause in between."""

    def __init__(self) -> None:
        self.purse, self.chest = 10, 0
        self.lock = trio.Semaphore(1)


def test_a_plain_function_is_cancelled_as_a_whole() -> None:
    async def wait() -> None:
        await trio.sleep(1)
        await trio.sleep(1)

    survey = cancel_everywhere(wait)
    assert not survey.broken
    assert {"", "scenario @ 1", "scenario @ 2"} <= set(survey.cases)


def test_a_plain_function_that_swallows_its_cancellation_is_found() -> None:
    async def careless() -> None:
        try:
            await trio.sleep(1)
        except BaseException:  # noqa: ASYNC103
            print("never mind")  # noqa: T201

    found = violation(lambda: cancel_everywhere(careless))
    assert [each.invariant for each in found.broken["scenario @ 1"]] == [title(cancellation_passed)]
    assert "  play this case alone: cancel_everywhere(careless, only='scenario @ 1')" in str(found)
    assert "the dialogue" not in str(found)


def test_money_that_is_lost_between_two_awaits_is_found_by_an_invariant() -> None:
    accounts: list[Account] = []

    async def move() -> None:
        account = Account()
        accounts.append(account)
        account.purse -= 5
        await checkpoint()
        account.chest += 5

    def no_money_is_lost(run: Run) -> None:
        """No money is lost."""
        assert accounts[-1].purse + accounts[-1].chest == 10

    found = violation(lambda: cancel_everywhere(move, invariants=[no_money_is_lost]))
    assert [each.invariant for each in found.broken["scenario @ 1"]] == ["no money is lost"]


def test_a_part_of_a_plain_function_is_cancelled_alone_and_the_rest_goes_on() -> None:
    finished: list[str] = []

    async def scenario() -> None:
        with part("first"):
            await trio.sleep(1)
            finished.append("first")
        await trio.sleep(1)
        finished.append("second")

    survey = cancel_everywhere(scenario, only="part first @ 1")
    assert not survey.broken
    assert finished == ["first", "second", "second"]


def test_a_lock_that_is_given_back_by_a_part_that_was_cancelled_is_no_fault() -> None:
    async def move(account: Account) -> None:
        async with account.lock:
            await trio.sleep(1)

    async def scenario() -> None:
        account = Account()
        with part("move"):
            await move(account)
        await move(account)

    survey = cancel_everywhere(scenario)
    assert not survey.broken
    assert {case.rpartition(" @ ")[0] for case in survey.cases[1:]} == {"scenario", "part move"}


def test_only_what_is_watched_of_a_part_is_judged() -> None:
    async def careless() -> None:
        try:
            await trio.sleep(1)
        except BaseException:  # noqa: ASYNC103
            print("never mind")  # noqa: T201

    async def scenario(*, watched: bool) -> None:
        with part("careless") as entered:
            await (entered.watching(careless()) if watched else careless())

    async def unwatched() -> None:
        await scenario(watched=False)

    async def watched() -> None:
        await scenario(watched=True)

    assert not cancel_everywhere(unwatched, targets=["part"]).broken
    found = violation(lambda: cancel_everywhere(watched, targets=["part"]))
    assert [each.invariant for each in found.broken["part careless @ 1"]] == [title(cancellation_passed)]


async def set_later(event: trio.Event) -> None:
    await trio.sleep(1)
    event.set()


def test_no_checkpoint_is_left_out_whatever_the_one_before_it_was() -> None:
    places: set[str] = set()

    async def walk(event: trio.Event) -> None:
        with part("walk"):
            await checkpoint()  # one
            await event.wait()  # two
            await trio.sleep(0.5)  # three
            await checkpoint()  # four

    async def scenario() -> None:
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_later, event)
            await walk(event)

    def note(run: Run) -> None:
        if run.struck is not None and run.struck.scope.cancelled_caught:
            places.add(run.struck.place.rpartition("  # ")[2])

    cancel_everywhere(scenario, targets=["part"], invariants=[note])
    assert places == {"one", "two", "three", "four"}


def test_a_bug_is_found_in_a_wait_that_comes_right_behind_another_checkpoint() -> None:
    async def patient(event: trio.Event) -> None:
        await checkpoint()
        try:
            await event.wait()
        except BaseException:  # noqa: ASYNC103
            print("never mind")  # noqa: T201

    async def scenario() -> None:
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_later, event)
            with part("patient") as entered:
                await entered.watching(patient(event))

    found = violation(lambda: cancel_everywhere(scenario, targets=["part"]))
    assert {each.invariant for cases in found.broken.values() for each in cases} == {title(cancellation_passed)}


# fault_everywhere


def test_every_fault_of_the_network_is_played_at_every_send_and_receive() -> None:
    survey = fault_everywhere(talk, config=NO_LOG)
    assert not survey.broken
    assert survey.cases[0] == ""
    by_place: dict[str, list[str]] = {}
    for case in survey.cases[1:]:
        place, _, what = case.partition(": ")
        by_place.setdefault(place, []).append(what)
    assert {place.rpartition(" #")[0] for place in by_place} == {"send to client 1", "receive from client 1"}
    assert all(faults == list(STREAM_FAULTS) for faults in by_place.values())
    for kind in ("send to client 1", "receive from client 1"):
        numbers = [int(place.rpartition("#")[2]) for place in by_place if place.startswith(kind)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 3  # the greeting or the name, the welcome or the line, the line or the end


def test_every_fault_of_the_disk_is_played_at_every_write_and_sync() -> None:
    survey = fault_everywhere(talk, config={"plugins": {"chat_log": {"fsync": "always"}}})
    assert not survey.broken
    cases = [case for case in survey.cases if "chat_log.txt" in case]
    # alice joins, speaks, and leaves.
    assert [case for case in cases if case.startswith("write ")] == [
        f"write chat_log.txt #{number}: {what}" for number in (1, 2, 3) for what in ("full", "fails")
    ]
    assert [case for case in cases if case.startswith("sync ")][:3] == [
        f"sync chat_log.txt #{number}: fails" for number in (1, 2, 3)
    ]


class Ledger:
    """Ignores how much of a line was written."""

    @hookimpl
    def on_message(self, message: Message) -> None:
        fd = os.open("ledger.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(fd, f"{message.sender} 1\n".encode())
        finally:
            os.close(fd)


def ledger_is_whole(run: Run) -> None:
    """The ledger is whole."""
    for line in (run.folder / "ledger.txt").read_text().splitlines():
        assert line.endswith(" 1"), line


def test_a_plugin_that_does_not_care_how_much_was_written_is_found() -> None:
    def search(only: str = "") -> Survey:
        return fault_everywhere(talk, plugins=[Ledger], invariants=[ledger_is_whole], config=NO_LOG, only=only)

    found = violation(search)
    assert list(found.broken) == ["write ledger.txt #1: full"]
    (broken,) = found.broken["write ledger.txt #1: full"]
    assert broken.invariant == "the ledger is whole"
    assert "write ledger.txt #1: full\n  the ledger is whole: BROKEN\n" in str(found)
    line = r"\n  play this case alone: fault_everywhere\(talk, .*only='write ledger.txt #1: full'\)\n"
    assert re.search(line, str(found))
    again = violation(lambda: search("write ledger.txt #1: full"))
    assert list(again.broken) == list(found.broken)


def test_a_fault_can_be_played_alone() -> None:
    survey = fault_everywhere(talk, only="send to client 1 #2: breaks")
    assert survey.cases == ["", "send to client 1 #2: breaks"]


def test_a_fault_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="everything breaks"):
        fault_everywhere(talk, only="everything breaks")


async def hang_up(chat: Chat) -> None:
    (await chat.connect()).hang_up()
    await chat.settled()


def test_two_surveys_of_faults_have_the_same_cases() -> None:
    assert fault_everywhere(hang_up).cases == fault_everywhere(hang_up).cases


def test_somebody_who_comes_back_by_the_same_name_after_a_broken_connection_misses_nothing() -> None:
    async def come_back(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        try:
            await alice.say("hello")
            await alice.hears_up_to("alice: hello")
        except AssertionError:
            await bob.hears_up_to("* alice left")
            alice = await chat.join("alice")
        await bob.say("hello, alice")
        await alice.hears_up_to("bob: hello, alice")

    assert not fault_everywhere(come_back, config=NO_LOG).broken


# explore


class Votes:
    """Counts votes, and loses some when two arrive together."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    async def on_message(self) -> None:
        count = self.count
        await trio.sleep(0.003)
        self.count = count + 1


async def vote(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("aye")
    await trio.sleep(0.004)  # so that the votes arrive together only if the network is slow
    await bob.say("nay")
    await chat.settled()


def counted(votes: list[Votes]) -> Callable[[Run], None]:
    def all_votes_count(run: Run) -> None:
        """All votes count."""
        assert votes[-1].count == sum(message.kind == "said" for message in run.witness.sent)

    return all_votes_count


def survey_of_votes(seeds: int = 50, only: int | None = None) -> Survey:
    votes: list[Votes] = []

    def make() -> list[object]:
        votes.append(Votes())
        return [votes[-1]]

    return explore(vote, seeds, plugins=make, invariants=[counted(votes)], only=only, config=NO_LOG)


def test_a_race_is_found_in_one_of_many_schedules_and_again_by_its_seed() -> None:
    found = violation(survey_of_votes)
    (seed,) = (case.split()[0] for case in found.broken)
    assert f"in the run with seed {seed}\n  all votes count: BROKEN\n" in str(found)
    assert re.search(rf"\n  play this case alone: explore\(vote, .*only={seed}\)\n", str(found))
    again = violation(lambda: survey_of_votes(only=int(seed)))
    assert list(again.broken) == [seed]


def test_the_same_seed_is_the_same_run() -> None:
    dialogues: list[str] = []

    def note(run: Run) -> None:
        if run.chat is not None and run.disturbance is not None:
            dialogues.append(str(run.chat.dialogue))

    async def crowd(chat: Chat) -> None:
        people = [chat.connect_silently(name=name) for name in ("alice", "bob", "carol")]
        for person in people:
            await person.say(person.label, "hello")
        await trio.sleep(1)

    for seed in (1, 1, 2, 3, 4):
        explore(crowd, only=seed, invariants=[note], config=NO_LOG)
    assert dialogues[0] == dialogues[1]
    assert len(set(dialogues)) > 2


def test_as_many_schedules_are_played_as_it_is_told() -> None:
    survey = explore(talk, 7, config=NO_LOG)
    assert survey.cases == [str(seed) for seed in range(7)]
    assert not survey.broken


def test_what_the_scenario_raises_says_in_which_schedule() -> None:
    async def hasty(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("one")
        await trio.sleep(0.004)
        await bob.say("two")
        await alice.hears("* bob joined", "alice: one", "bob: two")

    with pytest.raises(NotHeard) as caught:
        explore(hasty, 50, config=NO_LOG)
    assert "in the run with seed " in told(caught.value)


def told(error: BaseException) -> str:
    """Return the text of an error, with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


class Fragile:
    """Fails on a line with an `x`."""

    def __init__(self) -> None:
        self.broken = False

    @hookimpl
    def on_message(self, message: Message) -> None:
        if "x" in message.text:
            raise ValueError("there is an x in it")


async def say_all(chat: Chat, lines: Sequence[str]) -> None:
    alice = await chat.join("alice")
    await alice.say(*lines)
    await trio.sleep(1)


LINES = st.lists(st.text("abcxyz ", min_size=1, max_size=5), max_size=5)


def test_with_a_strategy_the_shortest_failing_dialogue_is_told() -> None:
    found = violation(lambda: explore(say_all, 25, plugins=[Fragile], config=NO_LOG, lines=LINES))
    assert "lines=['x']" in told(found)
    assert "BROKEN\n      plugin 'fragile' failed in on_message: there is an x in it\n" in told(found)
    assert "      alice> x\n" in told(found)


def test_with_a_strategy_and_no_fault_all_is_well() -> None:
    survey = explore(say_all, 10, plugins=[Checker], config=NO_LOG, lines=LINES)
    assert len(survey.cases) == 10
    assert not survey.broken


def test_with_a_strategy_one_seed_can_be_played_alone() -> None:
    survey = explore(say_all, 5, plugins=[Checker], config=NO_LOG, only=3, lines=LINES)
    assert set(survey.cases) == {"3"}


def test_the_search_with_a_strategy_is_the_same_each_time() -> None:
    def drawn() -> list[list[str]]:
        noted: list[list[str]] = []

        async def note(chat: Chat, lines: list[str]) -> None:
            noted.append(lines)
            await checkpoint()

        explore(note, 10, config=NO_LOG, lines=LINES)
        return noted

    assert drawn() == drawn()


def test_to_choose_nothing_is_no_success() -> None:
    async def scenario(chat: Chat) -> None:
        await chat.join("alice")

    with pytest.raises(ValueError, match="nothing was cancelled: targets and parts select none of: server, "):
        cancel_everywhere(scenario, config=NO_LOG, parts=lambda label: label == "hook nobody.on_message")
    with pytest.raises(ValueError, match="seeds must be at least 1, not 0"):
        explore(scenario, 0)
