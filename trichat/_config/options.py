"""The configuration: one TOML file, with a type for every key. Each fault is reported with its place."""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from trichat._base.addresses import LOOPBACK, Network
from trichat._base.arguments import require
from trichat._base.errors import ConfigError, PluginError
from trichat._base.failures import described, pass_on, with_place
from trichat._base.suggestion import suggestion
from trichat._config.settings import Keys, Place, Setting, with_settings

# The name of a configuration without a file.
DEFAULTS = "the defaults"

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
"""A time limit in seconds, of at most a day. Infinity is not allowed, so every wait ends."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of a plugin's options: one annotated field per key of its table, with a default.

    `trichat config` prints the string in a field's `Annotated[int, "..."]` above the key. Limits go next to that
    string, as msgspec's `Meta(ge=0)`.
    """

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:  # noqa: ARG003 - for those that override it
        """Return keys and values for a trial of the plugin, by the test kit or `trichat check-plugin`.

        A value that is a `Path` is a file in `folder`. `check-plugin` uses it even if the configuration names another
        file, so that a trial never writes to the files of a real server. All other values are defaults that suit a
        trial, such as not waiting for the disk; a value in the configuration overrides them.
        """
        return {}


class ServerOptions(Options, frozen=True, kw_only=True):
    """The table `[server]`."""

    host: Annotated[str, Meta(min_length=1), "The address to listen on; 0.0.0.0 for all, :: for all with IPv6."] = (
        "0.0.0.0"
    )
    port: Annotated[int, Meta(ge=0, le=65535), "The TCP port; 0 picks a free one."] = 1024
    operators: Annotated[
        tuple[Network, ...], "The addresses and networks from which people may use operators' commands."
    ] = LOOPBACK
    plugins_dir: Annotated[
        str, "A folder of plugins: each of its .py files is one. Relative to the folder where the server starts."
    ] = ""
    data_dir: Annotated[
        str,
        Meta(min_length=1),
        "Where plugins store what survives restarts, each in a folder of its own; created when a plugin first stores "
        "something. Relative to the folder where the server starts.",
    ] = "trichat_data"
    control: Annotated[
        str,
        "The Unix socket through which trichat tasks, trace, reload and ask reach the server; only for the server's "
        "own user; empty for none. Relative to the folder where the server starts.",
    ] = "trichat.sock"
    max_clients: Annotated[int, Meta(ge=1), "Connections at a time."] = 10_000
    max_clients_per_address: Annotated[int, Meta(ge=1), "Connections at a time from one address."] = 1_000
    max_line_bytes: Annotated[
        int, Meta(ge=64, le=1_048_576), "The longest line that is accepted, in bytes, without its end."
    ] = 4096
    backlog_bytes: Annotated[
        int, Meta(ge=4096), "Bytes that may wait for a client that does not read; with more, it is disconnected."
    ] = 1_048_576
    name_timeout: Annotated[Seconds, "Seconds that a new client has, in all, to give a name."] = 30.0
    send_timeout: Annotated[Seconds, "Seconds that a client may accept nothing of what waits for it."] = 60.0
    hook_timeout: Annotated[Seconds, "Seconds that one call of a plugin may take before it is cancelled."] = 5.0
    shutdown_timeout: Annotated[Seconds, "Seconds that a stop may take, whatever clients and plugins do."] = 5.0

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:
        """Plugins store their data in `folder`."""
        return {"data_dir": folder / "trichat_data"}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration. The tables of the plugins get their types later, when the plugins are known."""

    server: ServerOptions = ServerOptions()
    plugins: Mapping[str, Mapping[str, object]] = {}
    source: str = DEFAULTS
    """Its name in a fault: that of the file."""
    trial_folder: Path | None = None
    """The folder of a trial, in which `Options.for_trial` completes each table. `None` outside of trials."""
    given: Set[Keys] = frozenset()
    """The keys that come from the command line, and not from the file."""

    @classmethod
    def from_tables(cls, tables: Mapping[str, object], source: str = "configuration") -> "Config":
        """Build a configuration from parsed TOML. Raises `ConfigError` with all faults but those of the plugins."""
        require(tables, Mapping, "a configuration is built from a dictionary of tables")
        faults: list[str] = []
        config = _from_tables(tables, source, faults)
        if faults:
            raise ConfigError(faults)
        return config

    def place(self, *keys: str) -> Place:
        """Return the place of one of its tables or values, for a fault."""
        return Place(self.source, keys, self.given)


def checked(config: Config) -> Config:
    """Return a configuration in which each option of the server has its type, also if a program has built it by hand.

    Raises `TypeError` if it is not a configuration, and `ConfigError` with the faults of the server's options.
    """
    remedy = "build it with Config.from_tables or load_config"
    require(config, Config, "the configuration must be a Config", remedy)
    require(config.server, ServerOptions, "the configuration's `server` must be ServerOptions", remedy)
    require(config.plugins, Mapping, "the configuration's `plugins` must be a dictionary of tables", remedy)
    for table in config.plugins.values():
        require(table, Mapping, "the configuration's table of a plugin must be a dictionary", remedy)
    faults: list[str] = []
    values = _values(ServerOptions, msgspec.structs.asdict(config.server), Place("ServerOptions", ()), faults)
    if faults:
        raise ConfigError(faults)
    return msgspec.structs.replace(config, server=ServerOptions(**values))


def load_config(path: str | PathLike[str]) -> Config:
    """Read a configuration file. Raises `ConfigError` with all faults in it but those of the plugins."""
    faults: list[str] = []
    config = read_config(Path(path), faults)
    if faults:
        raise ConfigError(faults)
    return config


def read_config(path: Path | None, faults: list[str], settings: Sequence[Setting] = ()) -> Config:
    """Read a configuration file, if there is one. `settings` override it.

    Each fault is added to `faults`; the default replaces the wrong value.
    """
    tables = {} if path is None else _read(path, faults)
    return _from_tables(tables, DEFAULTS if path is None else str(path), faults, settings)


def _read(path: Path, faults: list[str]) -> Mapping[str, object]:
    import tomllib  # not needed by a server without a file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror})")
    except (ValueError, RecursionError) as error:
        # Besides its own errors, tomllib raises ValueError for numbers with too many digits, and RecursionError for
        # tables that are nested too deeply.
        faults.append(f"{path}: is not TOML ({error})")
    return {}


def _from_tables(
    tables: Mapping[str, object], source: str, faults: list[str], settings: Sequence[Setting] = ()
) -> Config:
    tables, given = with_settings(tables, settings)
    root = Place(source, (), given)
    for key, table in tables.items():
        if key not in ("server", "plugins"):
            kind = "table" if isinstance(table, dict) else "key"
            faults.append(f"{root.at(key)}: unknown {kind}{suggestion(key, ['server', 'plugins'])}")
    table = _table(tables, "server", root, faults)
    # Valid values count even if others are wrong: `plugins_dir` decides which tables of plugins may exist.
    server = ServerOptions(**_values(ServerOptions, table, root.at("server"), faults))
    plugins = _table(tables, "plugins", root, faults)
    return Config(
        server=server,
        plugins={name: _table(plugins, name, root.at("plugins"), faults) for name in plugins},
        source=source,
        given=given,
    )


def _table(tables: Mapping[str, object], key: str, place: Place, faults: list[str]) -> Mapping[str, object]:
    table = tables.get(key, {})
    if isinstance(table, dict):
        return table
    faults.append(f"{place.at(key)}: Expected a table (here: {table!r})")
    return {}


def trial_table(cls: type[Options], folder: Path) -> Mapping[str, object]:
    """Return what `cls.for_trial` returns. Raises `PluginError` if it fails, or returns something else than a table."""
    try:
        table = cls.for_trial(folder)
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"{cls.__name__}.for_trial failed: {with_place(error)}") from error
    if not isinstance(table, Mapping):
        raise PluginError(f"{cls.__name__}.for_trial returns {described(table)}; expected a dictionary")
    return table


def in_trial(cls: type[Options], table: Mapping[str, object], folder: Path) -> Mapping[str, object]:
    """Return `table`, completed by what `cls.for_trial` returns for a trial in `folder`."""
    defaults = trial_table(cls, folder)
    return {**{key: str(value) if isinstance(value, Path) else value for key, value in defaults.items()}, **table}


OptionsType = TypeVar("OptionsType", bound=Options)


def to_options(
    cls: type[OptionsType], table: Mapping[str, object], place: Place, faults: list[str], others: Sequence[str] = ()
) -> OptionsType | None:
    """Convert `table` to `cls`, or return `None` if it has faults. Each fault is added to `faults`, with its `place`.

    `others` are keys that the table may have besides these. A suggestion for a misspelled key may name one of them.
    """
    fields = _fields(cls)
    before = len(faults)
    values = _values(cls, table, place, faults, others)
    faults.extend(f"{place.at(key)}: is missing" for key in fields if fields[key].required and key not in table)
    return cls(**values) if len(faults) == before else None


def _values(
    cls: type[Options], table: Mapping[str, object], place: Place, faults: list[str], others: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the valid values in `table`, and add a fault for each of the others."""
    fields = _fields(cls)
    values = {}
    # Key by key, because msgspec stops at the first fault, and the author of the file wants to see all of them.
    for key, value in table.items():
        before = len(faults)
        if key in fields:
            converted = _convert(value, fields[key].type, str(place.at(key)), faults)
            if len(faults) == before:
                values[key] = converted
        else:
            faults.append(f"{place.at(key)}: unknown key{suggestion(key, [*fields, *others])}")
    return values


