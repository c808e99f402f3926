"""A program that speaks JSON lines, cancelled at every checkpoint and with a fault at every send and receive."""

from json_kit import Both

from trichat.testing import Chat, cancel_everywhere, explore, fault_everywhere


async def comes_goes_and_comes_back(chat: Chat) -> None:
    """A program talks in two rooms, leaves one of them, and comes back where it was."""
    both = Both(chat)
    alice = await both.person("alice")
    ci = await both.member("ci", "lobby", "dev")
    await alice.hears("* ci joined")
    await alice.say("hello")
    [message] = await ci.up_to("message")
    cursor = message["message"]["cursor"]
    await ci.send(
        {"say": {"text": "hi", "room": "lobby"}, "label": "1"},
        {"tell": {"name": "alice", "text": "psst"}},
        {"rename": {"name": "ci2"}},
        {"part": {"room": "lobby"}},
        {"quit": {}},
    )
    await ci.up_to("bye")
    await alice.hears_up_to("* ci2 left")
    again = await both.program("ci3")
    await again.send({"join": {"room": "lobby", "after": cursor}}, {"past": {"room": "lobby", "limit": 2}})
    *missed, _ = await again.up_to("entered")
    assert [line["message"]["kind"] for line in missed] == ["said", "renamed", "left"]
    assert (await again.next())["ok"]["has_more"]


def test_a_cancellation_anywhere_leaves_the_server_whole() -> None:
    survey = cancel_everywhere(comes_goes_and_comes_back)
    assert len(survey.cases) > 100


def test_a_fault_anywhere_leaves_the_server_whole() -> None:
    survey = fault_everywhere(comes_goes_and_comes_back)
    assert len(survey.cases) > 10


def test_no_schedule_breaks_a_promise() -> None:
    explore(comes_goes_and_comes_back, 25)
