"""The line protocol as a conversation: what a client's lines ask for, and how it is answered."""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Refuse
from trichat._fronts.front import Answer, Limits, RoomView
from trichat._fronts.line.dialogue import FENCE_PATIENCE, FENCED_BYTES, LineDialogue
from trichat._fronts.line.front import LineFront
from trichat._fronts.requests import Command, Foreign, Login, Malformed, Quit, Request, Say

LIMIT = 64
FRONT = LineFront()
VIEW = RoomView(
    room="lobby",
    name="alice",
    topic="",
    others=["bob"],
    count=1,
    keeps_history=True,
    hints=["bye leaves"],
    last_id=0,
)
TOO_LONG = Malformed(f"a line has at most {LIMIT} bytes", "too_long")


def newcomer() -> LineDialogue:
    return FRONT.dialogue(Limits(LIMIT))


def member() -> LineDialogue:
    dialogue = newcomer()
    dialogue.entered(VIEW)
    return dialogue


def bare(text: str) -> Say:
    return Say(text, bare=True)


def requests(dialogue: LineDialogue, *chunks: bytes) -> list[Request]:
    return [request for chunk in chunks for request in dialogue.receive(chunk)]


# Before it is in.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"alice\n", [Login("alice")], id="a name"),
        pytest.param(b" alice \r\n", [Login(" alice ")], id="as it was typed"),
        pytest.param(b"\n \nalice\n", [Login("alice")], id="after blank lines"),
        pytest.param(b"alice !t0ken!\n", [Login("alice", "t0ken!")], id="with a secret"),
        pytest.param(b"!t0ken\n", [Login("", "t0ken")], id="a secret alone"),
        pytest.param(b"/help\n", [Login("/help")], id="no commands yet"),
        pytest.param(b"```\n", [Login("```")], id="no fences yet"),
        pytest.param(
            b"GET / HTTP/1.1\n",
            [Foreign("it spoke HTTP", "this is a chat server, not a web server; connect with nc")],
            id="HTTP",
        ),
        pytest.param(
            b"x" * (LIMIT + 1) + b"\n",
            [Foreign("sent no name", "that is not a name; please connect again")],
            id="too long",
        ),
    ],
)
def test_the_first_line_is_the_name(data: bytes, expected: list[Request]) -> None:
    assert requests(newcomer(), data) == expected
    assert requests(newcomer(), *[bytes([byte]) for byte in data]) == expected


def test_a_refused_name_makes_the_next_line_a_name() -> None:
    assert requests(newcomer(), b"alice\nhello\n") == [Login("alice"), Login("hello")]


def test_what_came_with_the_name_is_said_once_the_client_is_in() -> None:
    dialogue = newcomer()
    came = iter(dialogue.receive(b"alice\nhello\n/who\n"))
    assert next(came) == Login("alice")
    dialogue.entered(VIEW)

    assert list(came) == [bare("hello"), Command("who")]


# In a room.

FENCED = Say("for x:\n\n    print(x)")

LINES = [
    pytest.param(b"hello\n", [bare("hello")], id="a line"),
    pytest.param(b"one\ntwo\r\n", [bare("one"), bare("two")], id="several lines"),
    pytest.param(b"one\n\n\r\ntwo\n", [bare("one"), bare("two")], id="empty lines"),
    pytest.param(b"  hello \n", [bare("  hello ")], id="blanks"),
    pytest.param(b"/who\n", [Command("who")], id="a command"),
    pytest.param(b"/who \t\n", [Command("who")], id="a command and blanks"),
    pytest.param(b"/roll  2d6 for me \n", [Command("roll", "2d6 for me")], id="a command and words"),
    pytest.param(b"/roll\t6\n", [Command("roll", "6")], id="a command and a tab"),
    pytest.param(b"/msg bob hi\nhi\n", [Command("msg", "bob hi"), bare("hi")], id="a command and a line"),
    *(
        pytest.param(f"{text}\n".encode(), [bare(text)], id=f"text: {text}")
        for text in ("/etc/hosts", "//", "// what?", "/* no */", "/", "/ help", "/1", "/a/b", "/A/B", "/-v", " /help")
    ),
    pytest.param(b"x" * 65 + b"\nhi\n", [TOO_LONG, bare("hi")], id="too long"),
    pytest.param(b"```\nfor x:\n\n    print(x)\n```\n", [FENCED], id="a fence"),
    pytest.param(b"```python\nfor x:\n\n    print(x)\n``` \n", [FENCED], id="a fence with a language"),
    pytest.param(b"a\n```\nstop\n```\nb\n", [bare("a"), Say("stop"), bare("b")], id="a fence between lines"),
    pytest.param(b"```\n/who\n```\n", [Say("/who")], id="a command in a fence"),
    pytest.param(b"```\n```\n", [], id="an empty fence"),
    pytest.param(b"```\n \n\n```\n", [], id="a blank fence"),
    pytest.param(b"```a b\n", [bare("```a b")], id="text after backticks"),
    pytest.param(b"````\n", [bare("````")], id="four backticks"),
    pytest.param(b"`x`\n", [bare("`x`")], id="one backtick"),
    pytest.param(b"```\na\n" + b"x" * 65 + b"\nb\n```\nc\n", [TOO_LONG, bare("c")], id="too long in a fence"),
]


