"""Mean field on the permutohedral lattice in float64: what the core would answer without rounding.

It is the same lattice, or there would be nothing to compare: which simplex a point lies in is decided by float32
features and float32 arithmetic, in the order of Krähenbühl's program (csrc/simplex.h), and a point near a border may
fall on either side. From there on everything is float64, in NumPy and SciPy, and shares no line with csrc/.

The weights of a point's corners can be had in two ways, which tell two errors apart:

    rounded   as float32 arithmetic gives them; what differs then is the error of all that follows: normalisation,
              splat, blur, slice, compatibilities, soft-max, and how iterations amplify it
    exact     from features and sigmas in float64, within the same simplex (where rounding has put a point on the wrong
              side of a border, a weight lies just below 0; the interpolation is continuous there); what differs then
              is the whole error of an answer. In float32 a feature of a thousand sigmas has its place to about 1e-4 of
              a lattice step, whoever computes it.

Adams, Baek & Davis 2010 have the lattice, Krähenbühl & Koltun 2011 the inference.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from densecrf import Bilateral, Features, Gaussian

Term = Gaussian | Bilateral | Features
Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

TINY = 1e-20  # keeps an empty neighbourhood from dividing by zero


# ---- features -------------------------------------------------------------------------------------------------


def features_of(term: Term, shape: tuple[int, ...], channels: NDArray | None, dtype: type) -> NDArray:
    """Position / sigma, the fastest axis first, then channel / sigma: [N, D] in one precision or the other."""
    if isinstance(term, Features):
        return term.features.T.astype(dtype)  # float32 as they were given
    axes = [axis.ravel() for axis in np.indices(shape)][::-1]
    columns = list(zip(axes, np.broadcast_to(term.sxy, len(axes)), strict=True))
    if isinstance(term, Bilateral):
        flat = channels.reshape(axes[0].size, -1)
        columns += zip(flat.T, np.broadcast_to(term.srgb, flat.shape[1]), strict=True)
    return np.stack([values.astype(dtype) / dtype(sigma) for values, sigma in columns], axis=1)


# ---- embedding ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Simplices:
    """Where points lie: the remainder-0 vertex [N, D + 1], and the axis whose offset from it has rank q [N, D + 1]."""

    remainder0: Integers
    axis_at: Integers

    def vertices(self) -> Integers:
        """Coordinates 0 .. D - 1 of every corner, [N, D + 1, D]; the last follows, since they sum to zero."""
        points, corners = self.remainder0.shape
        corner = self.remainder0.copy()
        found = [corner.copy()]
        for r in range(1, corners):
            corner += 1
            corner[np.arange(points), self.axis_at[:, corners - r]] -= corners
            found.append(corner.copy())
        return np.stack(found, axis=1)[:, :, :-1]


def elevated(features: NDArray) -> NDArray:
    """Features onto the plane where coordinates sum to zero, [N, D + 1], in the precision of the features."""
    points, dims = features.shape
    real = features.dtype.type
    scale = [_scale(dims, i, real) for i in range(dims)]
    result = np.empty((points, dims + 1), real)
    total = np.zeros(points, real)
    for j in range(dims, 0, -1):
        c = features[:, j - 1] * scale[j - 1]
        result[:, j] = total - real(j) * c
        total = total + c
    result[:, 0] = total
    return result


def _scale(dims: int, i: int, real: type) -> np.floating:
    """What makes the blur one of unit variance; rounded where Krähenbühl's program rounds."""
    deviation = real(np.sqrt(2 / 3) * (dims + 1))
    return real(1 / np.sqrt(np.float64((i + 1) * (i + 2))) * np.float64(deviation))


def find_simplices(place: Singles) -> Simplices:
    """The simplex around elevated points [N, D + 1], by the float operations of csrc/simplex.h."""
    _, corners = place.shape
    periods = np.rint(place * (np.float32(1) / np.float32(corners)))  # half to even
    nearest = periods * np.float32(corners)
    offset = place - nearest
    rank = np.repeat(periods.sum(axis=1, keepdims=True).astype(np.int64), corners, axis=1)
    for i in range(corners):
        for j in range(i + 1, corners):
            ahead = offset[:, i] < offset[:, j]
            rank[:, i] += ahead
            rank[:, j] += ~ahead
    wrap = (rank < 0).astype(np.int64) - (rank >= corners)
    return Simplices(nearest.astype(np.int64) + wrap * corners, np.argsort(rank + wrap * corners, axis=1))


