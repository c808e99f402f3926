"""Reloading, one at a time and to its end, whoever asks and whether they wait for it or not."""

import logging
from contextlib import ExitStack

import trio

from trichat._base.errors import PluginError
from trichat._base.failures import pass_on
from trichat._base.worker_threads import WorkerThreads
from trichat._chat.core import Core
from trichat._ops.plugin_versions import Changed, Look, Versions
from trichat._plugins.discovery import imported_anew

logger = logging.getLogger("trichat")

# Threads that may hang in a plugin's import, until a restart is the only way to load another one.
THREADS = 10


class Reload:
    """A reload that was asked for. Once it is done, each list has what there is to say, a sentence each."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.news: list[str] = []
        """What has changed, and what takes a restart."""
        self.failures: list[str] = []
        """What has failed, and what becomes of it."""


class Reloader:
    """Reloads a server in a task of its own, which neither a signal nor a client that hangs up can cancel.

    Plugins that have another version, as `versions` says, are replaced; then all are told to open their files anew.
    """

    def __init__(self, core: Core, versions: Versions | None = None) -> None:
        self._core = core
        self._server = core.server
        self._versions = versions
        self._threads = WorkerThreads(THREADS)
        self._next = Reload()
        self._asked = trio.Event()

    def ask(self) -> Reload:
        """Ask for a reload that begins after this; all who ask before it begins share it."""
        self._asked.set()
        return self._next

    async def run(self) -> None:
        """Reload whenever somebody asks, until cancelled. There is no deadline but those of each step."""
        while True:
            await self._asked.wait()
            reload, self._next, self._asked = self._next, Reload(), trio.Event()
            if self._versions is not None:
                await self._replace_changed(self._versions, reload)
            # Whatever is wrong with the configuration: who rotates logs relies on this.
            reload.failures += [f"{failure}; it goes on with what it had" for failure in await self._server.reload()]
            reload.done.set()

    async def _replace_changed(self, versions: Versions, reload: Reload) -> None:
        look = await self._look(versions)
        for fault in look.faults:
            self._fail(reload, f"{fault}; all plugins go on as they are")
        for changed in look.changed:
            try:
                await self._replace(changed)
            except BaseException as error:  # noqa: ASYNC103
                pass_on(error)
                # Whatever it is, it is that of a new version, and not worth the server.
                crashed = changed.found.name in self._core.plugins.active.crashed
                why = "; ".join((str(error) or repr(error)).splitlines())
                self._fail(reload, why if crashed else f"{why}; the one before it goes on")
            else:
                versions.note(changed)
                reload.news.append(f"plugin {changed.found.name!r}: another version has taken its place")
        tried = {changed.found.name for changed in look.changed}
        for name in sorted(self._core.plugins.active.crashed - tried):
            reload.news.append(f"plugin {name!r} has crashed: it takes another version, or a restart, to be back")
        reload.news += look.remarks

    async def _look(self, versions: Versions) -> Look:
        timeout = self._server.options.hook_timeout
        try:
            with trio.move_on_after(timeout):
                return await self._threads.run(versions.look)
        except Exception as error:
            # Whatever it is, it is not worth the server.
            return Look([], [], [f"the configuration and the plugins cannot be looked at: {error!r}"])
        return Look([], [], [f"the configuration and the plugins cannot be looked at within {timeout:g} seconds"])

    def _fail(self, reload: Reload, sentence: str) -> None:
        logger.error("%s", sentence)
        reload.failures.append(sentence)

    async def _replace(self, changed: Changed) -> None:
        name, module = changed.found.name, changed.found.module
        timeout = self._core.plugins.active.registry[name].timeout
        with ExitStack() as stack:
            if module:
                stack.enter_context(imported_anew(module))
            with trio.move_on_after(timeout) as scope:
                # What a module does when it is imported is nobody's business but its own, and may take long.
                plugin, policy = await self._threads.run(changed.build)
            if scope.cancelled_caught:
                raise PluginError(f"plugin {name!r} cannot be imported within {timeout:g} seconds")
            await self._server.replace_plugin(name, plugin, policy)
