"""What is known of the labels of a picture: probabilities, logits, labels, masks, from any of the usual files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from densecrf import _check, _core
from densecrf._files.arrays import ARRAYS, MOST_VALUES, TENSORS, read_array
from densecrf._files.errors import FileError
from densecrf._files.pictures import DEEP, opened, require_rows
from densecrf._unary import unary_from_labels

PICTURES = (".png", ".bmp", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
MOST_LABELS = 4096  # of an array of scores; no data set for segmentation has more
MOST_LOGIT = 1e30  # no network says more, and differences of these are finite
UNSURE = 255  # PASCAL VOC's border, where nobody says anything
FEW = 64  # grey values below are hardly a mask, and likely labels that somebody wrote without a palette

Floats = NDArray[np.float32]
Grey = Literal["mask", "labels"]
Meaning = Literal["probabilities", "logits", "labels", "mask", "foreground"]


@dataclass(frozen=True)
class Reading:
    """How files are to be understood.

    Attributes:
        logits: arrays of floats are raw scores, from before the soft-max (of masks: before the sigmoid).
        confidence: probability that a label, or a pixel of a mask without greys, is right, in (0, 1).
        n_labels: how many labels label maps are of; None for one more than the largest of each.
        grey: what grey pictures are; None for masks, unless they look like labels, which is then an error.
        key: the array's name in files that hold several; None for the only one or "probs".
        guess: what could be two things is taken for the likelier, instead of being an error that asks: floats of
            several labels beyond 0 to 1 are logits, grey pictures that look like labels are labels, and an array of the
            picture's size with its labels last is turned. For those who show what they have taken a file for.

    Raises:
        ValueError, TypeError: a value that cannot be.
    """

    logits: bool = False
    confidence: float = 0.7
    n_labels: int | None = None
    grey: Grey | None = None
    key: str | None = None
    guess: bool = False

    def __post_init__(self) -> None:
        _check.probability("reading files", "confidence", self.confidence)
        if self.n_labels is not None:
            _check.integer("reading files", "n_labels", self.n_labels, 1)
        if self.grey is not None:
            _check.choice("reading files", "grey", self.grey, ("mask", "labels"))
        _check.flag("reading files", "guess", self.guess)


@dataclass(frozen=True)
class Scores:
    """What a file says of the labels of a picture.

    Attributes:
        values: ``(L, h, w)``: probabilities, or logits if these were asked for or found.
        meaning: what the file was taken for: "probabilities" or "logits" of every label; "labels", or a "mask" of yes
            and no, each right with probability ``confidence``; "foreground", its probability (its logit, if such were
            asked for), label 0 being everything else.
        key: the name of the array in a file that can hold several.
        shape: of the array in the file; () for a picture.
        labels_last: the array was turned, to have them first.
    """

    values: Floats
    meaning: Meaning
    key: str | None = None
    shape: tuple[int, ...] = ()
    labels_last: bool = False

    @property
    def is_mask(self) -> bool:
        """Whether label 1 is the foreground, and label 0 everything else."""
        return self.meaning in ("mask", "foreground")


def read_probs(path: str | Path, shape: tuple[int, ...], **reading: Any) -> Floats:
    """The scores in a file at the size of a picture.

    ================================  ====================================================================
    file                              what is taken for
    ================================  ====================================================================
    .npy, .npz, .pt, .pth: floats     ``(L, h, w)`` probabilities or logits; ``(h, w)`` or ``(1, h, w)`` of
                                      the foreground; an axis of one picture before them is dropped
    .npy, .npz, .pt, .pth: integers   ``(h, w)`` labels, 255 for no opinion; booleans are a mask
    PNG with a palette                labels, 255 for no opinion
    grey PNG                          the probability of the foreground, 0 to 255; with no values between
                                      black and white, a mask that is right with probability ``confidence``
    ================================  ====================================================================

    Args:
        path: of the file.
        shape: of the picture, ``(H, W)`` or ``(H, W, 3)``. Smaller scores are stretched to it, see `stretch`.
        reading: `Reading`'s attributes.

    Returns:
        ``(L, H, W)`` float32: probabilities; logits where the file holds such.

    Raises:
        FileError: the file is not one of these, is damaged, or does not fit the picture; values are not finite or,
            if probabilities, do not sum to 1.
        MemoryError: the machine has not the memory for it.
    """
    return stretch(read_scores(path, shape, Reading(**reading)).values, (shape[0], shape[1]))


def read_scores(path: str | Path, shape: tuple[int, ...], reading: Reading, most: int = MOST_VALUES) -> Scores:
    """The scores in a file at the size they have there, no more than so many values; see `read_probs`."""
    file, size = Path(path), (shape[0], shape[1])
    if _is_picture(file):
        return _from_picture(file, size, reading, most)
    return _from_array(file, size, reading, most)


def read_labels(path: str | Path, reading: Reading) -> tuple[NDArray[np.int64], Floats | None]:
    """The labels ``(H, W)`` in a file, and the scores ``(L, H, W)`` that they are the likeliest of, if it holds scores.

    Raises:
        FileError: as of `read_probs`.
    """
    file = Path(path)
    if _is_picture(file):
        values, is_mask = _picture_values(file, reading)
        labels = values > _white(values) / 2 if is_mask else values
        return labels.astype(np.int64), None
    values = _one_picture(file, read_array(file, reading.key).values)
    if values.dtype.kind in "iub" and values.ndim == 2:
        _check_labels(file, values, MOST_LABELS)
        return values.astype(np.int64), None
    scores, _ = _scores_of(file, values, reading)
    return scores.argmax(axis=0), scores


def stretch(scores: Floats, size: tuple[int, int]) -> Floats:
    """Scores ``(L, h, w)`` at the size ``(H, W)``: bilinear, corners on corners, as DeepLab's `Interp` layer."""
    if scores.shape[1:] == size:
        return scores
    _check.room(3 * scores.shape[0] * size[0] * size[1] * scores.itemsize)  # with what lies between
    top, down = _neighbours(size[0], scores.shape[1])
    left, across = _neighbours(size[1], scores.shape[2])
    below, right = np.minimum(top + 1, scores.shape[1] - 1), np.minimum(left + 1, scores.shape[2] - 1)
    # Along the rows first, where there are few; whole rows are then copied. No matrix product: its last bit is the
    # machine's.
    rows = scores[:, :, left] + (scores[:, :, right] - scores[:, :, left]) * across  # (L, h, W)
    stretched = (rows[:, below] - rows[:, top]) * down[:, None]
    stretched += rows[:, top]
    return stretched


