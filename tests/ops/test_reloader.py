"""Reloading: one at a time, to its end, whoever asks."""

import os
import re
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import trio
from thread_kit import all_threads_taken
from trio.testing import wait_all_tasks_blocked

from trichat import Server, hookimpl
from trichat._base.task_tree import task_tree
from trichat._config.options import Config
from trichat._ops.plugin_versions import Versions
from trichat._ops.reloader import Reload, Reloader
from trichat._server import core_of
from trichat.testing import Chat, running


class Slow:
    """A plugin that takes a second to reload."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self._fault = fault

    @hookimpl
    async def on_reload(self) -> None:
        self.begun += 1
        await trio.sleep(1)
        self.ended += 1
        if self._fault is not None:
            raise self._fault


@asynccontextmanager
async def reloading(**plugins: object) -> AsyncIterator[Reloader]:
    server = Server(plugins=plugins, listeners=[])
    reloader = Reloader(core_of(server))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        nursery.start_soon(reloader.run)
        yield reloader
        nursery.cancel_scope.cancel()


async def test_who_asks_can_wait_until_it_is_done(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        await reloader.ask().done.wait()
        assert slow.ended == 1


async def test_who_waits_is_told_what_failed(virtual_time: object, caplog: pytest.LogCaptureFixture) -> None:
    fault = OSError(2, "No such file", "motd.txt")
    async with reloading(good=Slow(), bad=Slow(fault)) as reloader:
        reload = reloader.ask()
        await reload.done.wait()
    assert reload.failures == ["the plugin 'bad' failed: motd.txt: No such file; it keeps what it had"]
    assert caplog.messages == ["plugin 'bad' failed in on_reload: motd.txt: No such file"]


async def test_one_who_does_not_wait_any_more_does_not_break_it_off(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        with trio.move_on_after(0.1):
            await reloader.ask().done.wait()
        await trio.sleep(1)
        assert (slow.begun, slow.ended) == (1, 1)


async def test_all_who_ask_before_it_begins_share_one_and_who_comes_later_gets_another(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        first, same = reloader.ask(), reloader.ask()
        assert first is same
        await wait_all_tasks_blocked()
        later = [reloader.ask() for _ in range(5)]
        await first.done.wait()
        assert not later[0].done.is_set(), "files may have changed since the first one had read them"
        for reload in later:
            await reload.done.wait()
        assert (slow.begun, slow.ended) == (2, 2)


# Plugins that have another version.


SHOUT = """\
from contextlib import asynccontextmanager
from trichat import hookimpl
@hookimpl
def on_message(message):
    return message.with_text(message.text + "!")
"""

UNABLE = """
@hookimpl
@asynccontextmanager
async def lifespan(server):
    raise OSError("no space left")
    yield
"""


class Served:
    """A server in memory with one plugin, the file of which may be written again."""

    def __init__(self, chat: Chat, reloader: Reloader, file: Path) -> None:
        self.chat = chat
        self.reloader = reloader
        self._file = file
        self._written = 0

    def write(self, text: str) -> None:
        self._file.write_text(text)
        # Two versions may be of the same moment here, and nowhere else.
        self._written += 1
        os.utime(self._file, ns=(self._written, self._written))

    async def reloaded(self) -> Reload:
        reload = self.reloader.ask()
        await reload.done.wait()
        return reload


@pytest.fixture
async def served(tmp_path: Path, virtual_time: object) -> AsyncIterator[Served]:
    file = tmp_path / "shout.py"
    file.write_text(SHOUT)
    config = Config()
    name = "trichat_plugin_file.shout"
    async with running([file]) as chat:
        versions = Versions(lambda _: config, config, [file], chat.plugins)
        reloader = Reloader(core_of(chat.server), versions)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reloader.run)
            yield Served(chat, reloader, file)
            nursery.cancel_scope.cancel()
    sys.modules.pop(name, None)


CRASHES = """
@hookimpl
@asynccontextmanager
async def lifespan(server):
    async def crash():
        import trio
        await trio.sleep(5)
        raise ValueError("on purpose")
    server.start_soon(crash)
    yield
