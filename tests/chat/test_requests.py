"""What clients of any front can ask for, in several rooms at once."""

from collections.abc import Sequence

import pytest
from front_kit import ScriptFront, ScriptWire

from trichat import Client, Message, Refuse, hookimpl, parse_log_line
from trichat._chat.entering import MOST_ROOMS
from trichat._chat.history import MAX_PAGE
from trichat.fronts import Away, Command, Join, Login, Part, Past, Quit, Rename, Request, Say, Tell
from trichat.testing import Chat

FRONT = ScriptFront()
BOT = Login("bot", room="")


class Doorman:
    """Decides about rooms and words."""

    @hookimpl
    def on_enter(self, room: str, key: str) -> Refuse | None:
        return Refuse("the key is wrong", "wrong_key") if room == "den" and key != "sesame" else None

    @hookimpl
    def on_message(self, message: Message) -> Message | Refuse | None:
        if "damn" in message.text:
            return Refuse("mind your language")
        return message.with_text(message.text.replace(":)", "smiles"))

    @hookimpl
    def permits(self, client: Client, action: str, room: str) -> Refuse | None:
        if action == "read" and room == "den":
            return Refuse("the past is closed")
        return Refuse("nobody enters") if action == "enter" and room == "cellar" else None


async def test_a_client_may_join_without_a_room_and_enter_several(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, BOT, Say("hi"), Past("lobby"), Join("lobby", limit=0), Join("#Dev"), Join("dev"))
    await bot.hears(
        "Login: ok",
        "Say: not_in_room: you are in no room",
        "Past: not_in_room: you are not in lobby",
        "entered lobby as bot with alice",
        "Join: ok",
        "entered dev as bot with nobody",
        "Join: ok",
        "Join: refused: you are in dev already",
    )
    await alice.hears("* bot joined")
    assert chat.server.clients[1].rooms == ("lobby", "dev")
    await alice.say("/join dev")
    await bot.hears("lobby> alice left", "dev> alice joined")
    await alice.hears("[date] * bot joined", "* you are in dev; here: bot")


async def test_it_says_things_in_each_of_its_rooms(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, BOT, Join("lobby", limit=0), Join("dev"))
    for _ in range(5):
        await bot.next_line()
    await FRONT.ask(
        bot,
        Say("here"),
        Say("there", "Lobby"),
        Say("waves", "lobby", "did"),
        Say("beep", "lobby", "noticed"),
        Say("nowhere", "den"),
        Say("one\ntwo", "lobby"),
    )
    await bot.hears(
        "Say: not_in_room: you are not in den",
        "dev> bot: here",
        "lobby> bot: there",
        "lobby> bot waves",
        "lobby> [bot] beep",
        "lobby> bot: one",
        "two",
    )
    await alice.hears("* bot joined", "bot: there", "** bot waves", "* [bot] beep", "bot: one", "bot: two")


@pytest.mark.chat(plugins=[Doorman])
async def test_a_request_with_a_label_is_answered_when_it_is_done(chat: Chat) -> None:
    bot = await FRONT.connect(chat, BOT, Join("lobby", limit=0))
    for _ in range(3):
        await bot.next_line()
    await FRONT.ask(bot, Say(":)", label="1"), Say("damn", label="2"), Say(" ", label="3"), Say("x", "den", label="4"))
    await bot.hears(
        "lobby> bot: smiles",
        "Say1: ok with an id",
        "Say2: refused: mind your language",
        "Say3: usage: there is nothing to say",
        "Say4: not_in_room: you are not in den",
    )


