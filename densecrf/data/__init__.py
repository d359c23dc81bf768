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

from importlib import resources

import numpy as np
from numpy.typing import NDArray

STRIDE = 16  # pixels of the picture between two neighbouring scores

VOC_LABELS = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train",
    "tv monitor",
)  # fmt: skip


def logits(name: str) -> NDArray[np.float32]:
    """Load the network's scores for "astronaut", "motorcycle" or "chelsea". ``[21, 33, 33]``."""
    with resources.files(__name__).joinpath("deeplab_logits.npz").open("rb") as file, np.load(file) as stored:
        if name not in stored or stored[name].ndim != 3:
            names = ", ".join(key for key in stored if stored[key].ndim == 3)
            raise ValueError(f"densecrf.data.logits: name needs to be one of {names}; got {name!r}")
        # Stored in eight bits, as the quantised network gives them.
        steps = stored[name].astype(np.float32) - np.float32(stored["zero_point"])
        scores: NDArray[np.float32] = steps * np.float32(stored["scale"])
        return scores
