"""Data of every kind: signals, pictures, volumes, points; sigmas for each axis and each channel."""

import numpy as np
import pytest
from inputs import NORMALIZATIONS, picture, softmax
from numpy.testing import assert_allclose, assert_array_equal
from test_lattice import lattice_kernel, normalized

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian

L = 3


def unary_for(*shape):
    return np.random.default_rng(len(shape)).normal(size=(L, *shape)).astype(np.float32)


def axes_of(shape):
    """Coordinates of all points, the fastest axis first."""
    return [axis.ravel().astype(float) for axis in np.indices(shape)][::-1]


def plain(unary, parts, iterations=4):
    """Mean field in float64 with lattices of dictionaries; parts are (weight, features [D, N], normalization)."""
    scores = -unary.reshape(L, -1).astype(np.float64)
    kernels = [weight * normalized(lattice_kernel(features.T), how) for weight, features, how in parts]
    q = softmax(scores)
    for _ in range(iterations):
        q = softmax(scores + sum(q @ k.T for k in kernels))
    return q.reshape(unary.shape)


# No sigma divides another; see test_lattice.py.
SIGMAS = (1.7, 2.3, 2.9, 3.7)
SHAPES = [(23,), (5, 7), (3, 4, 5), (2, 3, 3, 4)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def sigmas_for(shape):
    return SIGMAS[: len(shape)]


# ---- any number of axes -------------------------------------------------------------------------------------


@each_shape
def test_a_gaussian_goes_over_any_number_of_axes(shape):
    unary, sigmas = unary_for(*shape), sigmas_for(shape)
    q = DenseCRF(shape, L, [Gaussian(sigmas, 1.3)]).infer(unary, 4)
    features = np.stack([axis / s for axis, s in zip(axes_of(shape), sigmas, strict=True)])
    assert_allclose(q, plain(unary, [(1.3, features, "symmetric")]), rtol=0, atol=3e-6)


@each_shape
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_bilateral_looks_at_grey_values_on_any_number_of_axes(shape, normalization):
    unary, sigmas, image = unary_for(*shape), sigmas_for(shape), picture(*shape) // 3
    weight = 1.3 if normalization != "none" else 0.3
    q = DenseCRF(image, L, [Bilateral(sigmas, 19.3, weight, normalization)], channel_axis=None).infer(unary, 4)
    features = [axis / s for axis, s in zip(axes_of(shape), sigmas, strict=True)]
    features = np.stack([*features, image.ravel() / 19.3])
    assert_allclose(q, plain(unary, [(weight, features, normalization)]), rtol=0, atol=3e-6)


@each_shape
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_bilateral_looks_at_channels_on_any_number_of_axes(shape, channels):
    unary, sigmas, image = unary_for(*shape), sigmas_for(shape), picture(*shape, channels) // 3
    srgb = (21.1, 33.7, 27.9, 41.3)[:channels]
    q = DenseCRF(image, L, [Bilateral(sigmas, srgb, 1.3)], channel_axis=-1).infer(unary, 4)
    features = [axis / s for axis, s in zip(axes_of(shape), sigmas, strict=True)]
    features += [image[..., c].ravel() / s for c, s in enumerate(srgb)]
    assert_allclose(q, plain(unary, [(1.3, np.stack(features), "symmetric")]), rtol=0, atol=3e-6)


def test_sigmas_of_a_volume_come_in_the_order_x_y_z():
    """Where a sigma is far below a voxel, what one voxel says stays in its plane."""
    shape, at = (5, 6, 7), (2, 3, 4)
    unary = np.zeros((2, *shape), np.float32)
    unary[(1, *at)] = 3
    for kept, sigmas in enumerate([(0.01, 0.01, 5), (0.01, 5, 0.01), (5, 0.01, 0.01)]):  # z, y, x
        q = DenseCRF(shape, 2, [Gaussian(sigmas, 1)]).infer(unary, 1)[0]
        line = tuple(slice(None) if axis == kept else index for axis, index in enumerate(at))
        expected = np.zeros(shape, bool)
        expected[line] = True
        assert_array_equal(q > 0.51, expected)


def test_a_spacing_of_voxels_is_a_sigma_of_its_own():
    """Slices twice as far apart as pixels: half the sigma, in slices."""
    shape, unary = (4, 5, 6), unary_for(4, 5, 6)
    z, y, x = (axis.ravel() for axis in np.indices(shape))
    by_hand = DenseCRF(shape, L, [Features(np.stack([x / 1.7, y / 2.3, 2 * z / 2.9]), 1.3)]).infer(unary, 3)
    spaced = DenseCRF(shape, L, [Gaussian((1.7, 2.3, 2.9 / 2), 1.3)]).infer(unary, 3)
    assert_allclose(spaced, by_hand, rtol=0, atol=3e-6)
    assert np.abs(spaced - DenseCRF(shape, L, [Gaussian((1.7, 2.3, 2.9), 1.3)]).infer(unary, 3)).max() > 0.01


def test_one_sigma_stands_for_all_axes_and_all_channels():
    image, unary = picture(3, 4, 5, 2), unary_for(3, 4, 5)
    one = DenseCRF(image, L, [Gaussian(2.3, 1), Bilateral(3.7, 41.3, 1)]).infer(unary, 3)
    many = DenseCRF(image, L, [Gaussian((2.3,) * 3, 1), Bilateral((3.7,) * 3, (41.3,) * 2, 1)]).infer(unary, 3)
    assert_array_equal(one, many)


def test_a_volume_of_one_slice_is_a_picture():
    image, unary = picture(6, 7, 3), unary_for(6, 7)
    terms = [Gaussian((1.7, 2.3), 2.1), Bilateral((5.9, 7.1), 41.3, 1.1)]
    deep = [Gaussian((1.7, 2.3, 2.9), 2.1), Bilateral((5.9, 7.1, 2.9), 41.3, 1.1)]
    flat = densecrf.refine(image, -unary, terms=terms, iterations=3, from_logits=True)
    volume = DenseCRF(image[np.newaxis], L, deep).infer(unary[:, np.newaxis], 3)
    # One more axis makes it another lattice, near the same kernel.
    assert_allclose(volume[:, 0], flat, rtol=0, atol=0.06)
    assert np.abs(flat - softmax(-unary)).max() > 0.15


def test_the_gaussian_of_a_signal_is_over_its_positions():
    unary = unary_for(30)
    q = DenseCRF((30,), L, [Features(np.arange(30)[np.newaxis] / 2.3, 1.2)]).infer(unary, 3)
    assert_allclose(DenseCRF((30,), L, [Gaussian(2.3, 1.2)]).infer(unary, 3), q, rtol=0, atol=3e-6)


@pytest.mark.parametrize("axis", range(-4, 4))
def test_channels_may_lie_on_any_axis(axis):
    image, unary = picture(3, 4, 5, 2), unary_for(3, 4, 5)
    terms = [Bilateral((3.7, 2.9, 2.3), (41.3, 27.9), 1)]
    expected = DenseCRF(image, L, terms).infer(unary, 3)
    moved = DenseCRF(np.moveaxis(image, -1, axis), L, terms, channel_axis=axis)
    assert moved.shape == (3, 4, 5)
    assert_array_equal(moved.infer(unary, 3), expected)


def test_a_signal_has_channels_where_it_is_told_so():
    signal, unary = picture(20, 2), unary_for(20)
    terms = [Bilateral(3.7, (41.3, 27.9), 1)]
    expected = DenseCRF(signal, L, terms, channel_axis=1).infer(unary, 3)
    assert_array_equal(DenseCRF(signal.T, L, terms, channel_axis=0).infer(unary, 3), expected)
    assert DenseCRF(signal, L, [Gaussian(2, 1)]).shape == (20, 2)  # a grey picture otherwise


def test_two_axes_are_a_grey_picture_and_three_have_their_channels_last():
    grey = picture(6, 7)
    terms = [Bilateral(3.7, 41.3, 1)]
    expected = DenseCRF(grey, L, terms).infer(unary_for(6, 7), 3)
    for image, options in ((grey[..., np.newaxis], {}), (grey, {"channel_axis": None})):
        assert_array_equal(DenseCRF(image, L, terms, **options).infer(unary_for(6, 7), 3), expected)


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image.astype(np.int16),
        lambda image: image.astype(np.float64),
        lambda image: (image / 255).astype(np.float32),
    ],
    ids=["int16", "0 to 255", "0 to 1"],
)
def test_volumes_of_every_dtype_are_in_the_units_of_pictures(convert):
    volume, unary = picture(3, 4, 5), unary_for(3, 4, 5)
    terms = [Bilateral((3.7, 2.9, 2.3), 41.3, 1)]
    expected = DenseCRF(volume, L, terms, channel_axis=None).infer(unary, 3)
    assert_allclose(DenseCRF(convert(volume), L, terms, channel_axis=None).infer(unary, 3), expected, rtol=0, atol=1e-4)


