"""Labels and changes drawn on the picture, fast enough to follow a slider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from densecrf._overlay import boundaries, palette
from densecrf.app.session import Result

Bytes: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

MOST_SHOWN = 1400  # pixels along the longer side of what is drawn; no screen shows more of it
HIGHLIGHT = np.array((255, 32, 120), np.uint8)  # of changed pixels; rare in photographs
FADED = 0.35  # how much of the photograph is left around them


def _bright() -> Bytes:
    """Twelve colours that are told apart side by side, in turns; the background has none. ``[256, 3]``."""
    turns = (
        "00a5ff ff8c1a 2ecc71 e83f6f a06bff ffd400 12c4b8 ff6b5a 7fd13b 4c6fff ff5fd2 b98a5e",
        "0077b6 168a4a c75b00 a3194a 6531c9 b89500 b93a2c 0b837b 4f8a1c 2840b8 b32490 7a5632",
    )
    colours = [bytes.fromhex(code) for turn in turns for code in turn.split()]
    table = np.array([tuple(colour) for colour in colours], np.uint8)
    labels = 21 + np.arange(256) * 5  # neighbouring labels get colours far apart; people are blue
    bright: Bytes = table[labels % len(table)]
    bright[0] = 0
    return bright


PALETTES: Mapping[str, Bytes] = {"bright": _bright(), "PASCAL VOC": palette()}


def before_and_after(result: Result, colours: Bytes, opacity: float) -> tuple[Bytes, Bytes]:
    """The picture with its labels, as they were and refined. ``[h, w, 3]`` each."""
    image, before, after = _shown(result)
    return tinted(image, before, colours, opacity), tinted(image, after, colours, opacity)


def changes(result: Result) -> Bytes:
    """The picture faded to grey, changed pixels bright, and the refined border. ``[h, w, 3]``."""
    image, before, after = _shown(result)
    grey = image.mean(axis=2, keepdims=True) * FADED + 255 * (1 - FADED) * 0.35
    picture = np.broadcast_to(grey, image.shape).astype(np.uint8)
    picture[_line(after)] = 255
    picture[before != after] = HIGHLIGHT
    return picture


def tinted(image: Bytes, labels: Labels, colours: Bytes, opacity: float) -> Bytes:
    """Lays the labels' colours on the picture, and a white line between them.

    Args:
        image: ``[h, w, 3]``.
        labels: ``[h, w]``; 0 is the background, which is darkened instead.
        colours: ``[256, 3]``.
        opacity: 0 to 1.
    """
    thickness = np.where(np.arange(256) == 0, 0.7 * opacity, opacity)
    cover = np.rint(256 * thickness).astype(np.uint32)[:, np.newaxis]  # in 256ths, for whole numbers are quicker
    paint = (colours * cover)[labels]
    picture: Bytes = ((image * (256 - cover)[labels] + paint) >> 8).astype(np.uint8)
    if opacity:
        picture[_line(labels)] = 255
    return picture


def swatch(colours: Bytes, label: int) -> str:
    """The colour of a label for a style sheet; the background's is a dark grey."""
    return "#{:02x}{:02x}{:02x}".format(*(colours[label] if label else (70, 74, 82)))


def _line(labels: Labels) -> Mask:
    """The border between labels, two pixels thick."""
    line = boundaries(labels)
    line[:, 1:] |= line[:, :-1]
    line[1:] |= line[:-1]
    return line


def _shown(result: Result) -> tuple[Bytes, Labels, Labels]:
    """The picture and its labels, no larger than a screen shows them."""
    image = result.subject.image
    scale = MOST_SHOWN / max(image.shape[:2])
    if scale >= 1:
        return image, result.before, result.after
    height, width = (max(1, int(side * scale)) for side in image.shape[:2])
    rows = (np.arange(height) * image.shape[0]) // height
    columns = (np.arange(width) * image.shape[1]) // width
    small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
    return small, result.before[np.ix_(rows, columns)], result.after[np.ix_(rows, columns)]
