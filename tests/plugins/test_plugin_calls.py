"""What is said of a plugin that fails, and what passes all the same. `test_dispatch.py` has the calls of hooks."""

import logging

import pytest

from trichat._base.failures import Misbehaved
from trichat._plugins.plugin_calls import failure_logged, log_failure


def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log_failure("dice", "/roll", ValueError("no sides"))
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "plugin 'dice' failed in /roll: no sides")
    assert record.exc_info is not None


@pytest.mark.parametrize("failure", [Misbehaved("3 is not an answer"), TimeoutError("too long")], ids=repr)
def test_a_failure_that_is_not_in_its_code_is_logged_without_one(
    caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    log_failure("dice", "/roll", failure)
    assert caplog.records[0].exc_info is None


@pytest.mark.parametrize("failure", [ValueError("no"), SystemExit(3)], ids=repr)
def test_what_a_plugin_raises_ends_with_the_block(caplog: pytest.LogCaptureFixture, failure: BaseException) -> None:
    with failure_logged("dice", "the request 'roll'"):
        raise failure
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("plugin 'dice' failed in the request 'roll': ")


def test_control_c_passes_and_a_failure_that_comes_with_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    group = BaseExceptionGroup("", [KeyboardInterrupt(), ValueError("no")])
    with pytest.raises(BaseExceptionGroup) as raised, failure_logged("dice", "announcements"):
        raise group
    assert [type(each) for each in raised.value.exceptions] == [KeyboardInterrupt]
    assert caplog.messages == ["plugin 'dice' failed in announcements: no"]
