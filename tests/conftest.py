"""Fixtures of all tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chat_kit import Chat, running


@pytest.fixture
async def chat(tmp_path: Path, autojump_clock: object) -> AsyncIterator[Chat]:
    """A server in memory with the default configuration, in virtual time."""
    async with running(tmp_path) as chat:
        yield chat
