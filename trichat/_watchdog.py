"""Names the plugin that keeps the whole server waiting: with synchronous work that takes long, while it takes it.

No deadline helps against a function that does not return: nothing else runs meanwhile. So a thread looks again and
again whether the loop goes on, and as long as it does not, at the stack.
"""

import linecache
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import trio

logger = logging.getLogger("trichat.plugins")

# Seconds that a plugin may work without letting others go on: in a chat of a hundred, each of them waits as long.
LONGEST = 0.2

# Seconds between two looks.
PERIOD = 0.05


class _Sight(NamedTuple):
    """What a look at the stack has shown."""

    turn: int
    """Which turn of the loop it was."""
    call: FrameType
    """The outermost frame of a plugin: as long as it is the same, it has not returned."""
    plugin: str
    """The plugin of the innermost one."""
    file: str
    line: int
    function: str
    stack: traceback.StackSummary
    """How it came there from the outermost frame of a plugin, and where it went from there."""

    def is_still(self, earlier: "_Sight") -> bool:
        """Whether it is the same call, and has let nobody go on: a coroutine keeps its frame from turn to turn."""
        return (self.turn, self.call) == (earlier.turn, earlier.call)


class Watchdog(trio.abc.Instrument):
    """Looks on inside `watching`. `plugins` returns the names of the plugins that there are now, by their file."""

    def __init__(self, plugins: Callable[[], Mapping[str, str]]) -> None:
        self._find_plugins = plugins
        self._loop = 0
        self._turn = 0
        """How many turns the loop has taken."""
        self._is_idle = False
        """The loop waits for something to do."""
        self._done = threading.Event()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """Everybody has been served."""
        self._turn += 1
        self._is_idle = True

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        """The next turn begins."""
        self._is_idle = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look from another thread, as long as the block takes; to be entered once, in a task."""
        self._loop = threading.get_ident()
        trio.lowlevel.add_instrument(self)
        thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()
            trio.lowlevel.remove_instrument(self)

    def _look(self) -> None:
        turn = -1
        first: _Sight | None = None
        since = 0.0
        while not self._done.wait(PERIOD):
            if self._is_idle or turn != self._turn:
                turn, first = self._turn, None
                continue
            sight = self._sight()
            if sight is None or first is None or not sight.is_still(first):
                first, since = sight, time.perf_counter()
            elif since and time.perf_counter() - since > LONGEST:
                _name(sight)
                since = 0.0  # once for each call

    def _sight(self) -> _Sight | None:
        """Look at the stack. Nothing here lets the loop go on, so that it does not change meanwhile."""
        plugins = self._find_plugins()  # which change: another version may be in another file
        frame = sys._current_frames().get(self._loop)
        frames: list[tuple[FrameType, int]] = []
        """The innermost first."""
        while frame is not None:
            frames.append((frame, frame.f_lineno))
            frame = frame.f_back
        own = [place for place, (frame, _) in enumerate(frames) if frame.f_code.co_filename in plugins]
        if not own:
            return None
        innermost, line = frames[own[0]]
        outermost, _ = frames[own[-1]]
        # To look the lines of the sources up would read files, and let the loop go on meanwhile.
        stack = traceback.StackSummary.extract(reversed(frames[: own[-1] + 1]), lookup_lines=False)
        code = innermost.f_code
        return _Sight(self._turn, outermost, plugins[code.co_filename], code.co_filename, line, code.co_qualname, stack)


def _name(sight: _Sight) -> None:
    logger.error(
        "plugin %r keeps everybody waiting, for more than %g s by now, at %s:%d in %s: %s\n%s",
        sight.plugin,
        LONGEST,
        Path(sight.file).name,
        sight.line,
        sight.function,
        linecache.getline(sight.file, sight.line).strip(),
        "".join(sight.stack.format()).rstrip(),
    )
