"""What all sessions of a server share."""

from typing import TYPE_CHECKING

import msgspec

from trichat._chat.broadcaster import Broadcaster
from trichat._chat.history import History
from trichat._chat.hub import Hub
from trichat._chat.shutdown import Shutdown
from trichat._config.options import ServerOptions
from trichat._fronts.front import Limits
from trichat._plugins.dispatch import Plugins

if TYPE_CHECKING:
    from trichat._server import Server


class Context(msgspec.Struct, frozen=True):
    """What all sessions of a server share."""

    server: "Server"
    """What plugins are given of it."""
    options: ServerOptions
    limits: Limits
    hub: Hub
    plugins: Plugins
    broadcaster: Broadcaster
    history: History
    shutdown: Shutdown
