"""JSON lines of a real server, over TCP."""

import json
import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from process_kit import PATIENCE, Served, served, trichat

Object = dict[str, Any]


def announced(server: Served) -> str:
    return next(line for line in server.banner if line.startswith("JSON lines: ")).partition(": ")[2]


def test_a_program_and_a_person_with_nc_talk_in_one_room(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        alice = server.join("alice")
        host, _, port = announced(server).partition(":")
        with socket.create_connection((host, int(port)), PATIENCE) as sock, sock.makefile("rw", newline="\n") as stream:

            def send(*objects: Object) -> None:
                stream.write("".join(f"{json.dumps(each)}\n" for each in objects))
                stream.flush()

            def next_message() -> Object:
                message: Object = next(line["message"] for line in map(json.loads, stream) if "message" in line)
                return {key: message[key] for key in ("kind", "sender", "text")}

            send({"login": {"name": "ci"}}, {"join": {"room": "lobby"}}, {"say": {"text": "build 7 is green"}})
            alice.reads("* ci joined", "ci: build 7 is green")
            assert next_message() == {"kind": "said", "sender": "ci", "text": "build 7 is green"}
            alice.say("thanks, ci")
            assert next_message() == {"kind": "said", "sender": "alice", "text": "thanks, ci"}
            send({"quit": {"reason": "done"}})
            assert json.loads(stream.readline()) == {"bye": {"reason": "goodbye, ci"}}
            assert stream.readline() == ""
        alice.reads("alice: thanks, ci", "* ci left: done")


def taken_after_a_free_one() -> socket.socket:
    """Return a socket that listens on a port; nothing uses the port before it, not even for an outgoing connection."""
    for port in random.sample(range(10_000, 30_000), 100):
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port - 1))
            return socket.create_server(("127.0.0.1", port))
    raise AssertionError("there are no two free ports")


def test_a_server_whose_next_port_is_taken_says_so_and_runs(tmp_path: Path) -> None:
    with taken_after_a_free_one() as taken:
        port = taken.getsockname()[1]
        with served(tmp_path, "--port", str(port - 1)) as server:
            assert announced(server) == "none; the log says why"
            assert f"WARNING cannot listen on 127.0.0.1:{port}: Address already in use" in server.errors()
            server.join("alice")


def test_a_server_that_cannot_have_the_port_that_was_set_does_not_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = trichat(
            *("serve", "--host", "127.0.0.1", "--port", "0", "--set", f"plugins.json_lines.port={port}"), cwd=tmp_path
        )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"trichat: plugin 'json_lines' cannot start: cannot listen on 127.0.0.1:{port}: " in ended.stderr
