"""At the limits: sigmas as small as they may be, more of everything than there can be, and memory nobody has."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from watchdog import said

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian, _core

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")

DIMS = [1, 2, 3, 4, 5, 8, 12, 16, 31, 32]

# ---- keys ---------------------------------------------------------------------------------------------------


def largest_feature(dims: int) -> float:
    """How large features may be in every dimension before the lattice cannot tell them apart."""
    low, high = 0.0, 2.0**21
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _core.elevated_bound([middle] * dims) <= _core.max_elevated else (low, middle)
    return float(np.nextafter(np.float32(low), np.float32(0)))


def scattered(dims: int) -> NDArray[np.float32]:
    """Features (D, N) all over the range, its ends among them; no two so near that they share a vertex."""
    most, rng = largest_feature(dims), np.random.default_rng(dims)
    if dims == 1:
        features = np.linspace(-most, most, 2000)[np.newaxis]
    else:
        features = rng.uniform(-most, most, (dims, 2000))
        features[:, :64] = np.where(rng.random((dims, 64)) < 0.5, -most, most)
        features[:, :64] *= np.linspace(1, 0.9, 64)  # ends of the same signs lie apart
    return features.astype(np.float32)


def vertices_of(features: NDArray[np.float32]) -> set[tuple[int, ...]]:
    """The vertices around all points: float32 for what the lattice does in float32, whole numbers for the rest."""
    dims, points = features.shape
    period, f32 = dims + 1, np.float32
    deviation = f32(np.sqrt(2 / 3) * period)
    scales = [f32(1 / np.sqrt(float((i + 1) * (i + 2))) * deviation) for i in range(dims)]
    elevated, total = np.zeros((period, points), np.float32), np.zeros(points, np.float32)
    for j in range(dims, 0, -1):
        c = features[j - 1] * scales[j - 1]
        elevated[j] = total - f32(j) * c
        total = total + c
    elevated[0] = total
    periods = np.rint(elevated * (f32(1) / f32(period)))
    offset = elevated - periods * f32(period)
    excess = periods.sum(axis=0).astype(int)
    found: set[tuple[int, ...]] = set()
    for n in range(points):
        nearest = [int(p) * period for p in periods[:, n]]
        by_offset = sorted(range(period), key=lambda i: -offset[i, n])  # stable: ties go to the lower axis
        rank = [0] * period
        for place, axis in enumerate(by_offset):
            wrap = 1 if place + excess[n] < 0 else -1 if place + excess[n] > dims else 0
            rank[axis] = int(place + excess[n] + wrap * period)
            nearest[axis] += wrap * period
        for r in range(period):
            found.add(tuple(v + (r if q <= dims - r else r - period) for v, q in zip(nearest, rank, strict=True)))
    return found


@pytest.mark.parametrize("dims", DIMS)
def test_right_below_the_limit_every_vertex_has_a_key_of_its_own(dims: int) -> None:
    features = scattered(dims)
    model = DenseCRF((features.shape[1],), 1, [Features(features, 1)])
    assert model.n_vertices == len(vertices_of(features))


@pytest.mark.parametrize("dims", DIMS)
def test_right_below_the_limit_points_hear_nobody_who_is_far_away(dims: int) -> None:
    features = scattered(dims)
    values = np.random.default_rng(0).normal(size=(3, features.shape[1])).astype(np.float32)
    alone = DenseCRF((features.shape[1],), 3, [Features(features, 1)]).filter(values)
    assert_allclose(alone, values, rtol=0, atol=1e-5)
    twice = np.concatenate([features, features], axis=1)  # and everybody who is near
    together = DenseCRF((twice.shape[1],), 3, [Features(twice, 1)]).filter(np.concatenate([values, -values], axis=1))
    assert_allclose(together, 0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dims", DIMS)
def test_right_above_the_limit_the_sigma_is_too_small(dims: int) -> None:
    features = np.zeros((dims, 5), np.float32)
    features[:, 2] = largest_feature(dims) * (1 + 1e-5)
    with pytest.raises(ValueError, match="sigma too small for this image"):
        DenseCRF((5,), 1, [Features(features, 1)])


def test_positions_and_colours_have_the_limit_that_features_have() -> None:
    most = largest_feature(1)
    DenseCRF((int(most),), 1, [Gaussian(1, 1)])
    with pytest.raises(ValueError, match="sigma too small for this image"):
        DenseCRF((int(most) + 3,), 1, [Gaussian(1, 1)])
    for colour, fits in ((350_000, True), (400_000, False), (2**31, False), (2**62, False)):
        image = np.zeros((3, 4, 1), np.int64)
        image[1, 2] = colour
        assert (_core.elevated_bound([3, 2, colour]) <= _core.max_elevated) == fits
        if fits:
            assert DenseCRF(image, 1, [Bilateral(1, 1, 1)]).n_vertices > 0
        else:
            with pytest.raises(ValueError, match="sigma too small for this image"):
                DenseCRF(image, 1, [Bilateral(1, 1, 1)])


# ---- numbers ------------------------------------------------------------------------------------------------


def test_so_many_labels_that_numbers_would_overflow_are_refused() -> None:
    scores = np.broadcast_to(np.float32(0), (2**26, 1, 1))
    picture = np.zeros((1, 1, 3), np.uint8)
    with pytest.raises(ValueError, match="probs must have at most 1048576 labels, got 67108864"):
        densecrf.refine(picture, scores, from_logits=True)
    with pytest.raises(ValueError, match="probs must have at most 1048576 labels"):
        densecrf.refine(picture[np.newaxis], scores[np.newaxis], from_logits=True)
    model = DenseCRF((1, 1), 2**26, [])
    for call in (model.infer, model.message, model.start):
        with pytest.raises(ValueError, match="at most 1048576 labels"):
            call(scores)


# ---- memory -------------------------------------------------------------------------------------------------

# `seen` makes arrays that are one number many times, and take no memory; `dcrf` is the drop-in.
TOO_MUCH = {
    "a picture": "densecrf.refine(seen('u1', side, side, 3), seen('f4', 2, side, side))",
    "a picture of half precision": "densecrf.refine(seen('u1', side, side, 3), seen('f2', 2, side, side))",
    "too many threads": "densecrf.refine(seen('u1', side, side, 3), seen('f4', 2, side, side), num_threads=10**9)",
    "a batch": "densecrf.refine(seen('u1', 20000, 500, 500, 3), seen('f4', 20000, 2, 500, 500))",
    "more bytes than can be counted": "densecrf.refine(seen('u1', 2**29, 2**30), seen('f2', 2, 2**29, 2**30))",
    "a model": "densecrf.DenseCRF(seen('u1', side, side, 3), 2)",
    "a model of a shape": "densecrf.DenseCRF((side, side), 2, [Gaussian(3, 1)])",
    "a model without terms": "densecrf.DenseCRF((2**31 - 1, 2**31 - 1), 2, [])",
    "more points than can be counted": "densecrf.DenseCRF((2**31 - 1,) * 3, 2, [Gaussian(3e6, 1)])",
    "energies for a model": "densecrf.DenseCRF((1000, 1000), 9999, []).infer(seen('f2', 9999, 1000, 1000))",
    "a volume": "densecrf.refine_volume(seen('u1', 1000, 900, 900), seen('f4', 2, 1000, 900, 900), [Gaussian(3, 1)])",
    "labels": "densecrf.refine_labels(seen('u1', 3000, 3000, 3), seen('u2', 3000, 3000), 10**4)",
    "a mask": "densecrf.refine_mask(seen('u1', side, side, 3), seen('f4', side, side))",
    "a diagnosis": "densecrf.diagnose(seen('u1', side, side, 3), seen('f4', 2, side, side))",
    "energies of probabilities": "densecrf.unary_from_probs(seen('f2', 2, side, side))",
    "energies of labels": "densecrf.unary_from_labels(seen('u1', 3000, 3000), 1000)",
    "the reference": "densecrf.reference.refine(seen('u1', 128, 128, 3), seen('f4', 2, 128, 128))",
    "the drop-in": "drop_in(side)",
}

ASK = """
import json, re, resource, sys, time
import numpy as np
import densecrf
from densecrf import Gaussian
from densecrf.pydensecrf import densecrf as dcrf

