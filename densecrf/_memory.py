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
_FLOAT = 4
_BLOCKS = (4, 8, 16)  # labels are held in blocks of these widths


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
    """
    function = "densecrf.memory_estimate"
    points = math.prod(_check.integer(function, "shape", size, 1) for size in shape)
    padded = label_width(_check.integer(function, "n_labels", n_labels, 1), damped)
    meant = [term for term in resolve_terms(function, terms, preset) if term.weight != 0]
    corners = [_dims(term, len(shape), channels) + 1 for term in meant]
    one_weight = all(term.normalization == "symmetric" for term in meant)
    per_point = sum(corners) * (_CORNER if one_weight else _CORNER + _FLOAT) + padded * _FLOAT * (2 if damped else 1)
    inference = 2 * padded * _FLOAT
    vertices = [points * corner * (inference + _VERTEX_BUILD + _FLOAT * corner) for corner in corners]
    return MemoryEstimate(points * per_point, points * per_point + sum(vertices))


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
