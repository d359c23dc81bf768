"""Volumes in one call: scans, stacks, films."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from densecrf import _arrays, _check
from densecrf._features import own_terms
from densecrf._model import DenseCRF
from densecrf._request import LABEL_TOLERANCE
from densecrf._unary import unary_from_probs
from densecrf.terms import Features, Term


def refine_volume(
    volume: Any,
    probs: Any,
    terms: Sequence[Term],
    *,
    spacing: Sequence[float] | None = None,
    iterations: int = 10,
    label_tolerance: float = LABEL_TOLERANCE,
    channel_axis: int | None = None,
    num_threads: int | None = None,
) -> Any:
    """Refines label probabilities of a volume, as `densecrf.refine` does for a picture.

    There is no default for ``terms``: the published parameters are for photographs.

    Args:
        volume: ``(Z, Y, X)``, or with a channel axis; any number of axes. Values as in `densecrf.refine`: integers
            stand for themselves (Hounsfield units), floats lie in 0..1 or 0..255.
        probs: ``(L, Z, Y, X)`` label probabilities.
        terms: pairwise terms; ``sxy`` is one number or ``(x, y, z)``, in units of ``spacing``.
        spacing: the size of a voxel along each axis of the volume, ``(z, y, x)``, e.g. in millimetres; None for voxels.
        iterations: of mean field.
        label_tolerance: as in `densecrf.refine`.
        channel_axis: the axis of ``volume`` that holds channels; None if there is none.
        num_threads: as in `densecrf.refine`.

    Returns:
        Marginals ``(L, Z, Y, X)``, with the library and dtype of ``probs``.
    """
    function = "densecrf.refine_volume"
    iterations = _check.integer(function, "iterations", iterations, 0)
    label_tolerance = _check.share(function, "label_tolerance", label_tolerance)
    given = _arrays.take(function, "probs", probs)
    energies = unary_from_probs(given.values)
    axes = energies.ndim - 1
    sizes = (1.0,) * axes if spacing is None else _check.spacing(function, spacing, axes)
    scaled = [_in_voxels(function, term, sizes[::-1]) for term in own_terms(function, terms)]
    crf = DenseCRF(volume, len(energies), scaled, channel_axis=channel_axis, num_threads=num_threads)
    if crf.shape != energies.shape[1:]:
        raise ValueError(
            f"{function}: volume and probs must have the same size, got {crf.shape} and {energies.shape[1:]}; "
            f"resize one, or say which axis of the volume holds channels with channel_axis="
        )
    return _arrays.give_back(crf.infer(energies, iterations, label_tolerance=label_tolerance), given, None)


def _in_voxels(function: str, term: Term, sizes: Sequence[float]) -> Term:
    """The term with its position sigmas divided by the voxel's size, x first."""
    if isinstance(term, Features):
        return term
    sigmas = _check.axis_count(function, term, term.sxy, len(sizes))
    return dataclasses.replace(term, sxy=tuple(s / size for s, size in zip(sigmas, sizes, strict=True)))
