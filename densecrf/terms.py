"""Pairwise terms: what pulls two points towards each other's labels, as small frozen values.

A term is a Gaussian kernel over features of the points, ``k(f_i, f_j) = exp(-|f_i - f_j|^2 / 2)`` (Krähenbühl &
Koltun, 2011, section 2), scaled by a normalisation and weighed by a compatibility of labels.

There is one sign convention for weights: positive attracts. A label gains ``weight`` times the filtered mass

- of itself, where ``weight`` is a number (Potts; the same for all labels) or one number per label;
- of every label m, where it is a matrix: ``weight[l][m]``. A matrix is symmetrised, ``(W + W.T) / 2``.

So 10, [10, 10] and [[10, 0], [0, 10]] are the same for two labels. A term knows nothing of pictures; `densecrf.refine`
and `densecrf.DenseCRF` turn it into features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from numpy.typing import NDArray

from densecrf import _check

__all__ = ["Bilateral", "Features", "Gaussian", "Normalization", "Sigma", "Term", "Weight"]

Normalization: TypeAlias = Literal["symmetric", "before", "after", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)

Sigma: TypeAlias = float | tuple[float, ...]
Weight: TypeAlias = float | tuple[float, ...] | tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Gaussian:
    """The smoothness term: points that lie near each other want the same label.

    Args:
        sxy: standard deviation of the position, in pixels; one number, or one per axis, the fastest axis first:
            ``(x, y)`` for pictures, ``(x, y, z)`` for volumes of shape (Z, Y, X).
        weight: what agreement is worth, >= 0; w2 in DeepLab's papers, w(2) in Krähenbühl & Koltun's. Or one number
            per label, or an L x L matrix, of any sign; see the module's docstring.
        normalization: how the kernel is scaled by n, the response of the filter to ones:
            ``"symmetric"`` 1/sqrt(n) on both sides (pydensecrf's default), ``"after"`` 1/n on the result
            (DeepLab's own program), ``"before"`` 1/n on the input, ``"none"``.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    sxy: Sigma
    weight: Weight
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "sxy", _check.sigma(name, "sxy", self.sxy))
        object.__setattr__(self, "weight", _check.weight(name, self.weight))
        _check.choice(name, "normalization", self.normalization, NORMALIZATIONS)


@dataclass(frozen=True)
class Bilateral:
    """The appearance term: points that lie near each other and look alike want the same label.

    Args:
        sxy: standard deviation of the position, in pixels; as for `Gaussian`; sigma_alpha.
        srgb: standard deviation of the colour, in units of the image (0..255 for uint8 pictures and for
            floats); one number, or one per channel; sigma_beta.
        weight: what agreement is worth; as for `Gaussian`; w1 or w(1).
        normalization: as for `Gaussian`.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    sxy: Sigma
    srgb: Sigma
    weight: Weight
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "sxy", _check.sigma(name, "sxy", self.sxy))
        object.__setattr__(self, "srgb", _check.sigma(name, "srgb", self.srgb))
        object.__setattr__(self, "weight", _check.weight(name, self.weight))
        _check.choice(name, "normalization", self.normalization, NORMALIZATIONS)


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """A term over features of your own: point sets, graphs, anything that has coordinates.

    Args:
        features: ``(D, N)``, already divided by their standard deviations; a copy is taken, as float32. For a
            grid of points, N runs over it in row-major order.
        weight: what agreement is worth; as for `Gaussian`.
        normalization: as for `Gaussian`.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    features: NDArray[Any]
    weight: Weight
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        name = type(self).__name__
        features = _check.features(name, self.features)
        features.flags.writeable = False
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "weight", _check.weight(name, self.weight))
        _check.choice(name, "normalization", self.normalization, NORMALIZATIONS)

    def __repr__(self) -> str:
        d, n = self.features.shape
        return f"Features(<{d} x {n}>, weight={self.weight!r}, normalization={self.normalization!r})"


Term: TypeAlias = Gaussian | Bilateral | Features
