"""Reads the weights in a .caffemodel, without Caffe and without a protobuf package.

The wire format is https://protobuf.dev/programming-guides/encoding; numbers of fields are from Caffe's caffe.proto.
Whatever is in a file, reading it takes time and memory in proportion to its size and ends with blobs or a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Blob = NDArray[Any]  # float32 or float64

# Layers in NetParameter, as V1LayerParameter or LayerParameter, and the numbers of name and blobs in either.
LAYERS = {2: (4, 6), 100: (1, 7)}

# In BlobProto: the num, channels, height and width of old files, the BlobShape of newer ones, and the values.
SIDES = (1, 2, 3, 4)
SHAPE = 7
VALUES = {5: "<f4", 8: "<f8"}
MAX_SHAPE = 400  # bytes; Caffe allows 32 axes, of at most 11 bytes

# Types of the wire format, and the lengths of those that have always the same.
VARINT, LENGTH = 0, 2
FIXED = {1: 8, 5: 4}
MAX_VARINT = 10  # bytes


def read(path: Path) -> dict[str, list[Blob]]:
    """The blobs of every layer that has some, by the layer's name.

    Raises:
        ValueError: the file is damaged, or no .caffemodel.
    """
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    layers: dict[str, list[Blob]] = {}
    for number, message in _fields(np.memmap(path, np.uint8, mode="r").data):
        name, blobs = _layer(message, *LAYERS[number]) if number in LAYERS else ("", [])
        if name in layers and blobs:
            raise ValueError(f"two layers {name!r}")
        if blobs:
            layers[name] = blobs
    if not layers:
        raise ValueError("no layer with weights")
    return layers


def _layer(layer: memoryview, name_number: int, blobs_number: int) -> tuple[str, list[Blob]]:
    name = ""
    blobs = []
    for number, value in _fields(layer):
        if number == name_number:
            name = str(value, "utf-8")
        elif number == blobs_number:
            blobs.append(_blob(value))
    return name, blobs


def _blob(blob: memoryview) -> Blob:
    sides = dict.fromkeys(SIDES, 0)
    shape: list[int] | None = None
    values = {number: bytearray() for number in VALUES}
    for number, value in _fields(blob):
        if number in sides:
            sides[number], _ = _varint(value, 0)
        elif number == SHAPE:
            shape = _shape(value)
        elif number in values:
            values[number] += value  # packed or one by one, which is the same here
    shape = list(sides.values()) if shape is None else shape
    number = max(values, key=lambda number: len(values[number]))
    if not values[number] or math.prod(shape) * np.dtype(VALUES[number]).itemsize != len(values[number]):
        raise ValueError(f"{len(values[number])} bytes in a blob of shape {tuple(shape)}")
    return np.frombuffer(values[number], VALUES[number]).reshape(shape)


def _shape(message: memoryview) -> list[int]:
    if len(message) > MAX_SHAPE:
        raise ValueError(f"a blob whose shape takes {len(message)} bytes")
    shape = []
    for number, sides in _fields(message):
        at = 0
        while number == 1 and at < len(sides):
            side, at = _varint(sides, at)
            shape.append(side)
    return shape


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            _, end = _varint(message, at)
        elif kind == LENGTH:
            length, at = _varint(message, at)
            end = at + length
        elif kind in FIXED:
            end = at + FIXED[kind]
        else:
            raise ValueError(f"a field of type {kind}, which .caffemodel files have none of")
        if end > len(message):
            raise ValueError(f"it ends {end - len(message)} bytes too early")
        yield number, message[at:end]
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for i, byte in enumerate(message[at : at + MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError("a number without an end")
