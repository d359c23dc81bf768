"""The time that moving its data takes, below which hardly a call with states larger than the cache can go.

An iteration has to read every pixel's unary energies and its corners (a row and a weight each), read every row of the
lattice when it slices, write it when it splats, and read and write it when it blurs, each once at least. That a
corner's row is read anew for each pixel, that a blur goes along several axes, that rows come from random places and
that the lattice has to be built is not counted; that the blur spares vertices without neighbours is not either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import densecrf
from benchmarks import workloads
from densecrf import Bilateral
from densecrf._memory import label_width

_FLOAT = 4
_CORNER = 4 + 4  # a row and a weight
_PASSES = 4  # over the rows of a lattice: sliced, splatted, and read and written by the blur


@dataclass(frozen=True)
class Floor:
    """What one call must move.

    Attributes:
        vertices: of all lattices; of all pictures in a batch.
        iteration: bytes an iteration moves at least.
        iterations: how many there are.
    """

    vertices: int
    iteration: int
    iterations: int

    @property
    def bytes(self) -> int:
        """What all the iterations move."""
        return self.iteration * self.iterations

    def seconds(self, bandwidths: Mapping[int, float]) -> dict[int, float]:
        """Number of threads -> the time that takes, at bytes per second for that number of threads."""
        return {threads: self.bytes / each for threads, each in bandwidths.items()}


def of(work: workloads.Workload) -> Floor:
    """Count for one workload; builds its lattices for their sizes."""
    vertices = sum(vertices_of(image, work) for image in np.reshape(work.image, (-1, *work.image.shape[-3:])))
    points = (work.pictures or 1) * work.shape[0] * work.shape[1]
    return Floor(vertices, moved(points, work.labels, corners(work), vertices), work.iterations)


def vertices_of(image: workloads.Image, work: workloads.Workload) -> int:
    """V of one picture [H, W, 3] with a workload's terms."""
    return densecrf.DenseCRF(image, work.labels, work.terms).n_vertices


def corners(work: workloads.Workload) -> int:
    """Lattice vertices around a pixel, of all terms."""
    axes, channels = 2, work.image.shape[-1]
    return sum(axes + (channels if isinstance(term, Bilateral) else 0) + 1 for term in work.terms)


def moved(points: int, labels: int, corners: int, vertices: int) -> int:
    """Bytes of one iteration."""
    row = label_width(labels) * _FLOAT
    return points * (row + corners * _CORNER) + _PASSES * vertices * row
