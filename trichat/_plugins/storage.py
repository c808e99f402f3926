"""What plugins keep across restarts: each has a folder and, in it, a small database of keys and values.

SQLite blocks, so each database in use has a task of its own, which makes one call after the other in a worker thread.
Callers hand their calls over to it and wait. Everything therefore happens in the order of the calls, and a wait can be
cancelled at any time. Nothing is ever left half done, because a call that has begun always finishes.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast, overload
from urllib.parse import quote

import msgspec
import trio

from trichat._base.errors import StorageError
from trichat._base.worker_threads import WorkerThreads
from trichat._plugins.sqlite_store import Database

logger = logging.getLogger("trichat.storage")

T = TypeVar("T")

# Seconds that the disk may take for one call. A hook also has `hook_timeout`; a background task has only this limit.
DISK_TIMEOUT = 30.0

# How often `update` tries. Updates in one server wait for each other; only other calls and processes can interfere.
UPDATE_TRIES = 100

# A longer name of a plugin is not used as the name of its folder: it would exceed the limits of file systems.
LONGEST_NAME = 100

_NOT_RUNNING = "the server is not running; storage can only be used while it is"


class Storages:
    """The storage of all plugins, below `data_dir`. When the server ends, closing it may take `grace` seconds."""

    def __init__(self, data_dir: Path, grace: float) -> None:
        self._data_dir = data_dir
        self._grace = grace
        self._nursery: trio.Nursery | None = None
        self._storages: dict[str, Storage] = {}

    def of(self, plugin: str) -> "Storage":
        """Return the storage of a plugin, always the same object. Nothing is opened or written yet."""
        if plugin not in self._storages:
            self._storages[plugin] = Storage(self._data_dir / folder_name(plugin), self._start)
        return self._storages[plugin]

    def _start(self, work: Callable[[], Any], name: str) -> None:
        if self._nursery is None:
            raise RuntimeError(_NOT_RUNNING)
        self._nursery.start_soon(work, name=name)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Let storages be used in the block, and close them after it, however it ends."""
        async with trio.open_nursery() as self._nursery:
            try:
                yield
            finally:
                self._nursery = None
                for storage in self._storages.values():
                    storage._close(self._grace)


class _Call(Generic[T]):
    """A call to make in a worker thread, and its outcome."""

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


class Versioned(NamedTuple, Generic[T]):
    """A value with its version, as `Storage.get_versioned` returns them: `value, version = await ...`."""

    value: T
    version: int
    """An integer above 0, or 0 if the key does not exist.

    Each time a value is written, it gets a new version. A version is never used again, not even after a restart or
    after the key was deleted. If it is still the same, and not 0, nobody has written the key meanwhile.
    """