"""


async def test_a_plugin_that_has_crashed_is_told_of_until_it_has_another_version(served: Served) -> None:
    served.write(SHOUT + CRASHES)
    assert (await served.reloaded()).news == ["plugin 'shout': replaced by its new version"]
    await trio.sleep(6)
    crashed = "plugin 'shout' has crashed: change it and reload, or restart the server"
    assert (await served.reloaded()).news == [crashed]
    served.write(SHOUT)
    assert (await served.reloaded()).news == ["plugin 'shout': replaced by its new version"]
    assert (await served.reloaded()).news == []


async def test_a_plugin_whose_file_was_written_again_is_replaced(served: Served) -> None:
    alice = await served.chat.join("alice")
    for mark in "?.":
        served.write(SHOUT.replace("!", mark))
        reload = await served.reloaded()
        assert (reload.news, reload.failures) == (["plugin 'shout': replaced by its new version"], [])
        await alice.say("hello")
        await alice.hears(f"alice: hello{mark}")
    assert (await served.reloaded()).news == []


async def test_where_a_new_version_waits_is_shown_by_its_own_code(served: Served) -> None:
    def waits(seconds: int) -> str:
        body = f"async def on_message():\n    await trio.sleep({seconds})\n"
        return f"import trio\nfrom trichat import hookimpl\n@hookimpl\n{body}"

    alice = await served.chat.join("alice")
    for seconds in (1, 2):
        served.write(waits(seconds))
        await served.reloaded()
        await alice.say("hello")
        await trio.sleep(0.5)
        assert f"await trio.sleep({seconds})" in task_tree()
        await alice.hears("alice: hello")


async def test_it_needs_no_thread_that_plugins_may_hang_in(served: Served) -> None:
    served.write(SHOUT.replace("!", "?"))
    with all_threads_taken(), trio.fail_after(20):
        assert (await served.reloaded()).news == ["plugin 'shout': replaced by its new version"]


async def test_whatever_comes_of_looking_at_the_files_is_not_worth_the_server(served: Served) -> None:
    def read(_: object) -> Config:
        raise MemoryError

    served.reloader._versions._read = read  # type: ignore[union-attr]
    failure = "the configuration and the plugins cannot be read: MemoryError(); no plugin is replaced"
    assert [(await served.reloaded()).failures for _ in range(2)] == [[failure]] * 2


class Hanging:
    """Versions on a disk that does not answer."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    def look(self) -> NoReturn:
        self.answer.wait(10)
        raise AssertionError("nobody waits for this any more")


