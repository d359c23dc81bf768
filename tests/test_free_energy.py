"""Energies: what mean field minimises, and what a labelling costs.

The blur of the lattice goes along one axis after the other. In one dimension of features its kernel is symmetric, and
a fixed point of the update is a stationary point of the free energy but for float32. In more dimensions the blurs do
not commute where vertices are missing, the kernel is not quite symmetric, and neither is a fixed point quite
stationary: by half of (K - K^T) W Q.
"""

import itertools

import models
import numpy as np
import pytest
from inputs import scene, softmax
from numpy.testing import assert_allclose, assert_array_equal
from test_lattice import lattice_kernel, normalized

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian
from densecrf.reference import compatibility, kernel

N, L = 40, 3
MATRIX = ((0.8, -0.3, 0.1), (-0.3, 0.5, 0.2), (0.1, 0.2, 0.9))


def gentle(*shape, seed=0):
    return np.random.default_rng(seed).normal(scale=0.7, size=shape).astype(np.float32)


LINE = np.cumsum(np.random.default_rng(4).uniform(0.05, 0.9, N))[np.newaxis]  # neighbours, now near, now far

LINES = {
    "Potts": [Gaussian(2.3, 0.8)],
    "vector": [Gaussian(2.3, (0.9, -0.5, 0.3))],
    "matrix": [Gaussian(2.3, MATRIX)],
    "points": [Features(LINE, MATRIX)],
    "not normalised": [Gaussian(2.3, 0.1, "none"), Features(LINE, np.array(MATRIX) / 5, "none")],
    "several": [Gaussian(1.3, 0.6), Features(LINE, MATRIX), Gaussian(5.9, (0.4, 0.2, -0.3))],
}
each_line = pytest.mark.parametrize("case", LINES)


def free_energy(model, unary, q):
    return model.free_energy(unary, np.asarray(q, np.float32))


def slopes(model, unary, q, directions=8):
    """Central differences of the free energy at q along random tangents of the simplex, in proportion to q."""
    h, found = 5e-3, []
    for seed in range(directions):
        push = np.random.default_rng(seed).choice([-1.0, 1.0], size=q.shape)
        tangent = q * (push - (q * push).sum(axis=0))
        tangent /= np.abs(tangent).sum()
        scale = h / np.abs(tangent / q).max()
        ahead, behind = (free_energy(model, unary, q + sign * scale * tangent) for sign in (1, -1))
        found.append((ahead - behind) / (2 * scale))
    return np.array(found)


# ---- stationary points --------------------------------------------------------------------------------------


@each_line
def test_a_fixed_point_of_the_update_is_a_stationary_point_in_one_dimension(case):
    """To 3e-5, what float32 messages leave of differences over small steps; the soft-max is 200 times as steep."""
    unary = gentle(L, N)
    model = DenseCRF((N,), L, LINES[case])
    start, end = model.infer(unary, 0), model.infer(unary, 400, damping=0.5)
    assert np.abs(model.infer(unary, 1, start=end) - end).max() < 1e-6
    assert np.abs(slopes(model, unary, end.astype(float))).max() < 3e-5
    assert np.abs(slopes(model, unary, start.astype(float))).max() > 6e-3


@pytest.mark.parametrize("normalization", ["before", "after"])
def test_what_is_not_symmetric_has_other_fixed_points(normalization):
    """So the test above could fail."""
    model, unary = DenseCRF((N,), L, [Features(LINE, 2 * np.array(MATRIX), normalization)]), gentle(L, N)
    assert np.abs(slopes(model, unary, model.infer(unary, 400, damping=0.5).astype(float))).max() > 1e-3


