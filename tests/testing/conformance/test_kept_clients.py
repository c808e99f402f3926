"""What still refers to clients that are gone."""

import sys
from pathlib import Path

import pytest
from client_kit import new_client

from trichat import Client, Server
from trichat.testing import Subject
from trichat.testing._conformance.kept_clients import all_clients, clients_since

SOURCE = """from trichat import hookimpl

last_speakers = {}

@hookimpl
def on_reload():
    pass
"""


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    path = tmp_path / "greeter.py"
    path.write_text(SOURCE)
    return Subject(str(path))


def client() -> Client:
    return new_client(Server(plugins={}, listeners=[]))


def test_clients_that_were_there_before_do_not_count(subject: Subject) -> None:
    early = client()
    before = all_clients()
    assert early in before
    assert clients_since(before, subject) == ""


def test_clients_that_are_forgotten_do_not_count(subject: Subject) -> None:
    before = all_clients()
    client()
    assert clients_since(before, subject) == ""


def test_what_keeps_them_is_named_if_it_is_in_the_module(subject: Subject) -> None:
    before = all_clients()
    kept = [client(), client()]
    assert clients_since(before, subject) == "something still refers to 2 clients"
    del kept[1]
    assert subject.module is not None
    subject.module.last_speakers["alice"] = kept[0]
    assert clients_since(before, subject) == f"last_speakers of {subject.file} still refers to 1 client"
    del sys.modules[subject.module.__name__]
