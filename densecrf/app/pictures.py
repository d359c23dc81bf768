"""Pictures that were uploaded: what is opened, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes: TypeAlias = NDArray[np.uint8]

MAX_BYTES = 200 * 2**20  # of an uploaded file
MAX_PIXELS = 16_000_000  # of a picture
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")  # those that need no other program


class FileRefusedError(ValueError):
    """A file that cannot be used; the message is a sentence for whoever chose it."""


def load_picture(path: Path) -> Bytes:
    """Opens a photograph, as it is stored: a camera's note about its rotation is not followed.

    Returns:
        ``[H, W, 3]``.

    Raises:
        FileRefusedError: it is not a picture, or too large a one.
    """
    picture = open_picture(path)
    if picture.mode in ("F", "I") or picture.mode.startswith("I;"):
        raise FileRefusedError(f"{path.name} has more than 8 bits per pixel; save it with 8 bits per channel.")
    return np.asarray(picture.convert("RGB"))


def open_picture(path: Path) -> Image.Image:
    """Decodes a picture of any kind after a look at its size.

    Raises:
        FileRefusedError: it is not a picture, or too large a one.
    """
    check_bytes(path)
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise FileRefusedError(_too_large(path, f"{picture.width} x {picture.height} pixels"))
            picture.load()
            return picture.copy()
    except FileRefusedError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileRefusedError(_too_large(path, "more pixels than any photograph")) from None
    except Exception:  # decoders meet garbage with errors of every kind
        kinds = ", ".join(FORMATS[:4])
        raise FileRefusedError(
            f"{path.name} is not a picture that can be opened ({kinds}, ...), or it is damaged."
        ) from None


def check_bytes(path: Path) -> None:
    """Refuses a file that is too large, or empty."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileRefusedError(f"{path.name} has {size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are taken.")
    if size == 0:
        raise FileRefusedError(f"{path.name} is empty.")


def _too_large(path: Path, size: str) -> str:
    return f"{path.name} has {size}; at most {MAX_PIXELS // 10**6} million are taken. Make it smaller first."