@pytest.mark.parametrize(("data", "expected"), LINES)
def test_lines_become_requests_wherever_they_are_cut(data: bytes, expected: list[Request]) -> None:
    assert requests(member(), data) == expected
    assert requests(member(), *[bytes([byte]) for byte in data]) == expected
    for cut in range(1, len(data)):
        assert requests(member(), data[:cut], data[cut:]) == expected, f"cut at {cut}"
    assert requests(member(), data, b"more\n") == [*expected, bare("more")]
    assert requests(member(), data, b"more", b"") == [*expected, bare("more")]


@given(st.lists(st.sampled_from([b"```", b"\n", b"a", b"/who", b"x" * 70, b"```py\n"]), max_size=30), st.data())
def test_any_cut_means_the_same(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))) | {0, len(whole)})
    chunks = [whole[start:end] for start, end in pairwise(cuts) if start < end]

    assert requests(member(), *chunks, b"") == requests(member(), *([whole] if whole else []), b"")


# A fence that is not closed.


def unclosed(lines: Sequence[str]) -> list[Request]:
    return [Say(line) for line in lines]


def test_a_fence_that_is_not_closed_is_said_as_it_is_after_some_silence() -> None:
    dialogue = member()
    assert dialogue.patience == math.inf
    assert requests(dialogue, b"```py\na\n\nstop\n") == []
    assert dialogue.patience == FENCE_PATIENCE

    assert list(dialogue.idle()) == unclosed(["```py", "a", "stop"])
    assert dialogue.patience == math.inf
    assert list(dialogue.idle()) == []
    assert requests(dialogue, b"b\n") == [bare("b")]


def test_a_fence_that_is_not_closed_is_said_at_the_end_of_input() -> None:
    assert requests(member(), b"```\na\nb", b"", b"") == unclosed(["```", "a", "b"])


LINE = b"x" * 49 + b"\n"
MOST = FENCED_BYTES // len(LINE)


def test_a_fence_up_to_the_limit_is_one_message() -> None:
    [said] = requests(member(), b"```\n" + LINE * MOST + b"```\n")
    assert said == Say((LINE * MOST).decode().rstrip("\n"))


@pytest.mark.parametrize("end", [b"```\n", b""], ids=["closed", "unclosed"])
def test_a_fence_over_the_limit_is_refused_whole_and_once(end: bytes) -> None:
    dialogue = member()
    refusal = Malformed(f"a message of several lines has at most {FENCED_BYTES} bytes", "too_long")
    assert requests(dialogue, b"```\n" + LINE * (MOST + 1), LINE * 9, end) == [refusal]
    assert list(dialogue.idle()) == []
    assert requests(dialogue, b"hi\n") == [bare("hi")]


# What it is answered.


def text_of(data: bytes) -> list[str]:
    return data.decode().splitlines()


def test_it_is_greeted_welcomed_and_sent_off() -> None:
    dialogue = newcomer()
    assert text_of(dialogue.greeting()) == ["* welcome to trichat; type your name and press Enter"]
    assert text_of(dialogue.entered(VIEW)) == [
        "* welcome, alice; here: bob; what is said is kept (dates are UTC); bye leaves"
    ]
    assert text_of(dialogue.farewell("goodbye")) == ["* goodbye"]


@pytest.mark.parametrize(
    ("others", "count", "expected"),
    [
        ([], 0, "* welcome, alice; you are the first here"),
        (["bob", "carol"], 2, "* welcome, alice; here: bob, carol"),
        (["bob", "carol"], 7, "* welcome, alice; here: bob, carol and 5 more"),
    ],
)
def test_the_welcome_names_those_who_are_here(others: list[str], count: int, expected: str) -> None:
    view = msgspec.structs.replace(VIEW, others=others, count=count, keeps_history=False, hints=[])
    assert text_of(newcomer().entered(view)) == [expected]


@pytest.mark.parametrize(
    ("asked", "outcome", "lines"),
    [
        (Login("bob"), Refuse("it is taken", "name_taken"), ["* it is taken; try another name"]),
        (bare("hi"), Refuse("too loud"), ["* not sent: too loud"]),
        (TOO_LONG, Refuse(TOO_LONG.reason, TOO_LONG.code), [f"* not taken: {TOO_LONG.reason}"]),
        (Command("kick", "bob"), Refuse("no", "not_permitted"), ["* no"]),
        (
            Command("x"),
            Refuse("there is no command /x", "unknown_command"),
            ["* there is no command /x; a space in front of the slash makes it text"],
        ),
        (Command("who"), Answer("here: alice\nbob"), ["* here: alice", "* bob"]),
        (Command("kick", "bob"), Answer(), []),
        (Quit(), Refuse("no"), ["* no"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Request) else "",
)
def test_what_came_of_a_request_is_told_in_notices(asked: Request, outcome: Answer | Refuse, lines: list[str]) -> None:
    assert text_of(member().answered(asked, outcome)) == lines
