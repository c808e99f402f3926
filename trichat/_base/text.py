"""Text that is safe on every terminal and in every log line.

Everything that a person or a plugin sends passes through `printable` before anyone sees it. A `Message` cleans its text
with it when it is made, and a wire cleans a notice when it encodes it, so no plugin and no log has to.
"""

import re

# Escape sequences are removed as a whole, so that an arrow key pressed in `nc` leaves nothing. So is every single
# character that a terminal obeys instead of showing: C0 without the tab, DEL, C1, the line and paragraph separators,
# the bidirectional embeddings, overrides and isolates, and surrogates, which no encoder accepts. The end of a sequence
# is optional: otherwise a sequence without an end would be searched again from each of its characters.
_UNPRINTABLE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor
    r"|\x1bO[@-~]?"  # keys in application mode
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # strings: titles, clipboard
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return `text` as one line that a terminal shows and does not obey.

    Escape sequences and control characters are removed, a line feed becomes a space, a tab stays. Text that is
    printable already is returned unchanged, and quickly.
    """
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("", text).replace("\n", " ")
