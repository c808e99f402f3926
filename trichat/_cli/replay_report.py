"""The report of `trichat replay`: how often a plugin would have done what, with examples."""

from dataclasses import dataclass, field
from pathlib import Path

from trichat._base.messages import Message
from trichat._plugins.shadow import shown

# The report shows so many examples of each kind.
EXAMPLES = 3


@dataclass
class Tally:
    """How often something happened, with the first few examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, message: Message | None, outcome: str = "") -> None:
        """Count one more outcome: of a message, or, if it is `None`, of a background task of the plugin."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            said = "in the background"
            if message is not None:
                said = f"{message.time:%Y-%m-%d %H:%M:%S} {message.sender}: {shown(message.text)}"
            self.examples.append(f"{said} - {outcome}" if outcome else said)


@dataclass
class Report:
    """What the plugin has done with the messages so far."""

    plugin: str
    log: Path
    messages: int = 0
    others: int = 0
    """Lines of the log that are not messages: lines in another format, or cut off in the middle."""
    interrupted: bool = False
    refused: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    handled: Tally = field(default_factory=Tally)
    acted: Tally = field(default_factory=Tally)
    """What the plugin would have done besides answering: sent, said, kicked."""
    failed: Tally = field(default_factory=Tally)

    def __str__(self) -> str:
        lines = [f"{self.plugin}: {self.messages} messages of {self.log}"]
        if self.interrupted:
            lines.append("interrupted: the report covers only part of the log")
        if self.others:
            lines.append(f"lines that are not messages: {self.others}")
        for tally, title in (
            (self.refused, "would have refused"),
            (self.changed, "would have changed"),
            (self.handled, "would have handled"),
            (self.acted, "would have acted"),
            (self.failed, "failed"),
        ):
            lines += [f"{title}: {tally.count}", *(f"    {example}" for example in tally.examples)]
            if tally.count > len(tally.examples):
                lines.append(f"    and {tally.count - len(tally.examples)} more")
        return "\n".join(lines)
