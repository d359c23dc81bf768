"""Strategies of the fuzz tests: problems that are right, whatever their numbers.

Values come from seeds, because drawing them one by one takes longer than refining them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from inputs import NORMALIZATIONS, picture, probabilities

from densecrf import Bilateral, Features, Gaussian

MANY = int(os.environ.get("DENSECRF_FUZZ_EXAMPLES", "0"))


def cases(few: int):
    """So many cases in the default suite; in a long run, as many times more as DENSECRF_FUZZ_EXAMPLES says."""
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=few * max(MANY, 1), suppress_health_check=unhurried)


# ---- numbers ------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 7)
label_counts = st.integers(1, 5) | st.integers(6, 40) | st.sampled_from([64, 65, 255, 256, 257, 1000])
powers = st.integers(-29, 29).map(lambda power: 10.0**power)
sigmas = st.floats(0.3, 40) | st.floats(0.3, 40) | powers
weights = st.floats(0, 20) | st.sampled_from([0.0, 1e-30, 1e-3, 1e3, 1e20, 9e29])
normalizations = st.sampled_from(NORMALIZATIONS)
iteration_counts = st.integers(0, 5)


# ---- terms --------------------------------------------------------------------------------------------------


@st.composite
def full_weights(draw, labels: int):
    """A number; or one for each label or pair of labels, of any sign."""
    kind = draw(st.sampled_from(["number", "number", "labels", "pairs"]))
    if kind == "number" or labels > 40:
        return draw(weights)
    values = np.random.default_rng(draw(seeds)).normal(size=labels if kind == "labels" else (labels, labels))
    return (values * draw(st.sampled_from([0, 1, 10]))).tolist()


@st.composite
def terms(draw, labels: int, axes: int, channels: int | None, points: int):
    """A term that fits, if its sigmas are not too small for the picture."""
    kinds = ["gaussian", "features"] + (["bilateral"] * 2 if channels else [])
    kind, weight, how = draw(st.sampled_from(kinds)), draw(full_weights(labels)), draw(normalizations)
    if kind == "features":
        dims = draw(st.integers(1, 16))
        values = np.random.default_rng(draw(seeds)).normal(size=(dims, points)) * draw(powers)
        return Features(np.clip(values, -3e38, 3e38), weight, how)
    positions = draw(sigmas | st.tuples(*[sigmas] * axes))
    if kind == "gaussian":
        return Gaussian(positions, weight, how)
    return Bilateral(positions, draw(sigmas | st.tuples(*[sigmas] * channels)), weight, how)


# ---- values -------------------------------------------------------------------------------------------------


def some_probs(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Probabilities (L, ...), float64, from a network of some kind."""
    scores = rng.normal(size=shape) * {"soft": 1, "sure": 30, "off": 1}.get(kind, 0)
    if kind == "certain":
        scores[rng.integers(shape[0])] = 1e3
    probs = np.exp(scores - scores.max(axis=0))
    probs /= probs.sum(axis=0)
    if kind == "denormal" and shape[0] > 1:
        probs[:] = 1e-40
        probs[0] = 1
    return probs * (0.996 if kind == "off" else 1)


probs_kinds = st.sampled_from(["soft", "soft", "sure", "even", "certain", "denormal", "off"])
logits_scales = st.sampled_from([0, 1, 10, 1e4, 1e30, 3e37, 1e-40])


def some_image(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """A picture of some kind, of a dtype that says what its values mean."""
    values = rng.integers(0, 256, shape)
    if kind == "flat":
        return np.full(shape, 77, np.uint8)
    if kind == "booleans":
        return values > 128
    if kind == "unit floats":
        return values / np.float32(255)
    if kind == "denormal floats":
        return np.full(shape, 1e-40, np.float32)
    if kind == "large integers":
        return values * 4_000_000
    return values.astype(kind)


image_kinds = st.one_of(
    st.just("uint8"),
    st.sampled_from(["flat", "booleans", "unit floats", "denormal floats", "large integers"]),
    st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]),
)


# ---- arguments ----------------------------------------------------------------------------------------------


def right_arguments() -> dict[str, Any]:
    """Of `densecrf.refine`, every one of them, and right; new ones each time."""
    return {
        "image": picture(4, 5, 3),
        "probs": probabilities(3, 4, 5),
        "terms": [Gaussian(1, 1), Bilateral(2, 30, 1)],
        "preset": "irn",
        "iterations": 2,
        "from_logits": False,
        "channel_axis": -1,
        "num_threads": 1,
        "out": np.empty((3, 4, 5), np.float32),
    }
