"""Who may do what if no plugin has an opinion.

Rights by address are for clients of the line protocol alone. On any other front, an address may be that of a proxy.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from trichat._base.addresses import LOOPBACK
from trichat._base.messages import Refuse


class Asking(Protocol):
    """What has to be known of a client. `trichat.Client` is one."""

    @property
    def address(self) -> str:
        """Where it comes from."""

    @property
    def front(self) -> str:
        """The protocol that it speaks."""

    def may(self, action: str, room: str) -> bool:
        """Return whether it may do something else."""


class Default(NamedTuple):
    """Who may do something if no plugin has an opinion."""

    includes: Callable[[Asking, str], bool]
    """Takes a client and the room."""
    refusal: str
    """What is said to all others, after the name of what they wanted to do."""


EVERYONE = Default(lambda _client, _room: True, "")
OPERATORS = Default(lambda client, room: client.may("operate", room), "is for operators")
THIS_MACHINE = Default(
    lambda client, _room: client.front == "line" and any(client.address in network for network in LOOPBACK),
    "is for people on the server's own machine",
)
NOBODY = Default(lambda _client, _room: False, "is not permitted")

DEFAULTS: Mapping[str, Default] = {
    "enter": EVERYONE,
    "read": EVERYONE,
    "speak": EVERYONE,
    "topic": EVERYONE,
    "ban": OPERATORS,
    "kick": OPERATORS,
    "mute": OPERATORS,
    "notices": OPERATORS,
    "reload": OPERATORS,
    "slow": OPERATORS,
    "stop": THIS_MACHINE,
    # Whoever may do this is an operator. Only plugins know who that is.
    "operate": NOBODY._replace(refusal=OPERATORS.refusal),
    "unpaced": NOBODY,
}
"""The defaults by action. An action that is not in here is for operators."""


def default_refusal(client: Asking, action: str, room: str, what: str) -> Refuse | None:
    """Return why a client may not do something by default, in a sentence that begins with `what`."""
    default = DEFAULTS.get(action, OPERATORS)
    return None if default.includes(client, room) else Refuse(f"{what} {default.refusal}", "not_permitted")
