"""pydensecrf's classes on densecrf's engine: `DenseCRF` for any points, `DenseCRF2D` for pictures.

N points, L labels. Energies, lower is likelier. A compatibility is a number w, which makes equal labels attract each
other with strength w, or an array of L numbers or L x L, which repels with its values: 10 and ten times -10 in an
array of L are the same. So it is in pydensecrf, and densecrf's own classes have one sign for all forms.
"""
# ruff: noqa: N802 -- pydensecrf's names

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import Bilateral, Features, Gaussian, _check
from densecrf._features import full_term
from densecrf._model import DenseCRF as Model
from densecrf.pydensecrf import eigen
from densecrf.pydensecrf._arguments import (
    as_matrix,
    full_name,
    integer,
    member,
    need_matrix,
    real,
    sigmas,
    size,
)
from densecrf.terms import Normalization, Term

__all__ = [
    "CONST_KERNEL",
    "DIAG_KERNEL",
    "FULL_KERNEL",
    "NORMALIZE_AFTER",
    "NORMALIZE_BEFORE",
    "NORMALIZE_SYMMETRIC",
    "NO_NORMALIZATION",
    "ConstUnary",
    "DenseCRF",
    "DenseCRF2D",
    "KernelType",
    "LogisticUnary",
    "NormalizationType",
    "Unary",
]

Floats = NDArray[np.float32]


class KernelType(IntEnum):
    """The form of a kernel's precision matrix; matters to learning, which is not part of this, and not to inference."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """How a kernel is scaled by n, the response of its filter to ones."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


CONST_KERNEL = KernelType.CONST_KERNEL
DIAG_KERNEL = KernelType.DIAG_KERNEL
FULL_KERNEL = KernelType.FULL_KERNEL
NO_NORMALIZATION = NormalizationType.NO_NORMALIZATION
NORMALIZE_BEFORE = NormalizationType.NORMALIZE_BEFORE
NORMALIZE_AFTER = NormalizationType.NORMALIZE_AFTER
NORMALIZE_SYMMETRIC = NormalizationType.NORMALIZE_SYMMETRIC

_NATIVE_NAMES: dict[NormalizationType, Normalization] = {
    NO_NORMALIZATION: "none",
    NORMALIZE_BEFORE: "before",
    NORMALIZE_AFTER: "after",
    NORMALIZE_SYMMETRIC: "symmetric",
}


# ---- unary energies -----------------------------------------------------------------------------------------


class Unary:
    """Unary energies ``(L, N)`` for `DenseCRF.setUnary`: a `ConstUnary` or a `LogisticUnary`."""

    _energies: Floats | None = None


class ConstUnary(Unary):
    """Energies as they are: u, float32 ``(L, N)``."""

    def __init__(self, u: Any) -> None:
        self._energies = eigen.read_buffer("u", u, np.float32, 2).copy()


class LogisticUnary(Unary):
    """Energies ``L @ f`` of logistic regression: L ``(labels, F)`` on features f ``(F, N)``, both float32."""

    def __init__(self, L: Any, f: Any) -> None:
        self._energies = _logistic(
            eigen.read_buffer("L", L, np.float32, 2), eigen.read_buffer("f", f, np.float32, 2), "LogisticUnary"
        )


def _logistic(weights: Floats, features: Floats, function: str) -> Floats:
    if weights.shape[1] != features.shape[0]:
        raise ValueError(f"Bad shape for f in {function} (Need ({weights.shape[1]}, ?), got {features.shape})")
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: refused when they are set
        energies: Floats = weights @ features
    return energies


# ---- the models ---------------------------------------------------------------------------------------------


