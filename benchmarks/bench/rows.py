"""The rows of the benchmark: what is measured, and the goals. Each row of the results is one `Row` here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, product

from bench.load import Load
from bench.servers import BARE, FLOOR, JSON_LINES, PEERS, TRICHAT

BEST_PEER = "best peer"

FSYNC = "trichat, fsync always"
REPLAY_ALL = "trichat, replay all"


# Messages in flight when a room is saturated: enough to keep every server busy, but so few that a room of people could
# still produce such a batch. In a small room, as many as a server can take.
SATURATED = 64
FLOODED = 1024


# Clients that join at a time in rows that do not measure joins. Servers with a shorter queue of connections get fewer.
MANY = 500


@dataclass(frozen=True)
class Figure:
    """A kind of number that a run yields."""

    name: str
    unit: str
    scale: float = 1.0
    """The factor from the units of `measure.py` (seconds, bytes) to `unit`."""
    more_is_better: bool = False

    @property
    def heading(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


FIGURES = {
    "cpu": Figure("CPU of the server per delivery", "µs", 1e6),
    "rate": Figure("messages a second", "", more_is_better=True),
    "moves": Figure("moves a second", "", more_is_better=True),
    "p50": Figure("latency, median", "ms", 1e3),
    "p99": Figure("latency, 99th percentile", "ms", 1e3),
    "told": Figure("all joined and told", "s"),
    "told_cpu": Figure("CPU of the server for that", "s"),
    "memory": Figure("memory per client", "KiB", 1 / 1024),
    "idle": Figure("CPU of the idle server", "%", 100),
    "first_line": Figure("first line after the name", "ms", 1e3),
    "grown": Figure("peak memory above that at the start", "MiB", 1 / 1024**2),
    "start": Figure("time until it listens", "s"),
}


@dataclass(frozen=True)
class Goal:
    """A limit for a figure of trichat: at most, or at least, so many times the figure of another server.

    If `of` is empty, `most` and `least` are in the figure's unit.
    """

    figure: str
    most: float | None = None
    least: float | None = None
    of: str = ""
    row: str = ""
    """The row of the other server's figure, if it is another row."""
    server: str = TRICHAT

    def __str__(self) -> str:
        limit = f"≤ {self.most:,g}" if self.most is not None else f"≥ {self.least:,g}"
        if not self.of:
            return f"{limit} {FIGURES[self.figure].unit}".rstrip()
        return f"{limit} × {self.of}" + (f" in {self.row}" if self.row else "")


@dataclass(frozen=True)
class Row:
    """One piece of work, the servers that do it, and the figures to show."""

    key: str
    title: str
    load: Load
    servers: tuple[str, ...]
    shows: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    idle_seconds: float = 0.0
    """How long to measure the server while all clients are there and nobody talks."""
    log_lines: int = 0
    """The number of lines in the chat log before the start."""
    long: bool = False
    """Whether a quick run leaves it out."""
    times: int = 1
    """It runs so many times as often as other rows: more often if the figure of a goal varies a lot."""
    series: str = ""
    """Rows of one series follow each other here and run by turns, because they are compared with each other."""


def _saturated(clients: int) -> Load:
    return Load(clients, senders=10, messages=1_000_000, window=SATURATED, burst=MANY, limit=max(60, clients / 50))


def _in_rooms(load: Load, rooms: int) -> Load:
    """Return so many rooms, each of them like the one of `load`."""
    return replace(
        load, clients=load.clients * rooms, senders=load.senders * rooms, window=load.window * rooms, rooms=rooms
    )


def _briefly(load: Load) -> Load:
    """Return a load that takes half as long: for ratios that vary little, or take long to begin."""
    return replace(load, seconds=2.0)


_TEN_ROOMS = _briefly(_in_rooms(Load(50, senders=2, messages=1_000_000, window=SATURATED, burst=MANY), rooms=10))


def _fan_out(clients: int, *servers: str, goals: tuple[Goal, ...], long: bool = False, times: int = 1) -> Row:
    return Row(
        key=f"fan-out-{clients}",
        title=f"fan-out, saturated: {clients:,} clients, 10 of them talk",
        load=_saturated(clients),
        servers=(TRICHAT, FLOOR, *servers),
        shows=("cpu", "rate"),
        goals=goals,
        long=long,
        times=times,
    )


NEAR_FLOOR = Goal("cpu", most=1.3, of=FLOOR)
HALF_OF_PEER = Goal("cpu", most=0.5, of=BEST_PEER)
FLAT_OR_FALLING = Goal("cpu", most=1.0, of=TRICHAT, row="growth-100")

