"""`docs/json-lines.schema.json`, against the code that reads and writes the lines."""

from typing import Any, get_args

import msgspec
import pytest
from json_kit import SCHEMA, Object, faults
from trichat_plugins.json_lines.from_client import FromClient

from trichat import Kind, fronts


def without_descriptions(definition: Any) -> Any:
    if not isinstance(definition, dict):
        return definition
    return {key: without_descriptions(part) for key, part in definition.items() if key != "description"}


def test_the_lines_of_clients_are_those_that_the_server_reads() -> None:
    _, generated = msgspec.json.schema_components([FromClient], ref_template="#/$defs/{name}")
    requests = [name for name in generated["FromClient"]["properties"] if name != "label"]
    generated["FromClient"]["oneOf"] = [{"required": [name]} for name in requests]

    assert {name: without_descriptions(SCHEMA["$defs"][name]) for name in generated} == generated


def test_each_kind_and_each_code_is_there() -> None:
    assert set(SCHEMA["$defs"]["Message"]["properties"]["kind"]["enum"]) == set(get_args(Kind)) - {"control"}
    assert SCHEMA["$defs"]["Error"]["properties"]["code"]["enum"] == list(get_args(fronts.Code))


def test_the_lines_of_the_server_are_one_of_their_kinds() -> None:
    definition = SCHEMA["$defs"]["FromServer"]
    kinds = [name for name in definition["properties"] if name not in ("past", "label")]

    assert definition["oneOf"] == [{"required": [name]} for name in kinds]


def test_everything_in_it_has_a_description() -> None:
    assert [name for name, definition in SCHEMA["$defs"].items() if not definition["description"].endswith(".")] == []


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"label": "7"},
        {"say": {"txt": "x"}},
        {"say": {"text": "x"}, "quit": {}},
        {"say": {"text": "x"}, "label": 7},
        {"past": {"room": "dev", "limit": 0}},
    ],
)
def test_it_refuses_what_the_server_refuses(line: Object) -> None:
    assert faults(line, "FromClient") != []


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"bye": {}},
        {"bye": {"reason": "x"}, "ok": {}},
        {"bye": {"reason": "x"}, "label": "7"},
        {"notice": {"text": "x"}, "past": "dev"},
        {"error": {"code": "odd", "reason": "x"}},
    ],
)
def test_it_refuses_what_the_server_never_sends(line: Object) -> None:
    assert faults(line, "FromServer") != []
