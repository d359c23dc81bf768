"""From what a user passes to `refine` to what an engine needs: checked, resolved, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _arrays, _check, _core
from densecrf._arrays import Given
from densecrf._build import default_threads
from densecrf._features import FullTerm, full_term, resolve_terms
from densecrf.terms import Term

# Probabilities below this count as this: a network's certainty is not a proof, and log(0) has no value.
CLIP = 1e-5

# Labels that stay below this everywhere are not filtered: on real outputs the result differs by less than float32
# rounding is amplified anyway (docs/accuracy.md), and few labels are left.
LABEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Request:
    """A call of `refine` after every check.

    Attributes:
        terms: [B], the pairwise terms on each picture.
        shape: (H, W).
        scores: [B, L, N] float32, contiguous.
        from_logits: what scores are.
        iterations: of mean field.
        label_tolerance: labels below it everywhere are not filtered.
        threads: how many to use.
        probs: as the caller gave them, for the answer to be like.
        out: where the caller wants the answer, if anywhere.
    """

    terms: tuple[tuple[FullTerm, ...], ...]
    shape: tuple[int, int]
    scores: NDArray[np.float32]
    from_logits: bool
    iterations: int
    label_tolerance: float
    threads: int
    probs: Given
    out: Given | None


def make_request(
    function: str,
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None,
    preset: str,
    iterations: int,
    label_tolerance: float,
    from_logits: bool,
    channel_axis: int | None,
    num_threads: int | None,
    out: Any,
) -> Request:
    """Checks all arguments of `densecrf.refine`; see there."""
    threads = _check.threads(function, num_threads, default_threads())
    given = _arrays.take(function, "probs", probs)
    given_image = _arrays.take(function, "image", image)
    given_out = None if out is None else _arrays.take(function, "out", out)
    from_logits = _check.flag(function, "from_logits", from_logits)

    shape = _check.probs_shape(function, given)
    pictures = _check.picture_layout(function, given_image, given, shape, channel_axis)
    if given_out is not None:
        _check.out_matches(function, given_out, given)

    # Everything from here on may copy. At least: the scores, the picture, the answer, the unaries of
    # the pictures that are refined side by side.
    batch, labels, height, width = shape
    points = height * width
    together = min(batch, threads)
    _core.require_memory(4 * points * ((2 * batch + together) * labels + batch * pictures.shape[-1]))
    pictures = _check.picture_values(function, given_image, pictures)
    with np.errstate(over="ignore"):  # beyond float32: becomes infinite, and is refused as such
        scores = np.ascontiguousarray(given.values, np.float32).reshape(batch, labels, points)
    _check.probs_values(function, scores, from_logits, threads)
    meant = resolve_terms(function, terms, preset)
    return Request(
        tuple(
            tuple(full_term(function, term, (height, width), labels, one.reshape(points, -1)) for term in meant)
            for one in pictures
        ),
        (height, width),
        scores,
        from_logits,
        _check.integer(function, "iterations", iterations, 0),
        _check.share(function, "label_tolerance", label_tolerance),
        threads,
        given,
        given_out,
    )
