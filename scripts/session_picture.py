"""Draw `docs/images/session.svg`: a session with a real `trichat serve`, in three terminals.

The picture shows what the server printed and sent while the script talked to it. The script replaces only what differs
from run to run: the ports, the folder, the addresses of the two machines, and the dates.
"""

import argparse
import re
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple
from xml.sax.saxutils import escape

from process_kit import Caller, Served, served

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "session.svg"

FOLDER, ALICE, BOB = "/home/alice/chat", "192.168.4.20", "192.168.4.22"
TYPED_BY_ALICE, TYPED_BY_BOB = "good morning, the build is green", "then I deploy at ten"
LOG_DATES = [f"2026-11-22T14:36:{second}Z" for second in ("05", 11, 12, 20, 21, 29)]
HISTORY_DATES = [f"2026-11-22 14:36:{second}" for second in (12, 16)]

# In pixels: the font and the cells of the terminals' grid, the space around it, and the width of the picture.
FONT, CELL, ROW, PAD, BAR, GAP, WIDTH = 13, 7.8, 18, 12, 28, 12, 900
COLOURS = {"command": "#7ee787", "typed": "#ffffff", "said": "#c9d1d9", "notice": "#79c0ff", "log": "#8b949e"}

Kind = Literal["command", "typed", "said", "notice", "log"]


class Line(NamedTuple):
    """A line of a terminal."""

    kind: Kind
    text: str


class Window(NamedTuple):
    """A terminal: the title in its bar, and its lines."""

    title: str
    lines: Sequence[Line]


class Terminal:
    """What a user of `nc` sees: each typed line, which the terminal echoes, and each line that arrives."""

    def __init__(self, caller: Caller, command: str) -> None:
        self._caller = caller
        self.lines = [Line("command", f"$ {command}")]

    def type(self, text: str) -> None:
        """Type a line."""
        self._caller.say(text)
        self.lines.append(Line("typed", text))

    def reads_to(self, end: str) -> None:
        """Wait for a line that begins with `end`."""
        for text in self._caller.reads_to(end):
            self.lines.append(Line("notice" if text.startswith(("* ", "[")) else "said", text))


def record(folder: Path) -> list[Window]:
    """Run the session in `folder`, and return its three terminals."""
    with served(folder) as server:
        alice = Terminal(server.connect(), "nc localhost 1024")
        alice.reads_to("* welcome to")
        alice.type("alice")
        alice.reads_to("* welcome, alice")
        alice.type(TYPED_BY_ALICE)
        alice.reads_to("alice: ")
        bob = Terminal(server.connect("127.0.0.2"), f"nc {ALICE} 1024")
        bob.reads_to("* welcome to")
        bob.type("bob")
        bob.reads_to("* welcome, bob")
        alice.reads_to("* bob joined")
        bob.type(TYPED_BY_BOB)
        bob.reads_to("bob: ")
        alice.reads_to("bob: ")
        bob.type("bye")
        bob.reads_to("* goodbye")
        alice.reads_to("* bob left")
        server.logs("disconnected")
        return [
            Window("alice's machine: the server", list(serving(server))),
            Window("alice's machine", list(dated(alice.lines, HISTORY_DATES))),
            Window("bob's machine", list(dated(bob.lines, HISTORY_DATES))),
        ]


def serving(server: Served) -> Iterable[Line]:
    """Yield the lines of the server's terminal, as if it listened on the network and its default ports."""
    json_lines = next(line for line in server.banner if line.startswith("JSON lines: ")).partition(": ")[2]
    shown = {
        json_lines: "0.0.0.0:1025",
        f"listens on 127.0.0.1:{server.port}": "listens on 0.0.0.0:1024",
        f"nc 127.0.0.1 {server.port}": f"nc {ALICE} 1024",
        str(server.folder): FOLDER,
        "127.0.0.2": BOB,
    }
    banner = [Line("said", text) for text in server.banner]
    log = [Line("log", text) for text in server.errors().splitlines()]
    yield Line("command", "$ trichat serve")
    for line in chain(banner, dated(log, LOG_DATES)):
        text = line.text
        for real, instead in shown.items():
            text = text.replace(real, instead)
        yield Line(line.kind, text)


def dated(lines: Iterable[Line], dates: Sequence[str]) -> Iterable[Line]:
    """Yield the lines. In each line that has a date, replace it with the next of `dates`."""
    following = iter(dates)
    for kind, text in lines:
        yield Line(kind, re.sub(r"^(\[?)\d{4}-\d\d-\d\d[T ][\d:]{8}Z?", lambda date: date[1] + next(following), text))


def draw(windows: Sequence[Window]) -> str:
    """Return the picture: the first window above, the other two next to each other below it."""
    above, *below = windows
    half = (WIDTH - GAP) / 2
    top, height = height_of([above], WIDTH), height_of(below, half)
    spoken = "\n\n".join("\n".join([window.title, *(line.text for line in window.lines)]) for window in windows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + GAP + height}" role="img">',
            "<title>A session: alice runs the server and talks to bob</title>",
            f"<desc>{escape(spoken)}</desc>",
            f"<style>text {{ font: {FONT}px ui-monospace, Menlo, 'DejaVu Sans Mono', monospace; white-space: pre }}",
            *(f".{kind} {{ fill: {colour} }}" for kind, colour in COLOURS.items()),
            "</style>",
            *draw_window(above, 0, 0, WIDTH, top),
            *draw_window(below[0], 0, top + GAP, half, height),
            *draw_window(below[1], half + GAP, top + GAP, half, height),
            "</svg>\n",
        ]
    )


def height_of(windows: Iterable[Window], width: float) -> int:
    """Return the height that windows of this width need."""
    return BAR + 2 * PAD + ROW * max(len(list(rows(window, width))) for window in windows)


def rows(window: Window, width: float) -> Iterable[Line]:
    """Yield the lines, broken where a terminal of this width breaks them."""
    columns = int((width - 2 * PAD) / CELL)
    for kind, text in window.lines:
        for start in range(0, len(text), columns):
            yield Line(kind, text[start : start + columns])


def draw_window(window: Window, x: float, y: float, width: float, height: float) -> Iterable[str]:
    """Yield the elements of one terminal."""
    yield f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="#0d1117"/>'
    for index, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        yield f'<circle cx="{x + 16 + 16 * index:g}" cy="{y + BAR / 2:g}" r="5" fill="{colour}"/>'
    yield f'<text x="{x + 68:g}" y="{y + 18:g}" class="log">{escape(window.title)}</text>'
    for number, (kind, text) in enumerate(rows(window, width), 1):
        # An explicit length makes the text fit in any font.
        place = f'x="{x + PAD:g}" y="{y + BAR + ROW * number:g}" textLength="{CELL * len(text):g}"'
        yield f'<text {place} class="{kind}">{escape(text)}</text>'


def picture() -> str:
    """Run the session, and return its picture. Every run gives the same picture."""
    with tempfile.TemporaryDirectory() as folder:
        return draw(record(Path(folder)))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"{PICTURE}: drawn")