def _neighbours(pixels: int, scores: int) -> tuple[NDArray[np.intp], Floats]:
    """For each pixel along one axis, the score before it, and how far on to the next it lies."""
    place = np.linspace(0, scores - 1, pixels)
    before = np.minimum(place.astype(np.intp), max(scores - 2, 0))
    return before, (place - before).astype(np.float32)


def _check_fits(path: Path, got: tuple[int, ...], size: tuple[int, int]) -> None:
    if got[0] > size[0] or got[1] > size[1]:
        raise FileError(path, f"{got[0]} x {got[1]}, larger than the picture, which is {size[0]} x {size[1]}")


# ---- pictures ---------------------------------------------------------------------------------------------------


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (*PICTURES, *ARRAYS, *TENSORS):
        known = ", ".join((*ARRAYS, *TENSORS, ".png"))
        raise FileError(path, f"scores, labels and masks are read from {known}, not from {suffix or 'such a file'}")
    return suffix in PICTURES


def _from_picture(path: Path, size: tuple[int, int], reading: Reading, most: int) -> Scores:
    if reading.logits:
        raise FileError(path, "a picture holds labels or a mask, which are no logits", "leave --logits out")
    values, is_mask = _picture_values(path, reading, size)
    if not is_mask:
        return Scores(_of_labels(path, values, reading, most), "labels")
    if np.isin(values, (0, _white(values))).all():
        return Scores(_of_booleans(values > 0, reading), "mask")
    return Scores(_of_foreground(values / np.float32(255)), "foreground")


def _picture_values(
    path: Path, reading: Reading, size: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], bool]:
    """The values ``(h, w)`` of a picture that is labels or a mask, no larger than that, and whether it is a mask."""
    with opened(path) as picture:
        if picture.mode not in ("P", "L", "1"):
            what = "more than eight bits" if picture.mode.startswith(DEEP) else "colours"
            raise FileError(path, f"labels have a palette and masks are grey; this has {what} (mode {picture.mode})")
        if size is not None:
            _check_fits(path, (picture.height, picture.width), size)  # before it is decoded
        require_rows(path, picture)
        values = np.array(picture if picture.mode != "1" else picture.convert("L"))
        return values, picture.mode == "1" or (picture.mode == "L" and _is_mask(path, values, reading))


def _white(mask: NDArray[np.uint8]) -> int:
    """The value of what is certain: 1 in masks of zeros and ones."""
    return 1 if mask.max(initial=0) < 2 else 255


def _is_mask(path: Path, values: NDArray[np.uint8], reading: Reading) -> bool:
    if reading.grey is not None:
        return reading.grey == "mask"
    largest = int(values[values != UNSURE].max(initial=0))
    if 1 < largest < FEW:
        if reading.guess:
            return False
        words = f"its greys, up to {largest}, look like labels"
        raise FileError(path, words, "say --grey labels, or --grey mask if they are a mask")
    return True


# ---- arrays -----------------------------------------------------------------------------------------------------


