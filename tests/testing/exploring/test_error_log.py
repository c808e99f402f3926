"""Failures that the server logs are noted with their origin, and kept from the terminal."""

import json
import logging

import pytest
import trio

from trichat.testing._exploring.error_log import failures_logged, raised_at

logger = logging.getLogger("trichat.some.module")


def failure(raise_it: object) -> Exception:
    assert callable(raise_it)
    try:
        raise_it()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def test_errors_are_noted_and_what_is_less_is_not(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[str] = []
    with failures_logged(failures):
        logger.warning("that was close")
        logger.error("plugin %r failed", "dice")
    assert failures == ["plugin 'dice' failed"]
    assert caplog.records == []


def test_an_exception_comes_with_its_type_and_its_line() -> None:
    failures: list[str] = []
    with failures_logged(failures):
        try:
            raise KeyError("colour")
        except KeyError:
            logger.exception("plugin 'dice' failed")
    (noted,) = failures
    assert noted.startswith("plugin 'dice' failed\n  KeyError at test_error_log.py:")
    assert noted.endswith('in test_an_exception_comes_with_its_type_and_its_line: raise KeyError("colour")')


def test_after_the_block_all_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[str] = []
    with failures_logged(failures):
        pass
    logger.error("later")
    assert failures == []
    assert [record.message for record in caplog.records] == ["later"]


def broken_json() -> None:
    json.loads("{")


def closed_channel() -> None:
    async def main() -> None:
        send, receive = trio.open_memory_channel[int](0)
        receive.close()
        await send.send(1)

    trio.run(main)


@pytest.mark.parametrize(
    ("raise_it", "said"),
    [
        pytest.param(broken_json, 'json.loads("{")', id="Python's library"),
        pytest.param(closed_channel, "await send.send(1)", id="Trio"),
    ],
)
def test_the_line_is_of_who_called_the_library(raise_it: object, said: str) -> None:
    error = failure(raise_it)
    assert raised_at(error).startswith(f"{type(error).__name__} at test_error_log.py:")
    assert raised_at(error).endswith(said)


def test_of_a_group_it_is_the_first() -> None:
    group = ExceptionGroup("several", [failure(broken_json), ValueError("no")])
    assert raised_at(group).startswith("JSONDecodeError at test_error_log.py:")


def test_an_error_that_was_never_raised_has_no_line() -> None:
    assert raised_at(ValueError("no")) == "ValueError"
