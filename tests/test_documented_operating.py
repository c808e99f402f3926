"""Runs the commands of `docs/operating.md` on a server, and compares the output with the page."""

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_kit import ROOT, Page, assert_shown, bash
from process_kit import PATIENCE, TRICHAT, Caller, Served, served

from trichat._ops.control_client import ANSWER_TIMEOUT
from trichat._ops.control_server import MAX_CLIENTS, MAX_REQUEST, REQUEST_TIMEOUT, SEND_TIMEOUT

PAGE = Page(ROOT / "docs" / "operating.md")
SERVE = "trichat serve"
[(TYPED, BANNER)] = [command for command in PAGE.commands if command[0].startswith(SERVE)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """The server that the page starts."""
    for block in PAGE.files:
        (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    before = [command for command, _ in PAGE.scenes[""][-1].commands if not command.startswith(SERVE)]
    for command in before:
        bash(command, tmp_path)
    with served(tmp_path, *shlex.split(TYPED)[2:]) as server:
        yield server


@pytest.fixture
def alice(server: Served) -> Caller:
    return server.join("alice")


def test_the_server_starts_as_it_is_shown(server: Served) -> None:
    assert_shown(TYPED, BANNER, "".join(f"{line}\n" for line in server.banner))


@pytest.mark.parametrize(
    "scene",
    [
        "Inspecting tasks",
        "Reloading",
        "New versions of plugins",
        pytest.param(
            "The control socket", marks=pytest.mark.skipif(shutil.which("nc") is None, reason="netcat is missing")
        ),
    ],
)
def test_the_commands_of_a_section_print_what_it_shows(server: Served, alice: Caller, scene: str) -> None:
    for block in PAGE.scenes[scene]:
        for command, output in block.commands:
            assert_shown(command, output, bash(command, server.folder))


def test_a_trace_shows_what_it_is_said_to_show(server: Served, alice: Caller) -> None:
    scene = "Tracing messages"
    [block] = PAGE.scenes[scene]
    [(command, output)] = block.commands
    words = " ".join(PAGE.text.partition(f"## {scene}")[2].partition("```")[0].split())
    paragraph = words.partition("Alice has typed")[2]
    typed = re.findall(r"`(.*?)`", paragraph)
    assert typed  # otherwise this would wait for a trace of nothing
    with subprocess.Popen([TRICHAT, *shlex.split(command)[1:]], cwd=server.folder, stdout=subprocess.PIPE) as trace:
        assert trace.stdout is not None
        first = trace.stdout.readline()
        alice.say(*typed)
        rest = [trace.stdout.readline() for _ in output.splitlines()[1:]]
        trace.send_signal(signal.SIGINT)
        assert trace.wait(PATIENCE) == 0
    assert_shown(command, without_times(output), without_times(b"".join([first, *rest]).decode()))


def without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d+\.\d µs", "(time)", text)


def test_the_snippet_of_python_is_the_plugin_of_the_server() -> None:
    assert [block for block in PAGE.blocks if block.language == "python"] == [
        block for block in PAGE.files if block.language == "python"
    ]


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    assert f"takes {MAX_CLIENTS} clients at a time" in text
    assert f"A request has {REQUEST_TIMEOUT:g} seconds to come" in text
    assert f"at most {MAX_REQUEST} bytes" in text
    assert f"did not answer within {ANSWER_TIMEOUT:g} seconds" in text
    assert SEND_TIMEOUT == 60  # "a minute"
