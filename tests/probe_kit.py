"""Runs functions under a probe."""

from collections.abc import Awaitable, Callable

from trichat.testing import run
from trichat.testing._probing.cancel_targets import Part, Strike
from trichat.testing._probing.checkpoint_probe import PROBE, Probe


def probed(async_fn: Callable[[], Awaitable[object]], strike: str = "") -> Probe:
    """Run a function under a probe, with or without a strike, and return the probe."""
    probe = Probe(Strike.parse(strike) if strike else None)

    async def main() -> None:
        PROBE.set(probe)
        await async_fn()

    run(main, instruments=[probe])
    return probe


def struck(async_fn: Callable[[], Awaitable[object]], strike: str) -> Part:
    """Run a function with a strike, and return the part that was cancelled."""
    part = probed(async_fn, strike).struck
    assert part is not None, "the part was not struck"
    return part
