"""The public module `trichat.fronts`: all that a protocol outside of trichat needs."""

import inspect
import re
from pathlib import Path
from typing import get_args

from trichat import fronts
from trichat._fronts import requests

PAGE = Path(__file__).parent.parent / "docs" / "api" / "fronts.md"


def test_each_request_is_public() -> None:
    assert {each.__name__ for each in get_args(requests.Request)} < set(vars(fronts))


def test_the_page_shows_all_names_and_no_others() -> None:
    shown = re.findall(r"^::: trichat\.fronts\.(\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    public = [name for name in vars(fronts) if name[0].isalpha()]
    assert sorted(shown) == sorted(public)


def test_each_class_says_what_it_is_for() -> None:
    classes = [value for value in vars(fronts).values() if inspect.isclass(value)]
    assert [each.__name__ for each in classes if not each.__doc__ or each.__doc__.startswith(f"{each.__name__}(")] == []