async def test_a_disk_that_hangs_holds_up_no_plugin_that_opens_its_files_anew() -> None:
    # In real time: virtual time would wait for the thread, and the thread hangs.
    plugin, versions = Slow(), Hanging()
    config = Config.from_tables({"server": {"hook_timeout": 0.1}})
    server = Server(config, plugins={"slow": plugin}, listeners=[])
    reloader = Reloader(core_of(server), versions)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        nursery.start_soon(reloader.run)
        reload = reloader.ask()
        with trio.fail_after(5):
            await reload.done.wait()
        nursery.cancel_scope.cancel()
    versions.answer.set()
    assert plugin.begun == 1
    assert reload.failures[0] == (
        "the configuration and the plugins cannot be read within 0.1 seconds; no plugin is replaced"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("def (", r"plugin '.*shout\.py' cannot be imported: .*shout\.py:1: invalid syntax", id="syntax"),
        pytest.param(
            "1 / 0", r"plugin '.*shout\.py' cannot be imported: ZeroDivisionError\(.*\) at .*shout\.py:1", id="import"
        ),
        *(
            pytest.param(
                f"raise {raised}",
                r"plugin 'shout' cannot be built: .*KeyboardInterrupt\(.* at .*shout\.py:1",
                id=raised,
            )
            for raised in ("KeyboardInterrupt", "BaseExceptionGroup('all', [KeyboardInterrupt()])")
        ),
        pytest.param(
            SHOUT.replace("on_message(message)", "on_mesage(message)"),
            r"plugin 'shout' \(.*shout\.py\): unknown hook 'on_mesage'.*",
            id="validation",
        ),
        pytest.param(SHOUT + UNABLE, r"plugin 'shout' cannot start: no space left", id="start"),
    ],
)
async def test_the_one_before_goes_on_if_the_new_one_cannot(
    served: Served, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    alice = await served.chat.join("alice")
    served.write(text)
    reload = await served.reloaded()
    assert reload.news == []
    (failure,) = reload.failures
    assert re.fullmatch(f"{said}; the previous version keeps running", failure)
    assert failure in caplog.messages
    await alice.say("hello")
    await alice.hears("alice: hello!")
    # It is tried again each time, until it is right.
    assert (await served.reloaded()).failures == [failure]
    served.write(SHOUT.replace("!", "?"))
    assert (await served.reloaded()).failures == []
    await alice.say("hello")
    await alice.hears("alice: hello?")


async def test_everyone_is_told_to_open_files_anew_whatever_is_wrong_with_the_configuration(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    slow, config = Slow(), Config()

    def read(faults: list[str]) -> Config:
        faults.append("trichat.toml: is not TOML")
        return config

    async with reloading(slow=slow) as reloader:
        reloader._versions = Versions(read, config, (), ())
        reload = reloader.ask()
        await reload.done.wait()
    assert reload.failures == ["trichat.toml: is not TOML; no plugin is replaced"]
    assert slow.ended == 1


GOOD = """
from trichat import hookimpl
@hookimpl
def on_message(message): return None
"""

# Only those who check types can import what is imported under TYPE_CHECKING.
UNTYPED = """
from __future__ import annotations
from typing import TYPE_CHECKING
from trichat import command
if TYPE_CHECKING:
    from trichat import Client
@command("roll", help="roll a die")
def roll(client: Client) -> str: return "6"
"""

EXITS = """
import sys
from trichat import hookimpl
class Shout:
    def __init__(self): sys.exit("no token")
    @hookimpl
    def on_message(self, message): return None
"""

MALFORMED = """
from trichat import hookimpl
class Shout:
    def __init__(self, options: "Options of it"): pass
    @hookimpl
    def on_message(self, message): return None
"""


@asynccontextmanager
async def reloading_versions(plugin: Path | str) -> AsyncIterator[tuple[Chat, Reloader]]:
    config = Config()
    async with running([plugin]) as chat, trio.open_nursery() as nursery:
        reloader = Reloader(core_of(chat.server), Versions(lambda _: config, config, [plugin], chat.plugins))
        nursery.start_soon(reloader.run)
        yield chat, reloader
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (UNTYPED, "cannot resolve the types of the arguments of /roll: name 'Client' is not defined"),
        (EXITS, "plugin 'shout' cannot be built: SystemExit('no token')"),
        (MALFORMED, "cannot resolve the types of its constructor"),
    ],
    ids=["untyped", "exits", "malformed"],
)
async def test_whatever_is_wrong_with_a_new_version_the_server_goes_on(
    virtual_time: object, tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "shout.py"
    file.write_text(GOOD)
    async with reloading_versions(file) as (chat, reloader):
        file.write_text(text)
        os.utime(file, ns=(5, 5))
        reload = reloader.ask()
        await reload.done.wait()
        (failure,) = reload.failures
        assert why in failure
        assert failure.endswith("; the previous version keeps running")
        await chat.join("alice")


async def test_a_package_may_have_folders_without_code(
    virtual_time: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "shouting"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("import shouting.data\n" + GOOD)
    async with reloading_versions("shouting") as (_, reloader):
        os.utime(package / "__init__.py", ns=(5, 5))
        reload = reloader.ask()
        await reload.done.wait()
        assert (reload.news, reload.failures) == (["plugin 'shouting': replaced by its new version"], [])
