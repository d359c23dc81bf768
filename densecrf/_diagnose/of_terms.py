"""Findings about the terms on this picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

from densecrf._diagnose.kernels import TermEffect
from densecrf._diagnose.report import Diagnosis, Finding
from densecrf._diagnose.text import count, percent
from densecrf.terms import Bilateral, Gaussian

# A picture whose values deviate by less than one grey level from their mean has no edges to follow.
FLAT = 1.0

# Share of the pixels that hear themselves louder than all others: on ten real pictures 18 % and less with all presets,
# 30 % and more at a colour sigma of 0.3.
ALONE = 0.25

# Spread of the colours heard, as a share of a blur's: on ten real pictures 0.02 to 0.27 with all presets, 0.76 and more
# at a colour sigma of 200.
BLIND = 0.6

# Radius, as a share of that of a kernel that hears the whole picture alike: on ten real pictures 0.84 and less with all
# presets, nearly 1 for a Gaussian as wide as the picture.
EVERYWHERE = 0.9


def findings(diagnosis: Diagnosis) -> Iterator[Finding]:
    """What is worth saying of the terms."""
    heard = [effect for effect in diagnosis.terms if effect.strength > 0]
    if not heard:
        yield _no_terms()
    elif all(isinstance(effect.term, Gaussian) for effect in heard):
        yield _blind()
    yield from _picture(diagnosis)
    for effect in heard:
        yield from _sigmas(diagnosis, effect)


def _no_terms() -> Finding:
    return Finding(
        "no-terms",
        "warning",
        "There is no pairwise term, or every weight is 0, so pixels do not hear each other.",
        "Pass terms with weights above 0, or a preset: print(densecrf.presets).",
    )


def _blind() -> Finding:
    return Finding(
        "no-appearance-term",
        "warning",
        "No term looks at the picture: borders become smoother, and do not move to its edges.",
        "Add a densecrf.Bilateral.",
    )


def _picture(diagnosis: Diagnosis) -> Iterator[Finding]:
    picture = diagnosis.picture
    if not any(isinstance(effect.term, Bilateral) for effect in diagnosis.terms):
        return
    if picture.contrast < FLAT:
        yield Finding(
            "flat-picture",
            "warning",
            f"The picture is nearly of one colour: its values deviate by {picture.contrast:.2g} from their mean, so it "
            "has no edges to follow.",
            "Pass the photograph with values from 0 to 255; if it was floats from 0 to 1, do not cast it to integers.",
        )
    elif picture.grey:
        yield Finding(
            "grey-picture",
            "note",
            f"The picture is grey ({count(picture.channels, 'channel')}): edges between things of equal brightness are "
            "not seen.",
            "Pass colours if there are any; the presets' srgb is for three channels, of which each counts: a single "
            "one needs srgb / 1.7 to tell as much apart as three equal ones.",
        )


def _sigmas(diagnosis: Diagnosis, effect: TermEffect) -> Iterator[Finding]:
    if effect.alone > ALONE:
        yield _too_narrow(effect)
    elif effect.colour_spread > BLIND and diagnosis.picture.contrast >= FLAT:
        yield Finding(
            "colours-too-wide",
            "warning",
            f"{effect.term} hardly sees edges: the colours that a pixel listens to spread {effect.colour_spread:.2f} "
            f"of those that a blur listens to, and the picture's contrast is {diagnosis.picture.contrast:.0f}.",
            "Make srgb smaller, 3 to 13 for photographs; a small fraction of the contrast.",
        )
    if effect.radius > EVERYWHERE * radius_without_place(diagnosis):
        yield _everywhere(effect)


def _too_narrow(effect: TermEffect) -> Finding:
    by_colour = isinstance(effect.term, Bilateral) and not effect.blur_alone > ALONE
    return Finding(
        "colours-too-narrow" if by_colour else "positions-too-narrow",
        "warning",
        f"{effect.term} connects hardly any pixels: {percent(effect.alone)} of them hear themselves louder than all "
        f"others.",
        "Make srgb larger, 3 to 13 for photographs, more where they are noisy."
        if by_colour
        else "Make sxy larger, at least 1; it is in pixels, and below half a pixel there are no neighbours.",
    )


def _everywhere(effect: TermEffect) -> Finding:
    looks = isinstance(effect.term, Bilateral)
    return Finding(
        "positions-too-wide",
        "note" if looks else "warning",
        f"{effect.term} knows no place: a pixel listens {effect.radius:.0f} pixels away, as to the whole picture.",
        "Make sxy smaller; the published 20 to 160 are for pictures of about 500 pixels."
        if looks
        else "Make sxy smaller, 1 to 3: this term is for specks, and as wide as the picture it makes all labels the "
        "commonest one.",
    )


def radius_without_place(diagnosis: Diagnosis) -> float:
    """The standard deviation of all positions, along one axis."""
    height, width = diagnosis.picture.shape
    return math.sqrt((height**2 - 1 + width**2 - 1) / 24)
