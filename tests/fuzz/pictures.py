"""Pictures: photographs, and the labels of data sets."""

from pathlib import Path

import numpy as np
from PIL import Image

from deeplab.data import open_data
from densecrf import _files
from densecrf._files import FileError

from .promises import FOLDER, MOST_PIXELS, SIZE, only, written


def photograph(data):
    """As the command and the page read a picture."""
    path = written("picture.png", data)
    with only(FileError):
        image = _files.read_image(path)
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.dtype == np.uint8
        assert 0 < image.size <= 3 * MOST_PIXELS


def data_set(data):
    """As training and evaluation read a data set: the first byte says which of its files the others are."""
    if not data:
        return
    root = _root()
    name = ("images/a.png", "labels/a.png", "val.txt", "classes.txt")[data[0] % 4]
    before = (root / name).read_bytes()
    (root / name).write_bytes(data[1:])
    try:
        with only(ValueError, FileNotFoundError):
            for sample in open_data("folder", root, "val"):
                assert sample.labels.shape == sample.image.shape[:2]
    finally:
        (root / name).write_bytes(before)


def _root() -> Path:
    """A data set of one picture."""
    root = FOLDER / "set"
    if not root.is_dir():
        for folder, mode in (("images", "RGB"), ("labels", "L")):
            (root / folder).mkdir(parents=True)
            Image.new(mode, SIZE[::-1]).save(root / folder / "a.png")
        (root / "val.txt").write_text("a\n")
        (root / "classes.txt").write_text("sky\nsea\n")
    return root
