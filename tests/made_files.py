"""What the tests of files write: pictures, probabilities, labels, and headers that claim something."""

import io

import numpy as np
import pytest

from densecrf import data

Image = pytest.importorskip("PIL.Image")

SIZE = (6, 7)


def probabilities(labels=3, size=SIZE):
    return data.softmax(np.random.default_rng(0).normal(size=(labels, *size)).astype(np.float32) * 3)


def picture(size=SIZE):
    return np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)


def save_labels(path, labels):
    """A PNG with a palette, whatever the colours."""
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(bytes(range(256)) * 3)
    image.save(path)


def header(shape, dtype="<f4"):
    """An .npy file that claims to be of this shape, and has nothing behind its header."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()