class Storage:
    """A folder and a small store of keys and values, both for one plugin. They survive restarts.

    A value is anything that msgspec can write as JSON: numbers, strings, lists, dictionaries, dataclasses, dates. It is
    on the disk when `set` returns. Any number of tasks may use a storage at once. Calls are made in order, and each is
    done as a whole. If a caller is cancelled, it does not know whether its call was done, but the call is never half
    done.

    To change a value without losing what others do to it meanwhile, use `update`. If there is more to do between
    reading and writing, use `get_versioned` and `compare_and_set`.

    Every method raises `StorageError` if the disk is full, the file is broken or the folder cannot be written, and
    `RuntimeError` if the server is not running.
    """

    def __init__(self, folder: Path, start: Callable[[Callable[[], Any], str], None]) -> None:
        self._folder = folder
        self._start = start
        self._database = Database(folder / "storage.sqlite3")
        # No buffer: a call that waits for its turn is still with its caller, and is dropped if that is cancelled.
        self._hand_over, self._calls = trio.open_memory_channel[_Call[Any]](0)
        self._is_started = False
        self._updating = trio.Lock()
        self._shield = trio.CancelScope(shield=True)

    @property
    def folder(self) -> Path:
        """The plugin's own folder, for its files. It is created on first access."""
        return self._database.folder_made()

    @overload
    async def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str, default: T, *, type: type[T]) -> T: ...
    @overload
    async def get(self, key: str, default: object = None) -> Any: ...

    async def get(self, key: str, default: object = None, *, type: Any = Any) -> Any:  # noqa: A002 - as in msgspec
        """Return the value of a key, or `default` if there is none. With `type`, the value is converted to it."""
        value, _ = await self._read(key, default, type)
        return value

    @overload
    async def get_versioned(self, key: str, default: None = None, *, type: type[T]) -> Versioned[T | None]: ...
    @overload
    async def get_versioned(self, key: str, default: T, *, type: type[T]) -> Versioned[T]: ...
    @overload
    async def get_versioned(self, key: str, default: object = None) -> Versioned[Any]: ...

    async def get_versioned(self, key: str, default: object = None, *, type: Any = Any) -> Versioned[Any]:  # noqa: A002
        """Return the value of a key as `get` does, together with its version, which is 0 if there is none."""
        return await self._read(key, default, type)

    async def set(self, key: str, value: object) -> None:
        """Set the value of a key, replacing its previous one. Raises `TypeError` for a value that JSON cannot hold."""
        await self._do(self._database.set, key, msgspec.json.encode(value))

    async def compare_and_set(self, key: str, value: object, expected: int) -> bool:
        """Set the value of a key if its version is still `expected`; 0 expects that the key does not exist.

        Returns whether it did. If not, somebody else was faster: read again and decide again. Raises `TypeError` for a
        value that JSON cannot hold.
        """
        return await self._do(self._database.compare_and_set, key, msgspec.json.encode(value), expected)

    @overload
    async def update(self, key: str, change: Callable[[T | None], T], *, type: type[T]) -> T: ...
    @overload
    async def update(self, key: str, change: Callable[[T], T], default: T, *, type: type[T]) -> T: ...
    @overload
    async def update(self, key: str, change: Callable[[Any], T], default: object = None) -> T: ...

    async def update(
        self,
        key: str,
        change: Callable[[Any], Any],
        default: object = None,
        *,
        type: Any = Any,  # noqa: A002 - as in msgspec
    ) -> Any:
        """Set the value of a key to `change(value)`, and return that. Of several updates, none is lost.

        `change` is given what `get` returns. If the key was written meanwhile, it is called again with the new value,
        so it should do nothing but return a value. If it raises, the value stays. Raises `TypeError` if it returns what
        JSON cannot hold, and `StorageError` if the key was written meanwhile 100 times in a row.
        """
        with self._time_limit():
            async with self._updating:
                for _ in range(UPDATE_TRIES):
                    value, version = await self._read(key, default, type)
                    changed = change(value)
                    if await self.compare_and_set(key, changed, version):
                        return changed
        times = f"{UPDATE_TRIES} times in a row"
        raise StorageError(f"{self._database.path}: {key!r} was written {times} while it was being updated")

    async def delete(self, key: str) -> None:
        """Remove a key, if it is there."""
        await self._do(self._database.set, key, None)

    async def compare_and_delete(self, key: str, expected: int) -> bool:
        """Remove a key if its version is still `expected`. Returns whether it was."""
        return await self._do(self._database.compare_and_set, key, None, expected)

    @overload
    async def items(self, *, type: type[T]) -> dict[str, T]: ...
    @overload
    async def items(self) -> dict[str, Any]: ...

    async def items(self, *, type: Any = Any) -> dict[str, Any]:  # noqa: A002 - as in msgspec
        """Return all keys with their values, in the order of the keys. With `type`, the values are converted to it."""
        return {key: self._decode(key, data, type) for key, data in await self._do(self._database.items)}

    async def _read(self, key: str, default: object, wanted: Any) -> Versioned[Any]:
        data, version = await self._do(self._database.get, key)
        return Versioned(default if data is None else self._decode(key, data, wanted), version)

    def _decode(self, key: str, data: bytes, wanted: Any) -> Any:
        try:
            return msgspec.json.decode(data, type=wanted)
        except msgspec.DecodeError as error:
            place = f"{self._database.path}: the value of {key!r}"
            raise StorageError(f"{place} is not of the expected type: {error}") from None

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        if not self._is_started:
            self._start(self._work, f"storage {self._folder.name}")
            self._is_started = True
        call = _Call(partial(function, *arguments))
        with self._time_limit():
            try:
                await self._hand_over.send(call)
            except trio.ClosedResourceError:
                raise RuntimeError(_NOT_RUNNING) from None
            await call.done.wait()
            return call.result()

    @contextmanager
    def _time_limit(self) -> Iterator[None]:
        with trio.move_on_after(DISK_TIMEOUT) as scope:
            yield
        if scope.cancelled_caught:
            raise StorageError(f"{self._database.path}: the disk did not answer within {DISK_TIMEOUT:g} seconds")

    async def _work(self) -> None:
        """Make the calls that are handed over, until `_close`. The shield lets plugins store values while they end."""
        threads = WorkerThreads(1)
        with self._shield:
            async for call in self._calls:
                await call.run(threads)
            await threads.run(self._database.close)
        if self._shield.cancelled_caught:
            logger.error("%s: the disk did not answer; the last values stored may be missing", self._database.path)

    def _close(self, grace: float) -> None:
        self._hand_over.close()
        self._shield.deadline = trio.current_time() + grace


def folder_name(plugin: str) -> str:
    """Return a safe and unique name for a plugin's folder. The name of a plugin may be any string."""
    quoted = quote(plugin, safe="", errors="surrogatepass").replace(".", "%2E")
    if 0 < len(quoted) <= LONGEST_NAME:
        return quoted
    # No quoted name contains `%~`.
    return f"{quoted[:50]}%~{sha256(plugin.encode(errors='surrogatepass')).hexdigest()[:32]}"
