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
        self._description = (image_or_shape, n_labels, terms, preset, channel_axis, num_threads)
        function = "densecrf.DenseCRF"
        self._threads = _check.threads(function, num_threads, default_threads())
        self.n_labels = _check.integer(function, "n_labels", n_labels, 1)
        self.shape, channels = _check.grid(function, image_or_shape, channel_axis)
        meant = resolve_terms(function, terms, preset)
        self._terms = tuple(full_term(function, term, self.shape, self.n_labels, channels) for term in meant)
        self._core = self._build(self._terms)
        self._filters: dict[int, _core.Model] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self._description

    def __setstate__(self, description: tuple[Any, ...]) -> None:
        image, n_labels, terms, preset, channel_axis, num_threads = description
        DenseCRF.__init__(
            self, image, n_labels, terms, preset=preset, channel_axis=channel_axis, num_threads=num_threads
        )

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
            ignore: booleans ``(*shape)``: points that have no opinion of their own.
            return_iterations: also return how many iterations ran.

        Returns:
            Marginals ``(L, *shape)`` with the library and dtype of ``unary``; with ``return_iterations`` a tuple of
            them and the number.
        """
        function = "DenseCRF.infer"
        given = _arrays.take(function, "unary", unary)
        energies = self._planes(function, "unary", given.values)
        if ignore is not None:
            energies = np.where(
                _check.points_mask(function, "ignore", ignore, self.shape).ravel(), np.float32(0), energies
            )
        begin = None
        if start is not None:
            begin = self._planes(function, "start", _arrays.take(function, "start", start).values)
        damping, tolerance = _check.share(function, "damping", damping), _check.share(function, "tolerance", tolerance)
        iterations = _check.integer(function, "iterations", iterations, 0)
        marginals = np.empty(given.values.shape, np.float32)
        ran = self._core.infer(
            energies,
            "energies",
            0.0,
            iterations,
            begin,
            damping,
            tolerance,
            self._threads,
            marginals.reshape(self.n_labels, -1),
        )
        result = _arrays.give_back(marginals, given, None)
        return (result, ran) if return_iterations else result

    def start(self, unary: Any) -> MeanField:
        """Mean field one step at a time, from soft-max(-unary)."""
        return MeanField(self, unary)

    def message(self, marginals: Any) -> Values:
        """What the points tell each other: the sum over terms of weight times filtered marginals, ``(L, *shape)``."""
        values = self._planes("DenseCRF.message", "marginals", np.asarray(marginals))
        out = np.empty_like(values)
        self._core.message(values, self._threads, out)
        return out.reshape(self.n_labels, *self.shape)

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
        array = np.asarray(values)
        planes = _check.planes(function, "values", array, (len(array) if array.ndim else 0, *self.shape))
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
        values = _check.labels(function, labels, self.n_labels, None)
        if values.shape != self.shape:
            raise ValueError(f"{function}: labels must have shape {self.shape}, got {values.shape}")
        sure = (np.arange(self.n_labels)[:, np.newaxis] == values.ravel()).astype(np.float32)
        return self._energy(self._planes(function, "unary", np.asarray(unary)), sure)

    def _energy(self, energies: Values, Q: Values) -> float:
        pairs = self.message(Q.reshape(self.n_labels, *self.shape)).reshape(Q.shape)
        return float(np.sum(Q * (energies - pairs / 2), dtype=np.float64))

    def _planes(self, function: str, name: str, values: NDArray[Any]) -> Values:
        return _check.planes(function, name, values, (self.n_labels, *self.shape))


class MeanField:
    """Mean-field inference under way; see `DenseCRF.start`."""

    def __init__(self, crf: DenseCRF, unary: Any) -> None:
        self._crf = crf
        self._unary = unary
        self._marginals = crf.infer(unary, 0)

    @property
    def marginals(self) -> Any:
        """Q, ``(L, *shape)``."""
        return self._marginals

    def step(self, iterations: int = 1, *, damping: float = 0.0) -> Any:
        """Runs so many more iterations; returns the marginals."""
        self._marginals = self._crf.infer(self._unary, iterations, start=self._marginals, damping=damping)
        return self._marginals

    def free_energy(self) -> float:
        """What mean field minimises: ``sum Q log Q + sum Q U - 1/2 sum Q W (K Q)``.

        The pairwise part is halved, since every pair is counted twice; with symmetric kernels (normalisation
        "symmetric" or "none") a fixed point of the update is a stationary point of this.
        """
        function = "MeanField.free_energy"
        Q = self._crf._planes(function, "marginals", np.asarray(self._marginals))
        energies = self._crf._planes(function, "unary", np.asarray(self._unary))
        entropy = float(np.sum(Q * np.log(np.maximum(Q, 1e-30)), dtype=np.float64))
        return entropy + self._crf._energy(energies, Q)