def barycentric(place: NDArray, simplices: Simplices) -> NDArray:
    """Weights of the corners, [N, D + 1], in the precision of the place."""
    corners = place.shape[1]
    inverse = place.dtype.type(1) / place.dtype.type(corners)
    offset = (place - simplices.remainder0.astype(place.dtype)) * inverse
    at_rank = np.take_along_axis(offset, simplices.axis_at, axis=1)
    weights = np.empty_like(offset)
    weights[:, 0] = at_rank[:, -1] + (1 - at_rank[:, 0])
    weights[:, 1:] = (at_rank[:, :-1] - at_rank[:, 1:])[:, ::-1]
    return weights


# ---- the lattice ----------------------------------------------------------------------------------------------


class Lattice:
    """Splat, blur and slice as sparse matrices.

    Args:
        features: [N, D] float32; they decide which vertices there are.
        exact: [N, D] float64, the same without rounding, for exact weights of the corners; None for rounded ones.

    Attributes:
        vertices: how many there are.
    """

    def __init__(self, features: Singles, exact: Doubles | None = None) -> None:
        points, dims = features.shape
        place = elevated(features)
        simplices = find_simplices(place)
        weights = barycentric(place if exact is None else elevated(exact), simplices)
        keys = simplices.vertices().reshape(-1, dims)
        vertices, row = distinct(keys)
        self.vertices = len(vertices)
        starts = np.arange(0, len(keys) + 1, dims + 1)
        self._slice = sparse.csr_array((weights.ravel().astype(np.float64), row, starts), (points, self.vertices))
        self._splat = self._slice.T.tocsr()
        self._blurs = [self._blur(vertices, axis) for axis in range(dims + 1)]
        self._scale = 1 / (1 + 2.0**-dims)

    def plain(self) -> Lattice:
        """The same lattice, whose matrices are float32: so are all sums, of one point after the other."""
        single = copy.copy(self)
        single._slice, single._splat = self._slice.astype(np.float32), self._splat.astype(np.float32)
        single._blurs = [blur.astype(np.float32) for blur in self._blurs]
        single._scale = np.float32(self._scale)
        return single

    def _blur(self, vertices: Integers, axis: int) -> sparse.csr_array:
        """Along one axis: half of either neighbour that exists is added."""
        step = np.ones(vertices.shape[1], np.int64)
        step[axis : axis + 1] -= vertices.shape[1] + 1
        here, there = pairs(vertices, step)
        next_one = sparse.csr_array((np.full(len(here), 0.5), (here, there)), (self.vertices, self.vertices))
        return (sparse.eye_array(self.vertices) + next_one + next_one.T).tocsr()

    def __call__(self, values: NDArray) -> NDArray:
        """The filter without any normalisation, [N, C] -> [N, C]; values have the precision of the matrices."""
        rows = self._splat @ values
        for blur in self._blurs:
            rows = blur @ rows
        return self._scale * (self._slice @ rows)


def distinct(keys: Integers) -> tuple[Integers, Integers]:
    """The different rows of an array by their fingerprints, and for each row the number of its like among them."""
    _, first, row = np.unique(_fingerprints(keys), return_index=True, return_inverse=True)
    assert (keys[first[row]] == keys).all()  # or two rows shared a fingerprint
    return keys[first], row


def pairs(vertices: Integers, step: Integers) -> tuple[Integers, Integers]:
    """The numbers of `distinct` vertices a step apart: of those it starts from, and of those it leads to."""
    known = _fingerprints(vertices)
    wanted = known + _fingerprints(step[np.newaxis])  # of sums they are sums
    there = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    here = np.flatnonzero(known[there] == wanted)
    there = there[here]
    assert (vertices[there] == vertices[here] + step).all()
    return here, there


