"""Clients that are gone, and what still refers to them."""

import gc
from collections.abc import Sequence

from trichat._chat.client import Client
from trichat.testing._conformance.plugin_under_test import Subject


def all_clients() -> list[Client]:
    """Return every client that this process has not forgotten."""
    return [each for each in gc.get_objects() if type(each) is Client]


def clients_since(before: Sequence[Client], subject: Subject) -> str:
    """Return what still refers to clients that are not in `before`; empty if nothing does."""
    gc.collect()
    known = set(map(id, before))
    kept = [client for client in all_clients() if id(client) not in known]
    clients = "1 client" if len(kept) == 1 else f"{len(kept)} clients"
    return f"{_holder(subject, kept)} still refers to {clients}" if kept else ""


def _holder(subject: Subject, kept: list[Client]) -> str:
    module = subject.module
    for name, value in vars(module).items() if module else ():
        if any(client in gc.get_referents(value) for client in kept):
            return f"{name} of {subject.file}"
    return "something"
