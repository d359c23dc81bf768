"""How far an answer of the library is from that of tests/lattice64.py, and why.

Mean field is bistable at boundaries: iterations can amplify a last bit by any factor. So an error counts against what
the reference does itself when a last bit moves, of its energies (`moved`) or of the exponents of every soft-max, which
heavy terms make larger (`rounded`); and against what the simplest program in float32 gets wrong on the same lattice
(`plain`), where sums over all pixels of a picture are rounded thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import drift_cases
import lattice64
import numpy as np
from drift_cases import Scene, Setting
from lattice64 import Kernel
from numpy.typing import NDArray

BOUND = 1e-4  # smaller errors need no reason
LAST_BITS = 10.0  # an error has one if a single last bit, the least there is, does a tenth of it ...
AS_PLAIN = 3.0  # ... or the simplest program in float32 a third
TIE = 1e-4  # labels whose marginals are no further apart are as likely
PROBED = 2e-5  # errors from here on are explained
PERTURBED = 3  # times


@dataclass(frozen=True)
class Distance:
    """Between two answers of the same shape.

    Attributes:
        largest: difference of a marginal.
        p999: the 99.9th percentile over pixels of the largest difference over labels.
        above_1e4, above_1e3: pixels where it is larger than 1e-4, than 1e-3.
        pixels: how many there are.
        unlike: pixels with another label.
        ties: of these, where the reference's two labels are as likely.
        lead: by how much the reference prefers its own label to the other, at most, where they differ.
    """

    largest: float
    p999: float
    above_1e4: int
    above_1e3: int
    pixels: int
    unlike: int
    ties: int
    lead: float


def distance(answer: NDArray, reference: NDArray) -> Distance:
    """Of an answer [L, ...] from a reference."""
    difference = np.abs(answer - reference).max(axis=0)
    chosen = np.take_along_axis(reference, answer.argmax(axis=0)[np.newaxis], axis=0)[0]
    lead = (reference.max(axis=0) - chosen)[answer.argmax(axis=0) != reference.argmax(axis=0)]
    return Distance(
        float(difference.max()),
        float(np.quantile(difference, 0.999)),
        int((difference > 1e-4).sum()),
        int((difference > 1e-3).sum()),
        difference.size,
        lead.size,
        int((lead < TIE).sum()),
        float(lead.max(initial=0)),
    )


@dataclass(frozen=True)
class Reasons:
    """By how much other things than a mistake move a marginal.

    Attributes:
        moved: the reference, if every energy moves by its last bit, up or down; the most of a few times.
        rounded: the reference, if its exponents are rounded to float32.
        plain: the simplest program in float32.
    """

    moved: float
    rounded: float
    plain: float

    @property
    def last_bits(self) -> float:
        """The largest error that bistability is a reason for."""
        return LAST_BITS * max(self.moved, self.rounded)

    def explain(self, error: float) -> bool:
        """Whether an error is small, or one that bistability or float32 bring along."""
        return error <= max(BOUND, self.last_bits, AS_PLAIN * self.plain)


class Reference:
    """The answer in float64 for a picture and a parameter set, and how much it is worth."""

    def __init__(self, scene: Scene, setting: Setting) -> None:
        self._scene, self._setting = scene, setting
        self.kernels = self._kernels(exact=False)
        self._energies = drift_cases.energies(scene, setting)
        by_refine = drift_cases.by_refine(setting)  # which makes energies of probabilities itself
        unary = lattice64.energies_of(scene.probs) if by_refine else self._energies
        self._unary = unary.astype(np.float64)
        self.marginals = self._infer(self._unary, self.kernels)

    def _kernels(self, exact: bool) -> list[Kernel]:
        terms = self._setting.terms(len(self._scene.probs))
        return lattice64.kernels(terms, self._scene.probs.shape[1:], self._scene.image, exact)

    def _infer(
        self, energies: NDArray, kernels: Sequence[Kernel], infer: Callable = lattice64.infer, **options: Any
    ) -> NDArray:
        return infer(energies, kernels, self._setting.iterations, self._setting.damping, **options)

    @property
    def vertices(self) -> int:
        """Of all terms."""
        return sum(kernel.lattice.vertices for kernel in self.kernels)

    def with_exact_weights(self) -> NDArray:
        """Marginals with the weights of corners as they are, not as float32 has them."""
        return self._infer(self._unary, self._kernels(exact=True))

    def reasons(self) -> Reasons:
        """What an error may be due to."""
        return Reasons(
            max(self._moved(seed) for seed in range(PERTURBED)),
            self._off(self._infer(self._unary, self.kernels, exponents=np.float32)),
            self._off(self._infer(self._unary, self.kernels, lattice64.infer_plainly)),
        )

    def _moved(self, seed: int) -> float:
        up = np.random.default_rng(seed).random(self._energies.shape) < 0.5
        last_bit = np.nextafter(self._energies, np.where(up, np.float32(np.inf), np.float32(-np.inf))) - self._energies
        return self._off(self._infer(self._unary + last_bit, self.kernels))

    def _off(self, marginals: NDArray) -> float:
        return float(np.abs(marginals - self.marginals).max())
