"""Schedules: a seed determines the order in which Trio runs tasks."""

import random

import pytest
import trio

from trichat.testing._chat.schedule import _chance_of_trio, schedule


def order(seed: int) -> list[int]:
    """Return the order in which ten tasks take five steps each."""
    steps: list[int] = []

    async def walk(number: int) -> None:
        for _ in range(5):
            steps.append(number)
            await trio.lowlevel.checkpoint()

    async def all_walk() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(walk, number)

    with schedule(seed):
        trio.run(all_walk)
    return steps


def test_the_same_seed_gives_the_same_order() -> None:
    assert order(7) == order(7)


def test_other_seeds_give_other_orders() -> None:
    assert len({tuple(order(seed)) for seed in range(20)}) == 20


def test_what_ran_before_makes_no_difference() -> None:
    first = order(7)
    trio.run(trio.lowlevel.checkpoint)
    order(8)
    random.seed(1)
    assert order(7) == first


def test_afterwards_chance_goes_on_as_if_nothing_had_been() -> None:
    chance = _chance_of_trio()
    before = chance.getstate()
    order(7)
    assert chance.getstate() == before


def test_chance_is_given_back_even_when_the_run_fails() -> None:
    chance = _chance_of_trio()
    before = chance.getstate()
    with pytest.raises(ValueError, match="a test"), schedule(7):
        raise ValueError(f"a test, with {chance.random()}")
    assert chance.getstate() == before


def test_a_schedule_inside_another_does_not_disturb_it() -> None:
    chance = _chance_of_trio()
    with schedule(7):
        undisturbed = [chance.random() for _ in range(2)]
    with schedule(7):
        first = chance.random()
        order(8)
        assert [first, chance.random()] == undisturbed


def test_the_chance_of_everything_else_is_left_alone() -> None:
    random.seed(1)
    undisturbed = random.random()
    random.seed(1)
    order(7)
    assert random.random() == undisturbed
