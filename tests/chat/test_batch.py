"""A batch: its contents, and their order."""

from client_kit import new_connection

from trichat import Message
from trichat._chat.batch import Batch, Flush, Join


def test_what_was_said_comes_first_then_who_left_then_who_joined() -> None:
    left = Message("", "carol", kind="quit")
    batch = Batch(left=[left])
    batch.add(Join(new_connection(name="bob"), "lobby"))
    batch.add([(Message("one", "alice"), None), (Message("two", "alice"), None)])
    assert [message.sentence() for message in batch.drafts()] == [
        "alice: one",
        "alice: two",
        "carol left",
        "bob joined",
    ]


def test_who_ended_on_its_way_in_is_not_in_it_and_yet_told_when_it_is_sent() -> None:
    gone = new_connection(name="bob")
    gone.end("gone")
    join, flush = Join(gone, "lobby"), Flush()
    batch = Batch()
    batch.add(join)
    batch.add(flush)
    batch.add(None)
    assert batch.drafts() == []
    assert batch.waiting == [join.done, flush.done]
