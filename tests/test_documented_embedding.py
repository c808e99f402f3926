"""Runs each program in `docs/embedding.md`. It must print what the page shows."""

import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from page_kit import ROOT, Page
from process_kit import PATIENCE

import trichat

PAGE = Page(ROOT / "docs" / "embedding.md")
TLS = "TLS"


@pytest.mark.parametrize("scene", [scene for scene in PAGE.scenes if scene != TLS])
def test_the_programs_of_a_section_print_what_it_shows(scene: str, tmp_path: Path) -> None:
    PAGE.run(scene, tmp_path)


def test_the_program_with_tls_serves_a_client_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme", reason="tested with trustme, which the group `test` has")
    [block] = PAGE.scenes[TLS]
    (tmp_path / block.file).write_text(block.text)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with subprocess.Popen([sys.executable, block.file], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            port = int(re.findall(r"^TLS on port (\d+)$", program.stdout.readline())[0])
            assert talk(port, context)[-2:] == ["alice: hello", "* the server is stopping (stopped by alice)"]
            assert program.wait(PATIENCE) == 0
        finally:
            program.kill()


def talk(port: int, context: ssl.SSLContext) -> list[str]:
    """Say something over TLS, stop the server, and return everything received."""
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(b"alice\nhello\nstop\n")
        with secured.makefile("r", encoding="utf-8") as lines:
            return lines.read().splitlines()


def test_every_program_is_run() -> None:
    python = [block for block in PAGE.blocks if block.language == "python"]
    assert [block for block in python if not PAGE.is_used(block)] == PAGE.scenes[TLS]


def errors() -> list[str]:
    return [
        name
        for name, value in vars(trichat).items()
        if isinstance(value, type) and issubclass(value, Exception) and name != "TrichatError"
    ]


@pytest.mark.parametrize("error", errors())
def test_each_public_error_is_in_the_table(error: str) -> None:
    assert f"\n| `{error}` | " in PAGE.text
