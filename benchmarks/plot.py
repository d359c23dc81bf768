"""The sweeps of growth.py as one picture: cost against pixels, labels and lattice vertices."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import PEER, PEER_NAME, Contestant
from benchmarks.growth import Point, Sweep

FILE = "growth.png"
INK, FAINT = "#222222", "#dddddd"
COLOURS = ("#8c8c8c", "#2b6cb0", "#c2410c")  # pydensecrf, one thread, all threads


def require(folder: Path) -> None:
    """Find out early whether `draw` can work; raises SystemExit with what to do."""
    try:
        importlib.import_module("matplotlib")
    except ModuleNotFoundError as error:
        raise SystemExit(
            '--plot draws with matplotlib, which is not installed: pip install matplotlib, or the extra "bench" '
            'of this project, pip install ".[bench]"'
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"--plot: cannot make the folder {folder}: {error.strerror or error}") from error


def draw(sweeps: Sequence[tuple[Sweep, Sequence[Point]]], folder: Path) -> Path:
    """Draw one panel per sweep, and give the file."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")  # into files; needs no screen
    plt: Any = importlib.import_module("matplotlib.pyplot")
    figure, panels = plt.subplots(1, len(sweeps), figsize=(4.6 * len(sweeps), 3.9), squeeze=False)
    for panel, (sweep, points) in zip(panels[0], sweeps, strict=True):
        _panel(panel, sweep, points)
    panels[0][0].set_ylabel("seconds per call", color=INK)
    figure.tight_layout(w_pad=2)
    path = folder / FILE
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def _panel(panel: Any, sweep: Sweep, points: Sequence[Point]) -> None:
    _lines(panel, sweep.axis, points)
    if sweep.axis == "L":
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)
    else:
        _logarithmic(panel)
    what, _, fixed = sweep.title.partition("; ")
    panel.set_title(fixed, fontsize=10, loc="left", color=INK)
    panel.set_xlabel(f"{sweep.axis}, {what}", color=INK)
    plain(panel)


def plain(panel: Any) -> None:
    """A faint grid behind the lines, and axes that do not shout."""
    panel.grid(color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["bottom", "left"]].set_color(FAINT)


def _lines(panel: Any, axis: str, points: Sequence[Point]) -> None:
    """One line per contestant, with its name where it ends."""
    whos = sorted({who for point in points for who in point.times}, key=lambda who: (who != PEER, who.threads))
    furthest = max(point.sizes[axis] for point in points)
    for who, colour in zip(whos, COLOURS, strict=False):
        ran = [point for point in points if who in point.times]
        x, y = [point.sizes[axis] for point in ran], [point.times[who].median for point in ran]
        panel.plot(x, y, color=colour, marker="o", markersize=3.5, linewidth=1.6)
        # Beside the panel; where a line ends before the others, above its end, for they pass beside it.
        aside = x[-1] == furthest
        panel.annotate(
            _label(who),
            (x[-1], y[-1]),
            xytext=(7, 0) if aside else (0, 7),
            textcoords="offset points",
            horizontalalignment="left" if aside else "right",
            verticalalignment="center" if aside else "bottom",
            color=colour,
            fontsize=9,
            annotation_clip=False,
        )


def _logarithmic(panel: Any) -> None:
    """Both axes, with ticks at 1, 2 and 5 that read as numbers."""
    ticker: Any = importlib.import_module("matplotlib.ticker")
    panel.set_xscale("log")
    panel.set_yscale("log")
    for axis, form in ((panel.xaxis, ticker.EngFormatter(sep="")), (panel.yaxis, ticker.FormatStrFormatter("%g"))):
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(form)
        axis.set_minor_locator(ticker.NullLocator())


def _label(who: Contestant) -> str:
    if who == PEER:
        return PEER_NAME
    return f"densecrf,\n{who.threads} thread{'s' if who.threads > 1 else ''}"