def _from_array(path: Path, size: tuple[int, int], reading: Reading, most: int) -> Scores:
    found = read_array(path, reading.key, min(MOST_LABELS * size[0] * size[1], most))
    values = _one_picture(path, found.values)
    labels_last = values.ndim == 3 and values.shape[:2] == size and values.shape[1:] != size
    if labels_last:
        values = _turned(path, values, reading)
    _check_fits(path, values.shape[-2:], size)
    scores, meaning = _meant(path, values, reading, most)
    return Scores(scores, meaning, found.key, found.values.shape, labels_last)


def _turned(path: Path, values: NDArray[Any], reading: Reading) -> NDArray[Any]:
    if not reading.guess:
        raise FileError(
            path, f"labels must come first, and {values.shape} has them last; transpose(2, 0, 1) turns them"
        )
    return np.moveaxis(values, 2, 0)


def _meant(path: Path, values: NDArray[Any], reading: Reading, most: int) -> tuple[Floats, Meaning]:
    """The scores that an array means, by its type and its axes."""
    if values.ndim == 2 and values.dtype == bool:
        return _of_booleans(values, reading), "mask"
    if values.ndim == 2 and values.dtype.kind in "iu":
        return _of_labels(path, values, reading, most), "labels"
    return _scores_of(path, values, reading)


def _one_picture(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Without axes of length 1 before (h, w) or (L, h, w)."""
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim not in (2, 3) or values.size == 0 or values.dtype.kind not in "fiub":
        raise FileError(
            path,
            f"it must hold numbers (labels, height, width) or (height, width), not {values.shape} of {values.dtype}",
        )
    return values


def _scores_of(path: Path, values: NDArray[Any], reading: Reading) -> tuple[Floats, Meaning]:
    """Floats, (L, h, w) or (h, w)."""
    if values.dtype.kind != "f":
        raise FileError(
            path, f"scores must be floats, not {values.shape} of {values.dtype}; labels are (height, width)"
        )
    with np.errstate(over="ignore"):  # beyond float32: becomes infinite, and is refused as such
        floats = np.ascontiguousarray(values, np.float32)
    if floats.ndim == 2:
        both = np.stack([np.zeros_like(floats), floats]) if reading.logits else _of_foreground(floats)
        _are_logits(path, both, reading.logits)
        return both, "foreground"
    return floats, "logits" if _are_logits(path, floats, reading.logits, reading.guess) else "probabilities"


def _are_logits(path: Path, scores: Floats, logits: bool, guess: bool = False) -> bool:
    """Whether scores that can be the one or the other are logits: if it is said so, or guessed."""
    found = _core.survey(scores.reshape(len(scores), -1), 1)
    if found["not_finite"]:
        raise FileError(path, f"{found['not_finite']:.0f} of its values are NaN or infinite")
    negative = found["min"] < -1e-6
    if logits or (guess and (negative or found["max"] > 1.01)):
        if max(-found["min"], found["max"]) > MOST_LOGIT:
            raise FileError(path, f"its scores, {found['min']:g} to {found['max']:g}, are beyond {MOST_LOGIT:g}")
        return True
    if negative or abs(found["sum_min"] - 1) > 0.01 or abs(found["sum_max"] - 1) > 0.01:
        raise FileError(
            path,
            f"probabilities are not negative and sum to 1 over the labels; the smallest here is {found['min']:g}, the "
            f"sums are {found['sum_min']:g} to {found['sum_max']:g}",
            "if these are raw scores, say --logits",
        )
    return False


# ---- labels and masks as probabilities --------------------------------------------------------------------------


def _of_labels(path: Path, labels: NDArray[Any], reading: Reading, most: int) -> Floats:
    known = labels[labels != UNSURE]
    count = reading.n_labels or int(known.max(initial=0)) + 1
    _check_labels(path, known, count)
    if count > MOST_LABELS:
        raise FileError(path, f"{count} labels, more than the {MOST_LABELS} that there can be")
    if count * labels.size > most:  # a few bytes of labels are much memory as probabilities
        raise FileError(path, f"{count} labels for {labels.size} pixels, more than the {most} values that there can be")
    if count == 1:
        return np.ones((1, *labels.shape), np.float32)
    _check.room(3 * count * labels.size * 4)  # energies, and two steps to probabilities
    return np.exp(-unary_from_labels(labels, count, reading.confidence, UNSURE))


def _check_labels(path: Path, labels: NDArray[Any], count: int) -> None:
    least, most = labels.min(initial=0), labels.max(initial=0)
    if least < 0 or most >= count:
        raise FileError(path, f"its labels, {least} to {most}, must be 0 to {count - 1}")


def _of_booleans(mask: NDArray[np.bool_], reading: Reading) -> Floats:
    sure = np.float32(reading.confidence)
    return _of_foreground(np.where(mask, sure, 1 - sure))


def _of_foreground(probability: NDArray[Any]) -> Floats:
    return np.stack([1 - probability, probability]).astype(np.float32)
