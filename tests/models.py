"""A small picture, what a network thinks of it, and terms for models of it."""

import numpy as np
from inputs import scene

from densecrf import Bilateral, Gaussian
from densecrf._features import full_term

LABELS, SHAPE = 4, (12, 15)
IMAGE, LOGITS = scene(*SHAPE, LABELS)
LOGITS = LOGITS / 4  # unsure, so that every iteration moves something
UNARY = -LOGITS
TERMS = (Gaussian((1.7, 2.3), 1.1), Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 1.3))
MIXED = (
    Gaussian((1.7, 2.3), 0.8, "after"),
    Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 0.9, "before"),
    Gaussian(1.3, 0.2, "none"),
)


def unaries(count):
    return [np.random.default_rng(seed).normal(size=UNARY.shape).astype(np.float32) for seed in range(count)]


def full_terms(crf):
    """The terms of a model on the CPU, written out."""
    shape, channels, labels, terms, _ = crf._description
    values = None if channels is None else channels.values
    return [full_term("test", term, shape, labels, values) for term in terms]
