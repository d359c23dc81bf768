"""What happens from one iteration of mean field to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from densecrf import DenseCRF, Parameters, unary_from_probs
from densecrf.app.session import Subject

PIXELS = 60_000  # larger pictures are made smaller: every iteration is filtered twice here, for every label
SMALL = 1e-3  # labels that are less likely everywhere are not followed


@dataclass(frozen=True)
class Curves:
    """One value per iteration, from before the first.

    Attributes:
        changed: share of pixels whose label is another than at the start.
        moved: share of pixels whose label is another than an iteration before; first not a number.
        energy: the free energy per pixel, which mean field minimises.
        areas: share of the picture, by label.
    """

    changed: list[float]
    moved: list[float]
    energy: list[float]
    areas: dict[int, list[float]]


def follow(subject: Subject, parameters: Parameters) -> Curves:
    """Runs mean field step by step on a subject, which should be small."""
    kept = np.flatnonzero(subject.probs.max(axis=(1, 2)) >= SMALL)
    probs = subject.probs[kept] / subject.probs[kept].sum(axis=0)
    pixels = probs[0].size
    field = DenseCRF(subject.image, len(kept), parameters.terms).start(unary_from_probs(probs))
    labels = [field.marginals.argmax(axis=0)]
    energy = [field.free_energy() / pixels]
    for _ in range(parameters.iterations):
        labels.append(field.step().argmax(axis=0))
        energy.append(field.free_energy() / pixels)
    counts = np.stack([np.bincount(each.ravel(), minlength=len(kept)) for each in labels]) / pixels  # [T, labels]
    return Curves(
        changed=[float(np.mean(each != labels[0])) for each in labels],
        moved=[math.nan] + [float(np.mean(each != last)) for last, each in pairwise(labels)],
        energy=energy,
        areas={int(label): counts[:, i].tolist() for i, label in enumerate(kept) if counts[:, i].any()},
    )
