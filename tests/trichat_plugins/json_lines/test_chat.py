"""Programs that speak JSON lines and people with `nc` in one chat."""

import json
import logging

import pytest
from json_kit import both

HELLO = {"hello": {"server": "trichat", "max_line_bytes": 4096}}


def said(sender: str, text: str, room: str = "lobby", **more: object) -> dict[str, object]:
    return {"kind": "said", "rooms": [room], "sender": sender, "text": text, **more}


async def test_both_fronts_see_one_room_in_one_order(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = await chat.member("ci", "lobby")
        await alice.hears("* ci joined")

        await alice.say("hello", "/me waves")
        await ci.gets(
            {"message": said("alice", "hello")},
            {"message": {"kind": "did", "rooms": ["lobby"], "sender": "alice", "text": "waves"}},
        )
        await alice.hears("alice: hello", "** alice waves")

        await ci.send(
            {"say": {"text": "a\nb"}},
            {"say": {"text": "builds", "kind": "did", "room": "lobby"}},
            {"say": {"text": "green", "kind": "noticed"}},
        )
        await alice.hears("ci: a", "ci: b", "** ci builds", "* [ci] green")
        assert [line["message"]["text"] for line in [await ci.next() for _ in range(3)]] == ["a\nb", "builds", "green"]

        await alice.say("/topic releases", "/nick al", "bye")
        await ci.gets(
            {"message": {"kind": "topic", "rooms": ["lobby"], "sender": "alice", "text": "releases"}},
            {"message": {"kind": "renamed", "sender": "alice", "about": "al"}},
            {"message": {"kind": "quit", "sender": "al"}},
        )


async def test_a_client_enters_rooms_one_by_one_and_leaves_them(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = await chat.program("ci")
        entered = {"name": "ci", "topic": "", "keeps_history": True}
        await ci.send({"join": {"room": "dev"}}, {"join": {"room": "lobby"}, "label": "2"})
        await ci.gets(
            {"entered": {"room": "dev", "others": [], **entered}},
            {"entered": {"room": "lobby", "others": ["alice"], **entered}},
            {"ok": {}, "label": "2"},
        )
        await alice.hears("* ci joined")

        await ci.send({"say": {"text": "one", "room": "dev"}}, {"say": {"text": "two"}})
        await ci.gets({"message": said("ci", "one", "dev")}, {"message": said("ci", "two")})
        await alice.hears("ci: two")

        await ci.send({"part": {"room": "lobby", "reason": "done"}, "label": "3"}, {"say": {"text": "three"}})
        await ci.gets({"ok": {}, "label": "3"}, {"message": said("ci", "three", "dev")})
        await alice.hears("* ci left: done")


async def test_a_message_with_a_label_is_answered_with_its_id(virtual_time: object) -> None:
    async with both() as chat:
        ci = await chat.member("ci", "lobby")
        await ci.send({"say": {"text": "hello"}, "label": "7"})
        answers = [await ci.next(), await ci.next()]
        [message] = [answer["message"] for answer in answers if "message" in answer]
        [answer] = [answer for answer in answers if "ok" in answer]
        assert answer == {"ok": {"id": message["id"]}, "label": "7"}

        await ci.send({"say": {"text": "what?", "reply_to": message["id"]}})
        await ci.gets({"message": said("ci", "what?", reply_to=message["id"])})


async def test_private_lines_go_to_two_alone_and_into_no_log(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = await chat.program("ci")
        await alice.say("/msg ci psst")
        await ci.gets({"private": {"sender": "alice", "to": "ci", "text": "psst"}})
        await alice.next_line()  # her own copy
        await ci.send(
            {"tell": {"name": "ALICE", "text": "what?"}}, {"tell": {"name": "bob", "text": "hi"}, "label": "x"}
        )
        await alice.hears("* ci to you: what?")
        lines = await ci.up_to("error")
        assert lines[-1]["label"] == "x"
        assert lines[-1]["error"]["code"] == "no_such_name"
        assert "psst" not in chat.log


async def test_a_page_of_the_past_goes_forward_from_an_id_and_back_from_the_end(virtual_time: object) -> None:
    async with both() as chat:
        ci = await chat.member("ci", "lobby")
        await ci.send(*({"say": {"text": f"{number}"}} for number in range(5)))
        ids = [(await ci.next())["message"]["id"] for _ in range(5)]

        async def past(**fields: object) -> tuple[list[str], bool]:
            await ci.send({"past": {"room": "lobby", **fields}})
            page = (await ci.next())["ok"]
            return [message["text"] for message in page["messages"]], page["has_more"]

        assert await past(limit=2) == (["3", "4"], True)
        assert await past(before=ids[3], limit=2) == (["1", "2"], True)
        assert await past(after=ids[1], limit=2) == (["2", "3"], True)
        assert await past(after=ids[3]) == (["4"], False)

        await ci.send({"past": {"room": "dev"}, "label": "p"})
        await ci.gets({"error": {"code": "not_in_room", "reason": "you are not in dev"}, "label": "p"})


async def test_a_command_is_answered_in_the_room_that_it_is_given_in(virtual_time: object) -> None:
    async with both() as chat:
        await chat.person("alice")
        ci = await chat.member("ci", "dev", "lobby")
        await ci.send({"command": {"name": "who", "room": "dev"}, "label": "1"}, {"command": {"name": "who"}})
        await ci.gets({"ok": {"text": "here: ci"}, "label": "1"}, {"ok": {"text": "here: alice, ci"}})
        await ci.send({"command": {"name": "who", "room": "ops"}}, {"command": {"name": "whoo"}, "label": "2"})
        assert (await ci.next())["error"]["code"] == "not_in_room"
        error = await ci.next()
        assert error["label"] == "2"
        assert error["error"]["code"] == "unknown_command"


async def test_a_client_is_renamed_and_goes(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = await chat.member("ci", "lobby")
        await ci.send(
            {"rename": {"name": "alice"}}, {"rename": {"name": "ci2"}, "label": "r"}, {"quit": {"reason": "done"}}
        )
        lines = await ci.up_to("bye")
        assert lines[0]["error"]["code"] == "name_taken"
        assert [next(iter(line)) for line in lines[1:]] in (["message", "ok", "bye"], ["ok", "message", "bye"])
        assert lines[-1] == {"bye": {"reason": "goodbye, ci2"}}
        assert await ci.next() == {}
        await alice.hears("* ci joined", "* ci is now ci2", "* ci2 left: done")


# Before it has a name, and in spite of mistakes.


async def test_only_a_name_lets_a_client_do_anything(virtual_time: object) -> None:
    async with both() as chat:
        await chat.person("alice")
        ci = await chat.program()
        await ci.send({"say": {"text": "hi"}, "label": "1"}, {"login": {"name": "ALICE"}}, {"login": {"name": "a:b"}})
        codes = [(await ci.next())["error"]["code"] for _ in range(3)]
        assert codes == ["login_required", "name_taken", "name_invalid"]
        await ci.send({"login": {"name": "ci"}}, {"login": {"name": "ci"}})
        await ci.gets({"error": {"code": "refused", "reason": "you have a name already"}})
        await ci.send({"say": {"text": "hi"}})
        assert (await ci.next())["error"]["code"] == "not_in_room"


async def test_a_bad_line_is_answered_and_the_conversation_stays(virtual_time: object) -> None:
    async with both({"server": {"max_line_bytes": 64}}) as chat:
        ci = await chat.member("ci", "lobby")
        await ci.person.say("hello", '{"say": {"txt": "x"}, "label": "1"}', "{" * 65, '{"say": {"text": "still here"}}')
        codes = [(await ci.next())["error"]["code"] for _ in range(3)]
        assert codes == ["usage", "usage", "too_long"]
        await ci.gets({"message": said("ci", "still here")})


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"alice\n"])
async def test_another_protocol_is_told_so_once_and_disconnected(virtual_time: object, data: bytes) -> None:
    async with both() as chat:
        stranger = await chat.program()
        await stranger.person.send(data)
        await stranger.gets({"bye": {"reason": "this port is for JSON lines; connect with nc to the other one"}}, {})


async def test_words_that_are_commands_with_nc_are_only_words_here(virtual_time: object) -> None:
    async with both() as chat:
        ci = await chat.member("ci", "lobby")
        words = ["stop", "bye", "/quit", "```"]
        await ci.send(*({"say": {"text": word}} for word in words))
        await ci.gets(*({"message": said("ci", word)} for word in words))


async def test_a_secret_is_in_no_log_and_no_answer(virtual_time: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with both() as chat:
        ci = await chat.program()
        await ci.send(
            {"login": {"name": "a:b", "secret": "t0ken"}},
            {"login": {"name": 1, "secret": "t0ken"}},
            {"login": {"name": "ci", "secret": "t0ken"}, "label": "x"},
            {"join": {"room": "lobby"}},
        )
        heard = json.dumps(await ci.up_to("entered"))
        assert "t0ken" not in heard + caplog.text + chat.log


async def test_the_end_of_input_takes_the_last_line_too(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.person("alice")
        ci = await chat.program()
        await ci.person.send(b'{"login":{"name":"ci"}}\n{"join":{"room":"lobby"}}\n{"say":{"text":"green"}}')
        ci.person.send_eof()
        await alice.hears("* ci joined", "ci: green", "* ci left")


# Where it was.


async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.member("alice", "lobby", "dev")
        await alice.send({"say": {"text": "before", "room": "lobby"}})
        ci = await chat.program("ci")
        cursors: dict[str, str] = {}
        seen: dict[str, list[str]] = {"lobby": [], "dev": []}

        async def follow(key: str, value: str) -> None:
            """Read up to something, and note where that is."""
            while True:
                line = await ci.next()
                if "entered" in line:
                    cursors[line["entered"]["room"]] = line["entered"]["cursor"]
                if "message" in line:
                    message = line["message"]
                    for room in message.get("rooms", []):
                        cursors[room] = message["cursor"]
                        if message["kind"] == "said":
                            seen[room].append(message["text"])
                if line.get(key, {}).get({"entered": "room", "message": "text"}[key]) == value:
                    return

        await ci.send({"join": {"room": "lobby"}}, {"join": {"room": "dev"}})
        await follow("entered", "dev")
        await alice.send({"say": {"text": "1", "room": "lobby"}}, {"say": {"text": "2", "room": "lobby"}})
        await follow("message", "1")  # it has not read what follows
        ci.person.reset()
        while not any(line.get("message", {}).get("kind") == "quit" for line in await alice.up_to("message")):
            pass
        await alice.send({"say": {"text": "3", "room": "dev"}}, {"say": {"text": "4", "room": "lobby"}}, {"away": {}})

        ci = await chat.program("ci")
        await ci.send(*({"join": {"room": room, "after": cursors[room]}} for room in ("lobby", "dev")))
        await follow("entered", "dev")
        await alice.send({"say": {"text": "5", "room": "lobby"}}, {"say": {"text": "6", "room": "dev"}})
        await follow("message", "6")

        assert seen == {"lobby": ["1", "2", "4", "5"], "dev": ["3", "6"]}


async def test_the_past_comes_only_if_it_is_asked_for(virtual_time: object) -> None:
    async with both() as chat:
        alice = await chat.member("alice", "lobby")
        await alice.send(*({"say": {"text": f"{number}"}} for number in range(3)))
        for _ in range(3):
            await alice.next()

        async def heard(name: str, **fields: object) -> list[str]:
            program = await chat.program(name)
            await program.send({"join": {"room": "lobby", **fields}})
            *past, _ = await program.up_to("entered")
            assert [line["past"] for line in past] == ["lobby"] * len(past)
            return [line["message"]["text"] for line in past if line["message"]["kind"] == "said"]

        assert await heard("a") == []
        assert await heard("b", limit=0) == []
        assert await heard("c", limit=3) == ["2"]  # the other two are joins
        assert await heard("d", limit=100) == ["0", "1", "2"]