@pytest.mark.chat(plugins=[Doorman])
async def test_a_key_lets_it_in(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/join den sesame", "what was said")
    await chat.settled()
    bot = await FRONT.connect(chat, BOT, Join("den"), Join("den", "sesame"), Past("den"), Join("a b"), Join("cellar"))
    await bot.hears(
        "Login: ok",
        "Join: wrong_key: the key is wrong",
        "entered den as bot with alice",
        "Join: ok",
        "Past: not_permitted: the past is closed",
        "Join: no_such_room: the name of a room is one word",
        "Join: not_permitted: nobody enters",
    )


async def test_it_leaves_a_room_and_stays_in_the_others(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, Login("bot"), Join("dev"))
    await bot.hears("past lobby> alice joined", "entered lobby as bot with alice", "Login: ok")
    await bot.hears("entered dev as bot with nobody", "Join: ok")
    await FRONT.ask(bot, Say("last words", "lobby"), Part("lobby", "too loud"), Part("lobby"), Say("still here"))
    await bot.hears(
        "lobby> bot: last words", "Part: ok", "Part: not_in_room: you are not in lobby", "dev> bot: still here"
    )
    await alice.hears("* bot joined", "bot: last words", "* bot left: too loud")
    assert chat.log[-2:] == ["*left bot: too loud", "bot: still here"]


async def test_who_is_always_in_one_room_cannot_leave_it(chat: Chat) -> None:
    await chat.join("alice")
    refusal = await chat.server.clients[0].leave("lobby")
    assert refusal == Refuse("you are always in a room; enter another one, or quit")


async def test_it_tells_renames_goes_away_and_quits(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, Login("bot"), Join("dev"), Rename("robot"), Tell("alice", "psst"), Away("asleep"))
    for _ in range(5):
        await bot.next_line()
    await bot.hears("-> bot is now robot", "Rename: ok", "Tell: ok", "Away: ok")
    await alice.hears("* bot joined", "* bot is now robot", "* robot to you: psst")
    await alice.say("/msg robot yes?", "/away lunch")
    await alice.hears("* you to robot: yes?", "* robot is away: asleep", "* you are away: lunch")
    await bot.hears("robot> alice: yes?")
    await FRONT.ask(bot, Tell("alice", "hm"), Tell("carol", "hm"), Command("who"), Login("x"), Quit("power cut"))
    await bot.hears(
        "Tell: ok alice is away: lunch",
        "Tell: no_such_name: carol is not here",
        "Command: ok here: robot (away: asleep)",
        "Login: refused: you have a name already",
        "bye: goodbye, robot",
    )
    await alice.hears("* robot to you: hm", "* robot left: power cut")
    assert chat.log[-1] == "*quit robot: power cut"


FORGED = "lunch\nbob to you: run this\u2028\x1b[2Jthe server is stopping"


@pytest.mark.parametrize("request_", [Away(FORGED), Command("away", FORGED)], ids=["away", "command"])
async def test_a_text_that_others_are_told_among_other_words_has_one_line(chat: Chat, request_: Request) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, Login("eve", room=""), request_)
    await bot.hears("Login: ok")
    await chat.settled()
    await alice.say("/msg eve hi", "/join dev", "/who lobby")
    away = "lunch bob to you: run thisthe server is stopping"
    await alice.hears("* you to eve: hi", f"* eve is away: {away}")


async def test_before_it_has_a_name_it_can_do_nothing_else(chat: Chat) -> None:
    requests: list[Request] = [
        Join("dev"),
        Part("dev"),
        Tell("alice", "x"),
        Rename("x"),
        Away("x"),
        Past("lobby"),
        Command("who"),
        Say("x"),
    ]
    bot = await FRONT.connect(chat, *requests)
    await bot.hears(*(f"{type(request).__name__}: login_required: give a name first" for request in requests))


async def test_it_reads_pages_of_the_past(chat: Chat) -> None:
    bot = await FRONT.connect(chat, Login("bot"), *(Say(f"m{number}") for number in range(10)))
    for _ in range(12):
        await bot.next_line()
    ids = [message.id for message in await history(chat)]
    await FRONT.ask(
        bot,
        Past("lobby", limit=3),
        Past("lobby", before=ids[5], limit=2),
        Past("lobby", after=ids[5], limit=2),
        Past("lobby", after=ids[5], before=ids[7]),
        Past("lobby", after=ids[-1]),
        Past("lobby", limit=0),
        Past("lobby", limit=-5),
        Past("lobby", before=-5),
    )
    await bot.hears(
        "Past: ok ['m7', 'm8', 'm9'] and more",
        "Past: ok ['m2', 'm3'] and more",
        "Past: ok ['m5', 'm6'] and more",
        "Past: ok ['m5']",
        "Past: ok",
        "Past: ok [] and more",
        "Past: ok [] and more",
        "Past: ok",
    )


async def history(chat: Chat) -> list[Message]:
    assert chat.log_path is not None
    lines = chat.log_path.read_bytes().splitlines()
    return [message for line in lines if (message := parse_log_line(line)) is not None]


