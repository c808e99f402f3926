"""What all sessions of a server share."""

import msgspec

from trichat._chat.broadcaster import Broadcaster
from trichat._chat.history import History
from trichat._chat.hub import Hub
from trichat._config.options import ServerOptions
from trichat._plugins.dispatch import Plugins


class House(msgspec.Struct, frozen=True):
    """What all sessions of a server share."""

    options: ServerOptions
    hub: Hub
    plugins: Plugins
    broadcaster: Broadcaster
    replay: History
