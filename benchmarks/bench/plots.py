"""The plots, as SVG: cost by room size and by messages in flight, ratios to the floor, latencies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from bench.results import Outcome
from bench.rows import Row
from bench.servers import FLOOR
from bench.words import short

COLORS = {
    "trichat": "#0b6e4f",
    "floor": "#444444",
    "bare Python": "#a07fc0",
    "obvious": "#c0392b",
    "ngircd": "#7f8c8d",
    "inspircd": "#2f6db5",
    "ergo": "#c28f2c",
}

MICROSECONDS = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
"""The possible ticks of an axis in microseconds."""


def draw_all(outcome: Outcome, folder: Path) -> None:
    """Draw every plot that has figures."""
    folder.mkdir(exist_ok=True)
    # The same figures give the same file: it has no date and no random names.
    mpl.rcParams |= {"svg.hashsalt": "trichat", "svg.fonttype": "none", "font.size": 10}
    sizes = [row for row in outcome.rows if row.key.startswith("growth-")]
    if sizes:
        fan_outs = [row for row in outcome.rows if row.key.startswith("fan-out-")]
        _save(_growth(outcome, sizes, fan_outs), folder / "growth.svg")
    windows = [row for row in outcome.rows if row.key == "fan-out-500" or row.key.startswith("window-")]
    if len(windows) > 1:
        _save(_windows(outcome, windows), folder / "windows.svg")
    with_cpu = [row for row in outcome.rows if "cpu" in row.shows and FLOOR in row.servers]
    if with_cpu:
        _save(_ratios(outcome, with_cpu), folder / "ratios.svg")
    with_latency = [row for row in outcome.rows if "p99" in row.shows]
    if with_latency:
        _save(_latencies(outcome, with_latency), folder / "latency.svg")


def _save(picture: Picture, path: Path) -> None:
    picture.savefig(path, metadata={"Date": None})


def _growth(outcome: Outcome, sizes: list[Row], others: list[Row]) -> Picture:
    """Return the plot of cost by room size. Servers that did not run in rows of `sizes` have points from `others`."""
    rows: dict[int, list[Row]] = {}
    for row in [*sizes, *others]:
        rows.setdefault(row.load.clients, []).append(row)
    picture, axes = _cost_over(outcome, rows)
    axes.set(xlabel="clients in the room", title="Cost by room size: CPU of the server per delivery, saturated")
    return picture


def _windows(outcome: Outcome, rows: list[Row]) -> Picture:
    picture, axes = _cost_over(outcome, {row.load.window: [row] for row in rows})
    axes.set(xlabel="messages in flight", title="Cost by messages in flight: CPU of the server per delivery")
    return picture


def _cost_over(outcome: Outcome, rows: Mapping[int, Sequence[Row]]) -> tuple[Picture, Axes]:
    """Return a plot of the processor time per delivery. Each place shows the first of its rows that has the figure."""
    picture = Picture(figsize=(8, 4.5), layout="constrained")
    axes = picture.subplots()
    for server, color in COLORS.items():
        found = {
            place: [value for row in rows[place] if (value := outcome.figure(row.key, server, "cpu")) is not None]
            for place in sorted(rows)
        }
        points = [(place, values[0]) for place, values in found.items() if values]
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), marker="o", color=color, label=server)
    axes.set(xscale="log", yscale="log", ylabel="µs of CPU per delivery")
    axes.set_xticks(list(rows), [f"{place:,}" for place in rows])
    axes.minorticks_off()
    least, most = axes.get_ylim()
    ticks = [tick for tick in MICROSECONDS if least < tick < most]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.legend()
    return picture, axes


def _ratios(outcome: Outcome, rows: list[Row]) -> Picture:
    shown = _entries(outcome, rows, "cpu", without=FLOOR)
    picture, axes = _listing(shown)
    for y, row, server in shown:
        ratio = outcome.ratio(row.key, server, "cpu", FLOOR)
        if ratio is not None:
            axes.barh(y, ratio, 0.8, color=COLORS[server])
            # Keeps the text off the line of the floor.
            axes.annotate(short(ratio), (max(ratio, 1), y), (3, -3), textcoords="offset points", fontsize=7)
    axes.axvline(1, color=COLORS[FLOOR], linewidth=1)
    axes.set(xscale="log", xlabel="times the floor")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_title("CPU of the server per delivery, as a multiple of the floor")
    axes.margins(x=0.1)
    return picture


def _latencies(outcome: Outcome, rows: list[Row]) -> Picture:
    shown = _entries(outcome, rows, "p50")
    picture, axes = _listing(shown)
    for y, row, server in shown:
        median, late = (outcome.figure(row.key, server, figure) or 0.0 for figure in ("p50", "p99"))
        axes.plot([median, late], [y, y], color=COLORS[server], linewidth=2)
        axes.plot(median, y, "o", color=COLORS[server])
        axes.plot(late, y, "|", color=COLORS[server], markersize=10)
        words = f"{short(median)} to {short(late)}"
        axes.annotate(words, (late, y), (8, -3), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", xlabel="ms")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_title("Latency: median (dot) to 99th percentile (bar)")
    axes.margins(x=0.15)
    return picture


Entry = tuple[int, Row, str]
"""The position of a line in a listing, with its row and its server."""


def _entries(outcome: Outcome, rows: list[Row], figure: str, without: str = "") -> list[Entry]:
    """Return a line for each server that has the figure. A free line above each row is for the row's name."""
    entries: list[Entry] = []
    y = 0
    for row in rows:
        servers = [name for name in COLORS if name != without and outcome.figure(row.key, name, figure) is not None]
        if servers:
            y += 1
            entries.extend((y + place, row, server) for place, server in enumerate(servers))
            y += len(servers)
    return entries


def _listing(entries: list[Entry]) -> tuple[Picture, Axes]:
    """Return an empty plot with names on its left side."""
    picture = Picture(figsize=(8, 0.2 * (entries[-1][0] if entries else 1) + 1.5), layout="constrained")
    axes = picture.subplots()
    headings = {row.key: y - 1 for y, row, _ in reversed(entries)}
    axes.set_yticks(
        [y for y, _, _ in entries] + list(headings.values()), [server for _, _, server in entries] + list(headings)
    )
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in headings else "normal")
        label.set_fontsize(8)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return picture, axes
