"""What a client may do: the answers of plugins, and the defaults where none of them has an opinion."""

import logging
from collections.abc import Mapping

import pytest
from client_kit import OTHER_FRONT, new_client
from made_kit import Hook, Made, nothing

from trichat import Client, Config, Refuse, Server, hookimpl, operators
from trichat._server import core_of
from trichat.testing import Chat, running

FOR_OPERATORS = ["ban", "kick", "mute", "notices", "reload", "slow", "operate", "something-else"]
FOR_EVERYONE = ["enter", "read", "speak", "topic"]


def asking(*answers: Hook, tables: Mapping[str, Mapping[str, object]] | None = None) -> Client:
    """Return a client that plugins `a`, `b` and so on are asked about."""
    plugins = {name: Made(permits=answer) for name, answer in zip("abc", answers, strict=False)}
    config = Config.from_tables({"plugins": tables or {}})
    return new_client(Server(config, plugins=plugins, listeners=[]), "10.0.0.7", name="alice")


def answer(value: object) -> Hook:
    return lambda: value


def refused(client: Client, action: str = "kick") -> Refuse | None:
    return client.server.refusal(client, action)


NO = Refuse("not you", "banned")

# The answers of plugins.


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ([True], None),
        ([True, False, None], None),
        ([None, False, True], None),
        ([NO, True, True], NO),
        ([True, NO, True], NO),
        ([True, True, NO], NO),
        ([False, NO], NO),
    ],
)
def test_any_refusal_wins_and_then_any_permission(answers: list[object], refusal: Refuse | None) -> None:
    assert refused(asking(*map(answer, answers))) == refusal


@pytest.mark.parametrize("answers", [[], [False], [None], [None, False]])
def test_without_an_opinion_the_default_decides(answers: list[object]) -> None:
    alice = asking(*map(answer, answers))
    assert alice.may("speak")
    assert not alice.may("kick")


def test_plugins_are_asked_about_the_client_the_action_and_the_room() -> None:
    asked: list[tuple[Client, str, str]] = []

    def permits(client: Client, action: str, room: str) -> bool:
        asked.append((client, action, room))
        return True

    alice = asking(permits)
    assert alice.may("kick", "dev")
    assert alice.may("stop")
    assert asked == [(alice, "kick", "dev"), (alice, "stop", "")]


@pytest.mark.parametrize(
    ("given", "code"), [(Refuse("no"), "not_permitted"), (Refuse("no", "login_required"), "login_required")]
)
def test_a_refusal_without_a_code_says_that_it_is_about_permission(given: Refuse, code: str) -> None:
    assert refused(asking(answer(given))) == Refuse("no", code)  # type: ignore[arg-type]


def test_an_action_is_a_string() -> None:
    alice = asking()
    with pytest.raises(TypeError, match="an action must be a string, not 5"):
        alice.may(5)  # type: ignore[arg-type]


# The defaults.


@pytest.mark.parametrize("action", FOR_OPERATORS)
@pytest.mark.parametrize(("operator", "may"), [(True, True), (False, False)])
def test_these_actions_and_unknown_ones_are_for_operators(action: str, operator: bool, may: bool) -> None:
    alice = asking(lambda action: action == "operate" and operator)
    assert alice.may(action) is may
    assert alice.is_operator is operator


@pytest.mark.parametrize("action", FOR_EVERYONE)
def test_these_actions_are_for_everyone(action: str) -> None:
    assert asking().may(action)


def test_nobody_is_unpaced_unless_a_plugin_says_so() -> None:
    assert not asking(lambda action: action == "operate").may("unpaced")
    assert asking(lambda action: action == "unpaced").may("unpaced")


def test_an_operator_of_one_room_may_kick_there_alone() -> None:
    alice = asking(lambda action, room: action == "operate" and room == "dev")
    assert [alice.may("kick", room) for room in ("dev", "lobby", "")] == [True, False, False]


@pytest.mark.parametrize(
    ("address", "may"), [("127.0.0.1", True), ("::1", True), ("10.0.0.7", False), ("unix:0", False), ("", False)]
)
def test_stopping_the_server_is_for_this_machine(address: str, may: bool) -> None:
    assert new_client(Server(plugins={}, listeners=[]), address).may("stop") is may


def test_an_address_gives_no_right_on_another_front() -> None:
    alice = new_client(Server(plugins={}, listeners=[]), "127.0.0.1", front=OTHER_FRONT)
    assert not alice.may("stop")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("kick", "that is for operators"),
        ("operate", "that is for operators"),
        ("stop", "that is for people on the server's own machine"),
        ("unpaced", "that is not permitted"),
    ],
)
def test_the_reason_of_a_default_is_one_sentence(action: str, reason: str) -> None:
    assert refused(asking(), action) == Refuse(reason, "not_permitted")