side = 30000
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), resource.RLIM_INFINITY))

def seen(dtype, *shape):
    return np.broadcast_to(np.dtype(dtype).type(0.5 if dtype[0] == "f" else 1), shape)

def drop_in(side):
    crf = dcrf.DenseCRF2D(side, side, 2)
    crf.addPairwiseGaussian(sxy=3, compat=3)
    return crf.inference(1)

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

answers = {}
for name, call in json.loads(sys.argv[1]).items():
    before, start = peak(), time.perf_counter()
    try:
        message = repr(eval(call))
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    answers[name] = [message, time.perf_counter() - start, (peak() - before) / 1024]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def refusals() -> dict[str, tuple[str, float, float]]:
    answers: dict[str, tuple[str, float, float]] = said(ASK, json.dumps(TOO_MUCH))
    return answers


@needs_proc
@pytest.mark.parametrize("call", TOO_MUCH)
def test_what_there_is_no_memory_for_is_a_memory_error_at_once(
    call: str, refusals: dict[str, tuple[str, float, float]]
) -> None:
    message, seconds, mebibytes = refusals[call]
    assert re.match(r"MemoryError: .*\d+ MiB", message), message
    assert seconds < 10
    assert mebibytes < 200


def test_the_reference_refuses_a_picture_with_too_many_pairs_of_pixels_before_it_looks_at_it() -> None:
    image, probs = np.broadcast_to(np.uint8(1), (30000, 30000, 3)), np.broadcast_to(np.float32(0.5), (2, 30000, 30000))
    with pytest.raises(ValueError, match=r"at most 16384 pixels, got 900000000; .* use densecrf\.refine"):
        densecrf.reference.refine(image, probs)
