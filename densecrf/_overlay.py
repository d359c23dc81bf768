"""Drawing: label maps as overlays on a photograph, and panels side by side with captions and a legend.

Needs Pillow; imported by whoever draws, when it comes to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.integer]
Mask: TypeAlias = NDArray[np.bool_]

TINT = 0.5  # how much of a label's colour covers the photograph
DIM = 0.4  # how much the background is darkened, so that what is labelled stands out
LINE = 2.0  # width of the white line along a boundary, in pixels
RIM, RIM_TINT = 1.0, 0.6  # its dark rim, which sets it off from white things: width and blackness
FINE = 3  # lines are drawn on a grid this many times finer, then averaged

MARGIN, GUTTER = 16, 12  # white around the figure, and between its panels
TEXT, CAPTION, LEGEND = 20, 40, 48  # size of the letters; heights of the strips above and below the panels
SWATCH, GAP = 18, 28  # a legend's square of colour, and the white after a name
INK = (40, 40, 40)
BLACK, WHITE = np.zeros(3, np.float32), np.full(3, 255, np.float32)


def palette(count: int = 256) -> Bytes:
    """Make PASCAL VOC's colours: bit i of a label goes to channel i % 3, high bits first. ``[count, 3]``."""
    labels = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return colours


def boundaries(labels: Labels) -> Mask:
    """Mark the pixels whose right or lower neighbour has another label. ``[H, W]``."""
    edges = np.zeros(labels.shape, np.bool_)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def thicken(mask: Mask, radius: float) -> Mask:
    """Mark everything within ``radius`` pixels of a marked pixel. ``[H, W]``."""
    reach = int(radius)
    height, width = mask.shape
    padded = np.pad(mask, reach)
    thick = np.zeros_like(mask)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= radius * radius:
                thick |= padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
    return thick


def line_coverage(labels: Labels, width: float) -> Floats:
    """Tell how much of each pixel, 0 to 1, a line of that width along the boundaries covers. ``[H, W]``."""
    height, columns = labels.shape
    fine = labels.repeat(FINE, axis=0).repeat(FINE, axis=1)  # [FINE*H, FINE*W]
    line = thicken(boundaries(fine), FINE * width / 2)
    coverage: Floats = line.reshape(height, FINE, columns, FINE).mean(axis=(1, 3), dtype=np.float32)
    return coverage


def overlay(image: Bytes, labels: Labels) -> Bytes:
    """Lay the labels' colours over the photograph, and white lines between them.

    Args:
        image: ``[H, W, 3]``.
        labels: ``[H, W]``; label 0 is the background, black in PASCAL VOC: it only gets darker.

    Returns:
        ``[H, W, 3]``.
    """
    colours = palette().astype(np.float32)
    picture = image.astype(np.float32)
    picture = _blend(picture, colours[labels], np.where(labels == 0, DIM, TINT))
    picture = _blend(picture, BLACK, RIM_TINT * line_coverage(labels, LINE + 2 * RIM))
    picture = _blend(picture, WHITE, line_coverage(labels, LINE))
    return np.rint(picture).astype(np.uint8)


def _blend(under: Floats, over: Floats, strength: NDArray[np.floating]) -> Floats:
    """Lay ``over [H, W, 3]`` (or ``[3]``) on ``under [H, W, 3]``, as thick as ``strength [H, W]`` says."""
    thickness = strength[..., None].astype(np.float32)
    return under + (over - under) * thickness


def figure(panels: Sequence[tuple[str, Bytes]], legend: Sequence[tuple[str, Bytes]]) -> Image.Image:
    """Put panels side by side on white, a caption over each, a legend below.

    Args:
        panels: caption and picture ``[H, W, 3]``, all of one size.
        legend: name and colour ``[3]``.
    """
    height, width = panels[0][1].shape[:2]
    total = 2 * MARGIN + len(panels) * width + (len(panels) - 1) * GUTTER
    sheet = Image.new("RGB", (total, CAPTION + height + LEGEND), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=TEXT)
    for place, (caption, picture) in enumerate(panels):
        left = MARGIN + place * (width + GUTTER)
        sheet.paste(Image.fromarray(picture), (left, CAPTION))
        draw.text((left + width / 2, CAPTION / 2), caption, INK, font, anchor="mm")
    _draw_legend(draw, font, legend, centre=total / 2, middle=CAPTION + height + LEGEND / 2)
    return sheet


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    legend: Sequence[tuple[str, Bytes]],
    centre: float,
    middle: float,
) -> None:
    """Draw a row of coloured squares and their names around the point (centre, middle)."""
    widths = [SWATCH + draw.textlength("  " + name, font) + GAP for name, _ in legend]
    left = centre - (sum(widths) - GAP) / 2
    for (name, colour), width in zip(legend, widths, strict=True):
        corners = (left, middle - SWATCH / 2, left + SWATCH, middle + SWATCH / 2)
        draw.rounded_rectangle(corners, radius=4, fill=tuple(colour.tolist()))
        draw.text((left + SWATCH, middle), "  " + name, INK, font, anchor="lm")
        left += width
