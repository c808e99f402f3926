"""A program that embeds a chat server: people vote until somebody says `stop`, or until Ctrl-C.

Run it with `python examples/embedded.py`, and connect with the `nc` that it prints.
"""

import signal
from collections import Counter

import trio

from trichat import Client, Config, Handled, Message, NameDict, Server, hookimpl, load_plugins


class Vote:
    """A plugin that the program keeps a reference to. Say `+1 tea` to vote for tea; your last vote counts."""

    def __init__(self) -> None:
        self._votes: NameDict[str] = NameDict(limit=1000)

    @hookimpl
    def on_message(self, client: Client, message: Message) -> Handled | None:
        """Count a vote and keep it secret: nobody else sees the message."""
        if not message.text.startswith("+1 "):
            return None
        self._votes[client.name] = message.text.removeprefix("+1 ").strip()
        client.send("thank you for voting")
        return Handled()

    def result(self) -> str:
        """Return the number of votes for each choice."""
        return ", ".join(f"{choice}: {count}" for choice, count in Counter(self._votes.values()).most_common())


async def main() -> None:
    """Serve until somebody stops the server, then print the result."""
    # Port 0 picks a free port. All built-in plugins run except the chat log, which nobody needs afterwards.
    config = Config.from_tables(
        {"server": {"host": "127.0.0.1", "port": 0}, "plugins": {"chat_log": {"enabled": False}}}
    )
    vote = Vote()
    server = Server(config, plugins={**load_plugins(config), "vote": vote})
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_at_signal, server)
        async with trio.open_nursery() as serving:
            for address in await serving.start(server.serve):
                print(f"vote with: nc {address.host} {address.port}", flush=True)
        nursery.cancel_scope.cancel()
    print(f"result: {vote.result()}")


async def stop_at_signal(server: Server, *, task_status: trio.TaskStatus[None]) -> None:
    """Stop the server gracefully when the program is told to end."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            server.stop(f"got {signal.Signals(number).name}")


if __name__ == "__main__":
    trio.run(main)
