"""Names a plugin that blocks the whole server with synchronous work, while it blocks.

No deadline helps against a function that does not return. A thread therefore samples the stack of the loop. If it sees
a plugin there, it asks the loop to answer. If the loop does not answer, that plugin blocks it.
"""

import logging
import traceback
from collections.abc import Callable, Mapping

import trio

from trichat._base.code_location import shown_line
from trichat._base.loop_observer import LONGEST, LoopObserver, Stack, frames_of

logger = logging.getLogger("trichat.plugins")

# Seconds between two samples of the stack.
PERIOD = 0.05


class Watchdog(LoopObserver):
    """Logs an error for each call of a plugin that blocks the loop. Create it in a task of that loop.

    `plugins` returns the names of the current plugins, by file.
    """

    def __init__(self, plugins: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(PERIOD)
        self._find_plugins = plugins
        self._token = trio.lowlevel.current_trio_token()
        self._answers = 0
        """How often the loop has answered."""

    def identify(self, stack: Stack) -> object:
        """Return the plugin's outermost call, with the number of answers so far.

        The frame alone is not enough: a coroutine that awaits keeps its frame, and does not block.
        """
        own = frames_of(self._find_plugins(), stack)
        return (self._answers, own[-1]) if own else None

    def begin(self) -> None:
        """Ask the loop to answer. This is done only when a plugin is seen, so that an idle loop is never woken."""
        self._token.run_sync_soon(self._answer, idempotent=True)

    def _answer(self) -> None:
        self._answers += 1

    def report(self, stack: Stack) -> None:
        """Log the plugin's innermost line, and the stack from its outermost line on."""
        plugins = self._find_plugins()
        own = frames_of(plugins, stack)
        code, line = own[0].f_code, own[0].f_lineno
        inner = stack[: stack.index(own[-1]) + 1]
        # Without the source lines: reading those files takes time, and the loop could continue before this is done.
        summary = traceback.StackSummary.extract(
            ((frame, frame.f_lineno) for frame in reversed(inner)), lookup_lines=False
        )
        logger.error(
            "plugin %r has blocked the whole server for more than %g s, at %s\n%s",
            plugins[code.co_filename],
            LONGEST,
            shown_line(code.co_filename, line, code.co_qualname),
            "".join(summary.format()).rstrip(),
        )
