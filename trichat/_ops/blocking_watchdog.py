"""Names the plugin that keeps the whole server waiting: with synchronous work that takes long, while it takes it.

No deadline helps against a function that does not return. So a thread looks at the stack again and again, and when it
sees a plugin there, it asks the loop to answer. If the loop does not, that plugin holds it up.
"""

import logging
import traceback
from collections.abc import Callable, Mapping

import trio

from trichat._base.code_location import shown_line
from trichat._base.loop_observer import LONGEST, LoopObserver, Stack, frames_of

logger = logging.getLogger("trichat.plugins")

# Seconds between two looks.
PERIOD = 0.05


class Watchdog(LoopObserver):
    """Logs an error for each call of a plugin that holds up the loop. To be made in a task of that loop.

    `plugins` returns the names of the plugins that there are now, by their file.
    """

    def __init__(self, plugins: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(PERIOD)
        self._find_plugins = plugins
        self._token = trio.lowlevel.current_trio_token()
        self._answers = 0
        """How often the loop has answered."""

    def identify(self, stack: Stack) -> object:
        """Return the plugin's outermost call and the answers so far: a coroutine keeps its frame from turn to turn."""
        own = frames_of(self._find_plugins(), stack)
        return (self._answers, own[-1]) if own else None

    def begin(self) -> None:
        """Ask the loop to answer. Asked at each look, an idle loop would not be left in peace."""
        self._token.run_sync_soon(self._answer, idempotent=True)

    def _answer(self) -> None:
        self._answers += 1

    def report(self, stack: Stack) -> None:
        """Log the plugin's innermost line, and the stack from its outermost one."""
        plugins = self._find_plugins()
        own = frames_of(plugins, stack)
        code, line = own[0].f_code, own[0].f_lineno
        inner = stack[: stack.index(own[-1]) + 1]
        # Without the sources: to read those files would let the loop go on before all is collected.
        summary = traceback.StackSummary.extract(
            ((frame, frame.f_lineno) for frame in reversed(inner)), lookup_lines=False
        )
        logger.error(
            "plugin %r keeps everybody waiting, for more than %g s by now, at %s\n%s",
            plugins[code.co_filename],
            LONGEST,
            shown_line(code.co_filename, line, code.co_qualname),
            "".join(summary.format()).rstrip(),
        )
