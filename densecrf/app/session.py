"""What the page works on, and what it does with it: a picture and its probabilities in, labels and a time out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import densecrf
from densecrf import Parameters, data
from densecrf.app.loading import Upload
from densecrf.app.parameters import scaled

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.intp]

SAMPLES = ("astronaut", "motorcycle", "chelsea")
LIVE_PIXELS = 300_000  # a larger picture is refined at this size while a slider moves


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture and what somebody thinks of it.

    Attributes:
        title: what it is called on the page.
        image: ``[H, W, 3]``.
        probs: ``[L, H, W]``.
        names: of the labels.
        note: what the page should say about where the probabilities come from.
        program: Python that makes ``image`` and ``probs``; ``np`` and ``densecrf`` are imported.
    """

    title: str
    image: Bytes
    probs: Floats
    names: tuple[str, ...]
    note: str
    program: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, eq=False)
class Result:
    """What one refinement gave.

    Attributes:
        subject: what was refined, at the size it was refined at.
        before: the likeliest labels ``[H, W]``.
        after: the refined ones.
        seconds: that the call of `densecrf.refine` took.
        scale: of the picture that was refined, against the whole one; 1 but for large pictures while a slider moves.
    """

    subject: Subject
    before: Labels
    after: Labels
    seconds: float
    scale: float

    @property
    def changed(self) -> float:
        """The share of pixels whose label changed."""
        return float(np.mean(self.before != self.after))


def sample(name: str) -> Subject:
    """One of the photographs that the library brings a network's answer for."""
    image, probs = data.example(name)
    program = f"from densecrf.data import example\n\nimage, probs = example({name!r})\n"
    return Subject(name, image, probs, data.VOC_LABELS, "", program)


def picture_alone(title: str, image: Bytes) -> Subject:
    """A picture that nothing is known about yet: two labels, each as likely everywhere."""
    probs = np.full((2, *image.shape[:2]), 0.5, np.float32)
    note = "Nothing is known about this picture yet: open its probabilities, or paint on it."
    program = f"image = np.asarray(ImageOps.exif_transpose(Image.open({title!r})).convert('RGB'))\n"
    return Subject(title, image, probs, label_names(2), note, program + "probs = np.full((2, *image.shape[:2]), 0.5)\n")


def with_scores(subject: Subject, upload: Upload) -> Subject:
    """The same picture, seen by another."""
    return replace(
        subject,
        probs=upload.probs,
        names=label_names(len(upload.probs)),
        note=f"Taken as {upload.taken_as}.",
        program=picture_program(subject) + upload.program,
    )


def picture_program(subject: Subject) -> str:
    """The part of a subject's program that makes its image."""
    lines = subject.program.splitlines(keepends=True)
    last = next((i for i, line in enumerate(lines) if line.startswith("image")), -1)
    return "".join(lines[: last + 1])


def label_names(count: int) -> tuple[str, ...]:
    """Names for labels that come without."""
    return ("background", "foreground") if count == 2 else tuple(f"label {label}" for label in range(count))


def refine(subject: Subject, parameters: Parameters, scale: float = 1.0) -> Result:
    """Refines a subject that is drawn at that scale of its picture, and takes the time."""
    terms = scaled(parameters, scale).terms
    start = time.perf_counter()
    refined = densecrf.refine(subject.image, subject.probs, terms=terms, iterations=parameters.iterations)
    seconds = time.perf_counter() - start
    return Result(subject, subject.probs.argmax(axis=0), refined.argmax(axis=0), seconds, scale)


def live_scale(subject: Subject, most: int = LIVE_PIXELS) -> float:
    """How much smaller a picture has to be to answer while a slider moves; 1 if it is small enough."""
    height, width = subject.size
    return min(1.0, math.sqrt(most / (height * width)))


def shrunk(subject: Subject, scale: float) -> Subject:
    """The subject at a smaller scale: the means of the pixels that fall together, of colours and of probabilities."""
    if scale == 1:
        return subject
    height, width = (max(1, round(side * scale)) for side in subject.size)
    image = np.asarray(Image.fromarray(subject.image).resize((width, height), Image.Resampling.BOX))
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BOX) for plane in subject.probs]
    probs = np.stack([np.asarray(plane) for plane in planes])
    return replace(subject, image=image, probs=probs / probs.sum(axis=0))


def shares(result: Result) -> list[tuple[int, str, float, float]]:
    """Label, name, share of the picture before and after, for every label that is seen, the largest first."""
    count = len(result.subject.names)
    before = np.bincount(result.before.ravel(), minlength=count) / result.before.size
    after = np.bincount(result.after.ravel(), minlength=count) / result.after.size
    seen = [label for label in range(count) if before[label] or after[label]]
    seen.sort(key=lambda label: -max(before[label], after[label]))
    return [(label, result.subject.names[label], float(before[label]), float(after[label])) for label in seen]
