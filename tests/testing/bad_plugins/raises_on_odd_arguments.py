"""`/roll SIDES` rolls a die. Bad: it assumes that SIDES is a number."""

import random

from trichat import Client, command


class Dice:
    @command("roll", help="roll a die")
    def roll(self, client: Client, sides: str) -> str:
        return f"you rolled {random.randint(1, int(sides))}"