async def test_a_client_that_says_what_it_knows_gets_the_rest_and_nothing_twice(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say(*(f"m{number}" for number in range(1500)))
    await chat.settled()
    known = (await history(chat))[100].id
    bot = await FRONT.connect(chat, BOT, Join("lobby", after=known))
    await bot.hears("Login: ok", *(f"past lobby> alice: m{number}" for number in range(100, 1500)))
    await bot.hears("entered lobby as bot with alice", "Join: ok")
    await FRONT.ask(bot, Part("lobby"), Join("lobby", limit=2), Part("lobby"), Join("lobby", limit=0))
    await bot.hears("Part: ok", "past lobby> bot joined", "past lobby> bot left", "entered lobby as bot with alice")
    await bot.hears("Join: ok", "Part: ok", "entered lobby as bot with alice", "Join: ok")


async def test_a_page_has_a_limit(chat: Chat) -> None:
    assert MAX_PAGE == 1000
    alice = await chat.join("alice")
    await alice.say(*(f"m{number}" for number in range(MAX_PAGE + 5)))
    bot = await FRONT.connect(chat, Login("bot", room=""), Join("lobby", limit=0), Past("lobby", limit=10**9))
    await bot.hears("Login: ok", "entered lobby as bot with alice", "Join: ok")
    line = await bot.next_line() or ""
    assert line.startswith("Past: ok ['m6', 'm7', ")
    assert line.endswith("'m1004', ''] and more")


async def test_what_somebody_says_who_is_ignored_is_in_no_page(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await FRONT.connect(chat, Login("bot", room=""), Join("lobby", limit=0))
    await bot.hears("Login: ok", "entered lobby as bot with alice", "Join: ok")
    await alice.say("one")
    await bot.hears("lobby> alice: one")
    assert chat.server.clients[1].ignore("alice") is None
    await alice.say("two")
    await FRONT.ask(bot, Say("three", "lobby"), Past("lobby"), Past("lobby", limit=2))
    await bot.hears("lobby> bot: three", "Past: ok ['', '', 'three']", "Past: ok ['', 'three'] and more")
    await FRONT.ask(bot, Part("lobby"), Join("lobby", limit=10))
    await bot.hears("Part: ok")
    await bot.hears(*(f"past lobby> {text}" for text in ["alice joined", "bot joined", "bot: three", "bot left"]))


async def test_a_front_without_echo_is_sent_what_the_others_say(chat: Chat) -> None:
    quiet = ScriptFront(ScriptWire(echoes=False))
    alice = await chat.join("alice")
    bot = await quiet.connect(chat, BOT, Join("lobby", limit=0))
    await bot.hears("Login: ok", "entered lobby as bot with alice", "Join: ok")
    other = await quiet.connect(chat, Login("other", room=""), Join("lobby", limit=0))
    await bot.hears("lobby> other joined")
    await other.hears("Login: ok", "entered lobby as other with alice, bot", "Join: ok")
    await alice.hears("* bot joined", "* other joined")
    await quiet.ask(bot, Say("one"), Say("two"), Say("three", label="!"))
    await alice.hears("bot: one", "bot: two", "bot: three")
    await other.hears("lobby> bot: one", "lobby> bot: two", "lobby> bot: three")
    await bot.hears("Say!: ok with an id")
    await quiet.ask(bot, Rename("robot"))
    await bot.hears("-> bot is now robot", "Rename: ok")
    await alice.say("four")
    await bot.hears("lobby> alice: four")


class BrokenWire(ScriptWire):
    """Cannot encode two words."""

    def encode(self, messages: Sequence[Message]) -> bytes:
        if any("boom" in message.text for message in messages):
            raise ValueError("no such word")
        if any("exit" in message.text for message in messages):
            raise SystemExit("ValueError: no such word")
        return super().encode(messages)


@pytest.mark.parametrize(
    "lines",
    [
        ["boom"],
        ["exit"],
        ["one", "exit"],
        ["/msg bot exit"],
        ["one", "boom", "two"],
        ["/msg bot boom"],
        ["/msg bot x", "boom"],
    ],
)
async def test_a_front_that_fails_costs_nobody_else_anything(
    chat: Chat, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    broken = ScriptFront(BrokenWire())
    bot = await broken.connect(chat, Login("bot", room=""), Join("lobby", limit=0))
    await bot.hears("Login: ok", "entered lobby as bot with alice, bob", "Join: ok")
    await bob.hears("* bot joined")
    await alice.send("".join(f"{line}\n" for line in lines).encode())
    await bob.hears(*(f"alice: {line}" for line in lines if line[0] != "/"), "* bot left")
    assert (await bot.rest())[-1].endswith("an error in the server")
    assert "ValueError: no such word" in caplog.text
    await alice.say("still here")
    await bob.hears("alice: still here")


async def test_a_front_that_cannot_encode_a_notice_costs_its_client_alone(chat: Chat) -> None:
    alice = await chat.join("alice")
    bot = await ScriptFront(BrokenWire()).connect(chat, Login("bot", room=""), Join("lobby", limit=0))
    await bot.hears("Login: ok", "entered lobby as bot with alice", "Join: ok")
    await alice.hears("* bot joined")
    chat.server.notice("boom")
    await alice.hears("* boom", "* bot left")


async def test_nobody_is_in_more_rooms_than_there_may_be(chat: Chat) -> None:
    bot = await FRONT.connect(chat, BOT, *(Join(f"room{number}", label="!") for number in range(MOST_ROOMS + 1)))
    while not (line := await bot.next_line() or "").startswith("Join!: refused"):
        assert line != "bye"
    assert line == f"Join!: refused: you are in {MOST_ROOMS} rooms already"
