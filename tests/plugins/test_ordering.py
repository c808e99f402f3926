"""The order that plugins want among themselves; in a server, see test_dispatch.py."""

import pytest

from trichat import PluginError
from trichat._plugins.ordering import in_order


class Wish:
    def __init__(self, before: object = (), after: object = ()) -> None:
        self.before = before
        self.after = after


@pytest.mark.parametrize(
    ("plugins", "order"),
    [
        pytest.param({"a": Wish(), "b": Wish()}, "ab", id="no wishes"),
        pytest.param({"a": Wish(), "b": Wish(before=["a"])}, "ba", id="before"),
        pytest.param({"a": Wish(after=["b"]), "b": Wish()}, "ba", id="after"),
        pytest.param({"a": Wish(after=["c"]), "b": Wish(), "c": Wish()}, "bca", id="nobody else moves"),
        pytest.param({"a": Wish(before=["nobody"], after=["nowhere"]), "b": Wish()}, "ab", id="who is not there"),
        pytest.param({"a": object(), "b": object()}, "ab", id="plugins that say nothing"),
    ],
)
def test_plugins_are_where_they_want_to_be(plugins: dict[str, object], order: str) -> None:
    assert "".join(in_order(plugins)) == order


def test_a_cycle_is_shown() -> None:
    with pytest.raises(PluginError, match=r"the order of plugins has a cycle: '.' before '.' before '.'"):
        in_order({"a": Wish(before=["b"]), "b": Wish(before=["a"])})


@pytest.mark.parametrize("wish", ["b", [1]])
def test_what_are_no_names_is_refused(wish: object) -> None:
    with pytest.raises(PluginError, match=r"plugin 'a': before is .*; expected a list of plugin names"):
        in_order({"a": Wish(before=wish)})


def test_a_cycle_is_shown_without_those_who_only_wait_for_it() -> None:
    plugins = {
        "waiting": Wish(after=["one"]),
        "one": Wish(before=["other"]),
        "other": Wish(before=["one"]),
    }
    with pytest.raises(PluginError) as refused:
        in_order(plugins)
    assert "waiting" not in str(refused.value)
