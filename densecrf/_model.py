"""The model: lattices built once, then used for many unaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from densecrf import _arrays, _check
from densecrf._build import default_threads
from densecrf._engines import Channels, Engine, GpuEngine, HostEngine, Inference, Planes, own_channels
from densecrf._features import resolve_terms
from densecrf._gpu import Gpu, gpu_of
from densecrf._memory import require_model
from densecrf.terms import Term

Values: TypeAlias = Any  # (L, *shape), of NumPy, or of the library whose GPU it is


class DenseCRF:
    """A fully connected CRF over a grid of points, without its unary energies (Krähenbühl & Koltun 2011).

    The lattices are built here; what the methods take is not kept, so one object serves many unaries and many
    threads at once. It pickles by its description, and builds the lattices again.

    It works where its image lies. A model of an image on the CPU, or of a shape, builds its lattices once more on every
    GPU that it is given unaries of. On a GPU nothing waits for results, and so values are not looked at: NaN in the
    unaries makes nonsense of the marginals instead of an error.

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
        shape, image, axis = _check.grid(function, image_or_shape, channel_axis)
        meant = tuple(resolve_terms(function, terms, preset))
        if image is None or image.gpu is None:
            _require_memory(shape, meant, image, axis)
        channels = None if image is None else own_channels(function, image, axis)
        self._set_up(shape, channels, n_labels, meant, threads)

    def _set_up(
        self, shape: tuple[int, ...], channels: Channels | None, n_labels: int, terms: tuple[Term, ...], threads: int
    ) -> None:
        """Builds the lattices from a description that nobody else can change."""
        self._description = (shape, channels, n_labels, terms, threads)
        self.shape, self.n_labels = shape, n_labels
        self._home = None if channels is None else gpu_of(channels.values)
        self._engines = {self._home: self._build(self._home, terms)}
        self._filters: dict[tuple[Gpu | None, int], Engine] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self._description

    def __setstate__(self, description: tuple[Any, ...]) -> None:
        self._set_up(*description)

    def _build(self, gpu: Gpu | None, terms: Sequence[Term]) -> Engine:
        function = "densecrf.DenseCRF"
        shape, channels, n_labels, _, threads = self._description
        if gpu is None:
            return HostEngine(function, shape, n_labels, terms, channels, threads)
        return GpuEngine(function, gpu, shape, n_labels, terms, channels)

    def _engine(self, function: str, name: str, given: _arrays.Given) -> Engine:
        """The lattices where an argument lies."""
        if given.gpu not in self._engines:
            if self._home is not None:
                raise TypeError(
                    f"{function}: {name} must lie where the model's image lies, {self._home}, "
                    f"got {name} on {given.gpu or 'the CPU'}; move one of them"
                )
            self._engines[given.gpu] = self._build(given.gpu, self._description[3])
        return self._engines[given.gpu]

    @property
    def n_vertices(self) -> int:
        """Lattice vertices of all terms; memory and time grow with them."""
        return self._engines[self._home].vertices

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
        counted = _check.flag(function, "return_iterations", return_iterations)
        given, engine = self._take(function, "unary", unary)
        energies = self._planes(function, "unary", given, engine)
        if ignore is not None:
            energies = engine.silenced(energies, _check.points_mask(function, "ignore", ignore, self.shape).ravel())
        begin = None
        if start is not None:
            given_start = _arrays.take(function, "start", start, gpu=True)
            _check.same_place(function, "start", given_start, given)
            begin = self._planes(function, "start", given_start, engine)
            _check.marginals(function, "start", given_start, begin)
        how = Inference(
            _check.integer(function, "iterations", iterations, 0),
            begin,
            _check.share(function, "damping", damping),
            _check.share(function, "tolerance", tolerance),
            _check.share(function, "label_tolerance", label_tolerance),
            count=counted and tolerance > 0,
        )
        marginals, ran = engine.infer(energies, how)
        result = _arrays.give_back(marginals.reshape(given.values.shape), given, None)
        return (result, ran) if counted else result

    def start(self, unary: Any) -> MeanField:
        """Mean field one step at a time, from soft-max(-unary); unary energies ``(L, *shape)``."""
        function = "DenseCRF.start"
        given, engine = self._take(function, "unary", unary)
        return MeanField(self, engine, given, engine.copy(self._planes(function, "unary", given, engine)))

    def message(self, marginals: Any) -> Values:
        """What the points tell each other: the sum over terms of weight times filtered marginals, ``(L, *shape)``."""
        given, engine = self._take("DenseCRF.message", "marginals", marginals)
        planes = self._planes("DenseCRF.message", "marginals", given, engine)
        return engine.message(planes).reshape(-1, *self.shape)

    def filter(self, values: Any, term: int = 0) -> Values:
        """Values through the normalised kernel of one term, without its weight.

        Args:
            values: ``(C, *shape)``, for any number of channels C.
            term: which of the terms, from 0.

        Returns:
            ``(C, *shape)`` float32.
        """
        function = "DenseCRF.filter"
        chosen = _check.index(function, "term", term, len(self._description[3]))
        given = _arrays.take(function, "values", values, gpu=True)
        self._engine(function, "values", given)
        engine, shape = self._filter(given.gpu, chosen), given.values.shape
        count = max(1, shape[0] if shape else 1)
        return engine.message(engine.planes(function, "values", given, (count, *self.shape))).reshape(shape)

    def _filter(self, gpu: Gpu | None, term: int) -> Engine:
        """A model of one term with weight 1, built when first asked for."""
        if (gpu, term) not in self._filters:
            alone = dataclasses.replace(self._description[3][term], weight=1.0)
            self._filters[gpu, term] = self._build(gpu, [alone])
        return self._filters[gpu, term]

    def energy(self, unary: Any, labels: Any) -> float:
        """Gibbs energy of a labelling: its unary energies, less half of what its points agree on.

        ``sum_i U_i(x_i) - 1/2 sum_ij W(x_i, x_j) k(f_i, f_j)``, over all pairs, a point with itself included.
        """
        function = "DenseCRF.energy"
        values = _check.labels(function, labels, self.n_labels, None, may_be_unsure=False)
        if values.shape != self.shape:
            raise ValueError(f"{function}: labels must have shape {self.shape}, got {values.shape}")
        given, engine = self._take(function, "unary", unary)
        energies = self._planes(function, "unary", given, engine)
        sure = (np.arange(self.n_labels)[:, np.newaxis] == values.ravel()).astype(np.float32)
        there = sure if given.gpu is None else given.gpu.on_device(sure)
        return _energy(engine, energies, there)

    def free_energy(self, unary: Any, marginals: Any) -> float:
        """What mean field minimises: ``sum Q log Q + sum Q U - 1/2 sum Q W (K Q)``.

        The pairwise part is halved, since every pair is counted twice. Where kernels are symmetric (normalisation
        "symmetric" or "none"), a fixed point of the update is a stationary point of this: exactly in one dimension;
        in more the blurs along the lattice's axes do not quite commute.
        """
        function = "DenseCRF.free_energy"
        given, engine = self._take(function, "unary", unary)
        given_marginals, _ = self._take(function, "marginals", marginals)
        _check.same_place(function, "marginals", given_marginals, given)
        energies = self._planes(function, "unary", given, engine)
        Q = self._planes(function, "marginals", given_marginals, engine)
        _check.marginals(function, "marginals", given_marginals, Q)
        return _free_energy(engine, energies, Q)

    def _take(self, function: str, name: str, values: Any) -> tuple[_arrays.Given, Engine]:
        given = _arrays.take(function, name, values, gpu=True)
        return given, self._engine(function, name, given)

    def _planes(self, function: str, name: str, given: _arrays.Given, engine: Engine) -> Planes:
        return engine.planes(function, name, given, (self.n_labels, *self.shape))


