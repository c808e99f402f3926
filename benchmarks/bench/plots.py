"""The plots, as SVG: cost over growth, ratios to the floor, latencies."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Picture

from bench.results import Outcome
from bench.rows import Row
from bench.servers import FLOOR

COLORS = {
    "trichat": "#0b6e4f",
    "floor": "#444444",
    "obvious": "#c0392b",
    "ngircd": "#7f8c8d",
    "inspircd": "#2f6db5",
    "ergo": "#c28f2c",
}


def draw_all(outcome: Outcome, folder: Path) -> None:
    """Draw what there are figures for."""
    folder.mkdir(exist_ok=True)
    # The same picture for the same figures: no date in it, no random names.
    mpl.rcParams |= {"svg.hashsalt": "trichat", "svg.fonttype": "none", "font.size": 10}
    fan_outs = [row for row in outcome.rows if row.key.startswith("fan-out-")]
    if len(fan_outs) > 1:
        _save(_growth(outcome, fan_outs), folder / "growth.svg")
    with_cpu = [row for row in outcome.rows if "cpu" in row.shows and FLOOR in row.servers]
    if with_cpu:
        _save(_ratios(outcome, with_cpu), folder / "ratios.svg")
    with_latency = [row for row in outcome.rows if "p99" in row.shows]
    if with_latency:
        _save(_latencies(outcome, with_latency), folder / "latency.svg")


def _save(picture: Picture, path: Path) -> None:
    picture.savefig(path, metadata={"Date": None})


def _growth(outcome: Outcome, rows: list[Row]) -> Picture:
    picture = Picture(figsize=(8, 4.5), layout="constrained")
    axes = picture.subplots()
    for server, color in COLORS.items():
        values = [(row.load.clients, outcome.figure(row.key, server, "cpu")) for row in rows]
        points = [(clients, value) for clients, value in values if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", color=color, label=server)
    axes.set(xscale="log", yscale="log", xlabel="clients in the room", ylabel="µs of CPU per delivery")
    axes.set_title("Cost over growth: CPU of the server per delivery, saturated")
    clients = [row.load.clients for row in rows]
    axes.set_xticks(clients, [f"{count:,}" for count in clients])
    axes.minorticks_off()
    ticks = [0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 50]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.legend()
    return picture


def _ratios(outcome: Outcome, rows: list[Row]) -> Picture:
    picture = Picture(figsize=(8, 0.75 * len(rows) + 1.2), layout="constrained")
    axes = picture.subplots()
    servers = [server for server in COLORS if server != FLOOR]
    height = 0.8 / len(servers)
    for place, server in enumerate(servers):
        bars = [(y, outcome.ratio(row.key, server, "cpu", FLOOR)) for y, row in enumerate(rows)]
        shown = [(y + (place + 0.5) * height - 0.4, ratio) for y, ratio in bars if ratio is not None]
        if shown:
            heights, widths = zip(*shown, strict=True)
            drawn = axes.barh(heights, widths, height, color=COLORS[server], label=server)
            axes.bar_label(drawn, [f"{width:.2g}" for width in widths], padding=2, fontsize=7)
    axes.axvline(1, color=COLORS[FLOOR], linewidth=1)
    axes.set(xscale="log", xlabel="times the floor")
    axes.set_title("CPU of the server per delivery, as a multiple of the floor")
    axes.set_yticks(range(len(rows)), [row.key for row in rows])
    axes.invert_yaxis()
    axes.legend(fontsize=8)
    return picture


def _latencies(outcome: Outcome, rows: list[Row]) -> Picture:
    picture = Picture(figsize=(8, 3.2 * len(rows)), layout="constrained")
    for axes, row in zip(picture.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        servers = [server for server in row.servers if outcome.figure(row.key, server, "p50") is not None]
        for figure, shift, alpha in (("p50", -0.2, 1.0), ("p99", 0.2, 0.5)):
            values = [outcome.figure(row.key, server, figure) or 0 for server in servers]
            places = [place + shift for place in range(len(servers))]
            drawn = axes.bar(places, values, 0.4, color=[COLORS[server] for server in servers], alpha=alpha)
            axes.bar_label(drawn, [f"{value:.3g}" for value in values], fontsize=7)
        axes.set(yscale="log", ylabel="ms", title=f"{row.title}: median, and 99th percentile (paler)")
        axes.set_xticks(range(len(servers)), servers)
        axes.margins(y=0.15)
    return picture
