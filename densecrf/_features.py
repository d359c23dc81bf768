"""Terms on a given grid and picture: sigmas written out, features in reach, ready for an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _check, _core
from densecrf._presets import presets
from densecrf.terms import Bilateral, Features, Gaussian, Term, Weight

MOST_TERMS = 1000  # of a list: who has more has a list without an end


@dataclass(frozen=True)
class FullTerm:
    """A pairwise term whose features can be written down.

    Attributes:
        shape: of the grid of points, slowest axis first.
        position_sigma: one per axis, fastest first (x, y, ...); empty for a term without positions.
        channels: [N, C], uint8 or float32, a view; None for a term that looks at none.
        channel_sigma: one per channel.
        weight: the compatibility, positive attracts.
        normalization: as in `densecrf.Gaussian`.
        is_of_picture: whether the channels are those of the picture, or the term's own.
    """

    shape: tuple[int, ...]
    position_sigma: tuple[float, ...]
    channels: NDArray[Any] | None
    channel_sigma: tuple[float, ...]
    weight: Weight
    normalization: str
    is_of_picture: bool

    def for_core(self) -> _core.Term:
        """The term as the compiled core takes it."""
        weight = self.weight if isinstance(self.weight, float) else np.asarray(self.weight, np.float32)
        return _core.Term(self.position_sigma, self.channel_sigma, self.channels, self.normalization, weight)

    def max_abs(self, channel_bound: float | None) -> list[float]:
        """The largest |feature| in each dimension, [D]; no channel is larger than the bound, if there is one."""
        if channel_bound is None:
            return _core.max_abs(self.shape, self.for_core())
        sizes = [size - 1 for size in self.shape[::-1]]
        ends = [size / s for size, s in zip(sizes, self.position_sigma, strict=False)]
        return ends + [channel_bound / s for s in self.channel_sigma]

    def features(self) -> NDArray[np.float64]:
        """Position and colour in units of their sigmas, [N, D] (Krähenbühl & Koltun 2011, section 2)."""
        axes = [axis.ravel() for axis in np.indices(self.shape)][::-1]
        columns = [axis / s for axis, s in zip(axes, self.position_sigma, strict=False)]
        if self.channels is not None:
            columns += [self.channels[:, c].astype(np.float64) / s for c, s in enumerate(self.channel_sigma)]
        return np.stack(columns, 1).astype(np.float64)


def resolve_terms(function: str, terms: Sequence[Term] | None, preset: str) -> Sequence[Term]:
    """The terms a caller means."""
    if terms is None:
        _check.choice(function, "preset", preset, tuple(presets))
        return presets[preset].terms
    return own_terms(function, terms)


def own_terms(function: str, terms: Sequence[Term]) -> Sequence[Term]:
    """Terms that are a caller's own, checked."""
    if isinstance(terms, (Gaussian, Bilateral, Features)) or not isinstance(terms, Sequence):
        raise TypeError(
            f"{function}: terms must be a list of Gaussian, Bilateral and Features, got {type(terms).__name__}"
        )
    found: list[Term] = []
    for term in terms:
        if not isinstance(term, (Gaussian, Bilateral, Features)):
            raise TypeError(f"{function}: terms must hold Gaussian, Bilateral and Features, got {type(term).__name__}")
        if len(found) == MOST_TERMS:  # a sequence without an end
            raise ValueError(f"{function}: terms must not be more than {MOST_TERMS}")
        found.append(term)
    return found


def full_term(
    function: str,
    term: Term,
    shape: tuple[int, ...],
    n_labels: int,
    channels: NDArray[Any] | None,
    channel_bound: float | None = None,
) -> FullTerm:
    """A term on a grid of points with channels [N, C], or without a picture (None).

    With a bound, the largest that a channel may be, the values of the channels are not looked at.
    """
    _check.weight_labels(function, term, n_labels)
    positions: tuple[float, ...] = ()
    colours: tuple[float, ...] = ()
    seen = None
    if isinstance(term, Features):
        seen = term.features.T
        _check.feature_points(function, seen.shape[0], shape)
        colours = (1.0,) * seen.shape[1]
    else:
        positions = _check.axis_count(function, term, term.sxy, len(shape))
    if isinstance(term, Bilateral):
        seen = _check.has_picture(function, term, channels)
        colours = _check.channel_count(function, term, term.srgb, seen.shape[1])
    _check.feature_count(function, term, len(positions) + len(colours))
    full = FullTerm(shape, positions, seen, colours, term.weight, term.normalization, isinstance(term, Bilateral))
    _check.feature_range(function, term, full.max_abs(channel_bound if isinstance(term, Bilateral) else None))
    return full
