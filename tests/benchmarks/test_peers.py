from pathlib import Path

import pytest
from bench.build import compiler
from bench.load import Load
from bench.measure import measure
from bench.peers import PEERS
from bench.rows import Row
from bench.servers import Server

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")

TALK = Row("talk", "people talk", Load(2, messages=1), ("ergo",), ("cpu",))


@pytest.mark.parametrize(
    ("script", "version"), [("echo 'Ergo 3.8, for chemistry'; exit 1", "ergo 3.8"), ("exit 1", "ergo")]
)
def test_a_program_that_only_has_the_name_of_a_peer_has_no_figures(tmp_path: Path, script: str, version: str) -> None:
    program = tmp_path / "ergo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    peer = PEERS["ergo"]
    assert peer.version(program) == version
    run = measure(TALK, Server("ergo", version, peer.commands(program), wire="irc"))
    assert run.figures == {}
    assert "returned non-zero exit status 1" in run.failure


def test_a_program_that_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    assert PEERS["ergo"].version(tmp_path) == "ergo"
