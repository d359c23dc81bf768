"""What the network says: how sure it is, and where its labels meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densecrf._request import CLIP

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]

# Pixels up to this many steps from another label are "at the border": DeepLab's narrowest trimap is about as wide.
BORDER = 2


@dataclass(frozen=True, eq=False)
class Network:
    """What a network says of a picture, before any term is asked.

    A margin is the difference of a pixel's two best unary energies: the log of the ratio of its two best probabilities.

    Attributes:
        labels: of every pixel, ``(H, W)``.
        distance: steps along x and y to the nearest pixel of another label, ``(H, W)``; infinite where there is none.
        margins: ``(H, W)``; infinite with a single label.
        n_present: how many labels are the best of some pixel.
        median_margin: over the picture.
        largest_margin: over the picture.
        border_margin: the median margin of the pixels at most two steps from another label; NaN where no labels meet.
    """

    labels: Labels
    distance: NDArray[np.float64]
    margins: Floats
    n_present: int
    median_margin: float
    largest_margin: float
    border_margin: float

    @property
    def border(self) -> NDArray[np.bool_]:
        """The pixels at the border of two labels, ``(H, W)``."""
        near: NDArray[np.bool_] = self.distance <= BORDER
        return near


def energies_of(scores: Floats, from_logits: bool) -> Floats:
    """The unary energies that `densecrf.refine` gives probabilities or logits ``(L, H, W)``."""
    if from_logits:
        with np.errstate(over="ignore"):  # scores of both ends of float32
            energies: Floats = np.minimum(scores.max(axis=0) - scores, np.finfo(np.float32).max)
    else:
        energies = -np.log(np.maximum(scores, np.float32(CLIP)))
    return energies


def look_at(energies: Floats) -> Network:
    """Measures unary energies ``(L, H, W)``."""
    labels = energies.argmin(axis=0)
    distance, margins = distance_to_other(labels), _margins(energies)
    border = margins[distance <= BORDER]
    return Network(
        labels,
        distance,
        margins,
        n_present=len(np.unique(labels)),
        median_margin=float(np.median(margins)),
        largest_margin=float(margins.max()),
        border_margin=float(np.median(border)) if border.size else np.nan,
    )


def _margins(energies: Floats) -> Floats:
    if len(energies) == 1:
        return np.full(energies.shape[1:], np.inf, np.float32)
    best, second = np.partition(energies, 1, axis=0)[:2]
    margins: Floats = second - best
    return margins


def distance_to_other(labels: Labels) -> NDArray[np.float64]:
    """Steps along x and y from every pixel ``(H, W)`` to the nearest pixel of another label; infinite without one."""
    distance = np.full(labels.shape, np.inf)
    for axis in (0, 1):
        here, there = np.swapaxes(labels, 0, axis), np.swapaxes(distance, 0, axis)
        meet = here[1:] != here[:-1]
        there[1:][meet] = there[:-1][meet] = 1
    for axis in (0, 1):
        # The smallest of distance + |steps along the axis|: all before, then all after.
        rows = np.swapaxes(distance, 0, axis)
        steps = np.arange(len(rows))[:, np.newaxis]
        before = np.minimum.accumulate(rows - steps) + steps
        after = np.minimum.accumulate((rows + steps)[::-1])[::-1] - steps
        rows[...] = np.minimum(before, after)
    return distance
