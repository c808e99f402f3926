"""The end of a server: whether it was asked for, why, and what that cuts short."""

import trio


class Shutdown:
    """Whether the server was told to stop. It is asked for once; the first reason stays."""

    def __init__(self) -> None:
        self.requested = trio.Event()
        self.reason = ""
        self.failed = False
        """Whether the failure of a plugin asked for it, rather than a person or a signal."""
        self.entering_plugins, self.opening_listeners = trio.CancelScope(), trio.CancelScope()
        """The two parts of a start. A request to stop cuts them short."""

    def request(self, reason: str, *, failed: bool = False) -> None:
        """Ask for the end of the server. Does nothing if somebody has asked before."""
        if self.requested.is_set():
            return
        self.reason = reason
        self.failed = failed
        self.requested.set()
        for start in (self.entering_plugins, self.opening_listeners):
            start.cancel("the server is stopping")

    @property
    def announcement(self) -> str:
        """What everyone is told; empty as long as the server is to run."""
        if not self.requested.is_set():
            return ""
        return f"the server is stopping ({self.reason})" if self.reason else "the server is stopping"
