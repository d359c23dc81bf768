"""How good labels are: the scores of the FCN paper from a confusion matrix, and DeepLab's trimap experiment.

>>> from deeplab.metrics import Confusion
>>> confusion = Confusion(n_classes=2)
>>> confusion.add(labels=[[0, 1, 255]], predicted=[[0, 0, 1]])  # 255 is void, and not asked for
>>> confusion.pixel_accuracy, confusion.iou
(0.5, array([0.5, 0. ]))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplab.data import VOID
from densecrf._confusion import Confusion, cells, counted

__all__ = ["Confusion", "trimap", "trimap_curve"]

_FAR = np.int64(1) << 40  # further than any picture is wide, where there is no void at all


def trimap(labels: ArrayLike, width: int) -> NDArray[np.bool_]:
    """The pixels of ``(H, W)`` that the trimap experiment asks for: at most ``width`` away from void, but not void.

    That is void dilated by a square of side 2 width + 1, less itself, as in the authors' MyVOCevalsegBoundary.m.
    PASCAL VOC draws a border of void around every object, so this is the surroundings of objects' outlines.
    """
    distance = _distance_to_void(np.asarray(labels))
    return (distance > 0) & (distance <= width)


def trimap_curve(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]], n_classes: int, widths: Sequence[int] = range(1, 41)
) -> dict[int, tuple[float, float, float]]:
    """Scores within ever wider bands around void: figure 5 of DeepLab v1, figure 10 of v2.

    Args:
        pairs: labels and predicted labels ``(H, W)`` of every picture; pixels are counted over the whole set.
        n_classes: with the background.
        widths: of the bands, see `trimap`; the papers' unless given.

    Returns:
        For every width, pixel accuracy, mean accuracy and mean IoU.

    Raises ValueError as `Confusion.add` does.
    """
    # Pixels are counted once, by their distance; a band is the sum over the distances that it covers.
    counts = np.zeros((max(widths) + 1, n_classes, n_classes), np.int64)
    for labels, predicted in pairs:
        known, places = cells(labels, predicted, n_classes)
        distance = _distance_to_void(np.asarray(labels))[known]
        near = distance < len(counts)
        inside = distance[near] * n_classes**2 + places[near]
        counts += np.bincount(inside, minlength=counts.size).reshape(counts.shape)
    bands = [counted(matrix) for matrix in counts.cumsum(axis=0)]
    return {w: (bands[w].pixel_accuracy, bands[w].mean_accuracy, bands[w].mean_iou) for w in widths}


def _distance_to_void(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The larger of the steps along x and along y to the nearest void pixel, in ``(H, W)``."""
    column = np.arange(labels.shape[1])
    void = labels == VOID
    left = np.maximum.accumulate(np.where(void, column, -_FAR), axis=1)
    right = np.minimum.accumulate(np.where(void, column, _FAR)[:, ::-1], axis=1)[:, ::-1]
    within_row = np.minimum(column - left, right - column)
    # A shortest way goes straight along void's row first, and then from row to row, straight or at an angle.
    distance = np.pad(within_row, ((0, 0), (1, 1)), constant_values=_FAR)
    for rows in (distance, distance[::-1]):
        for last, row in pairwise(rows):
            step = np.minimum(np.minimum(last[:-2], last[2:]), last[1:-1]) + 1
            np.minimum(row[1:-1], step, out=row[1:-1])
    return distance[:, 1:-1]
