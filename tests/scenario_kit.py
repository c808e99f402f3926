"""What tests of `cancel_everywhere` and its siblings play."""

from trichat.testing import Chat

NO_LOG = {"plugins": {"chat_log": {"enabled": False}}}


async def talk(chat: Chat) -> None:
    """Alice joins, says something, and leaves."""
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.hears_up_to("alice: hello")
    alice.hang_up()
    await chat.settled()
