"""At the limits: sigmas as small as they may be, more of everything than there can be, and memory that is not there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from memory_limits import group, group_of_this_process, machine, namespaces, real_group, with_files
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


# ---- where memory is less than it seems ---------------------------------------------------------------------

# 9 million pixels: some 310 MiB of scores, unaries, answer and picture, before there is a lattice.
REFINE = """
import json
import numpy as np
import densecrf

try:
    densecrf.refine(np.broadcast_to(np.uint8(7), (3000, 3000, 3)), np.broadcast_to(np.float32(0.5), (2, 3000, 3000)))
    print(json.dumps("refined"))
except MemoryError as error:
    print(json.dumps(str(error)))
"""
MIB = 1 << 20


def available(message: str) -> float:
    found = re.match(r"this picture needs \d+ MiB of memory and (\d+) MiB are available", message)
    assert found, message
    return float(found[1])


needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no namespaces for this user")


@needs_namespaces
def test_a_machine_with_little_memory_left_is_believed(tmp_path: Path) -> None:
    machine(tmp_path / "meminfo", 150 * MIB)
    message = said(REFINE, limits=with_files({"/proc/meminfo": tmp_path / "meminfo"}))
    assert available(message) == 150


@needs_namespaces
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ancestor", [False, True], ids=["its own group", "the group that all are in"])
def test_a_control_group_with_little_memory_left_is_believed(version: int, ancestor: bool, tmp_path: Path) -> None:
    path = group_of_this_process(version)
    if path is None:
        pytest.skip(f"no control groups of version {version} here")
    root = tmp_path / "memory" if version == 1 else tmp_path
    own = root / path.strip("/")
    if ancestor:
        group(own, version, 8000 * MIB, 100 * MIB, 0)
    group(root if ancestor else own, version, 500 * MIB, 400 * MIB, 40 * MIB)
    message = said(REFINE, limits=with_files({"/sys/fs/cgroup": tmp_path}))
    assert available(message) == 140  # files in the cache are no loss


# Every size is new, so that nothing that is kept fits the next call; the last is small again.
GROW = """
import json
import numpy as np
import densecrf

answers = []
for side in (*range(200, 1201, 200), 300):
    row = np.random.default_rng(0).integers(0, 256, (1, side, 3), np.uint8)
    for labels in (2, 21):
        scores = np.broadcast_to(np.float32(1 / labels), (labels, side, side))
        try:
            densecrf.refine(np.broadcast_to(row, (side, side, 3)), scores, iterations=1)
            answers.append("refined")
        except MemoryError as error:
            answers.append(str(error))
print(json.dumps(answers))
"""


def test_a_program_in_a_control_group_is_refused_before_it_is_killed_for_memory() -> None:
    limit = 200 * MIB
    with real_group(limit) as made:
        if made is None:
            pytest.skip("no control groups for this user")
        enter, peak = made
        answers = said(GROW, limits=enter)
        assert int(peak.read_text()) < limit
    assert answers[:2] == answers[-2:] == ["refined"] * 2
    assert available(answers[-3]) < 200


BATCH = """
import json
import numpy as np
import densecrf

row = np.random.default_rng(0).integers(0, 256, (6, 1, 600, 3), np.uint8)
images = np.broadcast_to(row, (6, 600, 600, 3))
scores = np.broadcast_to(np.array([0.75, 0.25], np.float32)[:, None, None], (6, 2, 600, 600))
together = densecrf.refine(images, scores, iterations=1, num_threads=6)
alone = densecrf.refine(images[5], scores[5], iterations=1, num_threads=1)
print(json.dumps(bool((together[5] == alone).all())))
"""


def test_of_a_batch_in_a_control_group_no_more_are_refined_at_once_than_have_room() -> None:
    with real_group(280 * MIB) as made:  # one takes some 140, six together 500
        if made is None:
            pytest.skip("no control groups for this user")
        assert said(BATCH, limits=made[0])


def left() -> float:
    """MiB that the library believes it may have."""
    with pytest.raises(MemoryError) as refused:
        _core.require_memory(2**62)
    return available(str(refused.value))


def test_what_is_promised_to_one_is_not_available_to_others() -> None:
    try:
        before = left()
        with _core.Promise(2048 * MIB):
            assert left() < before - 1024
        assert left() > before - 1024
    except MemoryError as error:
        pytest.skip(str(error))
    with pytest.raises(MemoryError), _core.Promise(2**62):
        pass
    assert left() > before - 1024


# Eight threads, each with pictures of sizes of its own.
CROWD = """
import json, threading
import numpy as np
import densecrf

answers = []

def work(first):
    for side in range(first, 1300, 250):
        row = np.random.default_rng(0).integers(0, 256, (1, side, 3), np.uint8)
        try:
            scores = np.broadcast_to(np.float32(0.5), (2, side, side))
            densecrf.refine(np.broadcast_to(row, (side, side, 3)), scores, iterations=1, num_threads=1)
            answers.append("refined")
        except MemoryError as error:
            answers.append(str(error))

threads = [threading.Thread(target=work, args=(300 + 20 * i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
"""


def test_calls_side_by_side_are_never_promised_the_same_memory() -> None:
    with real_group(300 * MIB) as made:
        if made is None:
            pytest.skip("no control groups for this user")
        answers = said(CROWD, limits=made[0])
    assert len(answers) == 32
    assert "refined" in answers
    assert all(answer == "refined" or available(answer) < 300 for answer in answers)


KEPT = """
import json
import numpy as np
import densecrf
from densecrf import _core

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def refine(side):
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    densecrf.refine(image, np.full((8, side, side), 0.125, np.float32), iterations=1)

refine(20)
before = resident()
for side in (300, 350, 400, 450):
    refine(side)
kept = resident()
try:
    _core.require_memory(2**62)
except MemoryError:
    print(json.dumps([kept - before, resident() - before]))
"""


@needs_proc
def test_what_is_kept_for_calls_to_come_is_given_back_before_one_is_refused() -> None:
    kept, left = said(KEPT)
    assert kept > 128 * MIB
    assert left < 32 * MIB


@needs_namespaces
def test_less_is_kept_where_there_is_little(tmp_path: Path) -> None:
    machine(tmp_path / "meminfo", 300 * MIB)
    kept, left = said(KEPT, MALLOC_TRIM_THRESHOLD_="1", limits=with_files({"/proc/meminfo": tmp_path / "meminfo"}))
    assert kept - left < 100 * MIB  # a quarter, and lattices of sizes of pictures


@needs_proc
@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_a_limit_of_the_process_is_believed_before_anything_is_touched(limit: str) -> None:
    message = said(REFINE, OPENBLAS_NUM_THREADS="1", limits=f"ulimit {limit} 400000 && exec")
    assert 0 <= available(message) < 400
