"""The errors of trichat, split by whose fault they are."""

from collections.abc import Sequence


class TrichatError(Exception):
    """The base of trichat's own errors. Its text is one sentence for the person at fault."""


class ConfigError(TrichatError):
    """The configuration is wrong: its author has to act."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults: tuple[str, ...] = tuple(faults)
        """One sentence each, naming the place and the value."""


class StartError(TrichatError):
    """The server cannot start here: the port is taken, a file cannot be opened, a plugin fails."""


class ControlError(TrichatError):
    """A running server cannot be asked: it is not there, it belongs to somebody else, or it does not answer."""


class PluginError(TrichatError):
    """A plugin is not built as a plugin has to be: its author has to act."""


class StorageError(TrichatError, OSError):
    """A plugin's stored data cannot be read or written: the disk is full, the file is broken. The text says which."""


class NotSent(TrichatError):
    """A batch was not sent to anyone. The text says why."""


class RequiredPluginFailed(NotSent):
    """A required plugin failed on a batch, so the batch was not sent."""


class ConnectionLost(TrichatError):
    """The other side is gone, or the connection to it broke. The text says how that was noticed."""
