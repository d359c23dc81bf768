"""Refining labels and masks: pseudo labels, annotations, what SAM-like networks give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _check
from densecrf._refine import answer
from densecrf._request import LABEL_TOLERANCE, make_call, make_request
from densecrf._unary import unary_from_labels
from densecrf.terms import Term


def refine_labels(
    image: Any,
    labels: Any,
    n_labels: int | None = None,
    *,
    confidence: float = 0.7,
    unsure: int | None = None,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
) -> NDArray[Any]:
    """Refines a map of labels so that it follows the edges of the image.

    Args:
        image: as in `densecrf.refine`.
        labels: integers ``(H, W)``.
        n_labels: L; None for one more than the largest label.
        confidence: probability that a label is right, in (0, 1); the lower, the more may change.
        unsure: the value that stands for no opinion (255 in PASCAL VOC); those pixels get a label.
        terms: as in `densecrf.refine`.
        preset: as in `densecrf.refine`.
        iterations: as in `densecrf.refine`.

    Returns:
        Refined labels ``(H, W)``, of the dtype of ``labels``.
    """
    function = "densecrf.refine_labels"
    if n_labels is not None:
        n_labels = _check.integer(function, "n_labels", n_labels, 1)
    if unsure is not None:
        unsure = _check.integer(function, "unsure", unsure, -(2**31))
    dtype = _check.labels_array(function, labels).dtype
    values = _check.labels(function, labels, n_labels, unsure)
    if values.ndim != 2:
        raise ValueError(f"{function}: labels must have shape (H, W), got {values.shape}")
    confidence = _check.probability(function, "confidence", confidence)
    if n_labels is None:
        known = values if unsure is None else values[values != unsure]
        n_labels = int(known.max(initial=0)) + 1
    _check.room(3 * 4 * n_labels * values.size)  # energies, logits and the answer
    logits = -unary_from_labels(values, n_labels, confidence, unsure)
    refined = _refine(function, image, logits, True, terms, preset, iterations)
    result: NDArray[Any] = refined.argmax(axis=0).astype(dtype)
    return result


def refine_mask(
    image: Any,
    mask: Any,
    *,
    from_logits: bool = False,
    confidence: float = 0.7,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
) -> NDArray[np.float32]:
    """Refines one foreground mask.

    Args:
        image: as in `densecrf.refine`.
        mask: ``(H, W)``: booleans; or floats, probabilities of the foreground; or, with ``from_logits``, a network's
            single-channel scores, whose sigmoid is that probability.
        from_logits: what a floating point mask is.
        confidence: probability that a boolean is right, in (0, 1).
        terms: as in `densecrf.refine`.
        preset: as in `densecrf.refine`.
        iterations: as in `densecrf.refine`.

    Returns:
        Probability of the foreground ``(H, W)``, float32; ``> 0.5`` makes a mask of it.
    """
    function = "densecrf.refine_mask"
    values = _check.mask(function, mask, _check.flag(function, "from_logits", from_logits))
    confidence = _check.probability(function, "confidence", confidence)
    _check.room(4 * 4 * values.size)  # scores of two labels, and what they are made of
    if values.dtype == bool:
        scores, from_logits = -unary_from_labels(values.astype(np.uint8), 2, confidence), True
    elif from_logits:
        scores = np.stack([np.zeros_like(values), values])
    else:
        scores = np.stack([1 - values, values])
    foreground: NDArray[np.float32] = _refine(function, image, scores, from_logits, terms, preset, iterations)[1]
    return foreground


def _refine(
    function: str,
    image: Any,
    scores: NDArray[np.float32],
    from_logits: bool,
    terms: Sequence[Term] | None,
    preset: str,
    iterations: int,
) -> NDArray[np.float32]:
    """`densecrf.refine` under another name."""
    call = make_call(
        function,
        image,
        scores,
        terms=terms,
        preset=preset,
        iterations=iterations,
        label_tolerance=LABEL_TOLERANCE,
        from_logits=from_logits,
        channel_axis=None,
        num_threads=None,
        out=None,
    )
    refined: NDArray[np.float32] = answer(make_request(call))
    return refined
