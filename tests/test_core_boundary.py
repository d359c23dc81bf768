"""What the compiled module refuses by itself, whoever calls it: all that would be unsafe."""

import numpy as np
import pytest

from densecrf import _core


def term(sigma=3.0):
    return _core.Term([sigma], [], None, "none", 3.0)


def infer(iterations, labels=2):
    scores = np.full((labels, 7), 0.5, np.float32)
    out = np.empty_like(scores)
    model = _core.Model([7], [term()], 1)
    return model.infer(scores, "energies", 0.0, iterations, None, 0.0, 0.0, 0.0, 1, out)


@pytest.mark.parametrize("shape", [[-1, -7], [0, 7], [2**40, 2**40], [2**32, 2**32]])
def test_a_grid_without_points_or_with_too_many_to_count_is_refused(shape):
    with pytest.raises(ValueError, match=r"a grid has sizes of at least 1, and fewer than 2\^63 points"):
        _core.Model(shape, [term()], 1)


@pytest.mark.parametrize("shape", [[2**62], [2**40, 20], [2**40, 3], [2**31, 2**30]])
def test_a_grid_whose_points_cannot_even_be_listed_is_refused_at_once(shape):
    with pytest.raises(MemoryError, match="are available"):
        _core.Model(shape, [], 1)


@pytest.mark.parametrize("labels", [1, 2, 3])
def test_fewer_iterations_than_none_are_refused(labels):
    assert infer(0, labels) == 0
    with pytest.raises(ValueError, match="iterations must be at least 0"):
        infer(-1, labels)


@pytest.mark.parametrize("sigma", [-3.0, 0.0, np.nan, np.inf])
def test_sigmas_that_keys_have_no_room_for_are_refused(sigma):
    with pytest.raises(ValueError, match="sigmas are positive and finite"):
        term(sigma)


def test_a_bound_that_is_no_number_allows_nothing():
    assert np.isnan(_core.elevated_bound([1.0, np.nan]))


def odd(shape):
    """An array of float32 at an address that is no multiple of four."""
    size = 4 * int(np.prod(shape))
    return np.zeros(size + 1, np.uint8)[1:].view(np.float32).reshape(shape)


def test_arrays_at_odd_addresses_are_refused():
    model, plain = _core.Model([7], [term()], 1), np.zeros((2, 7), np.float32)
    for values, out in ((odd((2, 7)), plain), (plain, odd((2, 7)))):
        with pytest.raises(ValueError, match="a multiple of its values' size"):
            model.message(values, 1, out)
    with pytest.raises(ValueError, match="aligned"):
        _core.survey(odd((2, 7)), 1)


@pytest.mark.parametrize("channels", [odd((7, 1)), np.zeros(7, "f4,u1")["f0"].reshape(7, 1)], ids=["odd", "records"])
def test_channels_between_whole_values_are_refused(channels):
    with pytest.raises(ValueError, match="channels must lie at multiples of their size"):
        _core.Term([3.0], [1.0], channels, "none", 3.0)
