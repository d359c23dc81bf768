"""Pictures and network outputs that the tests share: deterministic, and of any size."""

import os

import numpy as np
from hypothesis import settings
from numpy.typing import NDArray

settings.register_profile("densecrf", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("densecrf")


def softmax(scores: NDArray) -> NDArray:
    """Over the first axis."""
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)


def scene(
    height: int, width: int, labels: int, *, channels: int = 3, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Make a picture [H, W, C] of noisy patches, and logits [L, H, W] of a network that is sure of itself.

    The network sees every patch a few pixels off, and goes from one label to the next within about two pixels.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centres = rng.uniform(size=(max(labels, 5), 2, 1, 1)) * np.reshape([height, width], (2, 1, 1))
    owner = np.hypot(*np.moveaxis(centres - [y, x], 1, 0)).argmin(axis=0)
    colours = rng.integers(0, 256, size=(len(centres), channels))[owner]
    image = np.clip(colours + rng.normal(scale=6, size=colours.shape), 0, 255).astype(np.uint8)

    seen = centres + rng.normal(scale=2, size=centres.shape)
    distance = np.hypot(*np.moveaxis(seen - [y, x], 1, 0))
    logits = np.stack([-distance[label::labels].min(axis=0) for label in range(labels)])
    return image, np.maximum(logits, logits.max(axis=0) - 15).astype(np.float32)
