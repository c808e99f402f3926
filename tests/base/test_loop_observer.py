"""What the loop is busy with for too long is reported, once, while it is. In real time: it is a thread that looks."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from trichat._base import loop_observer
from trichat._base.loop_observer import LoopObserver, Stack, frames_of

# Seconds after which a test gives up waiting for a report.
PATIENCE = 20.0


class Observer(LoopObserver):
    """Takes for an activity what the test says that it is."""

    def __init__(self) -> None:
        super().__init__(period=0.001)
        self.activity: object = None
        self.looks = 0
        self.begun: list[object] = []
        self.reports: list[list[str]] = []

    def identify(self, stack: Stack) -> object:
        self.looks += 1
        return self.activity

    def begin(self) -> None:
        self.begun.append(self.activity)

    def report(self, stack: Stack) -> None:
        self.reports.append([frame.f_code.co_name for frame in frames_of({__file__}, stack)])


@pytest.fixture
def observer(monkeypatch: pytest.MonkeyPatch) -> Observer:
    monkeypatch.setattr(loop_observer, "LONGEST", 0.01)
    return Observer()


def work_until(condition: Callable[[], bool]) -> None:
    end = time.perf_counter() + PATIENCE
    while not condition() and time.perf_counter() < end:
        time.sleep(0.001)


def test_one_activity_is_reported_once_with_the_stack_from_within(observer: Observer) -> None:
    with observer.watching():
        observer.activity = "grinding"
        work_until(lambda: bool(observer.reports))
        looks = observer.looks
        work_until(lambda: observer.looks > looks + 20)
    (names,) = observer.reports
    assert names[-1] == "test_one_activity_is_reported_once_with_the_stack_from_within"
    assert "work_until" in names
    assert observer.begun == ["grinding"]


def test_each_of_two_activities_is_reported(observer: Observer) -> None:
    def reported(times: int) -> bool:
        return len(observer.reports) == times

    with observer.watching():
        for number in (1, 2):
            observer.activity = number
            work_until(partial(reported, number))
    assert observer.begun == [1, 2]
    assert len(observer.reports) == 2


def test_short_activities_are_not_reported_however_many_they_are() -> None:
    observer = Observer()

    def looked_since(looks: int) -> bool:
        return observer.looks > looks + 5

    with observer.watching():
        for number in range(50):
            observer.activity = number
            work_until(partial(looked_since, observer.looks))
    assert observer.reports == []


def test_what_is_of_no_interest_is_not_reported(observer: Observer) -> None:
    with observer.watching():
        work_until(lambda: observer.looks > 30)
    assert observer.begun == []
    assert observer.reports == []


def test_the_thread_ends_with_the_block_even_if_that_fails(observer: Observer) -> None:
    before = threading.active_count()
    with suppress(RuntimeError), observer.watching():
        assert threading.active_count() == before + 1
        raise RuntimeError("on purpose")
    assert threading.active_count() == before


def test_the_frames_of_files_are_those_whose_code_is_in_one_of_them() -> None:
    here = sys._getframe()
    assert here.f_back is not None
    stack = [here, here.f_back]
    assert frames_of({__file__}, stack) == [here]
    assert frames_of({__file__, here.f_back.f_code.co_filename}, stack) == stack
    assert frames_of({}, stack) == []
