"""Lattices on a GPU: pictures and terms as addresses, for the compiled core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _build
from densecrf._features import FullTerm, full_term
from densecrf._gpu import Array, Gpu, Memory
from densecrf.terms import Term


def core(function: str) -> ModuleType:
    """The compiled back end.

    Raises:
        TypeError: this build has none.
    """
    module = _build.cuda_module()
    if module is None:
        raise TypeError(
            f"{function}: the arrays lie on a GPU, and this build of densecrf has no CUDA back end; move them to the "
            f"CPU, or build with DENSECRF_CUDA=ON where there is a CUDA compiler"
        )
    return module


@dataclass(frozen=True)
class Pictures:
    """A batch of pictures on a GPU, in the units of srgb.

    Attributes:
        values: (B, N, C), uint8 or float32, of any strides.
        bound: no value is larger.
        range: a survey of pictures that are scaled to 0..255 where they lie in 0..1; None for others.
    """

    values: Array
    bound: float
    range: Any = None

    @property
    def stand_in(self) -> NDArray[np.uint8]:
        """[N, C], for checks that look at no values."""
        return np.broadcast_to(np.zeros((), np.uint8), tuple(self.values.shape[1:]))


class GpuModel:
    """Pairwise terms of a batch of pictures, with their lattices built; waits once, for the size of these.

    Args:
        function: for messages.
        gpu: where.
        shape: of the grid of points.
        labels: L.
        terms: pairwise terms.
        pictures: that the bilateral terms look at.
        batch: B.
        surveys: whose results are fetched at the same time.
    """

    def __init__(
        self,
        function: str,
        gpu: Gpu,
        shape: tuple[int, ...],
        labels: int,
        terms: Sequence[Term],
        pictures: Pictures | None,
        batch: int = 1,
        surveys: Sequence[Any] = (),
    ) -> None:
        self._gpu, self._labels, self._core = gpu, labels, core(function)
        with gpu.work():
            kept: list[Array] = []  # what kernels read while the lattices are built
            full = [write_out(function, term, shape, labels, pictures) for term in terms]
            device_terms = [self._term(one, pictures, kept) for one in full]
            self._model = self._core.Model(self._context(), shape, batch, device_terms, list(surveys))

    def _context(self) -> Any:
        return context(self._core, self._gpu)

    @property
    def vertices(self) -> int:
        """Lattice vertices of all terms and pictures."""
        return int(self._model.vertices)

    def infer(
        self,
        scores: Array,
        kind: str,
        clip: float,
        iterations: int,
        out: Array,
        *,
        start: Array | None = None,
        damping: float = 0.0,
        tolerance: float = 0.0,
        label_tolerance: float = 0.0,
        count: bool = False,
    ) -> int:
        """Marginals of scores (B, L, N), written to out; float32, contiguous.

        Returns:
            How many iterations ran for the first picture, which is waited for; with ``count`` false, at most so many.
        """
        gpu = self._gpu
        with gpu.work():
            begin = 0 if start is None else gpu.address(start)
            ran = self._model.infer(
                self._context(), gpu.address(scores), self._labels, kind, clip, iterations, begin, damping, tolerance,
                label_tolerance, gpu.address(out), count,
            )  # fmt: skip
        return iterations if ran is None else int(ran[0])

    def message(self, values: Array, out: Array) -> None:
        """Values (C, N) through all terms, summed, written to out."""
        gpu = self._gpu
        with gpu.work():
            self._model.message(self._context(), gpu.address(values), values.shape[0], gpu.address(out))

    def _term(self, term: FullTerm, pictures: Pictures | None, kept: list[Array]) -> Any:
        """A term as the compiled core takes it; what it points at must be kept."""
        channels, bounds, survey = None, [], None
        if term.channels is not None and term.is_of_picture:
            assert pictures is not None
            channels, survey = self._channels(pictures.values), pictures.range
            bounds = [pictures.bound] * len(term.channel_sigma)
        elif term.channels is not None:
            kept.append(self._gpu.on_device(np.ascontiguousarray(term.channels)[np.newaxis]))
            channels = self._channels(kept[-1])
            bounds = np.abs(term.channels).max(axis=0).tolist()
        weight = term.weight if isinstance(term.weight, float) else np.asarray(term.weight, np.float32)
        return self._core.Term(
            term.position_sigma, term.channel_sigma, channels, bounds, survey, term.normalization, weight
        )

    def _channels(self, values: Array) -> Any:
        picture, point, channel = self._gpu.strides(values)
        if values.shape[0] == 1:  # for all pictures of a batch, if it is one
            picture = 0
        dtype = str(self._gpu.numpy_dtype(values))
        return self._core.Channels(self._gpu.address(values), dtype, values.shape[2], point, channel, picture)


def context(module: ModuleType, gpu: Gpu) -> Any:
    """Where the core is to work: this device, the library's current stream and its memory."""
    return module.Context(gpu.index, gpu.stream(), Memory(gpu))


def write_out(function: str, term: Term, shape: tuple[int, ...], labels: int, pictures: Pictures | None) -> FullTerm:
    """A term on pictures of this shape, checked; values are not looked at."""
    if pictures is None:
        return full_term(function, term, shape, labels, None)
    assert math.prod(shape) == pictures.values.shape[1]
    return full_term(function, term, shape, labels, pictures.stand_in, pictures.bound)


def in_core_dtype(gpu: Gpu, kind: str, pictures: Array) -> Array:
    """Values of a picture as the core takes them: uint8 or float32."""
    if kind == "booleans":
        return gpu.convert(pictures, "uint8") * 255
    return pictures if kind == "bytes" else gpu.convert(pictures, "float32")


def largest(values: Array) -> float:
    """The largest absolute value; waits."""
    return float(abs(values).max())
