"""The exact answer, by summing over all pairs of pixels in float64: the oracle, and the maths in a page.

For pictures of up to a few thousand pixels: a term takes memory and time of N^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _arrays, _check
from densecrf._features import FullTerm
from densecrf._request import CLIP, Request, make_call, make_request
from densecrf.terms import Term

__all__ = ["refine"]

MAX_PIXELS = 1 << 14  # a kernel of this many pixels takes 2 GiB

Matrix = NDArray[np.float64]


def refine(
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
    from_logits: bool = False,
    channel_axis: int | None = None,
    num_threads: int | None = None,
    out: Any = None,
) -> Any:
    """What `densecrf.refine` approximates, exactly: all pairs of pixels summed, every label in every sum.

    The lattice's kernel is not the exact one; see docs/accuracy.md for how far apart the answers are.

    Raises:
        TypeError, ValueError: as `densecrf.refine`; also ValueError for more than 16384 pixels.
    """
    call = make_call(
        "densecrf.reference.refine",
        image,
        probs,
        terms=terms,
        preset=preset,
        iterations=iterations,
        label_tolerance=0.0,
        from_logits=from_logits,
        channel_axis=channel_axis,
        num_threads=num_threads,
        out=out,
    )
    n_points = call.shape[2] * call.shape[3]
    if n_points > MAX_PIXELS:
        raise ValueError(
            f"densecrf.reference.refine: at most {MAX_PIXELS} pixels, got {n_points}; "
            f"it sums over all pairs; use densecrf.refine"
        )
    _check.room(8 * n_points**2 * (len(call.terms) + 3))  # kernels, and what the last of them is made of
    request = make_request(call)
    marginals = [_infer(request, b) for b in range(len(request.scores))]
    result = np.stack(marginals).reshape(call.probs.values.shape).astype(np.float32)
    return _arrays.give_back(result, call.probs, call.out)


def _infer(request: Request, item: int) -> Matrix:
    """Mean field (Krähenbühl & Koltun 2011, algorithm 1); returns Q [L, N]."""
    scores = request.scores[item].astype(np.float64)
    unary = -scores if request.call.from_logits else -np.log(np.maximum(scores, CLIP))
    filters = [(compatibility(term, len(scores)), kernel(term)) for term in request.terms[item]]
    Q = softmax(-unary)
    for _ in range(request.call.iterations):
        message = sum((W @ (Q @ k.T) for W, k in filters), np.zeros_like(Q))
        Q = softmax(-unary + message)
    return Q


def compatibility(term: FullTerm, n_labels: int) -> Matrix:
    """What each label gains from the mass of each around it, [L, L]."""
    weight = np.asarray(term.weight, np.float64)
    W = weight if weight.ndim == 2 else np.diag(np.broadcast_to(weight, n_labels))
    symmetric: Matrix = (W + W.T) / 2
    return symmetric


def kernel(term: FullTerm) -> Matrix:
    """The normalised kernel [N, N] of a term; a point's own share included."""
    f = term.features()
    squared = (f**2).sum(1)
    k: Matrix = np.exp(-0.5 * np.maximum(squared[:, None] + squared[None, :] - 2 * f @ f.T, 0))
    norm: Matrix = k.sum(1)
    if term.normalization == "symmetric":
        k /= np.sqrt(norm[:, None] * norm[None, :])
    elif term.normalization == "after":
        k /= norm[:, None]
    elif term.normalization == "before":
        k /= norm[None, :]
    return k


def softmax(exponents: Matrix) -> Matrix:
    """Soft-max over labels, [L, N]."""
    e = np.exp(exponents - exponents.max(0))
    normalised: Matrix = e / e.sum(0)
    return normalised
