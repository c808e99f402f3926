import socket
from dataclasses import replace

import instructions
import pytest
import trio
from instructions import Work

TALK = Work(clients=2, senders=1, lines=1, turns=3, limit=100_000)


def test_what_a_message_takes_is_counted_and_the_dearest_function_is_shown_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = trio.run(instructions.count, TALK)
    assert instructions.check("talk", TALK, counts, most=1)
    said, dearest = capsys.readouterr().out.splitlines()
    assert said.startswith("talk: ")
    assert said.endswith(" calls for each message (at most 100,000)")
    assert "unrolled_run (_run.py)" in dearest  # Trio's loop, where so few listen

    assert not instructions.check("talk", replace(TALK, limit=10), counts, most=0)
    assert "(TOO MUCH: 10)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "work",
    [replace(TALK, clients=4, senders=2, rooms=2), replace(TALK, protocol=instructions.JSON_LINES)],
    ids=["rooms", "JSON lines"],
)
def test_messages_in_rooms_and_over_json_lines_are_counted(work: Work) -> None:
    assert 0 < trio.run(instructions.count, work).instructions.total() / (work.turns * work.messages) < work.limit


def test_a_message_to_more_people_takes_more_and_far_less_than_a_task_for_each() -> None:
    def taken(clients: int) -> float:
        work = replace(TALK, clients=clients, turns=20)
        return trio.run(instructions.count, work).instructions.total() / work.turns

    each = (taken(40) - taken(10)) / 30
    assert 0 < each < 50


def test_a_server_that_has_gone_is_not_waited_for() -> None:
    server, person = socket.socketpair()
    with person:
        server.close()
        with pytest.raises(EOFError, match="before b'hello' had arrived 1 times"):
            instructions.read(person, b"hello")
