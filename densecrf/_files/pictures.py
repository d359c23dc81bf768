"""Pictures, through Pillow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from densecrf._files.errors import FileError, reason_of, refuse_pipe

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")  # to look for and to offer
DEEP = ("I", "F")  # more than eight bits: I, I;16, I;16B, F
# Whatever a file is called, Pillow goes by its content; for PostScript it would start another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000", "TGA")

MOST_UNPACKED = 1032  # bytes of one packed by deflate


def require_pillow(path: Path) -> None:
    """Raises a `FileError` where Pillow is not installed, about a file that cannot be read or written without it."""
    if importlib.util.find_spec("PIL") is None:
        raise FileError(path, 'pictures need Pillow; pip install "densecrf[cli]"')


@contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[Image]:
    """The picture in a file, not decoded yet; all that Pillow has to say against it becomes a `FileError`.

    That includes pictures of more pixels than twice ``PIL.Image.MAX_IMAGE_PIXELS`` (179 million by default), which
    Pillow takes for an attack; ``most`` may be fewer.
    """
    require_pillow(path)
    refuse_pipe(path)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as picture:
            if most is not None and picture.width * picture.height > most:
                size = f"{picture.height} x {picture.width}"
                raise FileError(path, f"{size} pixels, more than the {most} that there can be")
            yield picture
    except (FileError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise FileError(path, "not a picture of a kind that Pillow knows, or a damaged one") from None
    except Exception as error:  # there is no end to what damaged files make Pillow raise
        raise FileError(path, reason_of(error)) from error


def require_rows(path: Path, picture: Image) -> None:
    """Raises a `FileError` where a PNG claims more than its bytes can hold: missing rows are black for Pillow.

    To be asked before it is decoded.
    """
    if picture.format == "PNG" and picture.width * picture.height > 8 * MOST_UNPACKED * path.stat().st_size:
        size = f"{picture.height} x {picture.width}"
        raise FileError(path, f"cut off: {size} pixels need more bytes than there are")


def read_image(path: str | Path, most: int | None = None) -> NDArray[np.uint8]:
    """A picture ``(H, W, 3)``, uint8, red, green, blue, as the networks see it.

    Upright where a camera has noted how it was held. Grey ones get three equal channels; transparency is dropped.

    Args:
        path: of the file.
        most: how many pixels it may have; None for what Pillow thinks right.

    Raises:
        FileError: there is no such file, it is no picture, it is damaged or too large, or it has more than eight bits
            a channel, which would have to be mapped to 0..255 first.
    """
    from_file = Path(path)
    with opened(from_file, most) as picture:
        from PIL import ImageOps

        if picture.mode.startswith(DEEP):
            raise FileError(
                from_file, f"more than eight bits a channel (mode {picture.mode}); convert it to 8 bits first"
            )
        require_rows(from_file, picture)
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