@lru_cache
def _fields(cls: type[Options]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return the fields of `cls` by name. They are cached because the look-up is slow and tests start many servers."""
    return {field.name: field for field in msgspec.structs.fields(cls)}


def _convert(value: object, wanted: Any, place: str, faults: list[str]) -> Any:
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    before = len(faults)
    if get_origin(bare) in (list, tuple) and isinstance(value, list):
        for index, element in enumerate(value):
            _convert(element, get_args(bare)[0], f"{place}[{index}]", faults)
    if len(faults) > before:
        return None
    try:
        return msgspec.convert(value, wanted, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reason = str(error)
        if reason.startswith("Invalid enum value"):
            reason = f"Expected {' or '.join(_choices(bare))}"
        names_it = isinstance(value, str) and repr(value) in reason
        faults.append(f"{place}: {reason}" if names_it else f"{place}: {reason} (here: {value!r})")
        return None


def _choices(wanted: Any) -> Iterator[str]:
    """Yield the values that are allowed for an option with a `Literal` type; msgspec's error does not list them."""
    if get_origin(wanted) is Literal:
        yield from map(repr, get_args(wanted))
    elif get_origin(wanted) in (Annotated, Union):
        for alternative in get_args(wanted):
            yield from _choices(alternative)
    elif isinstance(wanted, type):
        yield f"`{wanted.__name__}`"


def _decode(cls: type, value: object) -> object:
    if isinstance(value, cls):
        return value  # a program has built it
    if cls not in (Network, Path):
        raise NotImplementedError(f"an option of type {cls.__name__} cannot be read from TOML")
    if not isinstance(value, str):
        raise ValueError(f"Expected {'a path' if cls is Path else 'an address or a network'}, as a string")
    return cls(value)
