"""What a `densecrf.DenseCRF` works with: lattices, on the CPU or on a GPU, and the arrays that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from densecrf import _check, _core
from densecrf._arrays import Given, as_pictures
from densecrf._features import full_term
from densecrf._gpu import Array, Gpu, gpu_of
from densecrf._gpu_model import GpuModel, Pictures, in_core_dtype, largest
from densecrf.terms import Term

Planes = Any  # [L, N] float32, contiguous: of NumPy, or of the library whose GPU it is


@dataclass(frozen=True)
class Channels:
    """The picture that a model looks at.

    Attributes:
        values: (N, C), uint8 or float32, contiguous; of NumPy, or of the library whose GPU they are on.
        bound: no absolute value is larger; None where nobody has looked.
    """

    values: Array
    bound: float | None


@dataclass(frozen=True)
class Inference:
    """How marginals are found.

    Attributes:
        iterations: at most.
        start: marginals to start from; None for soft-max(-energies).
        damping: share of the marginals before that an iteration keeps.
        tolerance: stop when no marginal moves by more.
        label_tolerance: labels below it everywhere are not filtered.
        count: whether to wait, on a GPU, for how many iterations ran.
    """

    iterations: int
    start: Planes | None = None
    damping: float = 0.0
    tolerance: float = 0.0
    label_tolerance: float = 0.0
    count: bool = False


class Engine(Protocol):
    """Lattices of some terms on one picture, and what is done with planes there."""

    @property
    def vertices(self) -> int:
        """Lattice vertices of all terms."""

    def planes(self, function: str, name: str, given: Given, shape: tuple[int, ...]) -> Planes:
        """An argument (L, *shape), checked; perhaps the caller's own memory."""

    def copy(self, planes: Planes) -> Planes:
        """Planes that nobody else can change."""

    def silenced(self, planes: Planes, points: NDArray[np.bool_]) -> Planes:
        """Planes that are 0 at some points [N]."""

    def on_host(self, planes: Planes) -> NDArray[np.float32]:
        """The same in NumPy."""

    def infer(self, energies: Planes, how: Inference) -> tuple[Planes, int]:
        """Marginals, and how many iterations ran; on a GPU only if that is to be waited for."""

    def message(self, values: Planes) -> Planes:
        """Values through all terms, summed."""


class HostEngine:
    """On the CPU, where the channels are, if there are any."""

    def __init__(
        self,
        function: str,
        shape: tuple[int, ...],
        labels: int,
        terms: Sequence[Term],
        channels: Channels | None,
        threads: int,
    ) -> None:
        values = None if channels is None else channels.values
        full = [full_term(function, term, shape, labels, values) for term in terms]
        self._threads = threads
        self._core = _core.Model(shape, [term.for_core() for term in full], threads)

    @property
    def vertices(self) -> int:
        return self._core.vertices

    def planes(self, function: str, name: str, given: Given, shape: tuple[int, ...]) -> Planes:
        return _check.planes(function, name, given, shape)

    def copy(self, planes: Planes) -> Planes:
        return planes.copy()

    def silenced(self, planes: Planes, points: NDArray[np.bool_]) -> Planes:
        return np.where(points, np.float32(0), planes)

    def on_host(self, planes: Planes) -> NDArray[np.float32]:
        host: NDArray[np.float32] = planes
        return host

    def infer(self, energies: Planes, how: Inference) -> tuple[Planes, int]:
        out = np.empty_like(energies)
        ran = self._core.infer(
            energies,
            "energies",
            0.0,
            how.iterations,
            how.start,
            how.damping,
            how.tolerance,
            how.label_tolerance,
            self._threads,
            out,
        )
        return out, ran

    def message(self, values: Planes) -> Planes:
        out = np.empty_like(values)
        self._core.message(values, self._threads, out)
        return out


class GpuEngine:
    """On a GPU; channels there or on the host, if there are any."""

    def __init__(
        self,
        function: str,
        gpu: Gpu,
        shape: tuple[int, ...],
        labels: int,
        terms: Sequence[Term],
        channels: Channels | None,
    ) -> None:
        self._gpu, self._labels = gpu, labels
        pictures = None
        with gpu.work():
            if channels is not None:
                values = channels.values if gpu_of(channels.values) else gpu.on_device(channels.values)
                bound = largest(values) if channels.bound is None else channels.bound
                pictures = Pictures(values[np.newaxis], bound)
        self._model = GpuModel(function, gpu, shape, labels, terms, pictures)

    @property
    def vertices(self) -> int:
        return self._model.vertices

    def planes(self, function: str, name: str, given: Given, shape: tuple[int, ...]) -> Planes:
        """As `Engine` says; values are not looked at, because that would wait for them."""
        _check.planes_shape(function, name, given, shape)
        with self._gpu.work():
            planes = self._gpu.contiguous(self._gpu.convert(given.original, "float32"))
            return planes.reshape(shape[0], math.prod(shape[1:]))

    def copy(self, planes: Planes) -> Planes:
        with self._gpu.work():
            return self._gpu.copy(planes)

    def silenced(self, planes: Planes, points: NDArray[np.bool_]) -> Planes:
        with self._gpu.work():
            return self._gpu.where_not(points, planes)

    def on_host(self, planes: Planes) -> NDArray[np.float32]:
        return self._gpu.on_host(planes)

    def infer(self, energies: Planes, how: Inference) -> tuple[Planes, int]:
        with self._gpu.work():
            out = self._gpu.empty(tuple(energies.shape))
        ran = self._model.infer(
            energies,
            "energies",
            0.0,
            how.iterations,
            out,
            start=how.start,
            damping=how.damping,
            tolerance=how.tolerance,
            label_tolerance=how.label_tolerance,
            count=how.count,
        )
        return out, ran

    def message(self, values: Planes) -> Planes:
        with self._gpu.work():
            out = self._gpu.empty(tuple(values.shape))
        self._model.message(values, out)
        return out


def own_channels(function: str, image: Given, channel_axis: int | None) -> Channels:
    """A copy of an image as channels, in the units of srgb, where it lies."""
    picture = as_pictures(image, channel_axis, False)[0]
    count = picture.shape[-1]
    kind = _check.picture_kind(function, image)
    if image.gpu is None:
        values = _check.picture_values(function, image, picture[np.newaxis])[0].reshape(-1, count).copy()
        return Channels(values, None if kind == "integers" else 255.0)
    with image.gpu.work():
        values = in_core_dtype(image.gpu, kind, picture)
        if kind == "floats":
            low, high = float(values.min()), float(values.max())
            scale = _check.float_range(function, low, high, math.isfinite(low) and math.isfinite(high))
            values = values if scale == 1 else values * scale
        values = image.gpu.copy(image.gpu.contiguous(values).reshape(-1, count))
        return Channels(values, largest(values) if kind == "integers" else 255.0)
