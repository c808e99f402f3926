"""The plugin `blacklist`: who is kept out, by which list, and what a reload changes."""

import logging
import threading
from pathlib import Path

import pytest
import trio
from client_kit import new_client
from thread_kit import all_threads_taken
from trichat_plugins.blacklist import Blacklist, BlacklistOptions

from trichat import Client, Config, ConfigError, Network, Refuse, Server, load_plugins
from trichat.testing import Chat, running


def visitor(address: str) -> Client:
    return new_client(Server(plugins={}, listeners=[]), address)


def blacklist(*networks: str, file: Path | None = None) -> Blacklist:
    addresses = tuple(Network(network) for network in networks)
    return Blacklist(BlacklistOptions(addresses=addresses, file=str(file) if file else ""))


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "blacklist.txt"


# The plugin alone.


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("192.168.4.0/24", "192.168.4.0"),
        ("192.168.4.0/24", "192.168.4.255"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::/32", "2001:db8:ffff::1"),
    ],
)
def test_who_is_on_the_list_is_refused_with_the_entry(entry: str, address: str) -> None:
    assert blacklist("172.16.0.1", entry).on_connect(visitor(address)) == Refuse(f"{entry} is on the blacklist")


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("10.0.0.7", "10.0.0.8"),
        ("192.168.4.0/24", "192.168.5.0"),
        ("0.0.0.0/0", "::1"),
        ("::/0", "127.0.0.1"),
        ("2001:db8::/32", "2001:db9::1"),
        ("0.0.0.0/0", "unix:0"),
        ("::/0", "unix:0"),
    ],
)
def test_who_is_not_on_the_list_may_come_in(entry: str, address: str) -> None:
    assert blacklist(entry).on_connect(visitor(address)) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7"])
def test_without_entries_everyone_may_come_in(address: str) -> None:
    assert Blacklist(BlacklistOptions()).on_connect(visitor(address)) is None


def test_a_file_has_one_entry_a_line_and_comments(file: Path) -> None:
    file.write_text("# the lab\n\n10.0.0.7  # the printer\n  192.168.4.0/24\r\n#10.0.0.8\n2001:db8::7")
    listed = blacklist(file=file)
    refused = [
        address
        for address in ("10.0.0.7", "10.0.0.8", "192.168.4.1", "2001:db8::7")
        if listed.on_connect(visitor(address)) is not None
    ]
    assert refused == ["10.0.0.7", "192.168.4.1", "2001:db8::7"]


def test_the_file_adds_to_the_addresses(file: Path) -> None:
    file.write_text("10.0.0.7\n")
    listed = blacklist("10.0.0.8", file=file)
    assert listed.on_connect(visitor("10.0.0.7")) == Refuse("10.0.0.7 is on the blacklist")
    assert listed.on_connect(visitor("10.0.0.8")) == Refuse("10.0.0.8 is on the blacklist")


def test_every_fault_in_the_file_is_told_with_its_line(file: Path) -> None:
    file.write_text("10.0.0.7\nlocalhost\n# fine\n192.168.4.7/24\n")
    with pytest.raises(ConfigError) as wrong:
        blacklist(file=file)
    assert wrong.value.faults == (
        f"{file}:2: 'localhost' is not an IP address or network",
        f"{file}:4: '192.168.4.7/24' has bits beyond its prefix; the network is '192.168.4.0/24'",
    )


