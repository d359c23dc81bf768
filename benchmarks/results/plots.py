"""What real_data.py draws: curves by the width of the band and by iteration, losses, maps of scores and beliefs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.labelled import Bytes
from benchmarks.plot import INK, plain
from benchmarks.quality import NETWORK, WIDTHS, Step

# Colour-blind safe (Okabe & Ito), in the order that lines come in.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
GREY = "#8c8c8c"
DPI = 110
AVERAGED = 50  # iterations of training, for a line that can be read
FURTHEST = 6.0  # log odds beyond which all is one colour

Curves: TypeAlias = Mapping[str, Sequence[float]]


def bands(path: Path, panels: Mapping[str, Curves]) -> None:
    """Draws the mean IoU by the width of the band: a panel for every collection, a line for every way."""
    figure, axes = _figure(len(panels))
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        _lines(ax, WIDTHS, {name: [100 * y for y in curve] for name, curve in curves.items()})
        _dress(ax, title, "width of the band around borders (pixels)")
        ax.legend(frameon=False, fontsize=8, loc="lower right")
    axes[0].set_ylabel("mean IoU (%)", color=INK)
    _save(figure, path)


def iterations(path: Path, paths: Mapping[str, Sequence[Step]]) -> None:
    """Draws what iterations bring: pixel accuracy and mean IoU near borders, gained, and labels still moving."""
    figure, axes = _figure(3)
    some = [step.iterations for step in next(iter(paths.values()))]
    drawn: list[tuple[str, Curves]] = [
        ("pixel accuracy, gained (points)", {k: _gains([s.pixel_accuracy for s in v]) for k, v in paths.items()}),
        ("mean IoU within 2 pixels, gained (points)", {k: _gains([s.band_iou for s in v]) for k, v in paths.items()}),
        ("pixels whose label moves (%)", {k: [np.nan] + [100 * s.moved for s in v[1:]] for k, v in paths.items()}),
    ]
    for ax, (title, curves) in zip(axes, drawn, strict=True):
        _lines(ax, some, curves)
        _dress(ax, title, "iterations")
        ax.set_xticks(range(0, some[-1] + 1, 5))
    axes[0].legend(frameon=False, fontsize=8)
    axes[2].set_yscale("symlog", linthresh=1e-3)
    axes[2].set_ylim(bottom=0)
    _save(figure, path)


def _gains(values: Sequence[float]) -> list[float]:
    return [100 * (value - values[0]) for value in values]


def losses(path: Path, logs: Mapping[str, Sequence[float]]) -> None:
    """Draws the losses of trainings, averaged over some iterations."""
    figure, (ax,) = _figure(1, width=6.5)
    for (name, log), colour in zip(logs.items(), COLOURS, strict=False):
        smooth = np.convolve(log, np.full(AVERAGED, 1 / AVERAGED), "valid")
        ax.plot(np.arange(len(smooth)) + AVERAGED / 2, smooth, color=colour, linewidth=1.4, label=name)
    _dress(ax, f"loss of training on CamVid, mean of {AVERAGED} iterations", "iteration")
    ax.set_yscale("log")
    ticker: Any = importlib.import_module("matplotlib.ticker")
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
    ax.legend(frameon=False)
    _save(figure, path)


def score_maps(path: Path, image: Bytes, label: str, fields: Mapping[int, NDArray[np.float32]]) -> None:
    """Draws scores (log odds) over beliefs (probabilities) of one label, after some iterations.

    As figure 5 of DeepLab v1.

    Args:
        path: of the file.
        image: uint8 [H, W, 3].
        label: its name.
        fields: by the number of iterations, the label's marginals [H, W].
    """
    plt = _pyplot()
    columns = 1 + len(fields)
    height, width = image.shape[:2]
    figure, axes = plt.subplots(
        2, columns, figsize=(2.1 * columns, 4.2 * height / width + 0.3), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    axes[0][0].imshow(image)
    axes[0][0].set_title("picture", fontsize=10, color=INK)
    axes[1][0].text(
        0.5, 0.5, f"“{label}”\n\nabove: log odds,\n-{FURTHEST:g} to {FURTHEST:g}\n\nbelow: belief, 0 to 1",
        ha="center", va="center", fontsize=9, color=INK, transform=axes[1][0].transAxes,
    )  # fmt: skip
    for column, (n, belief) in enumerate(fields.items(), 1):
        safe = np.clip(belief, 1e-7, 1 - 1e-7)
        axes[0][column].imshow(np.log(safe / (1 - safe)), cmap="RdBu_r", vmin=-FURTHEST, vmax=FURTHEST)
        axes[1][column].imshow(belief, cmap="gray", vmin=0, vmax=1)
        axes[0][column].set_title(_after(n), fontsize=10, color=INK)
    _save(figure, path)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(256)
    few.save(path, optimize=True)


def _after(n: int) -> str:
    return "network" if n == 0 else f"{n} iteration{'s' if n > 1 else ''}"


def _pyplot() -> Any:
    importlib.import_module("matplotlib").use("Agg")  # into files; needs no screen
    return importlib.import_module("matplotlib.pyplot")


def _figure(panels: int, width: float = 4.2) -> tuple[Any, list[Any]]:
    figure, axes = _pyplot().subplots(1, panels, figsize=(width * panels, 3.6), layout="constrained", squeeze=False)
    return figure, list(axes[0])


def _lines(ax: Any, x: Sequence[int], curves: Curves) -> None:
    """A line for each; what the network says alone is grey and dashed."""
    colours = iter(COLOURS)
    for name, y in curves.items():
        alone = name == NETWORK
        ax.plot(
            x,
            y,
            color=GREY if alone else next(colours),
            linestyle="--" if alone else "-",
            linewidth=1.6,
            label=name,
        )


def _dress(ax: Any, title: str, xlabel: str) -> None:
    ax.set_title(title, fontsize=10, loc="left", color=INK)
    ax.set_xlabel(xlabel, color=INK)
    plain(ax)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    _pyplot().close(figure)
