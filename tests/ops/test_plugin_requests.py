"""Requests of the control socket that plugins answer: who answers, and what becomes of one that fails."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from made_kit import Made
from trio.testing import wait_all_tasks_blocked

from trichat import ControlRequest, PluginError, Refuse, Server, hookimpl
from trichat._ops.plugin_requests import PluginRequests
from trichat._server import core_of
from trichat.testing import Chat, running
from trichat.testing._chat.chat import Tables

RESERVED = ["tasks"]


def answering(requests: object) -> Made:
    """A plugin that contributes these requests."""
    return Made(control_requests=lambda: requests)


@asynccontextmanager
async def requests_of(
    plugins: Mapping[str, object], config: Tables | None = None
) -> AsyncIterator[tuple[PluginRequests, Chat]]:
    async with running(plugins, config) as chat:
        yield PluginRequests(core_of(chat.server), RESERVED), chat


async def count(words: Sequence[str]) -> str:
    await trio.sleep(1)
    return f"{len(words)}\n{'-'.join(words)}"


def no(words: Sequence[str]) -> Refuse:
    return Refuse("not today")


async def test_a_request_is_answered_by_its_plugin_with_the_words_that_follow(virtual_time: object) -> None:
    plugins = {"counter": answering({"count": count}), "quiet": answering(None), "strict": answering({"no": no})}
    async with requests_of(plugins) as (requests, _):
        assert requests.verbs() == ["count", "no"]
        assert await requests.answer("count", ["a", "b c"]) == "2\na-b c"
        assert await requests.answer("no", []) == Refuse("not today")
        assert await requests.answer("other", []) is None


async def test_the_hook_is_given_the_server(virtual_time: object) -> None:
    def control_requests(server: Server) -> Mapping[str, ControlRequest]:
        return {"plugins": lambda words: " ".join(server.plugin_names[-1:])}

    async with requests_of({"lister": Made(control_requests=control_requests)}) as (requests, _):
        assert await requests.answer("plugins", []) == "lister"


# What refuses the start.


@pytest.mark.parametrize(
    ("plugins", "reason"),
    [
        ({"a": answering({"tasks": no})}, "plugin 'a' has the request 'tasks', which is built in; rename it"),
        (
            {"a": answering({"no": no}), "b": answering({"no": count})},
            "plugins 'a' and 'b' both have the request 'no'",
        ),
        ({"a": answering([no])}, "plugin 'a' contributes ["),
        ({"a": answering({"No Way": no})}, "plugin 'a' contributes 'No Way'"),
        ({"a": answering({7: no})}, "plugin 'a' contributes 7"),
        ({"a": answering({"no": "no"})}, "plugin 'a' contributes 'no': 'no'; a request needs a name like 'backup'"),
        (
            {"a": Made(control_requests=lambda: 1 / 0)},
            "plugin 'a' failed in control_requests: ZeroDivisionError('division by zero')",
        ),
    ],
    ids=["a name of ours", "a name twice", "a list", "no name", "a number", "no function", "raises"],
)
def test_what_cannot_be_a_request_is_refused_naming_the_plugin(plugins: dict[str, object], reason: str) -> None:
    with pytest.raises(PluginError) as refusal:
        PluginRequests(core_of(Server(plugins=plugins, listeners=[])), RESERVED)
    assert str(refusal.value).startswith(reason)


async def test_a_plugin_in_shadow_has_no_requests(virtual_time: object) -> None:
    plugins, config = {"hidden": answering({"no": no})}, {"plugins": {"hidden": {"shadow": True}}}
    async with requests_of(plugins, config) as (requests, _):
        assert requests.verbs() == []
        assert await requests.answer("no", []) is None


# What fails.


def failing(error: BaseException) -> Callable[[Sequence[str]], str]:
    def fail(words: Sequence[str]) -> str:
        raise error

    return fail


async def hang(words: Sequence[str]) -> str:
    await trio.sleep_forever()
    return "never"


@pytest.mark.parametrize(
    ("function", "failure"),
    [
        (failing(ValueError("it broke")), "it broke"),
        (failing(SystemExit(3)), "SystemExit(3)"),
        (hang, "it took longer than hook_timeout (0.5 s)"),
        (lambda words: None, "None is not an answer to a request; return a string or Refuse"),
        (lambda words: ["a", "list"], "['a', 'list'] is not an answer to a request; return a string or Refuse"),
    ],
    ids=["raises", "exits", "hangs", "nothing", "a list"],
)
async def test_a_failure_is_logged_with_the_plugin_and_refused(
    virtual_time: object, caplog: pytest.LogCaptureFixture, function: Any, failure: str
) -> None:
    config = {"plugins": {"bad": {"hook_timeout": 0.5}}}
    async with requests_of({"bad": answering({"try": function, "no": no})}, config) as (requests, _):
        assert await requests.answer("try", []) == Refuse("the plugin 'bad' failed")
        assert caplog.messages == [f"plugin 'bad' failed in the request 'try': {failure}"]
        assert await requests.answer("no", []) == Refuse("not today")


# What happens meanwhile.


class Slow:
    """Needs what its lifespan holds for the answer."""

    def __init__(self) -> None:
        self.is_open = False
        self.found: list[bool] = []

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.is_open = True
        yield
        self.is_open = False

    @hookimpl
    def control_requests(self) -> Mapping[str, ControlRequest]:
        return {"state": self._state}

    async def _state(self, words: Sequence[str]) -> str:
        try:
            await trio.sleep(1)
        finally:
            self.found.append(self.is_open)
        return "open" if self.is_open else "closed"


async def test_a_plugin_is_replaced_when_its_answer_is_there(virtual_time: object) -> None:
    async with running([Slow]) as chat:
        requests = PluginRequests(core_of(chat.server), RESERVED)
        old = chat.plugins["slow"]
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await requests.answer("state", []))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            nursery.start_soon(chat.replace, "slow")
            await wait_all_tasks_blocked()
            nursery.start_soon(ask)  # waits for the new one
        assert answers == ["open", "open"]
        assert isinstance(old, Slow)
        assert isinstance(chat.plugins["slow"], Slow)
        assert (old.found, chat.plugins["slow"].found) == ([True], [True])


async def test_a_server_that_stops_breaks_an_answer_off_before_it_leaves_the_plugin(virtual_time: object) -> None:
    slow = Slow()
    answers: list[object] = []

    async def ask(requests: PluginRequests) -> None:
        answers.append(await requests.answer("state", []))

    async with trio.open_nursery() as nursery, requests_of({"slow": slow}) as (requests, chat):
        nursery.start_soon(ask, requests)
        await wait_all_tasks_blocked()
        chat.server.stop()
    assert answers == [Refuse("the server is stopping")]
    assert slow.found == [True]


async def test_before_the_start_and_after_the_end_nothing_is_answered(virtual_time: object) -> None:
    server = Server(plugins={"counter": answering({"count": count})}, listeners=[])
    requests = PluginRequests(core_of(server), RESERVED)
    later = Refuse("the server is still starting, or is stopping; ask again when it is running")
    assert await requests.answer("count", []) == later
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        assert await requests.answer("count", []) == "0\n"
        server.stop()
    assert await requests.answer("count", []) == later


async def test_a_plugin_that_fails_later_loses_only_its_own_requests(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Moody:
        calls = 0

        @hookimpl
        def control_requests(self) -> Mapping[str, ControlRequest]:
            self.calls += 1
            if self.calls > 1:
                raise ValueError("not again")
            return {"moody": no}

    async with requests_of({"moody": Moody(), "counter": answering({"count": count})}) as (requests, _):
        assert await requests.answer("count", ["a", "b"]) == "2\na-b"
        assert await requests.answer("moody", []) is None
        assert requests.verbs() == ["count"]
    assert "plugin 'moody' failed in control_requests" in caplog.text
