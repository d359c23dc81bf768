"""What looks unusual but is fine: no error, nothing printed, and probabilities come out."""

import numpy as np
import pytest
from inputs import picture, probabilities
from numpy.testing import assert_allclose

import densecrf
from densecrf import Bilateral, Gaussian


def one_hot():
    probs = np.zeros((4, 5, 7), np.float32)
    probs[1] = 1
    return probs


FINE = {
    "probabilities of exactly 0 and 1": {"probs": one_hot()},
    "a sum that is off by float16's rounding": {"probs": probabilities(150, 5, 7).astype(np.float16)},
    "a sum that is off by less than a hundredth": {"probs": probabilities(4, 5, 7) * np.float32(0.995)},
    "a negative number of the size of a rounding error": {"probs": one_hot() - np.float32(1e-7)},
    "a single label": {"probs": np.ones((1, 5, 7), np.float32)},
    "logits of any size": {"probs": np.where(one_hot() > 0, 3e38, -3e38).astype(np.float32), "from_logits": True},
    "a numpy bool": {"from_logits": np.True_},
    "a numpy integer": {"iterations": np.int64(2), "num_threads": np.uint8(2), "channel_axis": np.int8(-1)},
    "no terms": {"terms": []},
    "terms in a tuple": {"terms": (Gaussian(3, 3),)},
    "a weight of 0": {"terms": [Gaussian(3, 0)]},
    "enormous weights": {"terms": [Gaussian(3, 1e29), Bilateral(30, 30, 1e29)]},
    "enormous sigmas": {"terms": [Gaussian(1e29, 3), Bilateral(1e29, 1e29, 3)]},
    "a preset that terms override": {"preset": "deeplab-v2", "terms": [Gaussian(3, 3)]},
    "thirty channels": {"image": picture(5, 7, 30)},
    "a hundred channels without a bilateral term": {"image": picture(5, 7, 100), "terms": [Gaussian(3, 3)]},
    "more threads than pixels": {"num_threads": 2**31 - 1},
}


@pytest.mark.parametrize("name", FINE)
def test_these_are_no_errors_and_nothing_is_printed(name, capfd):
    arguments = {"image": picture(5, 7, 3), "probs": probabilities(4, 5, 7), **FINE[name]}
    result = densecrf.refine(**arguments)
    assert result.shape == arguments["probs"].shape
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert_allclose(result.sum(axis=0, dtype=np.float32), 1, atol=5e-3 if result.dtype == np.float16 else 1e-6)
    assert tuple(capfd.readouterr()) == ("", "")
