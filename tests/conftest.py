"""Fixtures of all tests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from chat_kit import Chat, running
from trio.testing import MockClock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `autojump_clock` count where only a fixture asks for it, too: pytest-trio looks at the test alone."""
    for item in items:
        if "autojump_clock" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))


def _run_in_virtual_time(test: Any, clock: MockClock | None, instruments: Any) -> None:
    trio.run(test, clock=clock or MockClock(autojump_threshold=0), instruments=instruments)


@pytest.fixture
async def chat(tmp_path: Path, autojump_clock: object) -> AsyncIterator[Chat]:
    """A server in memory with the default configuration, in virtual time."""
    async with running(tmp_path) as chat:
        yield chat
