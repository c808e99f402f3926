"""JSON lines as a front."""

from trichat_plugins.json_lines.front import JsonFront

from trichat.fronts import Limits


def test_all_its_clients_are_sent_the_same_bytes() -> None:
    front = JsonFront()

    assert front.dialogue(Limits(100)).wire is front.dialogue(Limits(100)).wire


def test_its_name_is_what_plugins_see() -> None:
    assert JsonFront().name == "json"
