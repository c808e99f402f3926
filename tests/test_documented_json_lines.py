"""`docs/json-lines.md`: its lines are those of the grammar, and its session is what happens."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from json_kit import Object, both, faults, stable
from process_kit import served
from trichat_plugins.json_lines.cursors import cursor_at, id_at
from trichat_plugins.json_lines.from_client import FromClient, request_in

from trichat import fronts

PAGE = (Path(__file__).parent.parent / "docs" / "json-lines.md").read_text(encoding="utf-8")

DIALOGUES = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SENT = re.findall(r"^C: (.*)$", PAGE, re.MULTILINE)
RECEIVED = re.findall(r"^S: (.*)$", PAGE, re.MULTILINE)
IN_TABLE = re.findall(r"^\| `(\{.*?\})` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", [*SENT, *IN_TABLE])
def test_each_line_of_a_client_is_in_the_grammar_if_the_server_takes_it(line: str) -> None:
    taken = not isinstance(request_in(line), fronts.Malformed)
    assert taken == (faults(json.loads(line), "FromClient") == [])
    assert taken == ("oops" not in line)


def test_the_table_has_each_request() -> None:
    assert [next(iter(json.loads(line))) for line in IN_TABLE] == [
        name for name in FromClient.__struct_fields__ if name != "label"
    ]


@pytest.mark.parametrize("line", RECEIVED)
def test_each_line_of_the_server_is_in_the_grammar(line: str) -> None:
    assert faults(json.loads(line), "FromServer") == []
    assert json.dumps(json.loads(line), separators=(",", ":")) == line


@pytest.mark.parametrize(
    "message",
    [
        message
        for line in map(json.loads, RECEIVED)
        for message in [*([line["message"]] if "message" in line else []), *line.get("ok", {}).get("messages", [])]
    ],
)
def test_ids_times_and_cursors_fit_together(message: Object) -> None:
    assert int(datetime.fromisoformat(message["time"]).timestamp()) == message["id"] // 1_000_000
    assert message["cursor"] == cursor_at(message["id"])
    assert id_at(message["cursor"]) == message["id"]


def test_the_table_has_each_code() -> None:
    table = PAGE.partition("| code | when |")[2].partition("\n\n")[0]
    named = [code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")]
    assert sorted(named) == sorted(get_args(fronts.Code))


async def test_the_session_is_what_happens(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = chat.program_unread()
        for line in DIALOGUES[0].splitlines():
            speaker, _, text = line.partition(": ")
            if speaker == "S":
                received = await ci.next()
                assert stable(received) == stable(json.loads(text))
                assert list(received) == list(json.loads(text))
            elif speaker == "C":
                await ci.person.say(text)
            else:
                await alice.say(text)
        assert await ci.next() == {}


def test_the_bot_answers_what_was_asked_while_the_server_was_away(tmp_path: Path) -> None:
    [bot] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "clock.py").write_text(bot)
    with ExitStack() as stack:
        with served(tmp_path) as server:
            [port] = re.findall(r"^JSON lines: 127\.0\.0\.1:(\d+)$", "\n".join(server.banner), re.MULTILINE)
            alice = server.join("alice")
            command = [sys.executable, "clock.py", port]
            running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            stack.callback(running.wait)
            stack.callback(running.kill)
            assert running.stderr is not None
            stack.callback(running.stderr.close)
            alice.reads("* clock joined")
            alice.say("!time")
            assert re.fullmatch(r"clock: it is \d\d:\d\d", alice.reads_to("clock: ")[-1])
        assert running.stderr.readline() == "the server is not there\n"
        with served(tmp_path, "--set", f"plugins.json_lines.port={port}") as server:
            bob = server.join("bob")
            bob.say("!time")
            assert re.fullmatch(r"clock: it is \d\d:\d\d", bob.reads_to("clock: ")[-1])
