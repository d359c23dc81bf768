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
    figure, panels = plt.subplots(1, len(sweeps), figsize=(4.4 * len(sweeps), 4.2), squeeze=False)
    for panel, (sweep, points) in zip(panels[0], sweeps, strict=True):
        _panel(panel, sweep, points)
    panels[0][0].set_ylabel("seconds per call", color=INK)
    figure.tight_layout(w_pad=2.5)
    path = folder / FILE
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def _panel(panel: Any, sweep: Sweep, points: Sequence[Point]) -> None:
    logarithmic = sweep.axis != "L"
    if logarithmic:
        panel.set_xscale("log")
        panel.set_yscale("log")
    whos = sorted({who for point in points for who in point.times}, key=lambda who: (who != PEER, who.threads))
    for who, colour in zip(whos, COLOURS, strict=False):
        x = [point.sizes[sweep.axis] for point in points if who in point.times]
        y = [point.times[who].median for point in points if who in point.times]
        panel.plot(x, y, color=colour, marker="o", markersize=3.5, linewidth=1.6)
        panel.annotate(_label(who), (x[-1], y[-1]), (-4, 7), textcoords="offset points", ha="right", color=colour)
    if not logarithmic:
        panel.set_xlim(left=0)
        panel.set_ylim(bottom=0)
    what, _, fixed = sweep.title.partition("; ")
    panel.set_title(fixed, fontsize=10, color=INK)
    panel.set_xlabel(f"{sweep.axis}, {what}", color=INK)
    panel.grid(color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _label(who: Contestant) -> str:
    if who == PEER:
        return PEER_NAME
    return f"densecrf, {who.threads} thread{'s' if who.threads > 1 else ''}"
