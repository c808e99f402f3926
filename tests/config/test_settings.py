"""What the command line sets over the file, and how a fault in it is named."""

from datetime import date

import pytest

from trichat._config.settings import Place, Setting, parse_setting, with_settings


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("server.port=2048", ("server", "port"), 2048),
        ("plugins.stop.enabled=false", ("plugins", "stop", "enabled"), False),
        ("plugins.stop.allow=['10.0.0.0/8', '::1']", ("plugins", "stop", "allow"), ["10.0.0.0/8", "::1"]),
        ("plugins.stop={enabled = false}", ("plugins", "stop"), {"enabled": False}),
        ('plugins."my bot".token="1024"', ("plugins", "my bot", "token"), "1024"),
        ("plugins.diary.since=2026-11-22", ("plugins", "diary", "since"), date(2026, 11, 22)),
        # What is not TOML is a string.
        ("plugins.chat_log.path=logs/chat.txt", ("plugins", "chat_log", "path"), "logs/chat.txt"),
        ("server.host=::1", ("server", "host"), "::1"),
        ("server.control=", ("server", "control"), ""),
        ("plugins.bot.greeting=a = b", ("plugins", "bot", "greeting"), "a = b"),
        ("plugins.bot.greeting=7\nother = 8", ("plugins", "bot", "greeting"), "7\nother = 8"),
    ],
)
def test_a_setting_is_a_key_and_a_value(text: str, keys: tuple[str, ...], value: object) -> None:
    assert parse_setting(text) == Setting(keys, value)


@pytest.mark.parametrize("text", ["", "=", "port=1", "server.port", "server.=1", ".port=1", "my bot.x=1", "a.b\nc=1"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form TABLE\.KEY=VALUE, such as server\.port=2048"):
        parse_setting(text)


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'server.data_dir=\\udcff' is not UTF-8"):
        parse_setting("server.data_dir=\udcff")


def test_settings_go_before_the_tables_and_the_last_one_before_all() -> None:
    tables = {"server": {"port": 1, "host": "::"}, "plugins": {"tea": {"cups": 1}}}
    settings = [
        Setting(("server", "port"), 2),
        Setting(("plugins", "tea", "milk"), True),
        Setting(("server", "port"), 3),
    ]
    assert with_settings(tables, settings) == (
        {"server": {"port": 3, "host": "::"}, "plugins": {"tea": {"cups": 1, "milk": True}}},
        {("server", "port"), ("plugins", "tea", "milk")},
    )
    assert tables == {"server": {"port": 1, "host": "::"}, "plugins": {"tea": {"cups": 1}}}


def test_a_table_that_is_not_there_or_none_is_made() -> None:
    assert with_settings({"server": 7}, [Setting(("server", "port"), 2), Setting(("plugins", "tea", "cups"), 3)]) == (
        {"server": {"port": 2}, "plugins": {"tea": {"cups": 3}}},
        {("server",), ("server", "port"), ("plugins",), ("plugins", "tea"), ("plugins", "tea", "cups")},
    )


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("server", "port"), "chat.toml: server.port"),
        (("plugins", "tea", "cups"), "chat.toml: plugins.tea.cups"),
        (("plugins", "bot"), "--set plugins.bot"),
        (("plugins", "bot", "token"), "--set plugins.bot.token"),
    ],
)
def test_a_place_says_whether_a_value_is_from_the_file(keys: tuple[str, ...], place: str) -> None:
    *above, key = keys
    assert str(Place("chat.toml", tuple(above), {("plugins", "bot")}).at(key)) == place