def _fingerprints(keys: Integers) -> NDArray[np.uint64]:
    """A number for every row; equal for equal ones, and hardly ever else."""
    odd = np.random.default_rng(0).integers(1 << 62, size=keys.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return (keys.astype(np.uint64) * odd).sum(axis=1, dtype=np.uint64)


# ---- inference ------------------------------------------------------------------------------------------------


class Kernel:
    """One term on a picture or a grid: its filter, normalised, and what its messages are worth.

    Args:
        term: a `densecrf.Gaussian`, `densecrf.Bilateral` or `densecrf.Features`.
        shape: of the grid of points.
        channels: [*shape, C] or [*shape]; None without a picture.
        exact: whether the corners' weights are exact.
    """

    def __init__(self, term: Term, shape: tuple[int, ...], channels: NDArray | None = None, exact: bool = False):
        rounded = features_of(term, shape, channels, np.float32)
        lattice = Lattice(rounded, features_of(term, shape, channels, np.float64) if exact else None)
        self._normalization = term.normalization
        self._set_up(lattice, np.asarray(term.weight, np.float64), np.ones((len(rounded), 1)))

    def _set_up(self, lattice: Lattice, weight: NDArray, ones: NDArray) -> None:
        self.lattice, self._weight, self._ones = lattice, weight, ones
        norm = lattice(ones) + ones.dtype.type(TINY)
        self._before, self._after = {
            "symmetric": (1 / np.sqrt(norm), 1 / np.sqrt(norm)),
            "before": (1 / norm, ones),
            "after": (ones, 1 / norm),
            "none": (ones, ones),
        }[self._normalization]

    def plain(self) -> Kernel:
        """The same kernel, all of whose arithmetic is float32."""
        single = copy.copy(self)
        single._set_up(self.lattice.plain(), self._weight.astype(np.float32), self._ones.astype(np.float32))
        return single

    def filter(self, values: NDArray) -> NDArray:
        """[N, C] -> [N, C], without the weight."""
        return self._after * self.lattice(self._before * values)

    def message(self, marginals: NDArray) -> NDArray:
        """What every label gains, [N, L]; positive attracts."""
        filtered = self.filter(marginals)
        if self._weight.ndim == 2:
            return filtered @ (self._weight + self._weight.T) / 2
        return filtered * self._weight


def kernels(terms: Sequence[Term], shape: tuple[int, ...], channels: NDArray | None = None, exact: bool = False):
    """The terms of a model, as [`Kernel`]."""
    return [Kernel(term, shape, channels, exact) for term in terms]


def energies_of(probs: NDArray, clip: float = 1e-5) -> Doubles:
    """-log(max(probs, clip))."""
    return -np.log(np.maximum(probs.astype(np.float64), clip))


def infer(
    energies: NDArray, terms: Sequence[Kernel], iterations: int, damping: float = 0.0, exponents: type = np.float64
) -> Doubles:
    """Marginals [L, *shape] of energies [L, *shape].

    With ``exponents=np.float32``, what goes into a soft-max has been rounded once, and nothing else is.
    """
    return _mean_field(energies.astype(np.float64), terms, iterations, damping, exponents)


def infer_plainly(energies: NDArray, terms: Sequence[Kernel], iterations: int, damping: float = 0.0) -> Singles:
    """What the simplest program in float32 answers: what may be expected of float32 at all."""
    return _mean_field(energies.astype(np.float32), [term.plain() for term in terms], iterations, damping, np.float32)


def _mean_field(
    energies: NDArray, terms: Sequence[Kernel], iterations: int, damping: float, rounded_to: type
) -> NDArray:
    unary = -energies.reshape(len(energies), -1).T.copy()  # [N, L]
    marginals = _softmax(unary)
    for _ in range(iterations):
        exponents = unary + sum(term.message(marginals) for term in terms)
        updated = _softmax(exponents.astype(rounded_to).astype(unary.dtype))
        marginals = damping * marginals + (1 - damping) * updated
    return marginals.T.reshape(energies.shape)


def _softmax(exponents: NDArray) -> NDArray:
    powers = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
