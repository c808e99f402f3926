"""Rolls dice for everyone to see: `/roll` a die with six sides, `/roll 2d20` two with twenty.

Run it with `trichat serve --plugin examples/dice.py`.
"""

import random
import re

from trichat import Client, command

# What still fits on a line.
MOST_DICE, MOST_SIDES = 20, 1000

_DICE = re.compile(r"([1-9][0-9]?)d([1-9][0-9]{0,3})")


class Dice:
    """Has one command. What a command returns is for who gave it, so what is for everyone is said."""

    @command("roll", "[NdM]", help="roll N dice with M sides, for everyone to see")
    async def roll(self, client: Client, dice: str = "1d6") -> str | None:
        """Roll them, or say what is wrong."""
        match = _DICE.fullmatch(dice)
        if match is None:
            return f"{dice!r} are no dice; 2d6 are two with six sides"
        count, sides = int(match[1]), int(match[2])
        if count > MOST_DICE or sides > MOST_SIDES:
            return f"that is too much: {MOST_DICE} dice with {MOST_SIDES} sides at most"
        rolled = [random.randint(1, sides) for _ in range(count)]
        shown = " + ".join(map(str, rolled)) + (f" = {sum(rolled)}" if count > 1 else "")
        await client.server.say(client.room, f"{client.name} rolled {dice}: {shown}")
        return None
