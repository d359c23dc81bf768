"""What a real network answers for three photographs: example input for `densecrf.refine`.

Each example is the score of 21 PASCAL VOC classes on a grid of 33 x 33, as a network with output stride 16
gives it: far too coarse for the photograph, which is what dense CRFs were made to mend.

Provenance: computed for this project with DeepLabv3 on MobileNetV2, trained on PASCAL VOC (weights under
Apache-2.0). Each picture lay top-left on a canvas of 513 x 513, hence score (i, j) sits on the picture's
pixel (16 i, 16 j). The pictures themselves come with scikit-image and are not stored here:

============  ===============================  =============================================================
name          ``skimage.data``                 picture
============  ===============================  =============================================================
astronaut     ``astronaut()``                  512 x 512, NASA, public domain
motorcycle    ``stereo_motorcycle()[0]``       Middlebury 2014 stereo, resized to 337 x 500 by
                                               ``skimage.transform.resize``, times 255, uint8
chelsea       ``chelsea()``                    300 x 451, CC0
============  ===============================  =============================================================
"""

from __future__ import annotations

from importlib import import_module, resources
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["VOC_LABELS", "example", "logits", "photograph"]

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]

STRIDE = 16  # pixels of the picture between two neighbouring scores

VOC_LABELS = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train",
    "tv monitor",
)  # fmt: skip


def example(name: str = "astronaut") -> tuple[Bytes, Floats]:
    """A photograph and a network's probabilities for it, as `densecrf.refine` takes them.

    Args:
        name: "astronaut", "motorcycle" or "chelsea". Needs scikit-image, which ships the photographs.

    Returns:
        image ``[H, W, 3]`` uint8, probs ``[21, H, W]`` float32.
    """
    scores = logits(name)
    image = photograph(name)
    return image, softmax(upsample(scores, image.shape[:2]))


def photograph(name: str) -> Bytes:
    """Load one of the photographs, in the size the network saw. ``[H, W, 3]``."""
    skimage: Any = import_module("skimage")
    if name != "motorcycle":
        return np.asarray(getattr(skimage.data, name)())
    left, _, _ = skimage.data.stereo_motorcycle()
    return np.asarray(skimage.transform.resize(left, (337, 500)) * 255).astype(np.uint8)


def logits(name: str) -> Floats:
    """Load the network's scores for "astronaut", "motorcycle" or "chelsea". ``[21, 33, 33]``."""
    with resources.files(__name__).joinpath("deeplab_logits.npz").open("rb") as file, np.load(file) as stored:
        if name not in stored or stored[name].ndim != 3:
            names = ", ".join(key for key in stored if stored[key].ndim == 3)
            raise ValueError(f"densecrf.data.logits: name needs to be one of {names}; got {name!r}")
        # Stored in eight bits, as the quantised network gives them.
        steps = stored[name].astype(np.float32) - np.float32(stored["zero_point"])
        scores: Floats = steps * np.float32(stored["scale"])
        return scores


def upsample(scores: Floats, size: tuple[int, ...]) -> Floats:
    """Interpolate bilinearly, with corners aligned: pixel (y, x) samples ``scores`` at (y, x) / 16.

    Args:
        scores: ``[L, h, w]``.
        size: ``(H, W)`` of the picture.

    Returns:
        ``[L, H, W]``.
    """
    top, down = _neighbours(size[0], scores.shape[1])
    left, across = _neighbours(size[1], scores.shape[2])
    down = down[:, None]
    one = np.float32(1)
    rows = scores[:, top] * (one - down) + scores[:, top + 1] * down  # [L, H, w]
    upsampled: Floats = rows[:, :, left] * (one - across) + rows[:, :, left + 1] * across
    return upsampled


def _neighbours(pixels: int, scores: int) -> tuple[NDArray[np.intp], Floats]:
    """Find, along one axis, the score before each pixel and how far on to the next it lies. ``[pixels]``."""
    place = np.arange(pixels, dtype=np.float32) / np.float32(STRIDE)
    before = np.minimum(place.astype(np.intp), scores - 2)
    return before, place - before.astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Turn scores into probabilities, over the first axis. ``[L, H, W]``."""
    powers: Floats = np.exp(scores - scores.max(axis=0))
    probs: Floats = powers / powers.sum(axis=0)
    return probs