def test_integers_beyond_bytes_stand_for_themselves():
    """As in a scan, with values below zero."""
    volume, unary = picture(3, 4, 5).astype(np.int32), unary_for(3, 4, 5)
    sharp = DenseCRF(volume, L, [Bilateral((3.7, 2.9, 2.3), 41.3, 1)], channel_axis=None)
    scaled = DenseCRF(8 * volume, L, [Bilateral((3.7, 2.9, 2.3), 8 * 41.3, 1)], channel_axis=None)
    assert_allclose(scaled.infer(unary, 3), sharp.infer(unary, 3), rtol=0, atol=1e-4)
    shifted = DenseCRF(volume - 1000, L, [Bilateral((3.7, 2.9, 2.3), 41.3, 1)], channel_axis=None)
    assert_allclose(shifted.infer(unary, 3), sharp.infer(unary, 3), rtol=0, atol=0.15)  # elsewhere in the lattice


def test_a_volume_follows_its_edges():
    """A bright ball in the dark, seen through much noise."""
    z, y, x = np.mgrid[:16, :18, :20]
    ball = (z - 8) ** 2 + (y - 9) ** 2 + (x - 10) ** 2 < 30
    random = np.random.default_rng(0)
    volume = np.clip(60 + 120 * ball + random.normal(scale=8, size=ball.shape), 0, 255).astype(np.uint8)
    unary = np.stack([ball, ~ball]).astype(np.float32) + random.normal(size=(2, *ball.shape)).astype(np.float32)
    model = DenseCRF(volume, 2, [Gaussian(1, 1), Bilateral(9, 20, 5)], channel_axis=None)
    assert (unary.argmin(axis=0) == ball).mean() < 0.85
    assert (model.infer(unary).argmax(axis=0) == ball).mean() > 0.99


