"""How the kit reads a page of the documentation, and compares an output with the page."""

from pathlib import Path

import pytest
from page_kit import Page, shown


@pytest.mark.parametrize(
    ("output", "real", "is_shown"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("a ... c\n", "a b c\n", True),
        ("1 failed in 0.5s\n", "1 failed in 12s\n", True),
        ("1 failed in 0.5s\n", "2 failed in 0.5s\n", False),
        ("8 cases, 3 of them broken\n", "9 cases, 4 of them broken\n", True),
        ("dice.py:8 in roll\n", "dice.py:9 in roll\n", False),
        ("client @ 9\n", "client @ 10\n", True),
    ],
)
def test_an_output_is_compared_but_for_what_is_left_out_and_for_counts(output: str, real: str, is_shown: bool) -> None:
    assert bool(shown(output).fullmatch(real)) == is_shown


PAGE = """\
# A page

## One

A file, `word.txt`:

```text
tea
```

```console
$ cat word.txt
tea
```

## Two

`word.txt` again, and a test, `test_two.py`:

```python
def test_two() -> None: {two}
```

```console
$ cat word.txt
{word}
$ never
```
"""


def page(folder: Path, *, word: str = "tea", two: str = "pass") -> Page:
    path = folder / "page.md"
    path.write_text(PAGE.format(word=word, two=two))
    return Page(path, ["never"])


def test_a_scene_has_the_files_of_those_before_it_and_its_commands_print_what_it_shows(tmp_path: Path) -> None:
    found = page(tmp_path)
    assert list(found.scenes) == ["One", "Two"]
    assert [block.file for block in found.files] == ["word.txt", "test_two.py"]
    found.run("Two", tmp_path)


def test_an_output_that_differs_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"\$ cat word\.txt"):
        page(tmp_path, word="coffee").run("Two", tmp_path)


def test_a_test_whose_run_is_not_shown_has_to_pass(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="1 failed"):
        page(tmp_path, two="assert False").run("Two", tmp_path)
