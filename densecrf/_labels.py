"""Refining labels and masks: pseudo labels, annotations, what SAM-like networks give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _check
from densecrf._refine import refine
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
    values = _check.labels("densecrf.refine_labels", labels, n_labels, unsure)
    if n_labels is None:
        known = values if unsure is None else values[values != unsure]
        n_labels = int(known.max(initial=0)) + 1
    logits = -unary_from_labels(values, n_labels, confidence, unsure)
    refined = refine(image, logits, from_logits=True, terms=terms, preset=preset, iterations=iterations)
    result: NDArray[Any] = refined.argmax(axis=0).astype(np.asarray(labels).dtype)
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
    values = _check.mask("densecrf.refine_mask", mask, from_logits)
    if values.dtype == bool:
        energies = unary_from_labels(values.astype(np.uint8), 2, confidence)
        scores, from_logits = -energies, True
    elif from_logits:
        scores = np.stack([np.zeros_like(values), values])
    else:
        scores = np.stack([1 - values, values])
    refined = refine(image, scores, from_logits=from_logits, terms=terms, preset=preset, iterations=iterations)
    foreground: NDArray[np.float32] = refined[1]
    return foreground
