"""Probabilities that were uploaded: NumPy's files, label maps and masks, checked before anything is unpacked.

Nothing of a file is ever executed: pickled objects are refused, and what a file claims about its size is looked at
before memory is asked for.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from densecrf import unary_from_labels
from densecrf.app.pictures import FileRefusedError, check_bytes, open_picture
from densecrf.data import softmax

Floats: TypeAlias = NDArray[np.float32]

MAX_VALUES = 150_000_000  # of an array: labels times pixels
MAX_LABELS = 256
CONFIDENCE = 0.7  # of label maps, which say nothing about it: refine_labels' default
UNSURE = 255  # the label of no opinion, as in PASCAL VOC
KEYS = ("probs", "probabilities", "scores", "logits", "labels", "mask")  # looked for first in a .npz


@dataclass(frozen=True, eq=False)
class Scores:
    """What an uploaded file says of a picture.

    Attributes:
        probs: ``[L, H, W]``, at every pixel summing to 1.
        taken_as: what the file was taken for, in a few words.
        program: Python that makes ``probs`` of the file; ``np`` and ``densecrf`` are imported.
    """

    probs: Floats
    taken_as: str
    program: str


def load_scores(path: Path, size: tuple[int, int]) -> Scores:
    """Opens the probabilities of a picture of that size ``(H, W)``.

    Raises:
        FileRefusedError: it is none of the files that can be opened, or of another size.
    """
    check_bytes(path)
    with path.open("rb") as file:
        start = file.read(6)
    if start == npy.MAGIC_PREFIX:
        with path.open("rb") as file:
            return of_array(_read_array(file, path.name), size, f"np.load({path.name!r})")
    if start[:4] == b"PK\x03\x04":
        key, values = _read_archive(path)
        return of_array(values, size, f"np.load({path.name!r})[{key!r}]")
    return _of_picture(path, size)


def _read_array(file: IO[bytes], name: str) -> NDArray[Any]:
    """Reads one array of NumPy's format, after a look at its header."""
    try:
        shape, dtype = _header(file)
        if dtype.hasobject or dtype.kind not in "fiub":
            raise FileRefusedError(f"{name} holds {_kind(dtype)}, not numbers; such files are not opened.")
        if len(shape) not in (2, 3):
            raise FileRefusedError(
                f"{name} has {len(shape)} axes; probabilities have the shape (labels, height, width)."
            )
        if math.prod(shape) > MAX_VALUES:
            raise FileRefusedError(f"{name} claims {math.prod(shape):,} values; at most {MAX_VALUES:,} are taken.")
        file.seek(0)
        return npy.read_array(file, allow_pickle=False)
    except FileRefusedError:
        raise
    except Exception:  # what broken headers and broken compression raise is anybody's guess
        raise FileRefusedError(f"{name} is damaged, or cut off: its array cannot be read.") from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type that a file of NumPy's claims to hold."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _kind(dtype: np.dtype[Any]) -> str:
    return "Python objects" if dtype.hasobject else f"values of type {dtype.name}"


