"""The pytest plugin, loaded by its entry point: the fixtures `chat` and `virtual_time`, and transcripts as tests.

A test needs only the names of the fixtures. Do not import anything from this module.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trichat._base.errors import TrichatError
from trichat._base.failures import Interruption
from trichat.testing._chat.chat import Chat, Plugins, Tables, running
from trichat.testing._chat.transcript import Mismatch, play_file
from trichat.testing._chat.virtual_time import run

TRANSCRIPTS = "trichat_transcripts"

# `pytest.fail` and the like end the test. If a plugin raises them, that is not a failure of the plugin.
for _outcome in (pytest.fail.Exception, pytest.skip.Exception, pytest.exit.Exception):
    Interruption.register(_outcome)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say which files are transcripts."""
    parser.addini(TRANSCRIPTS, "glob patterns of the transcripts that are tests", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "chat(plugins=(), config=None): the plugins and the configuration of the fixture `chat`"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test in virtual time if it asks for `virtual_time`, or if one of its fixtures does."""
    for item in items:
        if isinstance(item, pytest.Function) and "virtual_time" in item.fixturenames:
            item.add_marker(pytest.mark.trio(run=partial(_run, item)), append=False)


def _run(
    item: pytest.Function,
    test: Callable[[], Awaitable[Any]],
    clock: trio.abc.Clock | None,  # noqa: ARG001 - it is given only if the test itself asks for it
    instruments: Sequence[trio.abc.Instrument],
) -> None:
    virtual_time = item.funcargs["virtual_time"]
    run(test, clock=virtual_time if isinstance(virtual_time, MockClock) else None, instruments=instruments)


@pytest.fixture
def virtual_time() -> MockClock:
    """The clock of a test in virtual time: waiting takes no real time."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def chat_plugins() -> Plugins:
    """The plugins of the fixture `chat`, besides the built-in ones. Tests may override it."""
    return ()


@pytest.fixture
def chat_config() -> Tables:
    """The configuration of the fixture `chat`. Tests may override it."""
    return {}


@pytest.fixture
async def chat(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    virtual_time: MockClock,  # noqa: ARG001
    chat_plugins: Plugins,
    chat_config: Tables,
) -> AsyncIterator[Chat]:
    """A server in memory and in virtual time. It writes to `tmp_path`."""
    marker = request.node.get_closest_marker("chat")
    plugins, config = _marked(*marker.args, **marker.kwargs) if marker else (None, None)
    plugins = chat_plugins if plugins is None else plugins
    config = chat_config if config is None else config
    async with running(plugins, config, folder=tmp_path) as chat:
        yield chat


def _marked(plugins: Plugins | None = None, config: Tables | None = None) -> tuple[Plugins | None, Tables | None]:
    """The arguments of the marker."""
    return plugins, config


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "TranscriptFile | None":
    """Collect the transcripts that the ini option names."""
    patterns: list[str] = parent.config.getini(TRANSCRIPTS)
    if any(file_path.match(pattern) for pattern in patterns):
        return TranscriptFile.from_parent(parent, path=file_path)
    return None


class TranscriptFile(pytest.File):
    """A file that is one test."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield the test."""
        yield TranscriptItem.from_parent(self, name=self.path.stem)


class TranscriptItem(pytest.Item):
    """Plays a transcript."""

    # pytest-trio asks every test for its function.
    obj = None

    def runtest(self) -> None:
        """Play it. Raises `Mismatch`."""
        play_file(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show only the difference: the traceback says nothing about the chat."""
        if isinstance(excinfo.value, (Mismatch, TrichatError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the transcript is."""
        return self.path, 0, f"transcript: {self.name}"
