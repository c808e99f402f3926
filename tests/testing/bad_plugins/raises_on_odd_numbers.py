"""`/roll SIDES` rolls a die. Bad: SIDES may be 0."""

import random

from trichat import Client, command


class Dice:
    @command("roll", help="roll a die")
    def roll(self, client: Client, sides: int) -> str:
        return f"you rolled {random.randint(1, sides)}"