@pytest.mark.parametrize("content", [None, b"\xff\xfe\n"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_told(file: Path, content: bytes | None) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"blacklist\.txt: cannot be read"):
        blacklist(file=file)


async def test_a_reload_reads_the_file_anew(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trichat.blacklist")
    write(file, "10.0.0.7\n")
    listed = blacklist(file=file)
    write(file, "10.0.0.8\n10.0.0.9\n")
    await listed.on_reload()
    assert listed.on_connect(visitor("10.0.0.7")) is None
    assert listed.on_connect(visitor("10.0.0.8")) == Refuse("10.0.0.8 is on the blacklist")
    assert caplog.messages == [f"{file} was read; addresses and networks in it: 2"]


async def test_a_reload_without_a_file_has_nothing_to_say(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trichat.blacklist")
    listed = blacklist("10.0.0.7")
    await listed.on_reload()
    assert listed.on_connect(visitor("10.0.0.7")) == Refuse("10.0.0.7 is on the blacklist")
    assert caplog.messages == []


@pytest.mark.parametrize("content", ["10.0.0.8\noops\n", None], ids=["faulty", "missing"])
async def test_a_reload_of_a_bad_file_fails_and_changes_nothing(file: Path, content: str | None) -> None:
    write(file, "10.0.0.7\n")
    listed = blacklist(file=file)
    remove(file)
    if content is not None:
        write(file, content)
    with pytest.raises(ConfigError, match=f"^{file}:"):
        await listed.on_reload()
    assert listed.on_connect(visitor("10.0.0.7")) == Refuse("10.0.0.7 is on the blacklist")
    assert listed.on_connect(visitor("10.0.0.8")) is None


async def test_a_reload_reads_in_a_thread_of_its_own(
    file: Path, virtual_time: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "10.0.0.7\n")
    listed = blacklist(file=file)
    readers = []

    def read(path: Path, **_: object) -> str:
        readers.append(threading.current_thread())
        return "10.0.0.8\n"

    monkeypatch.setattr(Path, "read_text", read)
    with all_threads_taken(), trio.fail_after(5):
        await listed.on_reload()
    assert listed.on_connect(visitor("10.0.0.8")) == Refuse("10.0.0.8 is on the blacklist")
    assert threading.current_thread() not in readers


# Its table.


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        pytest.param(
            {"addresses": ["10.0.0.7", "printer"]},
            "configuration: plugins.blacklist.addresses[1]: 'printer' is not an IP address or network",
            id="an address that is none",
        ),
        pytest.param({"addresses": [7]}, "plugins.blacklist.addresses[0]: Expected an address", id="a number"),
        pytest.param({"adresses": []}, "unknown key (did you mean 'addresses'?)", id="a misspelled key"),
        pytest.param(
            {"file": "/nowhere/list.txt"}, "plugins.blacklist: /nowhere/list.txt: cannot be read", id="no file"
        ),
    ],
)
def test_a_fault_in_the_table_is_named_by_its_place(table: dict[str, object], fault: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load_plugins(Config.from_tables({"plugins": {"blacklist": table}}))
    [told] = wrong.value.faults
    assert fault in told


# In a running server.


async def test_by_default_everyone_may_come_in(chat: Chat) -> None:
    await chat.connect("10.0.0.7")


@pytest.mark.chat(config={"plugins": {"blacklist": {"addresses": ["10.0.0.0/24"]}}})
async def test_who_is_on_the_list_is_told_and_disconnected_and_nobody_hears_of_it(chat: Chat) -> None:
    alice = await chat.join("alice", "10.0.1.1")
    mallory = chat.connect_silently("10.0.0.7")
    await mallory.hears("* refused: 10.0.0.0/24 is on the blacklist")
    await mallory.hears_the_end()
    await alice.hears_nothing()


@pytest.mark.chat(config={"plugins": {"blacklist": {"addresses": ["10.0.0.7"]}}})
@pytest.mark.parametrize("address", ["::ffff:10.0.0.7", "10.0.0.7"])
async def test_an_address_is_known_however_the_socket_writes_it(chat: Chat, address: str) -> None:
    mallory = chat.connect_silently(address)
    await mallory.hears("* refused: 10.0.0.7 is on the blacklist")


async def test_after_a_reload_who_is_connected_stays_and_who_comes_is_refused(file: Path, virtual_time: object) -> None:
    write(file, "")
    async with running(config={"plugins": {"blacklist": {"file": str(file)}}}) as chat:
        mallory = await chat.join("mallory", "10.0.0.7")
        write(file, "10.0.0.7\n")
        await chat.server.reload()
        await mallory.say("still here")
        await mallory.hears("mallory: still here")
        again = chat.connect_silently("10.0.0.7")
        await again.hears("* refused: 10.0.0.7 is on the blacklist")
        await again.hears_the_end()
