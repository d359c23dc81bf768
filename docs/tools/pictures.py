"""Draws the pictures of docs/concepts.md into docs/concepts/: ``python docs/tools/pictures.py``.

Needs scikit-image, which ships the photographs, and Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from densecrf import Bilateral, DenseCRF, Gaussian, refine, unary_from_probs
from densecrf._overlay import overlay
from densecrf.data import VOC_LABELS, example
from densecrf.terms import Term

FOLDER = Path(__file__).resolve().parents[1] / "concepts"
WIDTH, GAP, CAPTION, TEXT = 240, 10, 26, 15  # of a panel, between panels, above a panel, of its letters
INK, GLOW = (40, 40, 40), np.array([255, 140, 0], np.float32)

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Panel: TypeAlias = tuple[str, Bytes]


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, rows in (("kernels", kernels()), ("iterations", iterations()), ("parameters", parameters())):
        path = FOLDER / f"{name}.png"
        page = sheet(rows)
        page.quantize(palette=page.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size >> 10} KiB")


def kernels() -> list[list[Panel]]:
    """What three kernels see around one pixel of the wall beside the hair, and around one of the visor."""
    image, _ = example("astronaut")
    terms: tuple[Term, ...] = (Gaussian(10, 1), Bilateral(67, 3, 1), Bilateral(67, 13, 1))
    captions = ("Gaussian(sxy=10)", "Bilateral(sxy=67, srgb=3)", "Bilateral(sxy=67, srgb=13)")
    rows = []
    for y, x, top, left in ((70, 318, 0, 170), (400, 345, 232, 212)):
        crop = (slice(top, top + 280), slice(left, left + 280))
        row = [("photograph, and a pixel", marked(image, y, x)[crop])]
        for caption, term in zip(captions, terms, strict=True):
            row.append((caption, marked(glowing(image, weights(image, y, x, term)), y, x)[crop]))
        rows.append(row)
    return rows


def weights(image: Bytes, y: int, x: int, term: Term) -> Floats:
    """The kernel between the pixel (y, x) and every other, before normalisation. ``[H, W]``."""
    assert isinstance(term, (Gaussian, Bilateral))
    rows, columns = np.indices(image.shape[:2], np.float32)
    squared = ((rows - y) ** 2 + (columns - x) ** 2) / term.sxy**2  # type: ignore[operator]  # a number here
    if isinstance(term, Bilateral):
        colours = image.astype(np.float32)
        squared = squared + ((colours - colours[y, x]) ** 2).sum(-1) / term.srgb**2  # type: ignore[operator]
    kernel: Floats = np.exp(-squared / 2)
    return kernel


def glowing(image: Bytes, strength: Floats) -> Bytes:
    """The photograph in dark grey, and orange over it as strong as ``strength [H, W]``."""
    grey = np.repeat(image.mean(-1, keepdims=True) * 0.45, 3, axis=-1)
    picture: Bytes = (grey + (GLOW - grey) * strength[..., None]).astype(np.uint8)
    return picture


def marked(image: Bytes, y: int, x: int) -> Bytes:
    """The picture with a ring around the pixel."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for radius, colour, width in ((12, "black", 6), (11, "white", 3)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
    return np.asarray(picture)


def iterations() -> list[list[Panel]]:
    """The probability of the motorbike, and the labels, from iteration to iteration."""
    image, probs = example("motorcycle")
    label = VOC_LABELS.index("motorbike")
    inference = DenseCRF(image, len(probs)).start(unary_from_probs(probs))
    scores, labels = [], []
    done = 0
    for total in (0, 1, 3, 10):
        marginals = inference.step(total - done)
        done = total
        caption = "network" if total == 0 else f"{total} iteration{'s' if total > 1 else ''}"
        grey = (marginals[label] * 255).astype(np.uint8)
        scores.append((f"{caption}: p(motorbike)", np.repeat(grey[..., None], 3, axis=-1)))
        labels.append((f"{caption}: labels", overlay(image, marginals.argmax(0))))
    return [scores, labels]


def parameters() -> list[list[Panel]]:
    """One parameter to a row, the default of DeepLab v2 in the second column, a crop of the motorcycle's photograph."""
    image, probs = example("motorcycle")
    crop = (slice(40, 240), slice(240, 490))
    rows = []
    for name, values in {"sxy": (5, 67, 200), "srgb": (1, 3, 13), "weight": (1, 4, 12), "smooth": (0, 3, 15)}.items():
        row = []
        for value in values:
            chosen = {"sxy": 67, "srgb": 3, "weight": 4, "smooth": 3, name: value}
            terms: list[Term] = [
                Gaussian(1, chosen["smooth"]),
                Bilateral(chosen["sxy"], chosen["srgb"], chosen["weight"]),
            ]
            labels = refine(image, probs, terms=terms).argmax(0)
            caption = f"Gaussian: weight={value}" if name == "smooth" else f"Bilateral: {name}={value}"
            row.append((caption, overlay(image, labels)[crop]))
        rows.append(row)
    return rows


def sheet(rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Panels in rows on white, a caption over each."""
    font = ImageFont.load_default(size=TEXT)
    high, wide = rows[0][0][1].shape[:2]
    height = round(WIDTH * high / wide)
    columns = len(rows[0])
    page = Image.new("RGB", (columns * (WIDTH + GAP) - GAP, len(rows) * (CAPTION + height + GAP) - GAP), "white")
    draw = ImageDraw.Draw(page)
    for i, row in enumerate(rows):
        for j, (caption, picture) in enumerate(row):
            left, top = j * (WIDTH + GAP), i * (CAPTION + height + GAP)
            draw.text((left + WIDTH / 2, top + CAPTION / 2), caption, INK, font, anchor="mm")
            small = Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.LANCZOS)
            page.paste(small, (left, top + CAPTION))
    return page


if __name__ == "__main__":
    main()
