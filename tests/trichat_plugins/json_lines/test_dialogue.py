"""JSON lines as a conversation: what a client's lines ask for, and how it is answered."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trichat_plugins.json_lines.cursors import cursor_at
from trichat_plugins.json_lines.dialogue import FOREIGN, JsonDialogue
from trichat_plugins.json_lines.front import JsonFront

from trichat import Message, Refuse, __version__
from trichat.fronts import (
    Answer,
    Away,
    Command,
    Join,
    Limits,
    Login,
    Malformed,
    Past,
    Quit,
    Request,
    RoomView,
    Say,
)

LIMIT = 64
NOON = 1_763_812_800_000_000
FRONT = JsonFront()
TOO_LONG = Malformed(f"a line has at most {LIMIT} bytes", "too_long")
NOT_JSON = Malformed("not a request: JSON is malformed: invalid character (byte 0)")
UNKNOWN = Malformed("not a request: Object contains unknown field `x`")


def newcomer() -> JsonDialogue:
    return FRONT.dialogue(Limits(LIMIT))


def requests(dialogue: JsonDialogue, *chunks: bytes) -> list[Request]:
    return [request for chunk in chunks for request in dialogue.receive(chunk)]


def in_bytes(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


def decoded(data: bytes) -> list[Any]:
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


# What a client sends.


def test_a_foreign_client_is_told_where_it_is() -> None:
    assert FOREIGN.farewell == "this port is for JSON lines; connect with nc to the other one"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
        pytest.param(b"POST / HTTP/1.1\r\n\r\n" + b'{"quit": {}}\n', id="HTTP with JSON in it"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"alice\nhello\n", id="the line protocol"),
        pytest.param(b"\r\n alice\n", id="the line protocol after blanks"),
        pytest.param(b'["login"]\n', id="JSON that is not an object"),
        pytest.param(b"x" * (LIMIT + 1), id="too long"),
    ],
)
def test_what_does_not_begin_with_an_object_is_foreign_wherever_it_is_cut(data: bytes) -> None:
    assert requests(newcomer(), data) == [FOREIGN]
    dialogue = newcomer()
    assert next(found for byte in in_bytes(data) if (found := requests(dialogue, byte))) == [FOREIGN]


LINES = [
    pytest.param(b'{"login": {"name": "ci"}}\n', [Login("ci", room="")], id="login"),
    pytest.param(b'{"say": {"text": "hello"}}\n', [Say("hello")], id="say"),
    pytest.param(b'\n \t\r\n{"say": {"text": "a"}}\r\n\n', [Say("a")], id="blank lines"),
    pytest.param(b' {"say": {"text": "a"}} \n{"quit": {}}\n', [Say("a"), Quit()], id="two lines"),
    pytest.param('{"say": {"text": "Zoë 🦑\\n"}}\n'.encode(), [Say("Zoë 🦑\n")], id="not only ASCII"),
    pytest.param(b'{"say": {"text": "\xff\xfbb\xe4"}}\n', [Say("��b�")], id="not UTF-8, and no telnet"),
    pytest.param(b'{"x": 1}\n{"quit": {}}\n', [UNKNOWN, Quit()], id="not a request"),
    pytest.param(b'{"quit": {}}\nalice\n', [Quit(), NOT_JSON], id="later lines may be anything"),
    pytest.param(b'{"say":{"text":"' + b"x" * 45 + b'"}}\n', [Say("x" * 45)], id="the longest"),
    pytest.param(b'{"say":{"text":"' + b"x" * 46 + b'"}}\n{"quit":{}}\n', [TOO_LONG, Quit()], id="too long"),
    pytest.param(b"{" * 999 + b'\n{"quit":{}}\n', [TOO_LONG, Quit()], id="far too long"),
]


@pytest.mark.parametrize(("data", "expected"), LINES)
def test_lines_become_requests_wherever_they_are_cut(data: bytes, expected: list[Request]) -> None:
    assert requests(newcomer(), data) == expected
    assert requests(newcomer(), *in_bytes(data)) == expected
    for cut in range(1, len(data)):
        assert requests(newcomer(), data[:cut], data[cut:]) == expected, f"cut at {cut}"
    assert requests(newcomer(), data, b'{"away": {}}\n') == [*expected, Away()]
    assert requests(newcomer(), data, b'{"away": {}}', b"", b"") == [*expected, Away()]


@given(st.lists(st.sampled_from([b'{"say": {"text": "a"}}', b"\n", b"x", b"{" * 70, b'{"quit":{}}\r\n'])), st.data())
def test_any_cut_means_the_same(parts: list[bytes], data: st.DataObject) -> None:
    whole = b'{"away": {}}\n' + b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))) | {0, len(whole)})
    chunks = [whole[start:end] for start, end in pairwise(cuts) if start < end]

    assert requests(newcomer(), *chunks, b"") == requests(newcomer(), whole, b"")


def test_silence_completes_nothing() -> None:
    dialogue = newcomer()
    assert requests(dialogue, b'{"quit": {') == []
    assert dialogue.patience == math.inf
    assert list(dialogue.idle()) == []
    assert requests(dialogue, b"}}\n") == [Quit()]


def test_what_comes_together_can_be_said_at_once() -> None:
    # The session sends a line that came alone at once, which it sees by the length of a list.
    assert isinstance(newcomer().receive(b'{"say": {"text": "hello"}}\n'), list)


# What it is answered.


def test_it_is_greeted_and_sent_off() -> None:
    dialogue = newcomer()
    hello = {"server": "trichat", "version": __version__, "max_line_bytes": LIMIT}
    assert decoded(dialogue.greeting()) == [{"hello": hello}]
    assert decoded(dialogue.farewell("goodbye\x1b[2J \ud800")) == [{"bye": {"reason": "goodbye "}}]


def test_it_learns_where_it_is_and_where_the_history_ended() -> None:
    view = RoomView("dev", "ci", "releases", ["alice", "bob"], 2, True, ["/help shows the commands"], NOON)
    assert newcomer().names_shown is None
    assert decoded(newcomer().entered(view)) == [
        {
            "entered": {
                "room": "dev",
                "name": "ci",
                "topic": "releases",
                "others": ["alice", "bob"],
                "keeps_history": True,
                "cursor": cursor_at(NOON),
            }
        }
    ]


PAST = [Message("hello", "alice", id=NOON), Message("", "bob", ("lobby", "dev"), "quit", id=NOON + 1)]


@pytest.mark.parametrize(
    ("asked", "outcome", "lines"),
    [
        (Login("ci"), Answer(), []),
        (Login("ci", label="1"), Answer(), [{"ok": {}, "label": "1"}]),
        (Login("ci"), Refuse("taken", "name_taken"), [{"error": {"code": "name_taken", "reason": "taken"}}]),
        (Say("hi"), Refuse("too loud"), [{"error": {"code": "refused", "reason": "too loud"}}]),
        (Say("hi", label="7"), Answer(id=NOON), [{"ok": {"id": NOON}, "label": "7"}]),
        (Join("dev", label="7"), Answer(), [{"ok": {}, "label": "7"}]),
        (
            TOO_LONG,
            Refuse(TOO_LONG.reason, TOO_LONG.code),
            [{"error": {"code": "too_long", "reason": "a line has at most 64 bytes"}}],
        ),
        (
            Malformed("no", label="9"),
            Refuse("no", "usage"),
            [{"error": {"code": "usage", "reason": "no"}, "label": "9"}],
        ),
        (Command("who"), Answer("here: ci\nbob\x07"), [{"ok": {"text": "here: ci\nbob"}}]),
        (Command("kick"), Answer(), []),
        (Past("lobby"), Answer(), [{"ok": {"messages": [], "has_more": False}}]),
        (Quit(), Refuse("\ud800no\x9b1m"), [{"error": {"code": "refused", "reason": "no"}}]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Request) else "",
)
def test_each_answer_has_the_label_and_a_success_without_words_none_is_silent(
    asked: Request, outcome: Answer | Refuse, lines: list[object]
) -> None:
    assert decoded(newcomer().answered(asked, outcome)) == lines


def test_a_page_of_the_past_has_messages_as_they_were_sent() -> None:
    dialogue = newcomer()
    live = [line["message"] for line in decoded(dialogue.wire.encode(PAST))]

    answer = dialogue.answered(Past("lobby", label="p"), Answer(messages=PAST, has_more=True))

    assert decoded(answer) == [{"ok": {"messages": live, "has_more": True}, "label": "p"}]