def _read_archive(path: Path) -> tuple[str, NDArray[Any]]:
    """Reads the one array of a .npz that matters, and its name there."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            key = next((key for key in KEYS if key in members), None)
            if key is None and len(members) == 1:
                key = next(iter(members))
            if key is None:
                found = ", ".join(list(members)[:5]) or "none"
                raise FileRefusedError(f"{path.name} must hold one array, or one called {KEYS[0]}; it holds: {found}.")
            with archive.open(members[key]) as file:
                return key, _read_array(file, path.name)
    except FileRefusedError:
        raise
    except Exception:  # broken, encrypted or unknown compression
        raise FileRefusedError(f"{path.name} is damaged, or not an archive of NumPy's.") from None


def of_array(values: NDArray[Any], size: tuple[int, int], load: str) -> Scores:
    """Tells what an array is from its shape and its values.

    Args:
        values: numbers, of two or three axes.
        size: ``(H, W)`` of the picture.
        load: the Python that loads it.

    Raises:
        FileRefusedError: it fits nothing.
    """
    if values.ndim == 2:
        _check_size(values.shape, size)
        return _of_plane(values, load)
    if values.shape[1:] != size and values.shape[:2] == size:  # labels last
        values, load = np.moveaxis(values, 2, 0), f"np.moveaxis({load}, 2, 0)"
    _check_size(values.shape[1:], size)
    if not 2 <= len(values) <= MAX_LABELS:
        raise FileRefusedError(f"The file has {len(values)} labels; 2 to {MAX_LABELS} are taken.")
    if values.dtype.kind != "f":
        raise FileRefusedError("The file holds integers of three axes; probabilities are floating point numbers.")
    return _of_volume(_finite(values), load)


def _of_volume(values: Floats, load: str) -> Scores:
    program = f"probs = {load}.astype(np.float32)\n"
    if values.min() < 0 or values.max() > 1.01:
        lines = "probs = np.exp(probs - probs.max(axis=0))\nprobs /= probs.sum(axis=0)\n"
        return Scores(softmax(values), "scores, turned into probabilities by a soft-max", program + lines)
    sums = values.sum(axis=0)
    if np.abs(sums - 1).max() > 0.02:
        raise FileRefusedError(
            f"The values lie between 0 and 1 but do not sum to 1 over the labels (they sum to {sums.min():.3g} to "
            f"{sums.max():.3g}): they are neither probabilities nor raw scores."
        )
    return Scores(values, "probabilities", program)


def _of_plane(values: NDArray[Any], load: str) -> Scores:
    """A mask or a map of labels."""
    if values.dtype.kind == "b":
        return _of_labels(values.astype(np.uint8), f"{load}.astype(np.uint8)", "a mask")
    if values.dtype.kind in "iu":
        return _of_integers(values, load)
    plane = _finite(values)
    if plane.min() < 0 or plane.max() > 1:
        raise FileRefusedError("A mask of floating point numbers must lie between 0 and 1.")
    program = f"mask = {load}.astype(np.float32)\nprobs = np.stack([1 - mask, mask])\n"
    return Scores(np.stack([1 - plane, plane]), "a mask of probabilities", program)


def _of_integers(values: NDArray[Any], load: str) -> Scores:
    """Labels where values are few and small; grey levels of a mask where not."""
    if values.min() < 0 or values.max() > 255:
        raise FileRefusedError(
            f"Labels and masks have values from 0 to 255, the file {values.min()} to {values.max()}."
        )
    between = values[(values > 0) & (values < UNSURE)]
    if between.size and between.max() < 64:
        return _of_labels(values.astype(np.uint8), load, "a map of labels")
    mask = values.astype(np.float32) / 255
    program = f"mask = {load} / np.float32(255)\nprobs = np.stack([1 - mask, mask])\n"
    return Scores(np.stack([1 - mask, mask]), "a grey mask", program)


def _of_labels(labels: NDArray[np.uint8], load: str, taken_as: str) -> Scores:
    known = labels[labels != UNSURE]
    count = max(int(known.max(initial=0)) + 1, 2)
    call = f"densecrf.unary_from_labels(labels, {count}, {CONFIDENCE}, unsure={UNSURE})"
    program = f"labels = {load}\nprobs = np.exp(-{call})\n"
    probs = np.exp(-unary_from_labels(labels, count, CONFIDENCE, UNSURE))
    return Scores(probs, f"{taken_as}, each right with probability {CONFIDENCE}", program)


def _of_picture(path: Path, size: tuple[int, int]) -> Scores:
    """A palette PNG is a map of labels; a grey picture a map or a mask."""
    try:
        picture = open_picture(path)
    except FileRefusedError as refused:
        if "not a picture" in str(refused):
            raise FileRefusedError(
                f"{path.name} is none of .npy, .npz, a PNG of labels or a grey mask, or it is damaged."
            ) from None
        raise
    if picture.mode not in ("P", "L", "1"):
        raise FileRefusedError(
            f"{path.name} is a picture in colour; labels come as a PNG with a palette, masks in grey."
        )
    values = np.asarray(picture)
    _check_size(values.shape, size)
    load = f"np.asarray(Image.open({path.name!r}))"
    if picture.mode == "P":
        return _of_labels(values, load, "a map of labels")
    return _of_plane(values, load)


def _finite(values: NDArray[Any]) -> Floats:
    plain = values.astype(np.float32)
    if not np.isfinite(plain).all():
        raise FileRefusedError("The file holds values that are not finite numbers.")
    return plain


def _check_size(got: tuple[int, ...], size: tuple[int, int]) -> None:
    if got != size:
        raise FileRefusedError(
            f"The file is for a picture of {got[1]} x {got[0]} pixels, the picture has {size[1]} x {size[0]}: "
            "enlarge the probabilities to the picture first."
        )
