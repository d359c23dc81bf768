"""Unary energies [L, ...]: what each point thinks of each label before it hears its neighbours. Lower is likelier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _check


def unary_from_probs(probs: Any, clip: float = 1e-5, scale: float | None = None) -> NDArray[np.float32]:
    """Energies of probabilities: ``-log(max(probs, clip))``.

    Args:
        probs: ``(L, ...)``, over the labels summing to 1.
        clip: probabilities below count as this; in (0, 1).
        scale: mix with the uniform distribution, ``scale * probs + (1 - scale) / L``: how far the probabilities
            are to be trusted, in (0, 1]; None for all the way.

    Returns:
        ``(L, ...)`` float32.
    """
    function = "densecrf.unary_from_probs"
    values = _check.plain_probs(function, probs)
    clip = _check.probability(function, "clip", clip)
    _check.room(2 * 4 * values.size)
    if scale is not None:
        scale = _check.probability(function, "scale", scale, most=1.0 + 1e-9)
        values = scale * values + (1 - scale) / len(values)
    dtype = np.float32 if clip >= np.finfo(np.float32).tiny else np.float64  # which knows the clip from 0
    energies: NDArray[np.float32] = -np.log(np.maximum(values, clip, dtype=dtype)).astype(np.float32)
    return energies


def unary_from_labels(
    labels: Any, n_labels: int, confidence: float = 0.7, unsure: int | None = None
) -> NDArray[np.float32]:
    """Energies of annotated labels: the label at a point has probability ``confidence``, the others share the rest.

    Args:
        labels: integers ``(...)``, 0 to n_labels - 1, or ``unsure``.
        n_labels: L.
        confidence: probability that an annotation is right, in (0, 1).
        unsure: the value that stands for no opinion (255 in PASCAL VOC): all labels are equally likely there.

    Returns:
        ``(L, ...)`` float32.
    """
    function = "densecrf.unary_from_labels"
    n_labels = _check.integer(function, "n_labels", n_labels, 1)
    values = _check.labels(function, labels, n_labels, unsure)
    confidence = _check.probability(function, "confidence", confidence)
    other = (1 - confidence) / max(n_labels - 1, 1)
    _check.room(2 * 4 * n_labels * values.size)
    energies = np.full((n_labels, *values.shape), -np.log(other), np.float32)
    known = np.ones(values.shape, bool) if unsure is None else values != unsure
    index = np.where(known, values, 0)
    np.put_along_axis(energies, index[np.newaxis], np.float32(-np.log(confidence)), axis=0)
    energies[:, ~known] = np.log(n_labels)
    return energies
