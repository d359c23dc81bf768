"""How much memory a model takes, before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from densecrf import _check
from densecrf._features import resolve_terms
from densecrf.terms import Bilateral, Features, Term

_CORNER = 4 + 4  # a row and a weight
_VERTEX_BUILD = 8 + 4 + 2 * 4  # key, response to ones, places among the pieces
_POINT = 1  # its share of a run of points, at most
_FLOAT = 4
_BLOCKS = (4, 8, 16)  # labels are held in blocks of these widths

# On a GPU.
_PART = 4  # labels are held in fours
_SHORT_ROW = 64  # points; the rows of more are cut into segments, at most two for each so many corners
_SEGMENT = 3 * 4
_CORNER_KEYS = 8 + 4 + 4  # key, which corner it is, vertices up to here
_CORNER_SORT = 8 + 4  # key and corner once more


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of extra memory while a picture is refined.

    Attributes:
        least: with hardly any lattice vertices, as with large sigmas.
        most: with every point in a simplex of its own, as with sigmas below the pixel or noise of colour.
    """

    least: int
    most: int


def memory_estimate(
    shape: Sequence[int],
    n_labels: int,
    terms: Sequence[Term] | None = None,
    *,
    preset: str = "deeplab-v2",
    channels: int = 3,
    damped: bool = False,
    gpu: bool = False,
) -> MemoryEstimate:
    """Extra memory of `densecrf.refine` or of a `densecrf.DenseCRF` and one inference, beside input and output.

    With N points, K the sum over terms of dimensions + 1, L' the labels rounded up to 16 a time, with 4 or 8 for the
    last if they do (1 for two labels), and V lattice vertices, it is ``N (8 K + 4 L') + 8 V L'`` bytes, and about
    ``V (20 + 4 (D + 1))`` for building. V lies between nothing and ``N K``. Normalisations other than "symmetric"
    add ``4 N K``. A label tolerance takes no more.

    Args:
        shape: of the grid, e.g. ``(H, W)``.
        n_labels: L.
        terms: as in `densecrf.refine`.
        preset: as in `densecrf.refine`.
        channels: of the image.
        damped: with damping or a tolerance, which keep the marginals of the iteration before: ``4 N L'`` more.
        gpu: on a GPU, for one picture of a batch. With L' the labels rounded up to a multiple of four it is
            ``N (16 K + 8 L') + 8 V L' + 8 V (D + 2)`` bytes and ``N K / 32`` segments of ``4 L' + 12``; ``4 N L'`` less
            when damped and for up to four labels. Building takes ``N (24 K + 12 (D + 1))``, and is over by then.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    function = "densecrf.memory_estimate"
    sizes = _check.items(function, "shape", shape)
    if not sizes:
        raise ValueError(f"{function}: shape must be that of a grid, such as (H, W), got {_check.shown(shape)}")
    points = math.prod(_check.integer(function, "shape", size, 1) for size in sizes)
    channels = _check.integer(function, "channels", channels, 0)
    damped, gpu = _check.flag(function, "damped", damped), _check.flag(function, "gpu", gpu)
    labels = _check.integer(function, "n_labels", n_labels, 1)
    meant = [term for term in resolve_terms(function, terms, preset) if term.weight != 0]
    corners = [_dims(term, len(sizes), channels) + 1 for term in meant]
    if gpu:
        return _on_gpu(points, labels, corners, damped)
    padded = label_width(labels, damped)
    one_weight = all(term.normalization == "symmetric" for term in meant)
    per_point = sum(corners) * (_CORNER if one_weight else _CORNER + _FLOAT) + padded * _FLOAT * (2 if damped else 1)
    inference = 2 * padded * _FLOAT
    vertices = [points * corner * (inference + _VERTEX_BUILD + _FLOAT * corner) for corner in corners]
    return MemoryEstimate(points * per_point, points * per_point + sum(vertices))


def require_model(shape: tuple[int, ...], terms: Sequence[Term], channels: int, channel_bytes: int) -> None:
    """Raises MemoryError where channels, points and corners of the terms of a model will not fit."""
    corners = sum(_dims(term, len(shape), channels) + 1 for term in terms if term.weight != 0)
    _check.room(math.prod(shape) * (_POINT + _CORNER * corners + channels * channel_bytes))


def _on_gpu(points: int, labels: int, corners: list[int], damped: bool) -> MemoryEstimate:
    row = -(-labels // _PART) * _PART * _FLOAT
    buffers = 1 if damped or labels <= _PART else 2  # rows of marginals that become narrower need another place
    total = points * sum(corners)
    segments = 2 * total // _SHORT_ROW
    least = 2 * _CORNER * total + buffers * points * row + segments * (_SEGMENT + row)
    build = (_CORNER + _CORNER_KEYS) * total + points * _CORNER_SORT * max(corners, default=0)
    # Values twice, where a row's points and segments begin, and two neighbours along each axis.
    vertices = [points * corner * (2 * row + 2 * _FLOAT + 2 * _FLOAT * corner) for corner in corners]
    return MemoryEstimate(max(least, build), max(least, build) + sum(vertices))


def label_width(labels: int, damped: bool = False) -> int:
    """Floats that the core holds for the labels of a point or a vertex."""
    if labels == 2 and not damped:
        return 1  # their difference
    full, left = divmod(labels, 16)
    return 16 * full + (next(width for width in _BLOCKS if left <= width) if left else 0)


def _dims(term: Term, axes: int, channels: int) -> int:
    if isinstance(term, Features):
        return int(term.features.shape[0])
    return axes + (channels if isinstance(term, Bilateral) else 0)