def _require_memory(
    shape: tuple[int, ...], terms: Sequence[Term], image: _arrays.Given | None, axis: int | None
) -> None:
    """Room on the host for a model of an image, or of a shape alone."""
    if image is None:
        require_model(shape, terms, 0, 0)
    else:
        values = image.values
        require_model(shape, terms, 1 if axis is None else values.shape[axis], 1 if values.dtype == np.uint8 else 4)


def _free_energy(engine: Engine, energies: Planes, Q: Planes) -> float:
    q = engine.on_host(Q)
    with np.errstate(invalid="ignore", over="ignore"):  # on a GPU nobody has looked whether they are marginals
        entropy = float(np.sum(q * np.log(np.maximum(q, 1e-30)), dtype=np.float64))
    return entropy + _energy(engine, energies, Q)


def _energy(engine: Engine, energies: Planes, Q: Planes) -> float:
    # In float64: energies may be as large as float32 goes. On a GPU nobody has looked whether they are finite.
    with np.errstate(invalid="ignore"):
        half = np.subtract(engine.on_host(energies), engine.on_host(engine.message(Q)) / 2, dtype=np.float64)
        return float(np.sum(engine.on_host(Q) * half))


class MeanField:
    """Mean-field inference under way; made by `DenseCRF.start`."""

    def __init__(self, crf: DenseCRF, engine: Engine, given: _arrays.Given, energies: Planes) -> None:
        self._crf = crf
        self._engine = engine
        self._given = given  # for the answer to be like
        self._energies = energies
        self._Q, _ = engine.infer(energies, Inference(0))

    @property
    def marginals(self) -> Any:
        """Q, ``(L, *shape)``, with the library and dtype of the unary; a copy."""
        copy = self._engine.copy(self._Q)
        return _arrays.give_back(copy.reshape(self._given.values.shape), self._given, None)

    def step(self, iterations: int = 1, *, damping: float = 0.0) -> Any:
        """Runs so many more iterations; returns the marginals."""
        iterations = _check.integer("MeanField.step", "iterations", iterations, 0)
        damping = _check.share("MeanField.step", "damping", damping)
        self._Q, _ = self._engine.infer(self._energies, Inference(iterations, self._Q, damping))
        return self.marginals

    def free_energy(self) -> float:
        """The free energy of the marginals; see `DenseCRF.free_energy`."""
        return _free_energy(self._engine, self._energies, self._Q)
