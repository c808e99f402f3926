"""Names the plugin that keeps the whole server waiting: with synchronous work that takes long, while it takes it.

No deadline helps against a function that does not return: nothing else runs meanwhile. So a thread looks at the stack
again and again, and when it sees a plugin there, it asks the loop to answer. If it does not, that is who holds it up.
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

    answers: int
    """How often the loop had answered by then."""
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
        return (self.answers, self.call) == (earlier.answers, earlier.call)


class Watchdog:
    """Looks on inside `watching`. `plugins` returns the names of the plugins that there are now, by their file."""

    def __init__(self, plugins: Callable[[], Mapping[str, str]]) -> None:
        self._find_plugins = plugins
        self._loop = 0
        self._token: trio.lowlevel.TrioToken
        self._answers = 0
        self._done = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look from another thread, as long as the block takes; to be entered once, in a task."""
        self._loop = threading.get_ident()
        self._token = trio.lowlevel.current_trio_token()
        thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _look(self) -> None:
        first: _Sight | None = None
        since = 0.0
        while not self._done.wait(PERIOD):
            sight = self._sight()
            if sight is None:
                first = None
            elif first is None or not sight.is_still(first):
                first, since = sight, time.perf_counter()
                # Now, and not at each look: an idle loop is left in peace, and a busy one has nothing to count.
                self._token.run_sync_soon(self._answer, idempotent=True)
            elif since and time.perf_counter() - since > LONGEST:
                _name(sight)
                since = 0.0  # once for each call

    def _answer(self) -> None:
        self._answers += 1

    def _sight(self) -> _Sight | None:
        """Look at the stack. Nothing here lets the loop go on, so that it does not change meanwhile."""
        plugins = self._find_plugins()  # which change: another version may be in another file
        frame = sys._current_frames().get(self._loop)
        frames: list[FrameType] = []
        """The innermost first."""
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        own = [place for place, frame in enumerate(frames) if frame.f_code.co_filename in plugins]
        if not own:
            return None
        innermost, outermost = frames[own[0]], frames[own[-1]]
        line, code = innermost.f_lineno, innermost.f_code
        # To look the lines of the sources up would read files, and let the loop go on meanwhile.
        stack = traceback.StackSummary.extract(
            ((frame, frame.f_lineno) for frame in reversed(frames[: own[-1] + 1])), lookup_lines=False
        )
        file = code.co_filename
        return _Sight(self._answers, outermost, plugins[file], file, line, code.co_qualname, stack)


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
