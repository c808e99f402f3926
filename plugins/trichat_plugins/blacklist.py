"""Keeps addresses and networks out, before anything is read from them."""

import logging
from pathlib import Path
from typing import Annotated

from trichat import Client, ConfigError, Network, Networks, Options, Refuse, WorkerThreads, hookimpl

logger = logging.getLogger("trichat.blacklist")


class BlacklistOptions(Options, frozen=True):
    """The table `[plugins.blacklist]`."""

    addresses: Annotated[
        tuple[Network, ...], 'Addresses and networks to keep out: ["10.0.0.7", "192.168.4.0/24"].'
    ] = ()
    file: Annotated[
        str, "A file with more of them, one per line; # starts a comment. Relative to where the server was started."
    ] = ""


class Blacklist:
    """Keeps addresses and networks out. SIGHUP reads the file again; clients that are connected stay."""

    def __init__(self, options: BlacklistOptions) -> None:
        self._options = options
        self._networks, _ = _listed(options)
        self._thread = WorkerThreads(1)

    @hookimpl
    def on_connect(self, client: Client) -> Refuse | None:
        """Refuse a client whose address is on the list."""
        network = self._networks.find(client.address)
        return None if network is None else Refuse(f"{network} is on the blacklist")

    @hookimpl
    async def on_reload(self) -> None:
        """Read the file again. If it is faulty, this fails and the old list stays."""
        if self._options.file:
            # Reading a long list takes seconds. Without a thread, everybody would wait.
            self._networks, count = await self._thread.run(_listed, self._options)
            logger.info("%s was read; addresses and networks in it: %d", self._options.file, count)


def _listed(options: BlacklistOptions) -> tuple[Networks, int]:
    """Return everything on the list, and how many entries come from the file."""
    from_file = _read(options.file)
    return Networks([*options.addresses, *from_file]), len(from_file)


def _read(file: str) -> list[Network]:
    if not file:
        return []
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: cannot be read ({error})"]) from None
    networks: list[Network] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if entry := line.partition("#")[0].strip():
            try:
                networks.append(Network(entry))
            except ValueError as error:
                faults.append(f"{file}:{number}: {error}")
    if faults:
        raise ConfigError(faults)
    return networks
