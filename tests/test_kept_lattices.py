"""Lattices of terms that look at no picture are kept for the next of its size: nobody gets somebody else's."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from inputs import NORMALIZATIONS, scene
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian, _core

Values = NDArray[np.float32]


def unary(*shape: int) -> Values:
    """Energies of three labels that terms move."""
    return np.random.default_rng(5).normal(size=(3, *shape)).astype(np.float32)


def infer(shape: tuple[int, ...], *terms: Any) -> Values:
    q: Values = DenseCRF(shape, 3, terms).infer(unary(*shape), 4)
    return q


def as_features(shape: tuple[int, ...], sigma: Any, *weight_and_normalization: Any) -> Features:
    """The same term as `Gaussian`, told by its points: of these no lattice is kept."""
    sigmas = sigma if isinstance(sigma, tuple) else (sigma,) * len(shape)
    positions = np.indices(shape).reshape(len(shape), -1)[::-1]
    scaled = [axis / np.float32(s) for axis, s in zip(positions, sigmas, strict=True)]
    return Features(np.stack(scaled), *weight_and_normalization)


def seconds_to_build(shape: tuple[int, int], sigma: float) -> float:
    """How long numbering the vertices of the lattice took; 0 if it was there already."""
    profile = _core.Profile()
    _core.Model(shape, [_core.Term((sigma, sigma), (), None, "symmetric", 2.0)], 1, profile)
    return profile.seconds()["vertices"]


def push_all_out() -> None:
    """Other sizes, enough of them that no lattice from before is kept."""
    for width in range(300, 330):
        DenseCRF((300, width), 2, [Gaussian(80, 1)])  # quick to build, and as large as any


@contextlib.contextmanager
def within(seconds: float, process: Any) -> Iterator[None]:
    """Waits for a process, and ends it if it hangs."""
    try:
        yield
        process.join(seconds)
        assert process.exitcode is not None, "the child hangs"
        assert process.exitcode == 0
    finally:
        if process.is_alive():
            process.kill()
            process.join()


# ---- first and later calls ----------------------------------------------------------------------------------


def test_a_lattice_is_built_once_for_a_size() -> None:
    push_all_out()
    first, second = (seconds_to_build((251, 173), 2.5) for _ in range(2))
    assert first > 0
    assert second == 0
    for shape, sigma in (((251, 173), 2.6), ((173, 251), 2.5), ((251, 174), 2.5)):
        assert seconds_to_build(shape, sigma) > 0
    push_all_out()
    assert seconds_to_build((251, 173), 2.5) > 0


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_first_call_with_a_size_and_later_ones_have_the_same_bits(normalization: Any) -> None:
    image, logits = scene(61, 47, 5)
    weight = 0.1 if normalization == "none" else 2
    terms = [Gaussian((2.1, 1.7), weight, normalization), Bilateral(9, 21, weight, normalization)]
    push_all_out()
    first, *later = (densecrf.refine(image, logits / 4, terms=terms, from_logits=True) for _ in range(4))
    for other in later:
        assert_array_equal(other, first)
    push_all_out()
    assert_array_equal(densecrf.refine(image, logits / 4, terms=terms, from_logits=True), first)


def test_another_picture_of_the_same_size_gets_the_same_bits_as_if_it_came_first() -> None:
    pictures = [scene(61, 47, 5, seed=seed) for seed in range(3)]
    alone = []
    for image, logits in pictures:
        push_all_out()
        alone.append(densecrf.refine(image, logits / 4, from_logits=True, channel_axis=-1))
    for (image, logits), expected in zip(pictures, alone, strict=True):
        assert_array_equal(densecrf.refine(image, logits / 4, from_logits=True, channel_axis=-1), expected)


def test_several_partitions_are_kept_as_one_is() -> None:
    shape = (210, 230)
    push_all_out()
    first = infer(shape, Gaussian(3, 2))
    assert_array_equal(infer(shape, Gaussian(3, 2)), first)
    for threads in (1, 2, 5):
        model = DenseCRF(shape, 3, [Gaussian(3, 2)], num_threads=threads)
        assert_array_equal(model.infer(unary(*shape), 4), first)


# ---- whose lattice it is ------------------------------------------------------------------------------------

GRIDS: list[tuple[int, ...]] = [
    (120,),
    (1, 120),
    (120, 1),
    (10, 12),
    (12, 10),
    (8, 15),
    (4, 5, 6),
    (6, 5, 4),
    (1, 10, 12),
    (10, 12, 1),
    (2, 3, 4, 5),
]


def test_grids_of_as_many_points_do_not_get_each_others() -> None:
    for _ in range(2):
        for shape in GRIDS:
            q = infer(shape, Gaussian(1.5, 2))
            assert_allclose(q, infer(shape, as_features(shape, 1.5, 2)), rtol=0, atol=1e-5, err_msg=str(shape))


SIGMAS: list[Any] = [2.0, 2.5, 20.0, 0.2, (2.0, 2.5), (2.5, 2.0), (2.0, 2.0), (2.0, 20.0)]


def test_terms_of_other_sigmas_do_not_get_each_others() -> None:
    shape = (14, 14)
    for _ in range(2):
        for sigma in SIGMAS:
            q = infer(shape, Gaussian(sigma, 2))
            assert_allclose(q, infer(shape, as_features(shape, sigma, 2)), rtol=0, atol=1e-5, err_msg=str(sigma))
    assert_array_equal(infer(shape, Gaussian((2.0, 2.0), 2)), infer(shape, Gaussian(2.0, 2)))
    assert np.abs(infer(shape, Gaussian((2.0, 2.5), 2)) - infer(shape, Gaussian((2.5, 2.0), 2))).max() > 1e-3


WEIGHTS: list[Any] = [2, 0.5, [2, 1, 0.5], [[1, -0.5, 0], [-0.5, 1, 0.2], [0, 0.2, 1]]]


def test_weights_and_normalisations_do_not_stick_to_a_lattice() -> None:
    shape = (13, 17)
    for _ in range(2):
        for normalization in NORMALIZATIONS:
            for weight in WEIGHTS:
                how = (np.asarray(weight) * (0.1 if normalization == "none" else 1), normalization)
                q = infer(shape, Gaussian(1.7, *how))
                assert_allclose(q, infer(shape, as_features(shape, 1.7, *how)), rtol=0, atol=1e-5, err_msg=str(how))


def test_two_terms_of_a_model_may_share_one() -> None:
    shape = (13, 17)
    terms = [Gaussian(1.9, 1.5), Gaussian(1.9, 0.7, "after"), Gaussian(3.1, 0.4, "before")]
    told = [as_features(shape, 1.9, 1.5), as_features(shape, 1.9, 0.7, "after"), as_features(shape, 3.1, 0.4, "before")]
    push_all_out()
    first = infer(shape, *terms)
    assert_allclose(first, infer(shape, *told), rtol=0, atol=1e-5)
    assert_array_equal(infer(shape, *terms), first)
    assert_allclose(infer(shape, *terms[::-1]), first, rtol=0, atol=1e-5)


def test_a_bilateral_term_does_not_get_that_of_a_gaussian() -> None:
    image, _ = scene(20, 25, 3)
    near = DenseCRF(image, 3, [Gaussian(3, 2)]).infer(unary(20, 25))
    alike = DenseCRF(image, 3, [Bilateral(3, 20, 2)])
    assert np.abs(alike.infer(unary(20, 25)) - near).max() > 0.01
    assert_array_equal(DenseCRF(image, 3, [Bilateral(3, 20, 2)]).infer(unary(20, 25)), alike.infer(unary(20, 25)))
    other = DenseCRF(image[::-1].copy(), 3, [Bilateral(3, 20, 2)])
    assert np.abs(other.infer(unary(20, 25)) - alike.infer(unary(20, 25))).max() > 0.01


# ---- models that outlive what is kept -----------------------------------------------------------------------


def test_a_model_stays_whole_when_other_sizes_push_its_lattice_out() -> None:
    shape = (260, 280)
    terms = [Gaussian(2.2, 1.5), Gaussian((9, 5), 1, "after")]
    models = [DenseCRF(shape, 3, terms), DenseCRF(shape, 3, terms)]  # one that built it, and one that found it
    energies = unary(*shape)
    expected = models[0].infer(energies, 3), models[0].filter(energies, 1), models[0].message(energies)
    fields = [model.start(energies) for model in models]
    push_all_out()
    assert seconds_to_build(shape, 2.2) > 0
    for model, field in zip(models, fields, strict=True):
        assert_array_equal(model.infer(energies, 3), expected[0])
        assert_array_equal(model.filter(energies, 1), expected[1])
        assert_array_equal(model.message(energies), expected[2])
        assert_array_equal(field.step(3), expected[0])


def test_a_lattice_stays_whole_when_the_model_that_built_it_is_gone() -> None:
    shape = (70, 80)
    push_all_out()
    model = DenseCRF(shape, 3, [Gaussian(2.2, 1.5)])
    expected = model.infer(unary(*shape), 3)
    del model
    assert_array_equal(DenseCRF(shape, 3, [Gaussian(2.2, 1.5)]).infer(unary(*shape), 3), expected)


COPIES: dict[str, Callable[[DenseCRF], DenseCRF]] = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_model_gives_the_same_bits_whether_its_lattice_is_kept_or_not(how: str) -> None:
    model = DenseCRF((41, 33), 3, [Gaussian((2.2, 1.1), 1.5, "before")])
    expected = model.infer(unary(41, 33), 3)
    assert_array_equal(COPIES[how](model).infer(unary(41, 33), 3), expected)
    push_all_out()
    assert_array_equal(COPIES[how](model).infer(unary(41, 33), 3), expected)
    assert_array_equal(model.infer(unary(41, 33), 3), expected)


# ---- threads ------------------------------------------------------------------------------------------------


def test_eight_threads_with_different_sizes_get_the_bits_of_calls_in_turn() -> None:
    shapes = [(40 + i % 7, 50 + i % 5) for i in range(80)]

    def answer(shape: tuple[int, int]) -> Values:
        return infer(shape, Gaussian(2 + shape[0] % 3, 2), Gaussian(1.1, 0.5, "after"))

    push_all_out()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(answer, shapes))
    in_turn = {shape: answer(shape) for shape in shapes}
    for shape, q in zip(shapes, together, strict=True):
        assert_array_equal(q, in_turn[shape])


def test_eight_threads_that_push_each_other_out_get_the_bits_of_calls_in_turn() -> None:
    shapes = [(260, 270 + i % 12) for i in range(48)]  # together more than is kept

    def answer(shape: tuple[int, int]) -> Values:
        q: Values = DenseCRF(shape, 3, [Gaussian(2, 2)], num_threads=1).infer(unary(*shape), 1)
        return q

    in_turn = {shape: answer(shape) for shape in shapes[:12]}
    with ThreadPoolExecutor(8) as pool:
        for shape, q in zip(shapes, pool.map(answer, shapes), strict=True):
            assert_array_equal(q, in_turn[shape])


# ---- processes ----------------------------------------------------------------------------------------------

forks = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


def check_in_child(crf: DenseCRF, expected: list[tuple[tuple[int, int], Values]]) -> None:
    for shape, q in expected:
        assert_array_equal(infer(shape, Gaussian(2.2, 1.5)), q)
    shape, q = expected[0]
    assert_array_equal(crf.infer(unary(*shape), 4), q)
    push_all_out()
    assert_array_equal(crf.infer(unary(*shape), 4), q)
    assert_array_equal(infer(shape, Gaussian(2.2, 1.5)), q)


@forks
def test_a_forked_child_gets_the_bits_of_its_parent() -> None:
    shapes = [(55, 66), (66, 55)]
    crf = DenseCRF(shapes[0], 3, [Gaussian(2.2, 1.5)])
    expected = [(shape, infer(shape, Gaussian(2.2, 1.5))) for shape in shapes]
    process = multiprocessing.get_context("fork").Process(target=check_in_child, args=(crf, expected))
    process.start()
    with within(60, process):
        assert_array_equal(infer(shapes[1], Gaussian(2.2, 1.5)), expected[1][1])


def check_one(shape: tuple[int, int], q: Values) -> None:
    for _ in range(2):
        assert_array_equal(infer(shape, Gaussian(2.2, 1.5)), q)


@forks
def test_children_forked_while_other_threads_build_lattices_do_not_hang() -> None:
    shape, done = (55, 66), threading.Event()
    expected = infer(shape, Gaussian(2.2, 1.5))

    def keep_building() -> None:
        size = 0
        while not done.is_set():
            size += 1
            DenseCRF((20, 20 + size % 50), 3, [Gaussian(1, 1)])

    builders = [threading.Thread(target=keep_building) for _ in range(2)]
    for builder in builders:
        builder.start()
    try:
        for _ in range(10):
            process = multiprocessing.get_context("fork").Process(target=check_one, args=(shape, expected))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads: which is the point
                process.start()
            with within(60, process):
                pass
    finally:
        done.set()
        for builder in builders:
            builder.join()
