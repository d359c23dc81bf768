"""Uploaded files: `densecrf._files` reads and judges them; here are a page's limits, and what a file was taken for.

A file that could be two things is an error on the command line, which has flags. Here it is taken for the likelier, and
the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import _files
from densecrf._files import FileError, Reading, Scores
from densecrf.data import softmax

Floats: TypeAlias = NDArray[np.float32]

MAX_BYTES = 200 * 2**20  # of an uploaded file
MAX_PIXELS = 16_000_000  # of a picture
MAX_VALUES = 150_000_000  # labels times pixels
MAX_LABELS = 256  # what a PNG can hold

READING = Reading(guess=True)
SCORES = (*_files.ARRAYS, *_files.PICTURES)  # not torch's, which may ask for any memory before they can be looked at

SURE = f"right with probability {READING.confidence}"
TAKEN_AS: dict[_files.Meaning, str] = {
    "probabilities": "probabilities",
    "logits": "raw scores, turned into probabilities by a soft-max",
    "labels": f"labels, each {SURE}",
    "mask": f"a mask, each pixel {SURE}",
    "foreground": "the probability of the foreground",
}


@dataclass(frozen=True, eq=False)
class Upload:
    """What an uploaded file says of a picture.

    Attributes:
        probs: ``[L, H, W]``, at every pixel summing to 1.
        taken_as: what the file was taken for, in a few words.
        program: Python that makes ``probs`` of the file; ``np``, ``densecrf`` and ``image`` are there.
    """

    probs: Floats
    taken_as: str
    program: str


def sentence(error: FileError) -> str:
    """What is wrong with a file, for the page: without its folder, which is nobody's business, and without flags."""
    return f"{error.path.name}: {error.fact.rstrip('.')}."


def load_picture(path: Path) -> NDArray[np.uint8]:
    """Opens a photograph, ``[H, W, 3]``.

    Raises:
        FileError: it is not a picture, or too large a one.
    """
    _check_bytes(path)
    return _files.read_image(path, MAX_PIXELS)


def load_scores(path: Path, size: tuple[int, int]) -> Upload:
    """Opens what is known of a picture of that size ``(H, W)``.

    Raises:
        FileError: it is none of the files that can be opened, or does not fit.
    """
    _check_bytes(path)
    if path.suffix.lower() not in SCORES:
        raise FileError(path, f"scores, labels and masks are opened here from {', '.join(_files.ARRAYS)} and .png")
    scores = _files.read_scores(path, size, READING, MAX_VALUES)
    _check_labels(path, len(scores.values), size)
    values = _files.stretch(scores.values, size)
    probs = softmax(values) if scores.meaning == "logits" else values
    coarse = scores.values.shape[1:] != size
    stretched = f", stretched from {scores.values.shape[2]} x {scores.values.shape[1]}" if coarse else ""
    return Upload(probs, TAKEN_AS[scores.meaning] + stretched, _program(path, scores, coarse))


def _check_bytes(path: Path) -> None:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileError(path, f"it has {size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken")


def _check_labels(path: Path, count: int, size: tuple[int, int]) -> None:
    """At the size of the picture: a file may hold fewer values, which are stretched."""
    if not 2 <= count <= MAX_LABELS:
        raise FileError(path, f"it has {count} label{'' if count == 1 else 's'}; 2 to {MAX_LABELS} are taken")
    if count * size[0] * size[1] > MAX_VALUES:
        most = f"{MAX_VALUES // 10**6} million values are taken"
        raise FileError(path, f"{count} labels for {size[0]} x {size[1]} pixels; at most {most}")


# ---- the same as Python --------------------------------------------------------------------------------------

STRETCH = """\
for axis, pixels in ((2, image.shape[1]), (1, image.shape[0])):  # bilinear, corners on corners
    place, known = np.linspace(0, probs.shape[axis] - 1, pixels), np.arange(probs.shape[axis])
    probs = np.apply_along_axis(lambda row: np.interp(place, known, row), axis, probs)
"""
SOFTMAX = "probs = np.exp(probs - probs.max(axis=0))\nprobs /= probs.sum(axis=0)\n"


def _program(path: Path, scores: Scores, coarse: bool) -> str:
    stretch = STRETCH if coarse else ""
    if scores.meaning == "logits":
        stretch += SOFTMAX
    return _of_file(_load(path, scores), scores) + stretch


def _load(path: Path, scores: Scores) -> str:
    """The expression that gives the array as it is meant, labels first."""
    if not scores.shape:
        return f"np.asarray(Image.open({path.name!r}))"
    load = f"np.load({path.name!r})" + ("" if scores.key is None else f"[{scores.key!r}]")
    axes = 3 if scores.meaning in ("probabilities", "logits") else 2
    load += "[0]" * (len(scores.shape) - axes)
    return f"np.moveaxis({load}, 2, 0)" if scores.labels_last else load


def _of_file(load: str, scores: Scores) -> str:
    """The lines that make ``probs``, as large as the file has them."""
    sure = READING.confidence
    if scores.meaning == "labels":
        unary = f"densecrf.unary_from_labels(labels, {len(scores.values)}, {sure}, unsure={_files.UNSURE})"
        return f"labels = {load}\nprobs = np.exp(-{unary})\n"
    if scores.meaning == "mask":
        return f"mask = np.where({load} > 0, {sure}, {1 - sure:g})\nprobs = np.stack([1 - mask, mask])\n"
    if scores.meaning == "foreground":
        plane = f"{load}.astype(np.float32)" if scores.shape else f"{load} / np.float32(255)"
        return f"mask = {plane}\nprobs = np.stack([1 - mask, mask])\n"
    return f"probs = {load}.astype(np.float32)\n"
