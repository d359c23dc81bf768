"""How good labels are: the scores of the FCN paper from a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densecrf import _check


class Confusion:
    """How many pixels of each class were taken for which: what all scores are made of.

    Counts of several pictures, or of several processes, add up: ``sum(parts, Confusion(n_classes))``. The scores are
    those of Long et al., Fully Convolutional Networks, section 5; with nothing counted they are NaN.

    Attributes:
        matrix: int64 ``(n_classes, n_classes)``, [true, predicted].
    """

    def __init__(self, n_classes: int) -> None:
        n_classes = _check.integer("confusion", "n_classes", n_classes, 0)
        _check.room(2 * 8 * n_classes**2)  # and as much again while a picture is counted
        self.matrix: NDArray[np.int64] = np.zeros((n_classes, n_classes), np.int64)

    def add(self, labels: ArrayLike, predicted: ArrayLike) -> None:
        """Counts the pixels of a picture, or of many.

        Args:
            labels: the truth, integers of any shape. Pixels that are of none of the classes, such as void, are left
                out, as in the authors' programs.
            predicted: what was made of it, of the same shape.

        Raises:
            ValueError: the shapes differ, something is no integer, or a predicted label is none of the classes.
        """
        _, places = cells(labels, predicted, len(self.matrix))
        self.matrix += np.bincount(places, minlength=self.matrix.size).reshape(self.matrix.shape)

    def __add__(self, other: Confusion) -> Confusion:
        return counted(self.matrix + other.matrix)

    @property
    def pixel_accuracy(self) -> float:
        """The fraction of all pixels that is right."""
        return float(_ratio(self.matrix.trace(), self.matrix.sum()))

    @property
    def mean_accuracy(self) -> float:
        """The fraction of a class's pixels that is right, in the mean of the classes that the truth has."""
        return _mean(_ratio(self.matrix.diagonal(), self.matrix.sum(axis=1)))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Of each class, intersection over union; NaN where neither truth nor prediction has it."""
        right = self.matrix.diagonal()
        return _ratio(right, self.matrix.sum(axis=0) + self.matrix.sum(axis=1) - right)

    @property
    def mean_iou(self) -> float:
        """The mean of `iou`, over the classes that truth or prediction has."""
        return _mean(self.iou)

    @property
    def mean_iou_of_present(self) -> float:
        """The mean of `iou`, over the classes that the truth has: for a few pictures of a data set of many classes."""
        return _mean(self.iou[self.matrix.sum(axis=1) > 0])

    @property
    def frequency_weighted_iou(self) -> float:
        """The mean of `iou`, every class with as much weight as it has pixels in truth."""
        pixels = self.matrix.sum(axis=1)
        return float(_ratio(np.nansum(pixels * self.iou), pixels.sum()))


def counted(matrix: NDArray[np.int64]) -> Confusion:
    """The confusion with these counts."""
    confusion = Confusion(0)
    confusion.matrix = matrix
    return confusion


def cells(labels: ArrayLike, predicted: ArrayLike, n_classes: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which pixels count, and the place of each of them in a flat confusion matrix."""
    truth = _check.array("confusion", "labels", labels)
    answer = _check.array("confusion", "predicted labels", predicted)
    if truth.shape != answer.shape:
        raise ValueError(f"confusion: labels are {truth.shape}, predicted ones {answer.shape}; they must agree")
    for array in (truth, answer):
        if array.dtype.kind not in "iu":
            raise ValueError(f"confusion: labels and predicted labels must be integers, got {array.dtype}")
    if answer.size and not 0 <= answer.min() <= answer.max() < n_classes:
        raise ValueError(
            f"confusion: predicted labels must be 0 to {n_classes - 1}, got {answer.min()} to {answer.max()}"
        )
    known = (truth >= 0) & (truth < n_classes)
    return known, truth[known].astype(np.int64) * n_classes + answer[known].astype(np.int64)


def _ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """Part of whole, NaN where there is none of either."""
    with np.errstate(invalid="ignore"):
        return np.asarray(part / whole)


def _mean(scores: NDArray[np.float64]) -> float:
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else np.nan
