"""The dice, rolled where it is known what they show, and looked at where it is not."""

import re
from pathlib import Path

import pytest

from trichat.testing import Chat

EXAMPLE = Path(__file__).parents[2] / "examples" / "dice.py"


@pytest.fixture
def chat_plugins() -> list[Path]:
    return [EXAMPLE]


@pytest.mark.parametrize(("dice", "shown"), [("1d1", "1"), ("2d1", "1 + 1 = 2"), ("3d1", "1 + 1 + 1 = 3")])
async def test_everybody_sees_what_was_rolled(chat: Chat, dice: str, shown: str) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.say(f"/roll {dice}")
    await alice.hears("* bob joined", f"* bob rolled {dice}: {shown}")
    await bob.hears(f"* bob rolled {dice}: {shown}")


async def test_a_die_has_six_sides_unless_somebody_says_otherwise(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say(*["/roll"] * 200)
    rolled = [re.fullmatch(r"\* alice rolled 1d6: (\d)", f"{await alice.next_line()}") for _ in range(200)]
    assert {match[1] for match in rolled if match} == set("123456")


@pytest.mark.parametrize("dice", ["six", "0d6", "2d0", "d6", "2d", "-1d6", "100d6", "2d10000", "2 d 6", "२d६"])
async def test_what_are_no_dice_is_said_to_who_asked_alone(chat: Chat, dice: str) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say(f"/roll {dice}")
    await bob.hears(f"* {dice!r} are not dice; write 2d6 for two dice with six sides")
    await alice.hears_nothing()


@pytest.mark.parametrize("dice", ["21d6", "2d1001"])
async def test_more_than_fits_on_a_line_is_too_much(chat: Chat, dice: str) -> None:
    alice = await chat.join("alice")
    await alice.say(f"/roll {dice}")
    await alice.hears("* that is too much; roll at most 20 dice with 1000 sides")
