"""Curves and surfaces of the measures, drawn with matplotlib if it is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

COLOURS = {"before": "tab:gray", "after": "tab:blue"}
STYLES = {"before": "--", "after": "-"}
COLUMNS = 4


def _figure(path: Path, count: int) -> tuple[Any, list[Any]] | None:
    """A figure and its axes, row by row; None, and a word about it, without matplotlib."""
    if find_spec("matplotlib") is None:
        print(f"{path} is not drawn: matplotlib is not installed", file=sys.stderr)
        return None
    # Not pyplot's, which would hold it for ever and look for a screen.
    new: Any = importlib.import_module("matplotlib.figure").Figure
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    figure = new(figsize=(2 + 3 * columns, 1 + 3 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for spare in axes[count:]:
        spare.remove()
    for ax in axes[count - columns : count]:  # the lowest of its column, even where the last row is not full
        ax.tick_params(labelbottom=True)
    return figure, axes[:count]


def trimaps(path: Path, curves: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Draws pixel accuracy, mean accuracy and mean IoU by the width of the band; before and after the CRF."""
    drawn = _figure(path, 3)
    if drawn is None:
        return
    figure, axes = drawn
    for place, (ax, name) in enumerate(zip(axes, ("pixel accuracy", "mean accuracy", "mean IoU"), strict=True)):
        for side, curve in curves.items():
            values = [100 * row[place] for row in curve.values()]
            ax.plot(list(curve), values, STYLES[side], color=COLOURS[side], label=f"{side} the CRF")
        ax.set(title=name, xlabel="reach of the band (pixels)")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("per cent")
    axes[0].legend()
    figure.suptitle("Near the borders of objects")
    figure.savefig(path, dpi=150)


def surface(path: Path, found: Mapping[tuple[float, float, float], float], best: tuple[float, float, float]) -> None:
    """Draws the mean IoU of (w1, sigma_alpha, sigma_beta): one map for every w1, a point for every setting tried."""
    levels = sorted({w1 for w1, _, _ in found})
    drawn = _figure(path, len(levels))
    if drawn is None:
        return
    figure, axes = drawn
    low, high = (100 * limit(found.values()) for limit in (min, max))
    for ax, level in zip(axes, levels, strict=True):
        points = [(alpha, beta, 100 * iou) for (w1, alpha, beta), iou in found.items() if w1 == level]
        alphas, betas, ious = zip(*points, strict=True)
        marks = ax.scatter(alphas, betas, c=ious, vmin=low, vmax=high, s=60, marker="s")
        ax.set(title=f"$w_1$ = {level:g}")
        if level == best[0]:
            ax.scatter(*best[1:], s=260, marker="o", facecolors="none", edgecolors="red", linewidths=2)
    figure.supxlabel(r"$\sigma_\alpha$ (pixels)")
    figure.supylabel(r"$\sigma_\beta$ (colours)")
    figure.colorbar(marks, ax=axes, label="mean IoU (%)")
    name = rf"$w_1$ = {best[0]:g}, $\sigma_\alpha$ = {best[1]:g}, $\sigma_\beta$ = {best[2]:g}"
    figure.suptitle(f"The best of {len(found)} settings, circled: {name}, {100 * found[best]:.2f} %")
    figure.savefig(path, dpi=150)
