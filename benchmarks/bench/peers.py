"""Other projects' chat servers, in C, C++ and Go: configured for one room on loopback, without flood limits."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import DidNotStart

# The folders where Debian installs servers. A user's PATH may not contain them.
FOLDERS = "/usr/local/sbin:/usr/sbin"

NGIRCD = """\
[Global]
    Name = bench.localhost
    Info = benchmark
    AdminInfo1 = benchmark
    AdminEMail = root@localhost
    Listen = 127.0.0.1
    Ports = {port}
    MotdPhrase = benchmark
    PidFile =
    ServerUID = {user}
    ServerGID = {group}
[Limits]
    MaxConnections = 0
    MaxConnectionsIP = 0
    MaxJoins = 0
    MaxPenaltyTime = 0
    PingTimeout = 600
    PongTimeout = 600
[Options]
    DNS = no
    Ident = no
    PAM = no
    SyslogFacility = local1
"""

INSPIRCD = """\
<server name="bench.localhost" description="benchmark" network="bench">
<admin name="benchmark" nick="benchmark" email="root@localhost">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect allow="*" timeout="600" pingfreq="600" localmax="100000" globalmax="100000" limit="100000" maxchans="10"
 resolvehostnames="no" useident="no" threshold="4000000" commandrate="1000000000" fakelag="no" recvq="10000000"
 softsendq="200000000" hardsendq="200000000" maxconnwarn="no">
<class name="default">
<performance netbuffersize="65534" somaxconn="4096" softlimit="100000" quietbursts="yes">
<options prefixquit="Quit: " syntaxhints="no">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="log.txt">
<path datadir="." logdir="." runtimedir="." {moduledir}>
"""

ERGO = """\
network: {{name: bench}}
server:
  name: bench.localhost
  listeners: {{"127.0.0.1:{port}": {{}}}}
  casemapping: ascii
  enforce-utf8: false
  lookup-hostnames: false
  check-ident: false
  max-sendq: 200M
  motd: ""
  ip-limits: {{count: false, throttle: false}}
  ip-cloaking: {{enabled: false}}
accounts: {{authentication-enabled: false}}
channels: {{default-modes: "+n"}}
datastore: {{path: ircd.db, autoupgrade: true}}
languages: {{enabled: false}}
limits:
  nicklen: 32
  identlen: 20
  channellen: 64
  awaylen: 390
  kicklen: 390
  topiclen: 390
  monitor-entries: 100
  whowas-entries: 100
  chan-list-modes: 60
  registration-messages: 1024
  multiline: {{max-bytes: 4096, max-lines: 100}}
fakelag: {{enabled: false}}
history: {{enabled: false}}
logging: [{{method: stderr, type: "*", level: warn}}]
"""


@dataclass(frozen=True)
class Peer:
    """Another project's server: its program, and how to start it in a folder of its own."""

    program: str
    ask_version: str
    arguments: tuple[str, ...]
    files: Callable[[Path, int], dict[str, str]]
    """Takes the program and a port, and returns the files to write, with their content."""
    burst: int = 500
    """How many clients may join at a time. If its queue of connections is shorter, some clients wait for seconds."""
    prepare: tuple[str, ...] = ()
    """The arguments of a command that prepares the folder before the start."""

    def find(self) -> Path | None:
        """Return where it is installed, if it is."""
        found = shutil.which(self.program) or shutil.which(self.program, path=FOLDERS)
        return Path(found) if found else None

    def version(self, program: Path) -> str:
        """Return the first number with a dot that the program prints about itself."""
        try:
            said = _run([program, self.ask_version], timeout=10)
        except DidNotStart:
            return self.program  # its runs will fail, too, and say why
        numbers = re.findall(r"\d+\.\d[\w.]*", said.stdout + said.stderr)
        return f"{self.program} {numbers[0]}" if numbers else self.program

    def commands(self, program: Path) -> Callable[[Path, int], list[str | Path]]:
        """Return the function that prepares a folder and returns the command to start the server there."""

        def command(folder: Path, port: int) -> list[str | Path]:
            for name, content in self.files(program, port).items():
                (folder / name).write_text(content)
            if self.prepare:
                _run([program, *self.prepare], cwd=folder, check=True, timeout=60)
            return [program, *(word.format(folder=folder) for word in self.arguments)]

        return command


def _run(
    command: Sequence[str | Path], *, timeout: float, cwd: Path | None = None, check: bool = False
) -> subprocess.CompletedProcess[str]:
    # It may be another program with the same name: Debian's `ergo` is a chemistry program.
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, cwd=cwd, check=check
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DidNotStart(str(error)) from error


def _ngircd(_: Path, port: int) -> dict[str, str]:
    return {"ngircd.conf": NGIRCD.format(port=port, user="root", group="root")}


def _inspircd(program: Path, port: int) -> dict[str, str]:
    # A server that was unpacked in some folder does not find its modules.
    modules = program.resolve().parents[1] / "lib/inspircd/modules"
    moduledir = f'moduledir="{modules}"' if modules.is_dir() else ""
    return {"inspircd.conf": INSPIRCD.format(port=port, moduledir=moduledir)}


def _ergo(_: Path, port: int) -> dict[str, str]:
    return {"ircd.yaml": ERGO.format(port=port)}


PEERS = {
    "ngircd": Peer("ngircd", "--version", ("-n", "-f", "{folder}/ngircd.conf"), _ngircd, burst=8),
    "inspircd": Peer(
        "inspircd",
        "--version",
        ("--nofork", "--runasroot", "--nopid", "--config", "{folder}/inspircd.conf"),
        _inspircd,
    ),
    "ergo": Peer(
        "ergo",
        "--version",
        ("run", "--conf", "{folder}/ircd.yaml"),
        _ergo,
        prepare=("initdb", "--conf", "ircd.yaml"),
    ),
}