def test_a_fixed_point_is_stationary_on_pictures_as_far_as_the_lattice_is_symmetric():
    image, logits = scene(8, 9, L)
    unary, terms = -logits / 8, [Gaussian((1.7, 2.3), 0.7), Bilateral((7.7, 11.3), (31.1, 43.7, 37.9), MATRIX)]
    model = DenseCRF(image, L, terms)
    q = model.infer(unary, 400, damping=0.5).astype(np.float64)
    assert np.abs(model.infer(unary, 1, start=q) - q).max() < 1e-6

    y, x = np.mgrid[:8, :9]
    near = np.stack([x.ravel() / 1.7, y.ravel() / 2.3], 1)
    alike = np.concatenate(
        [np.stack([x.ravel() / 7.7, y.ravel() / 11.3], 1), image.reshape(-1, 3) / (31.1, 43.7, 37.9)], 1
    )
    flat = q.reshape(L, -1)
    skew = np.zeros_like(flat)
    for features, W in ((near, 0.7 * np.eye(L)), (alike, np.array(MATRIX))):
        k = normalized(lattice_kernel(features), "symmetric")
        skew += W @ flat @ (k - k.T).T / 2
    # The differences of two labels are what a tangent can feel.
    bound = np.ptp(skew, axis=0).max()
    assert 1e-4 < bound < 0.1
    assert np.abs(slopes(model, unary, q)).max() < bound + 3e-5


@each_line
@pytest.mark.parametrize("damping", [0.5, 0.8])
def test_damped_iterations_lower_the_free_energy_one_after_the_other(case, damping):
    model = DenseCRF((N,), L, LINES[case])
    field = model.start(gentle(L, N))
    energies = [field.free_energy()]
    for _ in range(25):
        field.step(damping=damping)
        energies.append(field.free_energy())
    assert (np.diff(energies) <= 1e-5).all()
    assert energies[-1] < energies[0] - 0.01


def test_damped_iterations_lower_the_free_energy_of_pictures():
    image, logits = scene(16, 18, 4)
    model = DenseCRF(image, 4, [Gaussian(1.7, 1), Bilateral(9.1, 21.3, 2)])
    field = model.start(-logits / 4)
    energies = [field.free_energy()] + [field.step(damping=0.5) is None or field.free_energy() for _ in range(15)]
    assert (np.diff(energies) <= 1e-3).all()
    assert energies[-1] < energies[0] - 1


# ---- the parts ----------------------------------------------------------------------------------------------


@each_line
def test_the_free_energy_is_entropy_and_unary_energies_and_half_of_the_pairs(case):
    model, unary = DenseCRF((N,), L, LINES[case]), gentle(L, N, seed=1)
    field = model.start(unary)
    q = field.step(3).astype(np.float64)
    pairs = sum(
        compatibility(full, L) @ model.filter(field.marginals, i).astype(np.float64)
        for i, full in enumerate(models.full_terms(model))
    )
    expected = (q * np.log(q)).sum() + (q * unary).sum() - (q * pairs).sum() / 2
    assert field.free_energy() == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_without_terms_the_free_energy_is_minus_the_log_of_the_partition_function():
    unary = gentle(L, N)
    expected = -np.log(np.exp(-unary.astype(np.float64)).sum(axis=0)).sum()
    assert DenseCRF((N,), L, []).start(unary).free_energy() == pytest.approx(expected, rel=1e-6)


def test_uniform_marginals_have_an_entropy_of_log_l():
    assert DenseCRF((N,), L, []).start(np.zeros((L, N), np.float32)).free_energy() == pytest.approx(
        -N * np.log(L), rel=1e-6
    )


def test_an_added_constant_adds_itself_for_every_point():
    unary, model = gentle(L, N), DenseCRF((N,), L, LINES["several"])
    field, raised = model.start(unary), model.start(unary + np.float32(2))
    field.step(3)
    raised.step(3)
    assert raised.free_energy() == pytest.approx(field.free_energy() + 2 * N, rel=1e-5)


def test_marginals_of_zero_have_no_entropy():
    unary = np.zeros((L, N), np.float32)
    unary[1:] = 500
    field = DenseCRF((N,), L, LINES["matrix"]).start(unary)
    field.step(2)
    labels = np.zeros(N, int)
    assert np.isfinite(field.free_energy())
    assert field.free_energy() == pytest.approx(DenseCRF((N,), L, LINES["matrix"]).energy(unary, labels), rel=1e-5)


def test_the_free_energy_is_at_most_the_energy_of_the_best_labelling():
    """Mean field's bound: F at its minimum lies below F at every certain distribution, where F is the energy."""
    unary, model = gentle(L, N), DenseCRF((N,), L, LINES["several"])
    field = model.start(unary)
    labels = field.step(200, damping=0.5).argmax(axis=0)
    assert field.free_energy() < model.energy(unary, labels)


# ---- energies of labellings ---------------------------------------------------------------------------------


