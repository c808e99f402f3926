"""JSON lines as a front."""

from trichat.fronts import Limits
from trichat_plugins.json_lines.dialogue import JsonDialogue
from trichat_plugins.json_lines.wire import JsonWire


class JsonFront:
    """Bots and programs that speak JSON lines."""

    name = "json"

    def __init__(self) -> None:
        self._wire = JsonWire()

    def dialogue(self, limits: Limits) -> JsonDialogue:
        """Return the conversation with a new client."""
        return JsonDialogue(self._wire, limits)