def test_the_sentence_names_what_was_wanted() -> None:
    alice = asking()
    assert alice.server.refusal(alice, "kick", what="/kick") == Refuse("/kick is for operators", "not_permitted")


# Plugins that fail.


def broken() -> bool:
    raise ValueError("broken")


async def test_a_plugin_that_fails_refuses_and_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(asking(answer(True), broken), "speak") == Refuse("the plugin 'b' failed", "failed")
    assert caplog.messages == ["plugin 'b' failed in permits: broken"]


@pytest.mark.parametrize("wrong", ["yes", 1, Refuse], ids=repr)
async def test_a_wrong_answer_is_a_failure(wrong: object, caplog: pytest.LogCaptureFixture) -> None:
    assert refused(asking(answer(wrong)), "speak") == Refuse("the plugin 'a' failed", "failed")
    assert caplog.messages == [f"plugin 'a' failed in permits: {wrong!r} is not an answer to this hook"]


async def test_a_plugin_that_may_be_skipped_has_no_opinion_when_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    alice = asking(broken, answer(True), tables={"a": {"on_error": "skip"}})
    assert alice.may("kick")
    assert len(caplog.messages) == 1


async def test_a_plugin_whose_failure_stops_the_server_stops_it(virtual_time: object) -> None:
    def broken_for_stop(action: str) -> None:
        if action == "stop":
            raise ValueError("broken")

    guard = Made(permits=broken_for_stop)
    async with running({"guard": guard}, {"plugins": {"guard": {"on_error": "stop"}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("stop")
        assert (await alice.rest())[-1] == "* the server is stopping (the plugin 'guard' failed)"


async def test_a_plugin_that_fails_too_often_is_still_asked_and_refuses(caplog: pytest.LogCaptureFixture) -> None:
    alice = asking(broken, tables={"a": {"quarantine_after": 2}})
    for _ in range(3):
        assert refused(alice, "speak") == Refuse("the plugin 'a' failed", "failed")
    assert "plugin 'a': it failed 2 times within a minute; it is still asked" in caplog.messages


async def test_a_plugin_that_has_crashed_refuses(caplog: pytest.LogCaptureFixture) -> None:
    alice = asking(answer(True))
    core_of(alice.server).plugins.active.mark_crashed("a")
    assert refused(alice) == Refuse("the plugin 'a' failed", "failed")


def test_ctrl_c_passes() -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asking(interrupted).may("kick")


def test_while_a_plugin_is_being_replaced_its_previous_version_answers() -> None:
    alice = asking(answer(NO))
    with core_of(alice.server).plugins.gates.holding("a"):
        assert refused(alice, "speak") == NO


def test_a_plugin_in_shadow_is_asked_and_its_answers_are_withheld(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trichat.shadow")
    answers = {"kick": True, "speak": Refuse("be quiet"), "ban": False, "topic": None}
    alice = asking(lambda action: answers.get(action), tables={"a": {"shadow": True}})
    assert [alice.may(action) for action in answers] == [False, True, False, True]
    assert caplog.messages == [
        "plugin 'a' in shadow: would have permitted 'kick' of alice (10.0.0.7)",
        "plugin 'a' in shadow: would have refused 'speak' of alice (10.0.0.7): 'be quiet'",
    ]


# In a running server.


class Notices:
    """Shows operators' notices to bob as well, who is not an operator."""

    @hookimpl
    def permits(self, client: Client, action: str) -> bool:
        return action == "notices" and client.name == "bob"


@pytest.mark.chat(plugins=[Notices])
async def test_a_notice_for_operators_is_for_those_who_may_see_it(chat: Chat) -> None:
    people = [await chat.join("alice"), await chat.join("bob", "10.0.0.7"), await chat.join("carol", "10.0.0.7")]
    await chat.settled()
    for person in people:
        await person.unheard()
    chat.server.notice("the disk is nearly full", who=operators)
    await chat.settled()
    assert [await person.unheard() for person in people] == [
        ["* the disk is nearly full"],
        ["* the disk is nearly full"],
        [],
    ]


@pytest.mark.chat(plugins=[Made(permits=nothing)])
async def test_nobody_is_asked_what_a_client_may_do_when_it_talks(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    monkeypatch.setattr(core_of(chat.server).plugins, "refusal", None)
    await alice.say("hello", "how are you?")
    await bob.hears("alice: hello", "alice: how are you?")
