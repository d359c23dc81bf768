"""Pictures with labels that hardly matter: what a label tolerance leaves out."""

from __future__ import annotations

import numpy as np
from inputs import scene
from numpy.typing import NDArray

from densecrf import Bilateral, Gaussian

TERMS = (Gaussian(1.5, 2), Bilateral(12, 30, 3))
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 20, 21, 24, 25, 33, 66)  # of labels
SMALL = 1e-3  # of labels that are to be left out, about this much everywhere


def crowd(
    labels: int, *, likely: int = 3, size: tuple[int, int] = (40, 50), small: float = SMALL
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A picture, and logits in which a few labels, spread over the numbers, matter; the others are small everywhere."""
    likely = min(likely, labels)
    image, sure = scene(*size, likely)
    sure = sure / 3
    rng = np.random.default_rng(3)
    logits = np.log(small * np.exp(sure).sum(axis=0)) + rng.normal(scale=0.2, size=(labels, *size))
    logits[rng.permutation(labels)[:likely]] = sure
    return image, logits.astype(np.float32)


def comeback(size: int = 24) -> NDArray[np.float32]:
    """Logits of five labels, the last of which drops below 0.1 after one iteration and is above 0.2 in the end.

    Around single pixels where it is second to label 0, label 0 is ahead at first, so it gains there; then
    label 1 takes the surroundings over, and label 0 loses what it had gained. The other two fill the row that is left.
    """
    logits = np.full((5, size, size), -12.0, np.float32)
    logits[0], logits[1] = -6, 0
    middle = slice(5, size - 5)
    logits[0, middle, middle], logits[1, middle, middle] = np.log((0.6, 0.4))
    spots = slice(7, size - 7, 5)
    logits[:, spots, spots] = np.reshape([0, -20, -20, -20, -1], (5, 1, 1))
    logits[2, 0, 0] = logits[3, -1, -1] = 5
    return logits
