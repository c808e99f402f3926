"""What can go wrong, split by whose fault it is."""

from collections.abc import Sequence


class TrichatError(Exception):
    """The base of all that trichat raises on purpose; its text is one clear sentence for the person at fault."""


class ConfigError(TrichatError):
    """The configuration is wrong: whoever wrote it has to act."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults: tuple[str, ...] = tuple(faults)
        """One sentence each, naming the place and the value."""


class StartError(TrichatError):
    """The server cannot start here: the port is taken, a file cannot be opened, a plugin refuses."""


class ControlError(TrichatError):
    """A running server cannot be asked: it is not there, it is somebody else's, or it does not answer."""


class PluginError(TrichatError):
    """A plugin is not made as a plugin has to be: its author has to act."""


class StorageError(TrichatError, OSError):
    """What a plugin keeps cannot be read or written: the disk is full, the file is broken. The text says which."""


class RequiredPluginFailed(TrichatError):
    """A plugin that the messages cannot do without failed on a batch, so the batch was not sent."""


class ConnectionLost(TrichatError):
    """The other side is gone, or the way to it is; the text says how it showed."""
