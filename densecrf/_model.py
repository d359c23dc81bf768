"""The model: lattices built once, then used for many unaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import _arrays, _check, _core
from densecrf._build import default_threads
from densecrf._features import FullTerm, full_term, resolve_terms
from densecrf.terms import Term

Values: TypeAlias = NDArray[np.float32]  # [L, *shape]
Planes: TypeAlias = NDArray[np.float32]  # [L, N], contiguous


class DenseCRF:
    """A fully connected CRF over a grid of points, without its unary energies (Krähenbühl & Koltun 2011).

    The lattices are built here; what the methods take is not kept, so one object serves many unaries and many
    threads at once. It pickles by its description, and builds the lattices again.

    Args:
        image_or_shape: the image the bilateral terms look at, or the shape of the grid where there are none:
            ``(N,)``, ``(H, W)``, ``(Z, Y, X)``, ... Image values as in `densecrf.refine`.
        n_labels: L.
        terms: pairwise terms; None for those of ``preset``.
        preset: a name of ``densecrf.presets``.
        channel_axis: the axis of an image that holds channels; None if all axes are positions, as in a volume of
            grey values. By default the last of three or more for NumPy, the first of three or more for torch.
        num_threads: as in `densecrf.refine`.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
        MemoryError: the memory for the lattices cannot be had.
    """

    def __init__(
        self,
        image_or_shape: Any,
        n_labels: int,
        terms: Sequence[Term] | None = None,
        *,
        preset: str = "deeplab-v2",
        channel_axis: int | Literal["usual"] | None = "usual",
        num_threads: int | None = None,
    ) -> None:
        function = "densecrf.DenseCRF"
        threads = _check.threads(function, num_threads, default_threads())
        n_labels = _check.integer(function, "n_labels", n_labels, 1)
        shape, channels = _check.grid(function, image_or_shape, channel_axis)
        meant = tuple(resolve_terms(function, terms, preset))
        self._set_up(shape, None if channels is None else channels.copy(), n_labels, meant, threads)

    def _set_up(
        self,
        shape: tuple[int, ...],
        channels: NDArray[Any] | None,
        n_labels: int,
        terms: tuple[Term, ...],
        threads: int,
    ) -> None:
        """Builds the lattices from a description that nobody else can change: channels [N, C] are our own."""
        self._description = (shape, channels, n_labels, terms, threads)
        self.shape, self.n_labels, self._threads = shape, n_labels, threads
        self._terms = tuple(full_term("densecrf.DenseCRF", term, shape, n_labels, channels) for term in terms)
        self._core = self._build(self._terms)
        self._filters: dict[int, _core.Model] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self._description

    def __setstate__(self, description: tuple[Any, ...]) -> None:
        self._set_up(*description)

    def _build(self, terms: Sequence[FullTerm]) -> _core.Model:
        return _core.Model(self.shape, [term.for_core() for term in terms], self._threads)

    @property
    def n_vertices(self) -> int:
        """Lattice vertices of all terms; memory and time grow with them."""
        return self._core.vertices

    def infer(
        self,
        unary: Any,
        iterations: int = 10,
        *,
        start: Any = None,
        damping: float = 0.0,
        tolerance: float = 0.0,
        label_tolerance: float = 0.0,
        ignore: Any = None,
        return_iterations: bool = False,
    ) -> Any:
        """Marginals by mean field.

        Args:
            unary: energies ``(L, *shape)``, lower is likelier; see `densecrf.unary_from_probs`.
            iterations: at most.
            start: marginals ``(L, *shape)`` to start from; None for soft-max(-unary).
            damping: share of the marginals before that each iteration keeps, 0 to below 1.
            tolerance: stop when no marginal moves by more in an iteration; 0 to run them all.
            label_tolerance: as in `densecrf.refine`; 0 filters every label. Without effect beside ``start``,
                ``damping`` and ``tolerance``, and where labels do more than attract their own kind.
            ignore: booleans ``(*shape)``: points that have no opinion of their own.
            return_iterations: also return how many iterations ran.

        Returns:
            Marginals ``(L, *shape)`` with the library and dtype of ``unary``; with ``return_iterations`` a tuple of
            them and the number.
        """
        function = "DenseCRF.infer"
        given = _arrays.take(function, "unary", unary)
        energies = self._planes(function, "unary", given)
        if ignore is not None:
            silent = _check.points_mask(function, "ignore", ignore, self.shape).ravel()
            energies = np.where(silent, np.float32(0), energies)
        begin = None if start is None else self._planes(function, "start", start)
        marginals, ran = self._iterate(function, energies, iterations, begin, damping, tolerance, label_tolerance)
        result = _arrays.give_back(marginals.reshape(given.values.shape), given, None)
        return (result, ran) if return_iterations else result

    def _iterate(
        self,
        function: str,
        energies: Planes,
        iterations: int,
        start: Planes | None = None,
        damping: float = 0.0,
        tolerance: float = 0.0,
        label_tolerance: float = 0.0,
    ) -> tuple[Planes, int]:
        """Marginals [L, N] from energies [L, N], and how many iterations ran."""
        iterations = _check.integer(function, "iterations", iterations, 0)
        damping, tolerance = _check.share(function, "damping", damping), _check.share(function, "tolerance", tolerance)
        label_tolerance = _check.share(function, "label_tolerance", label_tolerance)
        out = np.empty_like(energies)
        ran = self._core.infer(
            energies, "energies", 0.0, iterations, start, damping, tolerance, label_tolerance, self._threads, out
        )
        return out, ran

    def start(self, unary: Any) -> MeanField:
        """Mean field one step at a time, from soft-max(-unary); unary energies ``(L, *shape)``."""
        given = _arrays.take("DenseCRF.start", "unary", unary)
        return MeanField(self, given, self._planes("DenseCRF.start", "unary", given).copy())

    def message(self, marginals: Any) -> Values:
        """What the points tell each other: the sum over terms of weight times filtered marginals, ``(L, *shape)``."""
        return self._message(self._planes("DenseCRF.message", "marginals", marginals)).reshape(-1, *self.shape)

    def _message(self, Q: Planes) -> Planes:
        out = np.empty_like(Q)
        self._core.message(Q, self._threads, out)
        return out

    def filter(self, values: Any, term: int = 0) -> Values:
        """Values through the normalised kernel of one term, without its weight.

        Args:
            values: ``(C, *shape)``, for any number of channels C.
            term: which of the terms, from 0.

        Returns:
            ``(C, *shape)`` float32.
        """
        function = "DenseCRF.filter"
        chosen = _check.index(function, "term", term, len(self._terms))
        array = _arrays.take(function, "values", values).values
        planes = _check.planes(function, "values", array, (max(1, array.shape[0] if array.ndim else 1), *self.shape))
        out = np.empty_like(planes)
        self._filter(chosen).message(planes, self._threads, out)
        return out.reshape(array.shape)

    def _filter(self, term: int) -> _core.Model:
        """A model of one term with weight 1, built when first asked for."""
        if term not in self._filters:
            self._filters[term] = self._build([dataclasses.replace(self._terms[term], weight=1.0)])
        return self._filters[term]

    def energy(self, unary: Any, labels: Any) -> float:
        """Gibbs energy of a labelling: its unary energies, less half of what its points agree on.

        ``sum_i U_i(x_i) - 1/2 sum_ij W(x_i, x_j) k(f_i, f_j)``, over all pairs, a point with itself included.
        """
        function = "DenseCRF.energy"
        values = _check.labels(function, labels, self.n_labels, None, may_be_unsure=False)
        if values.shape != self.shape:
            raise ValueError(f"{function}: labels must have shape {self.shape}, got {values.shape}")
        sure = (np.arange(self.n_labels)[:, np.newaxis] == values.ravel()).astype(np.float32)
        return self._energy(self._planes(function, "unary", unary), sure)

    def free_energy(self, unary: Any, marginals: Any) -> float:
        """What mean field minimises: ``sum Q log Q + sum Q U - 1/2 sum Q W (K Q)``.

        The pairwise part is halved, since every pair is counted twice. Where kernels are symmetric (normalisation
        "symmetric" or "none"), a fixed point of the update is a stationary point of this: exactly in one dimension;
        in more the blurs along the lattice's axes do not quite commute.
        """
        function = "DenseCRF.free_energy"
        return self._free_energy(self._planes(function, "unary", unary), self._planes(function, "marginals", marginals))

    def _free_energy(self, energies: Planes, Q: Planes) -> float:
        entropy = float(np.sum(Q * np.log(np.maximum(Q, 1e-30)), dtype=np.float64))
        return entropy + self._energy(energies, Q)

    def _energy(self, energies: Planes, Q: Planes) -> float:
        return float(np.sum(Q * (energies - self._message(Q) / 2), dtype=np.float64))

    def _planes(self, function: str, name: str, values: Any) -> Planes:
        given = values if isinstance(values, _arrays.Given) else _arrays.take(function, name, values)
        return _check.planes(function, name, given.values, (self.n_labels, *self.shape))


class MeanField:
    """Mean-field inference under way; made by `DenseCRF.start`."""

    def __init__(self, crf: DenseCRF, given: _arrays.Given, energies: Planes) -> None:
        self._crf = crf
        self._given = given  # for the answer to be like
        self._energies = energies
        self._Q, _ = crf._iterate("DenseCRF.start", energies, 0)

    @property
    def marginals(self) -> Any:
        """Q, ``(L, *shape)``, with the library and dtype of the unary; a copy."""
        return _arrays.give_back(self._Q.copy().reshape(self._given.values.shape), self._given, None)

    def step(self, iterations: int = 1, *, damping: float = 0.0) -> Any:
        """Runs so many more iterations; returns the marginals."""
        self._Q, _ = self._crf._iterate("MeanField.step", self._energies, iterations, self._Q, damping)
        return self.marginals

    def free_energy(self) -> float:
        """The free energy of the marginals; see `DenseCRF.free_energy`."""
        return self._crf._free_energy(self._energies, self._Q)
