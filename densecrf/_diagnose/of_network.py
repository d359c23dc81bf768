"""Findings about the network's scores."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from densecrf._check.scores import SUM_TOLERANCE
from densecrf._diagnose.network import Floats
from densecrf._diagnose.report import Diagnosis, Finding
from densecrf._diagnose.text import percent

# Where labels meet a network hesitates: the median margin there was 0.1 to 2.3 on ten real pictures, and is 11.5 for
# one-hot probabilities. A thousand to one lies between.
SATURATED = math.log(1000)

# Best over second-best probability below this at half of the pixels: on ten real pictures the median was 7 and more.
UNDECIDED = math.log(1.5)

# The soft-max of probabilities has no margin above 1, and comes close to it where the network is sure. On ten real
# pictures the largest margin was 8.9 and more.
OF_PROBABILITIES = (0.9, 1 + 1e-4)


def findings(diagnosis: Diagnosis, scores: Floats, from_logits: bool) -> Iterator[Finding]:
    """What is worth saying of scores ``(L, H, W)``."""
    if len(scores) == 1:
        yield _one_label()
        return
    if diagnosis.network.n_present == 1:
        yield _same_everywhere(diagnosis)
    misread = list(_not_logits(scores)) if from_logits else []
    yield from misread or _sureness(diagnosis)


def _one_label() -> Finding:
    return Finding(
        "one-label",
        "warning",
        "There is one label, so its probability is 1 everywhere whatever the terms say.",
        "Give a foreground mask p as numpy.stack([1 - p, p]), or call densecrf.refine_mask.",
    )


def _not_logits(scores: Floats) -> Iterator[Finding]:
    """Logits that are something else: sums of anything else are not 1 at every pixel."""
    if scores.min() < 0:
        return
    if abs(scores.sum(axis=0) - 1).max() < SUM_TOLERANCE:
        yield Finding(
            "probs-as-logits",
            "warning",
            "The scores are positive and sum to 1 at every pixel: they are probabilities, and from_logits=True takes "
            "their soft-max once more.",
            "Leave from_logits out.",
        )
    elif abs(np.exp(-scores).sum(axis=0) - 1).max() < SUM_TOLERANCE:
        yield Finding(
            "energies-as-logits",
            "warning",
            "The scores are minus the logarithms of probabilities, i.e. unary energies: the best label has the "
            "smallest, and from_logits=True takes the largest for the best.",
            "Pass the probabilities; or minus the energies, with from_logits=True.",
        )


def _same_everywhere(diagnosis: Diagnosis) -> Finding:
    label = int(diagnosis.network.labels[0, 0])
    return Finding(
        "same-label-everywhere",
        "note",
        f"The network's best label is {label} at every pixel, so there is no border that could follow an edge.",
        "Look at the network's scores; if they are right there is nothing to refine.",
    )


def _sureness(diagnosis: Diagnosis) -> Iterator[Finding]:
    network, labels = diagnosis.network, diagnosis.changes.areas_before.size
    least, most = OF_PROBABILITIES
    if network.border_margin >= SATURATED:
        yield _saturated(diagnosis)
    elif least < network.largest_margin <= most and labels > 2:
        yield Finding(
            "softmax-twice",
            "warning",
            f"No margin is larger than {network.largest_margin:.3f}, as after a soft-max of probabilities.",
            "Pass what the network's soft-max gives, or its logits with from_logits=True.",
        )
    elif network.median_margin < UNDECIDED:
        yield Finding(
            "undecided",
            "warning",
            f"At half of the pixels the best label is at most {math.exp(network.median_margin):.2f} times as probable "
            f"as the second, so the terms decide: {percent(diagnosis.changes.share)} of the labels change.",
            "Sharpen the scores, e.g. 4 * logits with from_logits=True, or make the weights as much smaller.",
        )


def _saturated(diagnosis: Diagnosis) -> Finding:
    margin, reach = diagnosis.network.border_margin, diagnosis.reach
    return Finding(
        "saturated",
        "warning" if margin > reach else "note",
        f"The network is sure even where its labels meet: the median margin there is {margin:.1f}, and all terms "
        f"together overcome {reach:.1f}.",
        "Soften the scores, e.g. logits / 4 with from_logits=True; labels or a mask instead of scores go to "
        "densecrf.refine_labels or refine_mask, with the confidence that they deserve.",
    )
