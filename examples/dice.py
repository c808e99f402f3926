"""Roll dice for everyone to see: `/roll` rolls a die with six sides, `/roll 2d20` two dice with twenty sides.

Run it with `trichat serve --plugin examples/dice.py`.
"""

import random
import re

from trichat import Client, command

# So many results still fit on a line.
MOST_DICE, MOST_SIDES = 20, 1000

_DICE = re.compile(r"([1-9][0-9]?)d([1-9][0-9]{0,3})")


class Dice:
    """One command. Only the person who typed it gets what it returns, so the result is said to the room."""

    @command("roll", "[NdM]", help="roll N dice with M sides, for everyone to see")
    async def roll(self, client: Client, dice: str = "1d6") -> str | None:
        """Roll the dice, or answer what is wrong with them."""
        match = _DICE.fullmatch(dice)
        if match is None:
            return f"{dice!r} are not dice; write 2d6 for two dice with six sides"
        count, sides = int(match[1]), int(match[2])
        if count > MOST_DICE or sides > MOST_SIDES:
            return f"that is too much; roll at most {MOST_DICE} dice with {MOST_SIDES} sides"
        rolled = [random.randint(1, sides) for _ in range(count)]
        shown = " + ".join(map(str, rolled)) + (f" = {sum(rolled)}" if count > 1 else "")
        await client.server.say(client.room, f"{client.name} rolled {dice}: {shown}")
        return None
