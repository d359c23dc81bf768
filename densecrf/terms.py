"""Pairwise terms: what pulls two pixels towards the same label, as small frozen values.

A term is a Gaussian kernel over features of the pixels, times a Potts weight: two pixels that disagree
pay ``weight * k(f_i, f_j)``, with ``k(f_i, f_j) = exp(-|f_i - f_j|^2 / 2)`` (Krähenbühl & Koltun, 2011,
section 2). A term knows nothing of arrays; `densecrf.refine` turns it into features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from densecrf import _check

Normalization: TypeAlias = Literal["symmetric", "before", "after", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)


@dataclass(frozen=True)
class Gaussian:
    """The smoothness term: pixels that lie near each other want the same label.

    Args:
        sxy: standard deviation of the position, in pixels; one number, or ``(x, y)``.
        weight: Potts weight, >= 0; in the papers w2 (DeepLab) or w(2) (Krähenbühl & Koltun).
        normalization: how the kernel is scaled by n, the response of the filter to ones:
            ``"symmetric"`` 1/sqrt(n) on both sides (pydensecrf's default), ``"after"`` 1/n on the result
            (DeepLab's own program), ``"before"`` 1/n on the input, ``"none"``.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    sxy: float | tuple[float, float]
    weight: float
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "sxy", _check.sigma(name, "sxy", self.sxy, 2))
        object.__setattr__(self, "weight", _check.weight(name, self.weight))
        _check.choice(name, "normalization", self.normalization, NORMALIZATIONS)


@dataclass(frozen=True)
class Bilateral:
    """The appearance term: pixels that lie near each other and look alike want the same label.

    Args:
        sxy: standard deviation of the position, in pixels; one number, or ``(x, y)``; sigma_alpha.
        srgb: standard deviation of the colour, in units of the image (0..255 for uint8 pictures and for
            floats); one number, or one per channel; sigma_beta.
        weight: Potts weight, >= 0; in the papers w1 (DeepLab) or w(1) (Krähenbühl & Koltun).
        normalization: as for `Gaussian`.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    sxy: float | tuple[float, float]
    srgb: float | tuple[float, ...]
    weight: float
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "sxy", _check.sigma(name, "sxy", self.sxy, 2))
        object.__setattr__(self, "srgb", _check.sigma(name, "srgb", self.srgb, None))
        object.__setattr__(self, "weight", _check.weight(name, self.weight))
        _check.choice(name, "normalization", self.normalization, NORMALIZATIONS)


Term: TypeAlias = Gaussian | Bilateral
