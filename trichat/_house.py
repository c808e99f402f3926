"""What all sessions of a server share."""

import msgspec

from trichat._broadcaster import Broadcaster
from trichat._config import ServerOptions
from trichat._hub import Hub
from trichat._plugins import Plugins
from trichat._replay import Replay


class House(msgspec.Struct, frozen=True):
    """What all sessions of a server share."""

    options: ServerOptions
    hub: Hub
    plugins: Plugins
    broadcaster: Broadcaster
    replay: Replay