# ---- features -----------------------------------------------------------------------------------------------


@each_shape
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_features_on_a_grid_are_the_gaussian_and_the_bilateral_that_have_them(shape, normalization):
    image, unary, sigmas = picture(*shape, 2), unary_for(*shape), sigmas_for(shape)
    weight = 1.1 if normalization != "none" else 0.2
    near = np.stack([axis / s for axis, s in zip(axes_of(shape), sigmas, strict=True)])
    alike = np.concatenate([near, image.reshape(-1, 2).T / np.array([[21.1], [33.7]])])
    terms = [Gaussian(sigmas, weight, normalization), Bilateral(sigmas, (21.1, 33.7), weight, normalization)]
    spelled = [Features(near, weight, normalization), Features(alike, weight, normalization)]
    model = DenseCRF(image, L, terms, channel_axis=-1)
    by_hand = DenseCRF(shape, L, spelled)
    assert by_hand.n_vertices == model.n_vertices
    assert_allclose(by_hand.infer(unary, 4), model.infer(unary, 4), rtol=0, atol=3e-6)


@pytest.mark.parametrize("dims", [1, 2, 3, 6])
def test_points_have_the_shape_n(dims):
    points = np.random.default_rng(dims).normal(size=(dims, 50))
    unary = unary_for(50)
    q = DenseCRF((50,), L, [Features(points, 1.3, "after")]).infer(unary, 4)
    assert q.shape == (L, 50)
    expected = plain(unary, [(1.3, points.astype(np.float32).astype(float), "after")])
    assert_allclose(q, expected, rtol=0, atol=3e-6)


