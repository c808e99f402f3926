"""The kit for testing plugins and servers, in memory and in virtual time. `docs/testing.md` is its tutorial."""

from typing import TYPE_CHECKING

from trichat.testing._chat import Chat as Chat
from trichat.testing._chat import running as running
from trichat.testing._checks import NoSuchCase as NoSuchCase
from trichat.testing._clock import run as run
from trichat.testing._conformance import Result as Result
from trichat.testing._conformance import check_plugin as check_plugin
from trichat.testing._everywhere import cancel_everywhere as cancel_everywhere
from trichat.testing._everywhere import explore as explore
from trichat.testing._everywhere import fault_everywhere as fault_everywhere
from trichat.testing._invariants import INVARIANTS as INVARIANTS
from trichat.testing._invariants import Invariant as Invariant
from trichat.testing._parts import Part as Part
from trichat.testing._person import Disconnected as Disconnected
from trichat.testing._person import NotHeard as NotHeard
from trichat.testing._person import Person as Person
from trichat.testing._player import Survey as Survey
from trichat.testing._player import Violation as Violation
from trichat.testing._probe import part as part
from trichat.testing._run import Run as Run
from trichat.testing._subject import Subject as Subject
from trichat.testing._transcript import Mismatch as Mismatch
from trichat.testing._transcript import Transcript as Transcript
from trichat.testing._transcript import TranscriptError as TranscriptError
from trichat.testing._transcript import play as play
from trichat.testing._transcript import play_file as play_file
from trichat.testing._transcript import play_over_tcp as play_over_tcp
from trichat.testing._witness import Witness as Witness

if TYPE_CHECKING:
    from trichat.testing._machine import ChatMachine as ChatMachine


def __getattr__(name: str) -> object:
    # Hypothesis takes longer to import than most tests to run.
    if name == "ChatMachine":
        from trichat.testing._machine import ChatMachine

        return ChatMachine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
