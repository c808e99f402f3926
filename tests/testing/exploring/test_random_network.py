"""The random network: the same seed does the same to a connection."""

import random

import trio

from trichat.testing import run
from trichat.testing._chat.memory_transport import Pipe
from trichat.testing._exploring.random_network import RandomNetwork


def outcomes_on_network(seed: int) -> list[object]:
    """Return the results of some sends and receives on the network of a seed, and the time that they take."""
    noted: list[object] = []

    async def main() -> None:
        pipes = Pipe(), Pipe()
        transport = RandomNetwork(seed, {}).transport(*pipes, "127.0.0.1")
        pipes[0].write(bytes(range(100)))
        for _ in range(5):
            noted.append(transport.send_nowait(b"0123456789"))
            noted.append(await transport.send_some(b"0123456789"))
            noted.append(await transport.receive())
            noted.append(trio.current_time())
            if not len(pipes[0]):
                break

    run(main)
    return noted


def test_the_network_is_the_same_for_the_same_seed_and_differs_between_seeds() -> None:
    assert outcomes_on_network(7) == outcomes_on_network(7)
    assert len({str(outcomes_on_network(seed)) for seed in range(20)}) > 15


def test_the_network_cuts_but_loses_nothing_and_keeps_the_order() -> None:
    async def main() -> None:
        for seed in range(20):
            to_server, from_server = Pipe(), Pipe()
            server = RandomNetwork(seed, {}).transport(to_server, from_server, "127.0.0.1")
            data = random.Random(seed).randbytes(500)
            to_server.write(data)
            received = b""
            while len(received) < len(data):
                received += await server.receive()
            assert received == data
            sent = 0
            while sent < len(data):
                sent += server.send_nowait(data[sent:])
                if sent < len(data):
                    sent += await server.send_some(data[sent:])
            assert await from_server.read(1000) == data

    run(main)


def test_a_network_says_which_it_is() -> None:
    assert str(RandomNetwork(7, {})) == "7"
    assert RandomNetwork(7, {"lines": ["x"]}).describe() == "in the run with seed 7, lines=['x']"
