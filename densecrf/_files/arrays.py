"""Arrays in .npy, .npz and torch's files, from whoever: no pickles, and no more memory than a picture can need."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from densecrf import _check
from densecrf._files.errors import FileError, reason_of, refuse_pipe
from densecrf._files.tensors import load_tensors, require_plain

MOST_VALUES = 2**33  # of one array, where nothing else bounds it: 32 GiB of float32

ARRAYS = (".npy", ".npz")
TENSORS = (".pt", ".pth")
USUAL = "probs"  # the name under which results are written

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Found(NamedTuple):
    """An array, and its name in a file that can hold several."""

    values: NDArray[Any]
    key: str | None


def read_array(path: Path, key: str | None = None, most: int = MOST_VALUES) -> Found:
    """The array in a file.

    Args:
        path: ends in .npy, .npz, .pt or .pth.
        key: its name, where the file holds several; None for the only one, or the one called "probs".
        most: how many values it may have. The header is asked before anything is unpacked, and its word is checked
            against the memory there is and the bytes that follow, so that a small file cannot claim or unpack a large
            array.

    Raises:
        FileError: it is not such a file, holds Python objects, no array or too large a one.
        MemoryError: the machine has not the memory for it.
    """
    refuse_pipe(path)
    try:
        if path.suffix.lower() in TENSORS:
            return _tensor(path, key, most)
        with path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                return Found(_npy(path, file, path.stat().st_size, most), None)
            return _member(path, file, key, most)
    except (FileError, MemoryError):
        raise
    except OSError as error:
        raise FileError(path, reason_of(error)) from error
    except Exception as error:  # there is no end to what damaged files make the readers raise
        raise FileError(path, f"damaged, or not what its name says ({reason_of(error)})") from error


def _member(path: Path, file: BinaryIO, key: str | None, most: int) -> Found:
    with zipfile.ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        chosen = _chosen(path, names, key)
        entry = archive.getinfo(chosen + ".npy")
        with archive.open(entry) as member:
            return Found(_npy(path, cast(BinaryIO, member), entry.file_size, most), chosen)


def _npy(path: Path, stream: BinaryIO, size: int, most: int) -> NDArray[Any]:
    """The array in a stream of so many bytes."""
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise FileError(path, "an array of records, which is none of numbers")
    try:
        shape, _, dtype = _HEADERS[version](stream)
    except MemoryError:  # what Python's parser says of ten thousand signs in a row
        raise FileError(path, "damaged: its header describes no array") from None
    if dtype.hasobject:
        raise FileError(path, "it holds Python objects, which are not read, because they could run programs")
    if dtype.kind not in "fiub":  # before its size is believed: a text may claim gigabytes for each of its values
        raise FileError(path, f"it must hold numbers, not {dtype}")
    if min(shape, default=0) < 0:
        raise FileError(path, f"damaged: an array {shape}")
    values = math.prod(shape)
    if values > most:
        raise FileError(path, f"an array {shape}, more than the {most} values that there can be")
    if values * dtype.itemsize > size - stream.tell():
        raise FileError(path, f"cut off: an array {shape} of {dtype} needs more bytes than there are")
    _check.room(values * dtype.itemsize)
    stream.seek(0)
    return np.asarray(npy.read_array(stream, allow_pickle=False))


def _tensor(path: Path, key: str | None, most: int) -> Found:
    found, chosen = load_tensors(path), None
    import torch

    if isinstance(found, dict):
        tensors = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}
        chosen = _chosen(path, list(tensors), key)
        found = tensors[chosen]
    if not isinstance(found, torch.Tensor):
        raise FileError(path, f"it must hold a tensor, or a dict with one, and holds a {type(found).__name__}")
    require_plain(path, found)
    if found.numel() > most:  # strides of 0 make many of few
        raise FileError(path, f"a tensor {tuple(found.shape)}, more than the {most} values that there can be")
    _check.room(found.numel() * found.element_size())
    plain = found.detach().float() if found.dtype == torch.bfloat16 else found.detach()
    return Found(plain.numpy(), chosen)


def _chosen(path: Path, names: list[str], key: str | None) -> str:
    if key is None and len(names) == 1:
        return names[0]
    wanted = USUAL if key is None else key
    if wanted not in names:
        what = "no array" if not names else f"the arrays {', '.join(sorted(names)[:20])}"
        raise FileError(path, f"it holds {what}{'' if key is None else f' and no {key}'}", "say which with --key")
    return wanted
