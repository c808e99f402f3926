"""What a line of a client asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trichat_plugins.json_lines.cursors import cursor_at
from trichat_plugins.json_lines.from_client import request_in

from trichat.fronts import Away, Command, Join, Login, Malformed, Part, Past, Quit, Rename, Request, Say, Tell

NOON = 1_763_812_800_000_000

REQUESTS = [
    ('{"login": {"name": "ci"}}', Login("ci", room="")),
    ('{"login": {"name": "ci", "secret": "t0ken"}}', Login("ci", "t0ken", room="")),
    ('{"join": {"room": "dev"}}', Join("dev", limit=0)),
    ('{"join": {"room": "dev", "key": "open", "limit": 50}}', Join("dev", "open", limit=50)),
    (f'{{"join": {{"room": "dev", "after": "{cursor_at(NOON)}"}}}}', Join("dev", after=NOON, limit=None)),
    (f'{{"join": {{"room": "dev", "after": "{cursor_at(NOON)}", "limit": 9}}}}', Join("dev", after=NOON, limit=9)),
    ('{"part": {"room": "dev"}}', Part("dev")),
    ('{"part": {"room": "dev", "reason": "done"}}', Part("dev", "done")),
    ('{"say": {"text": "hello"}}', Say("hello")),
    ('{"say": {"room": "dev", "text": "hello"}}', Say("hello", "dev")),
    ('{"say": {"text": "a\\nb", "kind": "did", "reply_to": 123}}', Say("a\nb", kind="did", reply_to=123)),
    ('{"say": {"text": "stop"}}', Say("stop")),
    ('{"say": {"text": "green", "kind": "noticed"}, "label": "7"}', Say("green", kind="noticed", label="7")),
    ('{"label": "7", "say": {"text": "hello"}}', Say("hello", label="7")),
    ('{"tell": {"name": "bob", "text": "hi"}}', Tell("bob", "hi")),
    ('{"past": {"room": "lobby"}}', Past("lobby")),
    (f'{{"past": {{"room": "lobby", "after": {NOON}, "limit": 100}}}}', Past("lobby", NOON, limit=100)),
    (f'{{"past": {{"room": "lobby", "before": {NOON}, "limit": 1}}}}', Past("lobby", before=NOON, limit=1)),
    ('{"rename": {"name": "ci2"}}', Rename("ci2")),
    ('{"away": {"text": "lunch"}}', Away("lunch")),
    ('{"away": {}}', Away()),
    ('{"command": {"name": "who"}}', Command("who")),
    ('{"command": {"name": "who", "arguments": "dev", "room": "lobby"}}', Command("who", "dev", "lobby")),
    ('{"quit": {}}', Quit()),
    ('{"quit": {"reason": "done"}, "label": "x"}', Quit("done", label="x")),
    (' { "say" : { "text" : "Zo\\u00eb \\ud83e\\udd91 名" } } ', Say("Zoë 🦑 名")),
]


@pytest.mark.parametrize(("line", "request_"), REQUESTS)
def test_each_line_is_a_request(line: str, request_: Request) -> None:
    assert request_in(line) == request_


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Input data was truncated"),
        ("hello", "JSON is malformed: invalid character (byte 0)"),
        ('{"say": {"text": "x"}} {}', "JSON is malformed: trailing characters (byte 24)"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "Expected one request, such as `say`, got 0"),
        ('{"say": {"text": "x"}, "quit": {}}', "Expected one request, such as `say`, got 2"),
        ('{"shout": {"text": "x"}}', "Object contains unknown field `shout`"),
        ('{"say": null}', "Expected `object`, got `null` - at `$.say`"),
        ('{"say": "x"}', "Expected `object`, got `str` - at `$.say`"),
        ('{"say": {"txt": "x"}}', "Object contains unknown field `txt` - at `$.say`"),
        ('{"say": {"text": "x", "bare": true}}', "Object contains unknown field `bare` - at `$.say`"),
        ('{"say": {"room": "dev"}}', "Object missing required field `text` - at `$.say`"),
        ('{"say": {"text": 5}}', "Expected `str`, got `int` - at `$.say.text`"),
        ('{"say": {"text": "x", "kind": "quit"}}', "Invalid enum value 'quit' - at `$.say.kind`"),
        ('{"say": {"text": "x", "reply_to": -1}}', "Expected `int` >= 0 - at `$.say.reply_to`"),
        ('{"join": {"room": "dev", "limit": -1}}', "Expected `int` >= 0 - at `$.join.limit`"),
        (
            '{"join": {"room": "dev", "limit": 9007199254740992}}',
            "Expected `int` <= 9007199254740991 - at `$.join.limit`",
        ),
        ('{"join": {"room": "dev", "after": "5"}}', "'5' is not a cursor; send one as it was received"),
        ('{"past": {"room": "dev", "limit": 0}}', "Expected `int` >= 1 - at `$.past.limit`"),
        ('{"login": {"name": "ci", "room": "dev"}}', "Object contains unknown field `room` - at `$.login`"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(line: str, reason: str) -> None:
    assert request_in(line) == Malformed(f"not a request: {reason}")


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ('{"say": {"txt": "x"}, "label": "7"}', "7"),
        ('{"label": "7"}', "7"),
        ('{"join": {"room": "dev", "after": "5"}, "label": "7"}', "7"),
        ('{"say": {"text": "x"}, "label": 7}', ""),
        ('{"label": "7"', ""),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + ', "label": "7"}', ""),
    ],
)
def test_the_refusal_has_the_label_if_there_is_one(line: str, label: str) -> None:
    refused = request_in(line)
    assert isinstance(refused, Malformed)
    assert refused.label == label


@pytest.mark.parametrize(
    "line",
    [
        '{"login": {"name": "ci", "secret": "t0ken", "x": 1}}',
        '{"login": {"name": 5, "secret": "t0ken"}}',
        '{"login": {"name": "ci", "secret": ["t0ken"]}}',
        '{"login": {"name": "ci", "secret": "t0ken}}',
        '{"login": {"name": "ci" "t0ken"}}',
    ],
)
def test_no_refusal_shows_a_secret(line: str) -> None:
    refused = request_in(line)
    assert isinstance(refused, Malformed)
    assert "t0ken" not in refused.reason


@given(st.text())
def test_no_line_raises(line: str) -> None:
    assert isinstance(request_in(line), Request)
