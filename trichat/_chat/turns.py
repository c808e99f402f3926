"""When somebody who speaks is sent at once, and when it pays to wait for the others who speak."""

import math

import trio


class Turns:
    """Decides between sending a message at once and gathering it with others.

    One person who speaks is sent at once, in the task that received the line: waking the broadcaster would cost more
    than the message does. Many who speak at the same time are gathered instead: one batch is logged with one write and
    costs each member one send. Two rules tell the cases apart.

    - After a message was sent at once, nothing is sent at once for as long as that took: whatever is said meanwhile
      is gathered.
    - Sessions whose lines are in the inbox wait for the end of the broadcaster's round (`end_of_round`). If several of
      them waited, what they say next is gathered too. A round therefore ends by waking them, and by waiting until each
      has had its turn: Trio runs woken tasks in any order, in the next pass of the loop, and what they say wakes the
      broadcaster only in the pass after that. A session that waits alone is followed by nobody: gathered, each of its
      lines would wait for another round.
    """

    def __init__(self) -> None:
        self._waiting = trio.lowlevel.ParkingLot()
        self._several_waited = False
        self._at_once_from = -math.inf
        """In seconds of Trio's clock."""

    def may_send_at_once(self, now: float) -> bool:
        """Return whether a message need not wait for others."""
        return not self._several_waited and now >= self._at_once_from

    def note_sent_at_once(self, started: float, ended: float) -> None:
        """Note that a message was sent at once, from `started` to `ended`."""
        self._at_once_from = ended + (ended - started)

    async def end_of_round(self) -> None:
        """Wait for the end of this round, or of the next.

        The caller has just put something into the inbox, and no other task has run since: a round is sure to come.
        """
        await self._waiting.park()

    def end_round(self) -> bool:
        """Wake the sessions that wait for the end of the round; return whether there are any."""
        waiting = len(self._waiting)
        self._several_waited = waiting > 1
        self._waiting.unpark_all()
        return waiting > 0

    async def everybody_had_a_turn(self) -> None:
        """Wait until the sessions that `end_round` woke have had their turn."""
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