class DenseCRF:
    """A fully connected CRF over points that are known by their features.

    Args:
        nvar: N.
        nlabels: L, at least 2.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """

    def __init__(self, nvar: int, nlabels: int) -> None:
        self._begin((size("nvar", nvar, 1),), nlabels)

    def _begin(self, shape: tuple[int, ...], nlabels: int) -> None:
        self._shape = shape
        self._nvar = math.prod(shape)
        self._nlabel = size("nlabels", nlabels, 2)
        _check.room(4 * self._nvar * self._nlabel)  # of the marginals
        self._unary: Floats | None = None  # [L, *shape]
        self._image: NDArray[np.uint8] | None = None  # [H, W, 3]; what bilateral terms look at
        self._terms: list[Term] = []
        self._model: Model | None = None  # built when it is first needed, since terms come one by one

    def setUnaryEnergy(self, u: Any, f: Any = None) -> None:
        """Sets the energies: u, contiguous float32 ``(L, N)``; or ``u @ f`` for f ``(N, N)``.

        Raises:
            TypeError, ValueError: they are not of this kind, or not finite.
        """
        energies = eigen.read_buffer("u", u, np.float32, 2)
        self._need_planes("unary energy", energies)
        if f is not None:
            energies = _logistic(energies, eigen.read_buffer("f", f, np.float32, 2), "setUnaryEnergy")
        self._set_energies(energies)

    def setUnary(self, u: Unary) -> None:
        """Sets the energies to those of a `ConstUnary` or a `LogisticUnary`."""
        if not isinstance(u, Unary):
            raise TypeError(f"Argument 'u' has incorrect type (expected {full_name(Unary)}, got {full_name(type(u))})")
        if u._energies is None:
            raise TypeError("Argument 'u' must be a ConstUnary or a LogisticUnary; a Unary holds no energies")
        self._set_energies(u._energies)

    def _set_energies(self, energies: Floats) -> None:
        self._need_planes("unary energy", energies)
        if not np.isfinite(energies).all():
            raise ValueError(
                "Unary energies must be finite, got NaN or infinite values; "
                "the probability 0 has no energy, clip it, e.g. unary_from_softmax(sm, clip=1e-5)"
            )
        self._unary = energies.reshape(self._nlabel, *self._shape).copy()

    def addPairwiseEnergy(
        self,
        features: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds a term ``compat * exp(-|f_i - f_j|^2 / 2)``.

        Args:
            features: contiguous float32 ``(D, N)``, already divided by their standard deviations.
            compat: a number, or a float32 array ``(L,)`` or ``(L, L)`` of the opposite sign.
            kernel: a `KernelType`; has no effect.
            normalization: a `NormalizationType`.

        Raises:
            TypeError, ValueError: an argument is not what it should be.
        """
        array = eigen.read_buffer("features", features, np.float32, 2)
        if array.shape[1] != self._nvar:
            raise ValueError(f"Bad shape for pairwise energy (Need (?, {self._nvar}), got {array.shape})")
        member(KernelType, "kernel", kernel)
        self._add("addPairwiseEnergy", Features(array, self._weight(compat), native_name(normalization)))

    def inference(self, niter: int) -> eigen.MatrixXf:
        """Marginals ``(L, N)`` after so many iterations of mean field; soft-max(-u) for none or fewer."""
        iterations = max(integer("niter", niter), 0)
        Q = self._built().infer(self._energies(), iterations)
        return as_matrix(Q.reshape(self._nlabel, self._nvar))

    def startInference(self) -> tuple[eigen.MatrixXf, eigen.MatrixXf, eigen.MatrixXf]:
        """Marginals to start from, and two matrices that `stepInference` asks for.

        Without unary energies the marginals are zeros, as in pydensecrf.
        """
        zeros = np.zeros((self._nlabel, self._nvar), np.float32)
        Q = as_matrix(zeros) if self._unary is None else self.inference(0)
        return Q, eigen.MatrixXf(), eigen.MatrixXf()

    def stepInference(self, Q: eigen.MatrixXf, tmp1: eigen.MatrixXf, tmp2: eigen.MatrixXf) -> None:
        """One iteration: writes the marginals that follow Q to Q. The other two are left alone."""
        start = self._marginals(Q)
        for name, matrix in (("tmp1", tmp1), ("tmp2", tmp2)):
            need_matrix(name, matrix)
        following = self._built().infer(self._energies(), 1, start=start)
        np.copyto(Q, following.reshape(Q.shape))

    def klDivergence(self, Q: eigen.MatrixXf) -> float:
        """The divergence of marginals Q ``(L, N)`` from the model, up to a constant, as pydensecrf defines it.

        ``sum Q log Q + sum Q U - sum Q W (K Q)``: the pairwise part is not halved, so this may rise while inference
        converges. The `free_energy` of ``densecrf.DenseCRF(...).start(unary)`` is what inference minimises.
        """
        marginals = self._marginals(Q)
        energies = self._energies() - self._built().message(marginals)
        entropy = marginals * np.log(np.maximum(marginals, np.float32(1e-20)))
        return float(np.sum(entropy, dtype=np.float64) + np.sum(energies * marginals, dtype=np.float64))

    # ---- what these share ----

    def _built(self) -> Model:
        """The native model, with all terms that were added until now."""
        if self._model is None:
            self._model = Model(self._shape if self._image is None else self._image, self._nlabel, self._terms)
        return self._model

    def _add(self, function: str, term: Term, image: NDArray[np.uint8] | None = None) -> None:
        """Takes a term if the lattice can hold it; building it has time."""
        channels = None if image is None else image.reshape(-1, 3)
        full_term(f"{type(self).__name__}.{function}", term, self._shape, self._nlabel, channels)
        self._terms.append(term)
        self._model = None

    def _energies(self) -> Floats:  # [L, *shape]
        if self._unary is None:
            return np.zeros((self._nlabel, *self._shape), np.float32)
        return self._unary

    def _marginals(self, Q: object) -> Floats:  # [L, *shape]
        array = np.asarray(need_matrix("Q", Q))
        self._need_planes("Q", array)
        if not np.isfinite(array).all():
            raise ValueError("Q must be finite, got NaN or infinite values")
        return array.reshape(self._nlabel, *self._shape)

    def _need_planes(self, what: str, array: NDArray[Any]) -> None:
        needed = (self._nlabel, self._nvar)
        if array.shape != needed:
            raise ValueError(f"Bad shape for {what} (Need {needed}, got {array.shape})")

    def _weight(self, compat: object) -> Any:
        """A compatibility in densecrf's sign, where positive attracts."""
        if isinstance(compat, Number):
            with np.errstate(over="ignore"):  # beyond float32: refused
                weight = float(np.float32(real(compat)))
            if not math.isfinite(weight):
                raise ValueError(f"compat must be finite, got {_check.shown(compat)}")
            return weight if weight >= 0 else (weight,) * self._nlabel
        given = eigen.any_buffer("compat", compat)
        if given.ndim not in (1, 2):
            raise ValueError("LabelCompatibility of dimension >2 not meaningful.")
        array = eigen.read_buffer("compat", compat, np.float32, given.ndim)
        needed = (self._nlabel,) * array.ndim
        if array.shape != needed:
            raise ValueError(f"Bad shape for compat (Need {needed}, got {array.shape})")
        if not np.isfinite(array).all():
            raise ValueError("compat must be finite, got NaN or infinite values")
        return -array


class DenseCRF2D(DenseCRF):
    """A fully connected CRF over the pixels of a picture; pixel (x, y) is point ``y * w + x``.

    Args:
        w: the picture's width, which comes first.
        h: its height.
        nlabels: L, at least 2.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """

    def __init__(self, w: int, h: int, nlabels: int) -> None:
        width, height = size("w", w, 1), size("h", h, 1)
        self._begin((height, width), nlabels)

    def addPairwiseGaussian(
        self,
        sxy: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds the smoothness term, whose features are the positions.

        Args:
            sxy: standard deviation in pixels, a number or ``(sx, sy)``.
            compat: a number, or a float32 array ``(L,)`` or ``(L, L)`` of the opposite sign.
            kernel: a `KernelType`; has no effect.
            normalization: a `NormalizationType`.

        Raises:
            TypeError, ValueError: an argument is not what it should be.
        """
        member(KernelType, "kernel", kernel)
        position = sigmas("sxy", sxy, 2)
        self._add("addPairwiseGaussian", Gaussian(position, self._weight(compat), native_name(normalization)))

    def addPairwiseBilateral(
        self,
        sxy: Any,
        srgb: Any,
        rgbim: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Adds the appearance term, whose features are the positions and the colours.

        Args:
            sxy: standard deviation of the position in pixels, a number or ``(sx, sy)``.
            srgb: standard deviation of the colours, a number or three.
            rgbim: the picture, contiguous uint8 ``(H, W, 3)``; a copy is kept.
            compat: a number, or a float32 array ``(L,)`` or ``(L, L)`` of the opposite sign.
            kernel: a `KernelType`; has no effect.
            normalization: a `NormalizationType`.

        Raises:
            TypeError, ValueError: an argument is not what it should be.
        """
        image = eigen.read_buffer("rgbim", rgbim, np.uint8, 3)
        self._need_picture(image)
        member(KernelType, "kernel", kernel)
        how = native_name(normalization)
        weight = self._weight(compat)
        position, colour = sigmas("sxy", sxy, 2), sigmas("srgb", srgb, 3)
        term: Term = Bilateral(position, colour, weight, how)
        if self._image is not None and not np.array_equal(image, self._image):
            # The native model looks at one picture; another one's colours are features like any.
            term = Features(_bilateral_features(image, position, colour), weight, how)
        self._add("addPairwiseBilateral", term, image)
        if self._image is None:
            self._image = image.copy()

    def _need_picture(self, image: NDArray[np.uint8]) -> None:
        if image.shape[:2] != self._shape:
            raise ValueError(f"Bad shape for pairwise bilateral (Need {(*self._shape, 3)}, got {image.shape})")
        if image.shape[2] != 3:
            raise ValueError(
                "addPairwiseBilateral only works for RGB images, got "
                f"{image.shape[2]} channels. For other types, make features with `utils.create_pairwise_bilateral` "
                "and add them with `addPairwiseEnergy`."
            )


def _bilateral_features(image: NDArray[np.uint8], sxy: Sequence[float], srgb: Sequence[float]) -> Floats:
    """x, y, r, g, b in units of their sigmas, ``(5, N)``, in float32 all along."""
    y, x = np.indices(image.shape[:2], np.float32)
    planes = np.stack([x, y, *np.moveaxis(image.astype(np.float32), -1, 0)])
    planes /= np.array([*sxy, *srgb], np.float32)[:, np.newaxis, np.newaxis]
    return planes.reshape(5, -1)


# ---- arguments ----------------------------------------------------------------------------------------------


def native_name(normalization: object) -> Normalization:
    return _NATIVE_NAMES[member(NormalizationType, "normalization", normalization)]
