"""Reloads a server. One reload runs at a time, and it always finishes, even if nobody waits for it."""

import logging
from contextlib import ExitStack

import trio

from trichat._base.errors import PluginError
from trichat._base.failures import described, pass_on, sentences
from trichat._base.worker_threads import WorkerThreads
from trichat._chat.core import Core
from trichat._ops.plugin_versions import Changed, Look, Versions
from trichat._plugins.discovery import imported_anew

logger = logging.getLogger("trichat")

# Threads that may hang in a plugin's import. After that many, no plugin can be loaded without a restart.
THREADS = 10


class Reload:
    """A requested reload. Once it is done, its lists have the results, a sentence each."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.news: list[str] = []
        """What has changed, and what needs a restart."""
        self.failures: list[str] = []
        """What has failed, and with what effect."""


class Reloader:
    """Reloads a server in a task of its own, which neither a signal nor a client that hangs up can cancel.

    A reload replaces the plugins that have a new version according to `versions`. Then it tells all plugins to reopen
    their files.
    """

    def __init__(self, core: Core, versions: Versions | None = None) -> None:
        self._core = core
        self._server = core.server
        self._versions = versions
        self._threads = WorkerThreads(THREADS)
        self._next = Reload()
        self._asked = trio.Event()

    def ask(self) -> Reload:
        """Request a reload, which begins after this call. All requests made before it begins share it."""
        self._asked.set()
        return self._next

    async def run(self) -> None:
        """Reload on request, until cancelled. Each step has its own deadline; the whole has none."""
        while True:
            await self._asked.wait()
            reload, self._next, self._asked = self._next, Reload(), trio.Event()
            if self._versions is not None:
                await self._replace_changed(self._versions, reload)
            # Even if the configuration is wrong: log rotation relies on this.
            reload.failures += [f"{failure}; it keeps what it had" for failure in await self._server.reload()]
            reload.done.set()

    async def _replace_changed(self, versions: Versions, reload: Reload) -> None:
        look = await self._look(versions)
        for fault in look.faults:
            self._fail(reload, f"{fault}; no plugin is replaced")
        for changed in look.changed:
            try:
                await self._replace(changed)
            except BaseException as error:  # noqa: ASYNC103
                pass_on(error)
                # The new version raised this. Whatever it is, it must not end the server.
                crashed = changed.found.name in self._core.plugins.active.crashed
                why = "; ".join(sentences(error).splitlines())
                self._fail(reload, why if crashed else f"{why}; the previous version keeps running")
            else:
                versions.note(changed)
                reload.news.append(f"plugin {changed.found.name!r}: replaced by its new version")
        tried = {changed.found.name for changed in look.changed}
        for name in sorted(self._core.plugins.active.crashed - tried):
            reload.news.append(f"plugin {name!r} has crashed: change it and reload, or restart the server")
        reload.news += look.remarks

    async def _look(self, versions: Versions) -> Look:
        timeout = self._server.options.hook_timeout
        try:
            with trio.move_on_after(timeout):
                return await self._threads.run(versions.look)
        except Exception as error:
            # No error in a file may end the server.
            return Look([], [], [f"the configuration and the plugins cannot be read: {described(error)}"])
        return Look([], [], [f"the configuration and the plugins cannot be read within {timeout:g} seconds"])

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
                # Importing a module runs its code, which may take long.
                plugin, policy = await self._threads.run(changed.build)
            if scope.cancelled_caught:
                raise PluginError(f"plugin {name!r} cannot be imported within {timeout:g} seconds")
            await self._server.replace_plugin(name, plugin, policy)
