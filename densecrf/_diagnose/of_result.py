"""Findings about what the CRF made of the labels."""

from __future__ import annotations

import math
from collections.abc import Iterator

from densecrf._diagnose.of_network import SATURATED
from densecrf._diagnose.of_terms import ALONE
from densecrf._diagnose.report import Diagnosis, Finding
from densecrf._diagnose.text import count, percent
from densecrf._request import CLIP

# Share of the pixels at borders that change. On ten real pictures it was 18 % and more with all presets.
LITTLE = 0.05

# Share of the pixels at borders where the terms favour another label: on ten real pictures 24 % and more; where the CRF
# has been run already and next to nothing is left to do, 3 to 7 %.
AGREED = 0.1

# Share of the pixels that the network is sure of and that change all the same; on ten real pictures 0.9 % and less
# with all presets.
OVERRULED = 0.03

# What the terms overcome, as a multiple of the network's largest margin; of probabilities none is larger than the clip
# allows. All presets stay below 1.2.
UNOPPOSED = 2
LARGEST_OF_PROBS = -math.log(CLIP)

# Areas of the picture: of labels that vanish. A CRF is meant to remove specks; on ten real pictures labels of up to
# 3.8 % of the picture in all vanished with sensible presets.
SWALLOWED = 0.05
MENTIONED = 0.001  # less is a speck

# What one more iteration would change: as a share of what has changed, and of the picture. After ten iterations 4 %
# of the former on ten real pictures, after one 40 %.
UNSETTLED, UNSETTLED_PIXELS = 0.1, 0.001

# Share of the pixels that go to and fro; on ten real pictures next to none.
OSCILLATING = 0.005


def findings(diagnosis: Diagnosis) -> Iterator[Finding]:
    """What is worth saying of the result."""
    if not diagnosis.changes.by_iteration:
        yield _no_iterations()
        return
    yield from _little(diagnosis)
    yield from _much(diagnosis)
    yield from _labels(diagnosis)
    yield from _convergence(diagnosis)


def _no_iterations() -> Finding:
    return Finding(
        "no-iterations",
        "warning",
        "No iteration was run, so the answer is the network's probabilities.",
        "Run 5 to 10 iterations.",
    )


def _little(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Why next to nothing changes, where other findings do not say it already."""
    network, changes, objections = diagnosis.network, diagnosis.changes, diagnosis.objections
    explained = diagnosis.strength == 0 or network.border_margin >= SATURATED
    explained |= any(effect.strength > 0 and effect.alone > ALONE for effect in diagnosis.terms)
    if not changes.at_border < LITTLE or explained:
        return
    measured = (
        f"{percent(changes.at_border)} of the pixels at borders change: the terms {objections}, overcome margins up to "
        f"{diagnosis.reach:.2g}, and the median margin there is {network.border_margin:.2g}."
    )
    if objections.share < AGREED and diagnosis.reach > network.border_margin:
        advice = "Nothing to mend: the network's borders lie where the picture's edges are, or where it has none."
        yield Finding("follows-edges-already", "note", measured, advice)
    else:
        advice = (
            "Make the weights larger, 3 to 10, or soften the scores, e.g. logits / 4 with from_logits=True; labels or "
            "masks: a lower confidence."
        )
        yield Finding("weights-too-weak", "warning", measured, advice)


def _much(diagnosis: Diagnosis) -> Iterator[Finding]:
    changes, largest = diagnosis.changes, diagnosis.network.largest_margin
    overruled = changes.overruled > OVERRULED
    if overruled or diagnosis.reach > UNOPPOSED * max(largest, LARGEST_OF_PROBS):
        yield Finding(
            "weights-too-strong",
            "warning" if overruled else "note",
            f"The terms overcome margins up to {diagnosis.reach:.0f}, and the network has none above {largest:.1f}: it "
            f"is overruled at {percent(changes.overruled)} of the pixels where its best label is 99 times as probable "
            "as any other.",
            "Make the weights smaller: together they should stay below the margins that you trust.",
        )


def area_lost(diagnosis: Diagnosis) -> float:
    """The share of the picture that labels had which vanish."""
    return float(diagnosis.changes.areas_before[list(diagnosis.changes.vanished)].sum())


def _labels(diagnosis: Diagnosis) -> Iterator[Finding]:
    changes = diagnosis.changes
    gone = [label for label in changes.vanished if changes.areas_before[label] >= MENTIONED]
    if not gone:
        return
    before = ", ".join(f"{label} ({percent(changes.areas_before[label])})" for label in gone)
    winner = int((changes.areas_after - changes.areas_before).argmax())
    grew = f"{percent(changes.areas_before[winner])} to {percent(changes.areas_after[winner])}"
    if area_lost(diagnosis) >= SWALLOWED:
        yield Finding(
            "swallowed",
            "warning",
            f"Labels that had {percent(area_lost(diagnosis))} of the picture are gone: {before}; label {winner} grows "
            f"from {grew}.",
            "Make the weights smaller, then srgb, then sxy, until they stay.",
        )
    else:
        yield Finding(
            "vanished",
            "note",
            f"Small labels are gone, which is right for specks and wrong for small things: {before}.",
            "If they were right, make the weights smaller, or sxy.",
        )


def _convergence(diagnosis: Diagnosis) -> Iterator[Finding]:
    changes = diagnosis.changes
    if changes.oscillating > OSCILLATING:
        yield Finding(
            "oscillates",
            "warning",
            f"{percent(changes.oscillating)} of the pixels go to and fro between two labels.",
            "Use densecrf.DenseCRF(...).infer(..., damping=0.5); compatibilities that repel need it.",
        )
    elif changes.unsettled > max(UNSETTLED_PIXELS, UNSETTLED * changes.share):
        yield Finding(
            "not-converged",
            "note",
            f"{percent(changes.share)} of the labels have changed in {count(len(changes.by_iteration), 'iteration')}, "
            f"and one more would change {percent(changes.unsettled)}.",
            "Run more iterations.",
        )