def brute_energy(unary, labels, kernels):
    """Over all pairs, one by one."""
    points = range(len(labels))
    energy = sum(float(unary[labels[i], i]) for i in points)
    for W, k in kernels:
        energy -= sum(W[labels[i], labels[j]] * k[i, j] for i in points for j in points) / 2
    return energy


@each_line
def test_the_energy_of_a_labelling_is_the_sum_over_all_pairs(case):
    model, unary = DenseCRF((N,), L, LINES[case]), gentle(L, N)
    units = np.eye(N, dtype=np.float32)
    kernels = [(compatibility(full, L), model.filter(units, i).T) for i, full in enumerate(models.full_terms(model))]
    for seed in range(3):
        labels = np.random.default_rng(seed).integers(0, L, N)
        assert model.energy(unary, labels) == pytest.approx(brute_energy(unary, labels, kernels), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("weight", [1.2, (1.1, -0.8), ((1.0, -0.4), (-0.4, 0.6))], ids=["Potts", "vector", "matrix"])
@pytest.mark.parametrize("normalization", ["symmetric", "none"])
def test_energies_rank_labellings_as_the_exact_kernel_does(weight, normalization):
    unary = gentle(2, 8, seed=2)
    model = DenseCRF((8,), 2, [Gaussian(1.3, weight, normalization)])
    (full,) = models.full_terms(model)
    kernels = [(compatibility(full, 2), kernel(full))]
    labellings = [np.array(labels) for labels in itertools.product(range(2), repeat=8)]
    exact = np.array([brute_energy(unary, labels, kernels) for labels in labellings])
    found = np.array([model.energy(unary, labels) for labels in labellings])
    assert exact[found.argmin()] - exact.min() < 0.02 * np.ptp(exact)
    ranks = [np.argsort(np.argsort(energies)) for energies in (found, exact)]
    assert np.corrcoef(*ranks)[0, 1] > 0.99
    assert np.corrcoef(found, exact)[0, 1] > 0.995


def test_labels_of_any_integer_type_have_the_same_energy():
    model, unary = DenseCRF((N,), L, LINES["several"]), gentle(L, N)
    labels = np.random.default_rng(0).integers(0, L, N)
    energies = {model.energy(unary, labels.astype(dtype)) for dtype in (np.uint8, np.int16, np.int64, np.uint32)}
    assert len(energies) == 1
    assert isinstance(energies.pop(), float)


def test_the_energy_of_a_picture_is_lower_for_a_map_that_follows_it():
    image, logits = scene(24, 30, 4)
    model = DenseCRF(image, 4, [Gaussian(1.7, 1), Bilateral(17, 13, 4)])
    unary = -logits / 4
    refined = model.infer(unary).argmax(axis=0)
    shuffled = np.random.default_rng(0).permutation(refined.ravel()).reshape(refined.shape)
    assert model.energy(unary, refined) < model.energy(unary, unary.argmin(axis=0)) < model.energy(unary, shuffled)


def test_asking_for_energies_changes_nothing():
    unary, labels = gentle(L, N), np.zeros(N, int)
    model = DenseCRF((N,), L, LINES["several"])
    field = model.start(unary)
    before = field.step(2).copy()
    field.free_energy()
    model.energy(unary, labels)
    assert_array_equal(field.marginals, before)
    assert_array_equal(unary, gentle(L, N))
    assert_array_equal(labels, 0)
    assert_allclose(model.infer(unary, 0), softmax(-unary), rtol=0, atol=1e-6)


def test_energies_are_the_same_for_every_number_of_threads():
    image, logits = scene(200, 150, L)
    labels = logits.argmax(axis=0)
    answers = []
    for threads in (1, 3):
        model = densecrf.DenseCRF(image, L, [Gaussian(2, 1), Bilateral(17, 23, MATRIX)], num_threads=threads)
        field = model.start(-logits)
        field.step(2)
        answers.append((field.free_energy(), model.energy(-logits, labels)))
    assert answers[0] == answers[1]


def test_energies_of_the_largest_floats_have_a_free_energy():
    model = DenseCRF((4, 5), 2, [Gaussian(1, 9e29)])
    for largest in (3.4e38, -3.4e38):
        field = model.start(np.full((2, 4, 5), largest, np.float32))
        assert np.isfinite(field.free_energy())
        assert np.isfinite(model.energy(np.full((2, 4, 5), largest, np.float32), np.zeros((4, 5), int)))