def test_the_order_of_points_does_not_matter():
    points, unary = np.random.default_rng(1).normal(size=(3, 80)), unary_for(80)
    order = np.random.default_rng(2).permutation(80)
    q = DenseCRF((80,), L, [Features(points, 1.3)]).infer(unary, 4)
    shuffled = DenseCRF((80,), L, [Features(points[:, order], 1.3)]).infer(unary[:, order], 4)
    assert_allclose(shuffled, q[:, order], rtol=0, atol=3e-6)


def test_clusters_of_points_take_the_label_most_of_them_have():
    random = np.random.default_rng(3)
    cluster = np.repeat([0, 1, 2], 40)
    points = random.normal(scale=0.4, size=(4, 120)) + 8 * cluster
    seen = np.where(random.random(120) < 0.3, random.integers(0, 3, 120), cluster)
    unary = densecrf.unary_from_labels(seen, 3)
    q = DenseCRF((120,), 3, [Features(points, 3)]).infer(unary)
    assert (seen == cluster).mean() < 0.9
    assert_array_equal(q.argmax(axis=0), cluster)


def test_points_far_apart_do_not_hear_each_other():
    points = np.array([[0.0, 100.0, 200.0]])
    unary = unary_for(3)
    assert_allclose(
        DenseCRF((3,), L, [Features(points, 1, "after")]).infer(unary, 1),
        softmax(-unary + softmax(-unary)),
        rtol=0,
        atol=1e-6,
    )


def test_features_go_with_other_terms_and_with_refine():
    image, unary = picture(5, 7, 3), unary_for(5, 7)
    features = np.random.default_rng(1).normal(size=(4, 35))
    terms = [Gaussian(1.7, 1), Features(features, 0.8, "before"), Bilateral(7.1, 41.3, 0.7)]
    assert_array_equal(
        DenseCRF(image, L, terms).infer(unary, 4),
        densecrf.refine(image, -unary, terms=terms, iterations=4, from_logits=True),
    )


def test_a_batch_of_refine_shares_its_features():
    images, probs = picture(2, 5, 7, 3), softmax(np.moveaxis(np.stack([unary_for(5, 7)] * 2), 1, 0)).swapaxes(0, 1)
    terms = [Features(np.random.default_rng(1).normal(size=(4, 35)), 0.8), Bilateral(7.1, 41.3, 0.7)]
    both = densecrf.refine(images, np.ascontiguousarray(probs), terms=terms, iterations=3)
    for image, one, answer in zip(images, probs, both, strict=True):
        assert_array_equal(densecrf.refine(image, one, terms=terms, iterations=3), answer)


def test_features_are_kept_as_a_copy_that_cannot_be_written_to():
    features = np.random.default_rng(1).normal(size=(2, 30))
    term = Features(features, 1)
    before = term.features.copy()
    features[...] = 0
    assert_array_equal(term.features, before)
    assert term.features.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        term.features[0, 0] = 1


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, bool])
def test_features_of_every_dtype_will_do(dtype):
    values = np.random.default_rng(1).integers(0, 2, size=(3, 30)).astype(dtype)
    unary = unary_for(30)
    expected = DenseCRF((30,), L, [Features(values.astype(np.float32), 1)]).infer(unary, 3)
    assert_array_equal(DenseCRF((30,), L, [Features(values, 1)]).infer(unary, 3), expected)
    assert_array_equal(DenseCRF((30,), L, [Features(np.asfortranarray(values), 1)]).infer(unary, 3), expected)


def test_features_may_be_tensors(torch):
    values = np.random.default_rng(1).normal(size=(3, 30)).astype(np.float32)
    assert_array_equal(Features(torch.from_numpy(values), 1).features, values)


def test_features_print_shortly():
    """Thousands of points do not fill the screen, nor an error message."""
    assert len(repr(Features(np.random.default_rng(1).normal(size=(5, 4000)), 1))) < 200
    assert "array(" not in repr(Features(np.zeros((2, 3)), 1))
