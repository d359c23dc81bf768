"""How good labels are: the scores of the FCN paper from a confusion matrix, and DeepLab's trimap experiment.

>>> from deeplab.metrics import Confusion
>>> confusion = Confusion(n_classes=2)
>>> confusion.add(labels=[[0, 1, 255]], predicted=[[0, 0, 1]])  # 255 is void, and not asked for
>>> confusion.pixel_accuracy, confusion.iou
(0.5, array([0.5, 0. ]))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplab.data import VOID, Borders
from densecrf import _check
from densecrf._confusion import Confusion, cells, counted

__all__ = ["Confusion", "trimap", "trimap_confusions", "trimap_curve"]

_FAR = np.int64(1) << 40  # further than any picture is wide, where there is no void at all


def trimap(labels: ArrayLike, width: int, borders: Borders = "void") -> NDArray[np.bool_]:
    """The pixels of ``(H, W)`` that the trimap experiment asks for: those at most ``width`` away from a border.

    Args:
        labels: the truth.
        width: of the band, to each side, in pixels; a distance is the larger of the steps along x and along y.
        borders: "void": void, which itself is not in the band, as in the authors' MyVOCevalsegBoundary.m; PASCAL VOC
            draws a border of void around every object. "labels": where two labels meet, neither of them void, as in
            data sets that draw no borders; the pixels that touch the other label have a distance of 1. "either": the
            nearer of both.

    Raises TypeError or ValueError where an argument is not what it should be.
    """
    truth = _truth(labels)
    width = _check.integer("trimap", "width", width, 0)
    _check.choice("trimap", "borders", borders, tuple(_DISTANCES))
    distance = _DISTANCES[borders](truth)
    band: NDArray[np.bool_] = (truth != VOID) & (distance <= width)
    return band


def trimap_confusions(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]],
    n_classes: int,
    widths: Sequence[int] = range(1, 41),
    borders: Borders = "void",
) -> dict[int, Confusion]:
    """The confusions within ever wider bands around borders: what figure 5 of DeepLab v1, figure 10 of v2 is made of.

    Args:
        pairs: labels and predicted labels ``(H, W)`` of every picture; pixels are counted over the whole set.
        n_classes: with the background.
        widths: of the bands, see `trimap`; the papers' unless given.
        borders: of what, see `trimap`.

    Raises ValueError as `Confusion.add` does, and TypeError or ValueError as `trimap` does.
    """
    n_classes = len(Confusion(n_classes).matrix)
    widths = _widths(widths, n_classes)
    _check.choice("trimap", "borders", borders, tuple(_DISTANCES))
    # Pixels are counted once, by their distance; a band is the sum over the distances that it covers.
    counts = np.zeros((max(widths) + 1, n_classes, n_classes), np.int64)
    for pair in _iterated(pairs):
        labels, predicted = _pair(pair)
        known, places = cells(labels, predicted, n_classes)
        distance = _DISTANCES[borders](_truth(labels))[known]
        near = distance < len(counts)
        inside = distance[near] * n_classes**2 + places[near]
        counts += np.bincount(inside, minlength=counts.size).reshape(counts.shape)
    bands = counts.cumsum(axis=0)
    return {width: counted(bands[width]) for width in widths}


def trimap_curve(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]],
    n_classes: int,
    widths: Sequence[int] = range(1, 41),
    borders: Borders = "void",
) -> dict[int, tuple[float, float, float]]:
    """For every width, pixel accuracy, mean accuracy and mean IoU of `trimap_confusions`."""
    bands = trimap_confusions(pairs, n_classes, widths, borders)
    return {w: (band.pixel_accuracy, band.mean_accuracy, band.mean_iou) for w, band in bands.items()}


def _truth(labels: ArrayLike) -> NDArray[Any]:
    truth = _check.array("trimap", "labels", labels)
    if truth.ndim != 2 or truth.dtype.kind not in "iu":
        raise ValueError(f"trimap: labels must be integers (H, W), got {truth.dtype} of shape {truth.shape}")
    return truth


def _iterated(pairs: Iterable[Any]) -> Iterator[Any]:
    try:
        return iter(pairs)
    except (TypeError, ValueError):  # also an array of no dimensions, or a parameter without a shape
        raise TypeError(f"trimap: pairs must be an iterable, got {type(pairs).__name__}") from None


def _pair(pair: Any) -> tuple[ArrayLike, ArrayLike]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"trimap: pairs must hold labels and predicted labels, got {type(pair).__name__}")
    return pair[0], pair[1]


def _widths(widths: Sequence[int], n_classes: int) -> list[int]:
    """Widths of bands, for which there is memory."""
    given = _check.items("trimap", "widths", widths)
    if not given:
        raise ValueError(f"trimap: widths must be a list of widths, got {_check.shown(widths)}")
    checked = [_check.integer("trimap", "widths", width, 0) for width in given]
    _check.room(2 * 8 * (max(checked) + 1) * n_classes**2)
    return checked


def _distance_to_void(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Of ``(H, W)``, to the nearest void pixel."""
    return _distance(labels == VOID)


def _distance_to_other(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Of ``(H, W)``, to the nearest place where two labels meet; 1 for the pixels beside it."""
    meet = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        a, b = (labels.take(range(start, labels.shape[axis] - 1 + start), axis) for start in (0, 1))
        differ = (a != b) & (a != VOID) & (b != VOID)
        for start in (0, 1):
            here = [slice(None), slice(None)]
            here[axis] = slice(start, labels.shape[axis] - 1 + start)
            meet[tuple(here)] |= differ
    return _distance(meet) + 1


def _distance_to_either(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Of ``(H, W)``, the smaller of both."""
    return np.minimum(_distance_to_void(labels), _distance_to_other(labels))


_DISTANCES = {"void": _distance_to_void, "labels": _distance_to_other, "either": _distance_to_either}


def _distance(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The larger of the steps along x and along y to the nearest pixel that is true, in ``(H, W)``."""
    column = np.arange(there.shape[1])
    left = np.maximum.accumulate(np.where(there, column, -_FAR), axis=1)
    right = np.minimum.accumulate(np.where(there, column, _FAR)[:, ::-1], axis=1)[:, ::-1]
    within_row = np.minimum(column - left, right - column)
    # A shortest way goes straight along that pixel's row first, and then from row to row, straight or at an angle.
    distance = np.pad(within_row, ((0, 0), (1, 1)), constant_values=_FAR)
    for rows in (distance, distance[::-1]):
        for last, row in pairwise(rows):
            step = np.minimum(np.minimum(last[:-2], last[2:]), last[1:-1]) + 1
            np.minimum(row[1:-1], step, out=row[1:-1])
    return distance[:, 1:-1]
