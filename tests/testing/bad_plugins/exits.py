"""Stops the server at `!quit`. Bad: it calls `sys.exit`."""

import sys

from trichat import Message, hookimpl


class Quit:
    @hookimpl
    def on_message(self, message: Message) -> None:
        if message.text == "!quit":
            sys.exit(0)
