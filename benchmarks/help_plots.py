"""The figures of docs/when_it_helps.md: what the CRF gains along each sweep, and two of the shipped pictures."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import densecrf
from benchmarks.plot import INK, plain
from densecrf import Bilateral, Gaussian, _overlay, data

WORSE = "#fbeeee"
COLOURS = {"VOC": "#2b6cb0", "MSRC": "#c2410c"}
TITLES = {"accuracy": "pixels right", "band": "mean IoU in the 2-pixel band"}
NETWORK = ("temperature", "confidence")
PARAMETERS = ("weights", "colours", "positions", "smoothness", "iterations")
NAMES = {
    "temperature": "how sure: logits divided by",
    "confidence": "labels instead of scores: confidence",
    "weights": "both weights times",
    "colours": "appearance: srgb",
    "positions": "appearance: sxy",
    "smoothness": "smoothness: sxy",
    "iterations": "iterations",
}
LINEAR = ("confidence", "iterations")
PANEL = 360  # pixels that a picture is wide

HEAVY = (Gaussian(3, 3), Bilateral(80, 13, 10))  # the preset "densecrf"


@dataclass(frozen=True)
class Gains:
    """A sweep as curves.

    Attributes:
        values: along the axis.
        lines: measure -> collection -> percentage points gained at each value.
    """

    values: Sequence[float]
    lines: Mapping[str, Mapping[str, Sequence[float]]]


def draw(folder: Path, sweeps: Mapping[str, Gains]) -> None:
    """Draw every figure into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _curves(folder / "network.png", {name: sweeps[name] for name in NETWORK})
    _curves(folder / "parameters.png", {name: sweeps[name] for name in PARAMETERS})
    _picture(folder / "astronaut.png", "astronaut")
    _picture(folder / "chelsea.png", "chelsea")


def _curves(path: Path, sweeps: Mapping[str, Gains]) -> None:
    """Two rows, pixels right and the band; one column for every sweep."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")  # into files; needs no screen
    plt: Any = importlib.import_module("matplotlib.pyplot")
    size = (1 + 2.4 * len(sweeps), 5)
    figure, panels = plt.subplots(2, len(sweeps), figsize=size, sharex="col", sharey="row", squeeze=False)
    for row, (what, title) in enumerate(TITLES.items()):
        for panel, (name, gains) in zip(panels[row], sweeps.items(), strict=True):
            _panel(panel, gains, what, logarithmic=name not in LINEAR)
        _limits(
            panels[row], [value for gains in sweeps.values() for line in gains.lines[what].values() for value in line]
        )
        panels[row][0].set_ylabel(f"{title},\npoints gained", color=INK, fontsize=9)
    for panel, name in zip(panels[1], sweeps, strict=True):
        panel.set_xlabel(NAMES[name], color=INK, fontsize=9)
    panels[0][0].legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")  # or the two lines of a label stick out
    plt.close(figure)


def _limits(panels: Sequence[Any], values: Sequence[float]) -> None:
    """One scale for a row, what is worse than the network shaded."""
    margin = 0.06 * (max(values) - min(values))
    low, high = min(min(values), 0) - margin, max(values) + margin
    panels[0].set_ylim(low, high)
    for panel in panels:
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.axhspan(low, 0, color=WORSE, zorder=0)


def _panel(panel: Any, gains: Gains, what: str, logarithmic: bool) -> None:
    for name, points in gains.lines[what].items():
        panel.plot(gains.values, points, color=COLOURS[name], marker="o", markersize=3.5, linewidth=1.6, label=name)
    if logarithmic:
        ticker: Any = importlib.import_module("matplotlib.ticker")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(ticker.FixedLocator(list(gains.values)[:: 1 + len(gains.values) // 6]))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    plain(panel)


def _picture(path: Path, name: str) -> None:
    """A shipped picture: the network's labels, the default's, the heavy preset's."""
    image, probs = data.example(name)
    found = {
        "network": probs.argmax(axis=0),
        "deeplab-v2": densecrf.refine(image, probs).argmax(axis=0),
        "densecrf": densecrf.refine(image, probs, terms=HEAVY).argmax(axis=0),
    }
    panels = [(title, _small(_overlay.overlay(image, labels))) for title, labels in found.items()]
    seen = [label for label in np.unique(np.stack(list(found.values()))) if label > 0]
    colours = _overlay.palette(len(data.VOC_LABELS))
    sheet = _overlay.figure(panels, [(data.VOC_LABELS[label], colours[label]) for label in seen])
    sheet.quantize(128).save(path, optimize=True)


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    size = (PANEL, round(height * PANEL / width))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
