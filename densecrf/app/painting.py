"""Strokes on a picture, as labels: what was painted is nearly sure, the rest is anybody's guess."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from densecrf import unary_from_labels
from densecrf._files import UNSURE
from densecrf.app.session import Subject, picture_program

Bytes: TypeAlias = NDArray[np.uint8]

# A brush for each label: name and colour. The colours are far apart, so that a soft edge's still tells which it was.
BRUSHES = (("background", "#3b6cff"), ("thing", "#2ecc71"), ("second thing", "#ff6b5a"))
CONFIDENCE = 0.95  # that a stroke is right: it was made on purpose
PAINTED = 128  # opacity from which a pixel counts as painted


def labels_of_strokes(layer: Bytes, size: tuple[int, int]) -> Bytes:
    """The brush that touched each pixel.

    Args:
        layer: ``[h, w, 4]``, strokes on nothing, in the colours of `BRUSHES`.
        size: ``(H, W)`` of the picture, which the layer is brought to.

    Returns:
        ``[H, W]``, 255 where nothing was painted.
    """
    if layer.shape[:2] != size:
        layer = np.asarray(Image.fromarray(layer).resize(size[::-1], Image.Resampling.NEAREST))
    colours = np.array([tuple(bytes.fromhex(code[1:])) for _, code in BRUSHES])
    labels = np.full(size, UNSURE, np.uint8)
    painted = layer[..., 3] >= PAINTED
    strokes = layer[painted][:, np.newaxis, :3].astype(int)  # [painted, 1, 3]
    labels[painted] = np.square(strokes - colours).sum(axis=2).argmin(axis=1)
    return labels


def with_strokes(subject: Subject, labels: Bytes) -> Subject:
    """The same picture, known where it was painted.

    Raises:
        ValueError: fewer than two brushes were used.
    """
    used = np.unique(labels[labels != UNSURE])
    if len(used) < 2:
        raise ValueError("Paint with two colours at least: one for the background, one for a thing.")
    count = int(used[-1]) + 1
    probs = np.exp(-unary_from_labels(labels, count, CONFIDENCE, UNSURE))
    if not subject.program.startswith("image = "):
        subject = replace(subject, program=subject.program.replace("image, probs = example", "image, _ = example"))
    program = (
        'strokes = np.asarray(Image.open("strokes.png"))  # 255 where nothing was painted\n'
        f"probs = np.exp(-densecrf.unary_from_labels(strokes, {count}, {CONFIDENCE}, unsure={UNSURE}))\n"
    )
    return replace(
        subject,
        probs=probs,
        names=tuple(name for name, _ in BRUSHES[:count]),
        note=f"Painted: each stroke is right with probability {CONFIDENCE}, the rest is unknown.",
        program=picture_program(subject) + program,
    )
