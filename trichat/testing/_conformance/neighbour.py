"""Another plugin next to the one under test: it does nothing, or fails."""

import trio

from trichat.hookspecs import hookimpl


class Quiet:
    """A plugin that does nothing."""

    @hookimpl
    def on_reload(self) -> None:
        """Do nothing."""


class Neighbour:
    """Another plugin, which fails in one hook."""

    def __init__(self, hook: str, *, hangs: bool, first: bool) -> None:
        self._text = f"a neighbour that {'hangs' if hangs else 'raises'} in {hook}, {'first' if first else 'last'}"
        self._hangs = hangs
        self.happened = False

        async def fail(_: object) -> None:
            self.happened = True
            if self._hangs:
                await trio.sleep_forever()
            raise RuntimeError("on purpose")

        fail.__name__ = hook
        self.plugin = type("Neighbour", (), {hook: hookimpl(tryfirst=first, trylast=not first)(fail)})()

    def __str__(self) -> str:
        return self._text

    def describe(self) -> str:
        return f"with {self._text}"

    def excuses(self, failure: str) -> bool:
        return "plugin 'neighbour'" in failure
