"""What plugins keep over a restart: each has a folder and, in it, a small database of keys and values.

SQLite blocks, so each database that is in use has a task of its own, which does one thing after the other in a worker
thread. Whoever wants something hands it over and waits for it. So everything happens in the order of the calls, a wait
can be cancelled at any time, and nothing is ever half done: what was begun is brought to its end.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload
from urllib.parse import quote

import msgspec
import trio

from trichat._base.errors import StorageError
from trichat._base.worker_threads import WorkerThreads

logger = logging.getLogger("trichat.storage")

T = TypeVar("T")

# Seconds that a disk may take for one thing. A hook has `hook_timeout` besides; a task of a plugin has only this.
DISK_TIMEOUT = 30.0

# The longest name of a folder that is a plugin's name. Longer ones would meet the limits of file systems.
LONGEST_NAME = 100

_NOT_RUNNING = "the server is not running, and storage is there only while it does"


class Storages:
    """The storage of all plugins, below `data_dir`. When the server ends, they have `grace` seconds to be closed."""

    def __init__(self, data_dir: Path, grace: float) -> None:
        self._data_dir = data_dir
        self._grace = grace
        self._nursery: trio.Nursery | None = None
        self._storages: dict[str, Storage] = {}

    def of(self, plugin: str) -> "Storage":
        """Return the storage of a plugin, always the same. Nothing is opened or written yet."""
        if plugin not in self._storages:
            self._storages[plugin] = Storage(self._data_dir / folder_name(plugin), self._start)
        return self._storages[plugin]

    def _start(self, work: Callable[[], Any], name: str) -> None:
        if self._nursery is None:
            raise RuntimeError(_NOT_RUNNING)
        self._nursery.start_soon(work, name=name)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Let storages be used in the block, and close them behind it, whatever ends it."""
        async with trio.open_nursery() as self._nursery:
            try:
                yield
            finally:
                self._nursery = None
                for storage in self._storages.values():
                    storage._close(self._grace)


class _Call(Generic[T]):
    """Something to do in a worker thread, and what came of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: T | None = None
        self._error: Exception | None = RuntimeError(_NOT_RUNNING)
        self.done = trio.Event()

    async def run(self, threads: WorkerThreads) -> None:
        try:
            self._value = await threads.run(self._function)
            self._error = None
        except Exception as error:
            self._error = error
        finally:
            self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)


class Storage:
    """A folder and a small store of keys and values, both of one plugin; they survive a restart.

    A value is what msgspec can write as JSON: numbers, strings, lists, dictionaries, dataclasses, dates. It is on the
    disk when `set` returns. Any number of tasks may use a storage at once: each call is done as a whole, in the order
    of the calls. Who is cancelled meanwhile does not know whether it was done, but never leaves half of it. To get
    something, change it and set it, with nobody in between, hold a `trio.Lock` meanwhile.

    Every method raises `StorageError` if the disk is full, the file broken or the folder not to be written, and
    `RuntimeError` if the server does not run.
    """

    def __init__(self, folder: Path, start: Callable[[Callable[[], Any], str], None]) -> None:
        from trichat._plugins.sqlite_store import Database  # SQLite, which a server without such a plugin does not need

        self._folder = folder
        self._start = start
        self._database = Database(folder / "storage.sqlite3")
        # No buffer: a call that waits for its turn is still with its caller, who may be cancelled.
        self._hand_over, self._calls = trio.open_memory_channel[_Call[Any]](0)
        self._is_started = False
        self._shield = trio.CancelScope(shield=True)

    @property
    def folder(self) -> Path:
        """A folder of the plugin's own, for its files. It is made when it is first asked for."""
        return self._database.folder_made()

    @overload
    async def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str, default: T, *, type: type[T]) -> T: ...
    @overload
    async def get(self, key: str, default: object = None) -> Any: ...

    async def get(self, key: str, default: object = None, *, type: Any = Any) -> Any:  # noqa: A002 - as in msgspec
        """Return the value of a key, or `default` if there is none. It is made a `type`, where one is given."""
        data = await self._do(self._database.get, key)
        return default if data is None else self._decode(key, data, type)

    async def set(self, key: str, value: object) -> None:
        """Give a key a value, in place of the one that it had. Raises `TypeError` for what JSON cannot hold."""
        await self._do(self._database.set, key, msgspec.json.encode(value))

    async def delete(self, key: str) -> None:
        """Remove a key, if it is there."""
        await self._do(self._database.delete, key)

    @overload
    async def items(self, *, type: type[T]) -> dict[str, T]: ...
    @overload
    async def items(self) -> dict[str, Any]: ...

    async def items(self, *, type: Any = Any) -> dict[str, Any]:  # noqa: A002 - as in msgspec
        """Return all keys with their values, in the order of the keys, each value as a `type`."""
        return {key: self._decode(key, data, type) for key, data in await self._do(self._database.items)}

    def _decode(self, key: str, data: bytes, wanted: Any) -> Any:
        try:
            return msgspec.json.decode(data, type=wanted)
        except msgspec.DecodeError as error:
            place = f"{self._database.path}: the value of {key!r}"
            raise StorageError(f"{place} is another than expected: {error}") from None

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        if not self._is_started:
            self._start(self._work, f"storage {self._folder.name}")
            self._is_started = True
        call = _Call(partial(function, *arguments))
        with trio.move_on_after(DISK_TIMEOUT):
            try:
                await self._hand_over.send(call)
            except trio.ClosedResourceError:
                raise RuntimeError(_NOT_RUNNING) from None
            await call.done.wait()
            return call.result()
        raise StorageError(f"{self._database.path}: the disk did not answer within {DISK_TIMEOUT:g} seconds")

    async def _work(self) -> None:
        """Do what is handed over, until `_close`. The shield is for those who still store something while they end."""
        threads = WorkerThreads(1)
        with self._shield:
            async for call in self._calls:
                await call.run(threads)
            await threads.run(self._database.close)
        if self._shield.cancelled_caught:
            logger.error("%s: the disk did not answer; the last that was stored may be missing", self._database.path)

    def _close(self, grace: float) -> None:
        self._hand_over.close()
        self._shield.deadline = trio.current_time() + grace


def folder_name(plugin: str) -> str:
    """Return a safe name for a folder, another one for each name of a plugin: such a name is any string."""
    quoted = quote(plugin, safe="", errors="surrogatepass").replace(".", "%2E")
    if 0 < len(quoted) <= LONGEST_NAME:
        return quoted
    # `%~` is in no quoted name.
    return f"{quoted[:50]}%~{sha256(plugin.encode(errors='surrogatepass')).hexdigest()[:32]}"