ROWS = (
    _fan_out(100, BARE, "obvious", *PEERS, goals=(NEAR_FLOOR,), times=3),
    _fan_out(500, BARE, "obvious", *PEERS, goals=(NEAR_FLOOR, HALF_OF_PEER), times=3),
    _fan_out(2_000, BARE, *PEERS, goals=(NEAR_FLOOR, HALF_OF_PEER), long=True),
    _fan_out(5_000, "inspircd", "ergo", goals=(NEAR_FLOOR, HALF_OF_PEER), long=True),
    *(
        Row(
            key=f"growth-{clients}",
            title=f"fan-out, saturated: {clients:,} clients, in turns with rooms of other sizes",
            load=_saturated(clients),
            servers=(TRICHAT, FLOOR),
            shows=("cpu", "rate"),
            goals=(FLAT_OR_FALLING,) if 100 < clients <= 5_000 else (),
            long=True,
            times=2,
            series="growth",
        )
        for clients in (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
    ),
    *(
        Row(
            key=f"window-{window}",
            title=f"fan-out to 500 clients, {window:,} messages in flight; fan-out-500 has {SATURATED}",
            load=replace(_saturated(500), window=window),
            servers=(TRICHAT, FLOOR, *PEERS),
            shows=("cpu", "rate"),
            long=True,
        )
        for window in (16, 256, FLOODED)
    ),
    Row(
        key="latency",
        title="fan-out: 50 messages a second to 500 clients",
        load=Load(500, senders=10, messages=200, rate=50, seconds=20, burst=MANY),
        servers=(TRICHAT, FLOOR, BARE, "obvious", *PEERS),
        shows=("cpu", "p50", "p99"),
        goals=(
            Goal("p50", most=1.3, of=FLOOR),
            Goal("p99", most=1.3, of=FLOOR),
            Goal("cpu", most=1.0, of=BEST_PEER),
        ),
        times=6,
    ),
    *(
        Row(
            key=f"latency-{clients}",
            title=f"fan-out: {rate} messages a second to {clients:,} clients",
            load=Load(clients, senders=10, messages=6 * rate, rate=rate, seconds=20, burst=MANY),
            servers=(TRICHAT, FLOOR),
            shows=("cpu", "p50", "p99"),
            long=True,
        )
        for clients, rate in ((2_000, 10), (5_000, 5))
    ),
    Row(
        key="busy",
        title="fan-out: 500 messages a second to 2,000 clients, more than a server can send one by one",
        load=Load(2_000, senders=100, messages=2_000, rate=500, seconds=20, burst=MANY),
        servers=(TRICHAT, FLOOR, "inspircd", "ergo"),
        shows=("cpu", "p50", "p99"),
        long=True,
    ),
    Row(
        key="small-room",
        title="a small room, saturated: 10 clients, 2 of them talk",
        load=Load(10, senders=2, messages=1_000_000, window=FLOODED),
        servers=(TRICHAT, FLOOR, BARE, "obvious", *PEERS),
        shows=("cpu", "rate", "p99"),
        goals=(Goal("rate", least=60_000), Goal("cpu", most=1.0, of="inspircd")),
        times=3,
    ),
    Row(
        key="one-by-one",
        title="messages one by one: 2,000 a second to 10 clients",
        load=Load(10, messages=3_000, rate=2_000, seconds=20),
        servers=(TRICHAT, FLOOR, BARE, "obvious", *PEERS),
        shows=("cpu", "p50", "p99"),
        goals=(Goal("cpu", most=1.5, of="inspircd"), Goal("p50", most=1.5, of="inspircd")),
        times=9,
    ),
    *(
        Row(
            key=f"room-of-{clients}",
            title=f"one room of {clients:,}, saturated: 10 clients talk; for comparison with rooms-of-500",
            load=_briefly(_saturated(clients)),
            servers=(TRICHAT, FLOOR),
            shows=("cpu", "rate"),
            series="rooms of 500",
        )
        for clients in (500, 5_000)
    ),
    Row(
        key="rooms-of-500",
        title="ten rooms of 500, saturated: 10 clients talk in each",
        load=_briefly(_in_rooms(_saturated(500), rooms=10)),
        servers=(TRICHAT, FLOOR),
        shows=("cpu", "rate"),
        goals=(NEAR_FLOOR, Goal("cpu", most=1.2, of=TRICHAT, row="room-of-5000")),
        series="rooms of 500",
    ),
    Row(
        key="rooms-of-10",
        title="1,000 rooms of ten, saturated: 2 clients talk in each, and each room has about one message in flight",
        load=_briefly(
            Load(10_000, senders=2_000, rooms=1_000, messages=1_000_000, window=FLOODED, burst=MANY, limit=200)
        ),
        servers=(TRICHAT, FLOOR, "inspircd"),
        shows=("cpu", "rate"),
        goals=(Goal("cpu", most=1.5, of="inspircd"),),
        long=True,
    ),
    *(
        Row(
            key=key,
            title=title,
            load=replace(_TEN_ROOMS, clients=_TEN_ROOMS.clients + movers, movers=movers),
            servers=(TRICHAT,),
            shows=("cpu", "rate", "moves"),
            goals=goals,
            times=2,
            series="moves",
        )
        for key, title, movers, goals in (
            (
                "nobody-moves",
                "ten rooms of 50, saturated: 2 clients talk in each; for comparison with some-move",
                0,
                (),
            ),
            (
                "some-move",
                "the same, and after each 1,000 messages one of 20 more clients takes another name and another room",
                20,
                (Goal("cpu", most=1.5, of=TRICHAT, row="nobody-moves"),),
            ),
        )
    ),
    *(
        Row(
            key=f"json-lines-{clients}",
            title=f"JSON lines and the line protocol, saturated: {clients} clients, {senders} of them talk",
            load=_briefly(Load(clients, senders=senders, messages=1_000_000, window=window, burst=MANY)),
            servers=(TRICHAT, JSON_LINES),
            shows=("cpu", "rate"),
            goals=(Goal("cpu", most=1.3, of=TRICHAT, server=JSON_LINES),),
            times=2,
        )
        for clients, senders, window in ((500, 10, SATURATED), (10, 2, FLOODED))
    ),
    Row(
        key="join-2000",
        title="2,000 clients join at once",
        load=Load(2_000, messages=1),
        servers=(TRICHAT, FLOOR, "inspircd", "ergo"),
        shows=("told", "told_cpu"),
        long=True,
    ),
    Row(
        key="join-5000",
        title="5,000 clients join at once",
        load=Load(5_000, messages=1),
        servers=(TRICHAT, FLOOR),
        shows=("told", "told_cpu"),
        goals=(Goal("told", most=5.0),),
    ),
    Row(
        key="idle",
        title="10,000 clients, idle",
        load=Load(10_000, burst=MANY, limit=200),
        servers=(TRICHAT, FLOOR),
        shows=("memory", "idle"),
        goals=(Goal("memory", most=9.0), Goal("idle", most=1.0)),
        idle_seconds=5.0,
        long=True,
    ),
    Row(
        key="all-read",
        title="100 messages of 400 bytes a second to 500 clients",
        load=Load(500, senders=10, messages=800, rate=100, size=400, seconds=20, burst=MANY),
        servers=(TRICHAT, FLOOR),
        shows=("cpu", "p50", "p99"),
        times=4,
        series="slow reader",
    ),
    Row(
        key="one-slow",
        title="the same, and one of the 500 does not read",
        load=Load(500, senders=10, messages=800, rate=100, size=400, slow=1, seconds=20, burst=MANY),
        servers=(TRICHAT, FLOOR),
        shows=("cpu", "p50", "p99"),
        goals=(Goal("p99", most=1.1, of=TRICHAT, row="all-read"),),
        times=4,
        series="slow reader",
    ),
    Row(
        key="fsync",
        title="fan-out, saturated: 500 clients, each batch on the disk before it is sent",
        load=_saturated(500),
        servers=(TRICHAT, FSYNC),
        shows=("rate", "cpu"),
        goals=(Goal("rate", least=0.5, of=TRICHAT, server=FSYNC),),
    ),
    Row(
        key="history",
        title="a joiner, with 1,000,000 messages in the log",
        load=Load(1),
        servers=(TRICHAT, REPLAY_ALL),
        shows=("first_line", "told", "grown"),
        goals=(
            Goal("first_line", most=50.0),
            Goal("first_line", most=50.0, server=REPLAY_ALL),
            Goal("grown", most=10.0, server=REPLAY_ALL),
        ),
        log_lines=1_000_000,
    ),
    Row(
        key="start",
        title="the start, with all built-in plugins",
        load=Load(1),
        servers=(TRICHAT, FLOOR, BARE, "obvious", *PEERS),
        shows=("start",),
        goals=(Goal("start", most=0.25),),
    ),
)


def in_turn(rows: Iterable[Row], *, quick: bool) -> Iterator[tuple[Row, str]]:
    """Yield the runs of one turn: each row with the name of a server.

    Rows of one series alternate. Each comes first equally often, because a run right after another is a bit slower.
    """
    for _, series in groupby(rows, key=lambda row: row.series or row.key):
        compared = list(series)
        first = compared[0]
        for again, server in product(range(1 if quick else first.times), first.servers):
            for row in reversed(compared) if again % 2 else compared:
                yield row, server


def select(keys: str, *, quick: bool) -> list[Row]:
    """Return the rows with one of `keys`, separated by commas, or whose keys begin with it; all if it is empty.

    Raises `ValueError` if a key fits no row.
    """
    wanted = [key.strip() for key in keys.split(",") if key.strip()]
    selected: set[str] = set()
    for key in wanted:
        # fan-out-500 is a row, and not the beginning of fan-out-5000.
        fitting = {row.key for row in ROWS if row.key == key} or {row.key for row in ROWS if row.key.startswith(key)}
        if not fitting:
            raise ValueError(f"there is no row {key!r}; there are: {', '.join(row.key for row in ROWS)}")
        selected |= fitting
    if wanted:
        return [row for row in ROWS if row.key in selected]
    return [row for row in ROWS if not (quick and row.long)]
