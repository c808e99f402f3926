"""A batch: what is put into it, and who waits for it."""

from client_kit import new_connection

from trichat import Message
from trichat._chat.batch import Batch, Departure, Flush, Join, Rename, Said


def test_each_item_is_kept_with_the_others_of_its_kind() -> None:
    bob, carol = new_connection(name="bob"), new_connection(name="carol")
    join, rename = Join(bob, "lobby"), Rename(carol.presence, "caroline")
    left = Departure(carol.presence, ("lobby",), "left")
    said: Said = [(Message("one", "alice"), None), (Message("two", "alice"), None)]
    batch = Batch(left=[left])
    assert batch.has_changes
    for item in (join, said[:1], rename, said[1:], None):
        batch.add(item)
    assert (batch.said, batch.renames, batch.left, batch.joins) == (said, [rename], [left], [join])


def test_messages_alone_change_nothing() -> None:
    batch = Batch()
    batch.add([(Message("one", "alice"), None)])
    assert not batch.has_changes


def test_who_ended_on_its_way_in_is_not_in_it_and_yet_told_when_it_is_sent() -> None:
    gone = new_connection(name="bob")
    gone.end("gone")
    join, flush = Join(gone, "lobby"), Flush()
    batch = Batch()
    batch.add(join)
    batch.add(flush)
    batch.add(None)
    assert batch.joins == []
    assert batch.waiting == [join.done, flush.done]
