"""What the CRF makes of the network's labels, iteration by iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densecrf._diagnose.network import Floats, Labels, Network
from densecrf._model import DenseCRF

# The network is sure of a pixel where its best probability is 99 times the second.
SURE = math.log(99)
# A label has vanished where it has lost nine tenths of its pixels.
LEFT = 0.1


@dataclass(frozen=True, eq=False)
class Changes:
    """What changed.

    Attributes:
        share: of the pixels whose label changes, 0 to 1.
        at_border: the same of the pixels at most two steps from another label; NaN where no labels meet.
        overruled: the same of the pixels whose margin is above log 99; NaN where there are none.
        median_distance: of the changed pixels from the nearest border of the network's labels, in pixels; NaN without
            either.
        far_distance: nine tenths of the changed pixels are nearer than this.
        areas_before: share of the picture that every label has for the network, ``(L,)``.
        areas_after: the same after the CRF.
        vanished: the labels that lose at least nine tenths of their pixels.
        by_iteration: share of the pixels whose label each iteration changes, one after the other.
        unsettled: share of the pixels whose label one more iteration would change.
        oscillating: share of the pixels that would change back to what they were an iteration before.
    """

    share: float
    at_border: float
    overruled: float
    median_distance: float
    far_distance: float
    areas_before: NDArray[np.float64]
    areas_after: NDArray[np.float64]
    vanished: tuple[int, ...]
    by_iteration: tuple[float, ...]
    unsettled: float
    oscillating: float


def run(crf: DenseCRF, energies: Floats, network: Network, iterations: int) -> Changes:
    """Infers from unary energies ``(L, H, W)``, and one iteration more."""
    mean_field = crf.start(energies)
    before = now = following = network.labels
    by_iteration = []
    for _ in range(iterations + 1):
        before, now = now, following
        following = mean_field.step().argmax(axis=0)
        by_iteration.append(_share(following != now))
    return _compare(network, len(energies), now, tuple(by_iteration), _share((following == before) & (now != before)))


def _compare(
    network: Network, n_labels: int, after: Labels, by_iteration: tuple[float, ...], oscillating: float
) -> Changes:
    changed = after != network.labels
    median, far = _distances(network.distance[changed])
    areas_before, areas_after = _areas(network.labels, n_labels), _areas(after, n_labels)
    gone = (areas_before > 0) & (areas_after <= LEFT * areas_before)
    return Changes(
        share=_share(changed),
        at_border=_share(changed[network.border]),
        overruled=_share(changed[network.margins >= SURE]),
        median_distance=median,
        far_distance=far,
        areas_before=areas_before,
        areas_after=areas_after,
        vanished=tuple(np.flatnonzero(gone).tolist()),
        by_iteration=by_iteration[:-1],
        unsettled=by_iteration[-1],
        oscillating=oscillating,
    )


def _distances(changed: NDArray[np.float64]) -> tuple[float, float]:
    """The median and the 90th percentile, where there are any; pixels beside the border are one step away."""
    if not np.isfinite(changed).any():
        return np.nan, np.nan
    median, far = np.quantile(changed, (0.5, 0.9), method="nearest")
    return float(median), float(far)


def _areas(labels: Labels, n_labels: int) -> NDArray[np.float64]:
    return np.bincount(labels.ravel(), minlength=n_labels) / labels.size


def _share(there: NDArray[np.bool_]) -> float:
    return float(there.mean()) if there.size else math.nan
