"""Ends at `!quit`. Bad: with `sys.exit`."""

import sys

from trichat import Message, hookimpl


class Quit:
    @hookimpl
    def on_message(self, message: Message) -> None:
        if message.text == "!quit":
            sys.exit(0)
