"""The line protocol as a front."""

from trichat._fronts.front import Limits
from trichat._fronts.line.dialogue import LineDialogue
from trichat._fronts.line.wire import LineWire


class LineFront:
    """People with `nc`, and bots that speak as they do."""

    name = "line"

    def __init__(self) -> None:
        self._wire = LineWire()

    def dialogue(self, limits: Limits) -> LineDialogue:
        """Return the conversation with a new client."""
        return LineDialogue(self._wire, limits)
