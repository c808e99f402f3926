"""What can go wrong, and how one sentence comes out of however many groups."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from trichat import ConfigError, PluginError, StartError, TrichatError
from trichat._base.errors import ConnectionLost, RequiredPluginFailed
from trichat._base.failures import (
    Exited,
    described,
    exceptions_only,
    leaves,
    one_for_all,
    pass_on,
    sentences,
    split_failure,
    with_place,
)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError(["server.port: is missing"]),
        StartError("the port is taken"),
        PluginError("no hooks"),
        RequiredPluginFailed("the log is full"),
        ConnectionLost("reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_all_that_is_raised_on_purpose_has_one_base(error: Exception) -> None:
    assert isinstance(error, TrichatError)


def test_a_config_error_has_each_fault_and_shows_one_a_line() -> None:
    error = ConfigError(["server.port: is missing", "server.prot: unknown key"])

    assert error.faults == ("server.port: is missing", "server.prot: unknown key")
    assert str(error) == "server.port: is missing\nserver.prot: unknown key"


def test_a_config_error_keeps_its_faults_when_the_list_grows() -> None:
    faults = ["one"]
    error = ConfigError(faults)

    faults.append("two")

    assert error.faults == ("one",)


def test_an_error_that_groups_nothing_is_its_own_leaf() -> None:
    error = ValueError("x")

    assert list(leaves(error)) == [error]


def test_the_leaves_of_groups_come_in_their_order_however_nested() -> None:
    a, b, c, d = ValueError("a"), KeyError("b"), KeyboardInterrupt("c"), OSError("d")
    group = BaseExceptionGroup("", [a, BaseExceptionGroup("", [b, BaseExceptionGroup("", [c])]), d])

    assert list(leaves(group)) == [a, b, c, d]


def test_what_a_plugin_raised_is_split_into_its_failure_and_what_has_to_pass() -> None:
    oops, end, stop = ValueError("oops"), SystemExit(), KeyboardInterrupt()

    assert split_failure(oops) == (oops, None)
    assert split_failure(end) == (end, None)
    assert split_failure(stop) == (None, stop)
    group = ExceptionGroup("", [oops])
    assert split_failure(group) == (group, None)
    failure, passing = split_failure(BaseExceptionGroup("", [oops, BaseExceptionGroup("", [stop, end])]))
    assert failure is not None
    assert passing is not None
    assert list(leaves(failure)) == [oops, end]
    assert list(leaves(passing)) == [stop]


def test_what_a_plugin_raised_can_be_caught_as_an_exception_unless_it_has_to_pass() -> None:
    oops, end = ValueError("oops"), SystemExit(3)

    noted: list[BaseException] = []
    with pytest.raises(ValueError, match="oops") as as_it_is, exceptions_only(noted.append):
        raise oops
    assert as_it_is.value is oops
    with pytest.raises(Exited, match=r"^SystemExit\(3\)$") as exited, exceptions_only(noted.append):
        raise end
    assert exited.value.__cause__ is end
    with pytest.raises(KeyboardInterrupt), exceptions_only(noted.append):
        raise KeyboardInterrupt
    assert noted == []


def test_a_failure_beside_what_has_to_pass_is_noted_since_nobody_can_catch_it() -> None:
    oops, stop = ValueError("oops"), KeyboardInterrupt()
    noted: list[BaseException] = []
    with pytest.RaisesGroup(KeyboardInterrupt), exceptions_only(noted.append):
        raise BaseExceptionGroup("", [oops, stop])
    assert [list(leaves(failure)) for failure in noted] == [[oops]]


def test_of_what_a_plugin_raised_only_what_has_to_pass_is_passed_on() -> None:
    pass_on(ValueError("oops"))
    pass_on(ExceptionGroup("", [ValueError("oops")]))
    with pytest.raises(KeyboardInterrupt):
        pass_on(KeyboardInterrupt())
    with pytest.RaisesGroup(KeyboardInterrupt):
        pass_on(BaseExceptionGroup("", [ValueError("oops"), KeyboardInterrupt()]))


def test_nothing_is_raised_for_nothing() -> None:
    with one_for_all():
        pass


@pytest.mark.parametrize("error", [StartError("x"), ValueError("x"), KeyboardInterrupt("x")], ids=repr)
def test_an_error_outside_a_group_stays_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, one_for_all():
        raise error

    assert raised.value is error


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_an_error_of_ours_comes_out_of_its_groups(depth: int) -> None:
    error = StartError("the port is taken")
    wrapped: Exception = error
    for _ in range(depth):
        wrapped = ExceptionGroup("a nursery", [wrapped])

    with pytest.raises(StartError) as raised, one_for_all():
        raise wrapped

    assert raised.value is error


def test_an_error_that_comes_out_keeps_its_cause() -> None:
    cause = OSError("in use")
    error = StartError("the port is taken")
    error.__cause__ = cause

    with pytest.raises(StartError) as raised, one_for_all():
        raise ExceptionGroup("a nursery", [error])

    assert raised.value.__cause__ is cause


def test_the_first_of_several_comes_out() -> None:
    first, second = StartError("first"), PluginError("second")

    with pytest.raises(TrichatError) as raised, one_for_all():
        raise ExceptionGroup("", [ValueError("x"), ExceptionGroup("", [first]), second])

    assert raised.value is first


def test_what_else_went_wrong_is_still_in_the_traceback() -> None:
    group = ExceptionGroup("", [ValueError("a mistake"), StartError("the port is taken")])

    with pytest.raises(StartError) as raised, one_for_all():
        raise group

    assert raised.value.__context__ is group


def test_a_group_without_an_error_of_ours_stays_whole() -> None:
    group = ExceptionGroup("a nursery", [ValueError("x"), KeyError("y")])

    with pytest.RaisesGroup(ValueError, KeyError) as raised, one_for_all():
        raise group

    assert raised.value is group


async def test_an_error_of_ours_comes_out_of_nurseries() -> None:
    async def fail() -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(trio.sleep_forever)
            raise StartError("the port is taken")

    with pytest.raises(StartError, match="the port is taken"), one_for_all():  # noqa: PT012
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)


def test_the_place_of_what_a_plugin_raised_is_a_line_of_its_own() -> None:
    try:
        Path("/nowhere/at/all").read_text()
    except OSError as error:
        said = with_place(error)
    assert re.fullmatch(rf"FileNotFoundError\(.*\) at {re.escape(__file__)}:\d+", said)


def test_the_place_of_what_is_no_python_is_where_python_says_it_is() -> None:
    with pytest.raises(SyntaxError) as refusal:
        compile("1 +", "bot.py", "exec")
    assert with_place(refusal.value).partition(" at ")[0] == "bot.py:1: invalid syntax"


def test_what_is_no_python_has_no_place_if_python_does_not_say_it() -> None:
    # So it is with a null byte; before Python 3.11.4 that is a ValueError.
    refusal = SyntaxError("source code string cannot contain null bytes")
    assert with_place(refusal) == "source code string cannot contain null bytes"


def test_what_was_raised_in_no_line_of_a_plugin_has_no_place() -> None:
    assert with_place(ValueError("oops")) == "ValueError('oops')"


class Unspeakable(Exception):
    """An exception of which neither the text nor the representation can be had."""

    def __init__(self, raised: BaseException) -> None:
        self._raised = raised

    def __str__(self) -> str:
        raise self._raised

    __repr__ = __str__


@pytest.mark.parametrize("raised", [ValueError("no text"), SystemExit(3)], ids=repr)
def test_an_error_without_a_text_is_told_by_its_type(raised: BaseException) -> None:
    error = Unspeakable(raised)

    assert described(error) == "<Unspeakable, which cannot be shown>"
    assert sentences(error) == "<Unspeakable, which cannot be shown>"
    assert with_place(error) == "<Unspeakable, which cannot be shown>"


@pytest.mark.parametrize("say", [described, sentences, with_place])
def test_ctrl_c_in_the_text_of_an_error_passes(say: Callable[[BaseException], str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        say(Unspeakable(KeyboardInterrupt()))
