"""The kit for testing plugins and servers, in memory and in virtual time. `docs/testing.md` is its documentation."""

from typing import TYPE_CHECKING

from trichat.testing._chat.chat import Chat as Chat
from trichat.testing._chat.chat import running as running
from trichat.testing._chat.person import Disconnected as Disconnected
from trichat.testing._chat.person import NotHeard as NotHeard
from trichat.testing._chat.person import Person as Person
from trichat.testing._chat.transcript import Mismatch as Mismatch
from trichat.testing._chat.transcript import Transcript as Transcript
from trichat.testing._chat.transcript import TranscriptError as TranscriptError
from trichat.testing._chat.transcript import play as play
from trichat.testing._chat.transcript import play_file as play_file
from trichat.testing._chat.transcript import play_over_tcp as play_over_tcp
from trichat.testing._chat.virtual_time import run as run
from trichat.testing._conformance.cases import NoSuchCase as NoSuchCase
from trichat.testing._conformance.plugin_under_test import Subject as Subject
from trichat.testing._conformance.runner import Result as Result
from trichat.testing._conformance.runner import check_plugin as check_plugin
from trichat.testing._exploring.invariants import INVARIANTS as INVARIANTS
from trichat.testing._exploring.invariants import Invariant as Invariant
from trichat.testing._exploring.player import Survey as Survey
from trichat.testing._exploring.player import Violation as Violation
from trichat.testing._exploring.recorder import Witness as Witness
from trichat.testing._exploring.run import Run as Run
from trichat.testing._exploring.strategies import cancel_everywhere as cancel_everywhere
from trichat.testing._exploring.strategies import explore as explore
from trichat.testing._exploring.strategies import fault_everywhere as fault_everywhere
from trichat.testing._probing.cancel_targets import Part as Part
from trichat.testing._probing.checkpoint_probe import part as part

if TYPE_CHECKING:
    from trichat.testing._exploring.state_machine import ChatMachine as ChatMachine


def __getattr__(name: str) -> object:
    # Importing hypothesis takes longer than most tests.
    if name == "ChatMachine":
        from trichat.testing._exploring.state_machine import ChatMachine

        return ChatMachine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
