"""What `trichat serve` prints when the server listens; the whole of it, by a process, is in test_process.py."""

import logging
from collections.abc import Iterator

import pytest
from made_kit import Made

from trichat import Address, PluginError, Server
from trichat._ops.announcement import Announcement
from trichat._server import core_of

HERE = Address("127.0.0.1", 1024)
START = ["trichat listens on 127.0.0.1:1024", "configuration: the defaults"]
END = ["connect with: nc 127.0.0.1 1024"]


def printed(capsys: pytest.CaptureFixture[str], plugins: dict[str, object], *addresses: Address) -> list[str]:
    """What is printed when a server with these plugins listens there."""
    announcement = Announcement(core_of(Server(plugins=plugins, listeners=[])), START[1:])
    announcement.started([*addresses])
    return capsys.readouterr().out.splitlines()


def test_each_plugin_adds_its_lines_in_the_order_of_registration(capsys: pytest.CaptureFixture[str]) -> None:
    plugins: dict[str, object] = {
        "first": Made(announcements=lambda: ["one", "two"]),
        "quiet": Made(announcements=lambda: None),
        "last": Made(announcements=lambda server: (f"max {number}" for number in [server.options.max_clients])),
    }
    assert printed(capsys, plugins, HERE) == [*START, "one", "two", "max 10000", *END]


def test_a_server_that_listens_at_two_places_tells_how_to_reach_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, {}, HERE, Address("::1", 7)) == [
        "trichat listens on 127.0.0.1:1024, [::1]:7",
        *START[1:],
        *END,
        "connect with: nc ::1 7",
    ]


def test_a_server_that_was_stopped_before_it_listened_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def announcements() -> list[str]:
        raise AssertionError("nobody is to be asked")

    assert printed(capsys, {"plugin": Made(announcements=announcements)}) == []


def fails() -> list[str]:
    raise ValueError("it broke")


def exits() -> list[str]:
    raise SystemExit(3)


def breaks_off() -> Iterator[str]:
    yield "half"
    raise ValueError("it broke")


@pytest.mark.parametrize(
    ("hook", "failure"),
    [
        (fails, "it broke"),
        (exits, "SystemExit(3)"),
        (breaks_off, "it broke"),
        (lambda: "a line", "'a line' is a string, not a list of lines"),
        (lambda: 7, "'int' object is not iterable"),
    ],
    ids=["raises", "exits", "raises in between", "a string", "a number"],
)
def test_a_plugin_that_fails_is_logged_by_name_and_the_others_are_heard(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, hook: object, failure: str
) -> None:
    plugins = {"bad": Made({"announcements": hook}), "good": Made(announcements=lambda: ["hello"])}  # type: ignore[dict-item]
    assert printed(capsys, {**plugins}, HERE) == [*START, "hello", *END]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"plugin 'bad' failed in announcements: {failure}"


def test_a_line_cannot_play_tricks_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = Made(announcements=lambda: ["\x1b[31mred\nline"])
    assert printed(capsys, {"plugin": plugin}, HERE) == [*START, "red line", *END]


def test_an_async_def_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    async def announcements() -> list[str]:
        return []

    with pytest.raises(PluginError, match="announcements is an async def; it must be a plain def"):
        printed(capsys, {"plugin": Made(announcements=announcements)}, HERE)
