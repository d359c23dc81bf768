"""What every target is held to: an outcome or the documented error, in bounded time, in words that can be shown."""

import atexit
import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from PIL import Image

SECONDS = 1.0  # of the processor, not of the clock: the machine may be busy
SIZE = (6, 7)  # of every picture

MOST_PIXELS = 2**20

FOLDER = Path(tempfile.mkdtemp(prefix="densecrf-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


@contextlib.contextmanager
def only(*documented):
    """Lets these errors pass, and judges what they say; anything else is a finding, and so is taking too long."""
    start = time.process_time()
    try:
        with _small_pictures():
            yield
    except documented as error:
        _check_words(str(error))
    assert time.process_time() - start < SECONDS, "it takes too long"


@contextlib.contextmanager
def _small_pictures():
    """Pillow's own bound, 179 million pixels, would let a case take seconds and gigabytes; it may be set by anyone."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS // 2  # an error from twice as many on
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _check_words(words):
    """A sentence for terminals, journals and pages: some text, no control characters, no lone surrogates."""
    assert words.strip()
    assert all(c.isprintable() or c == "\n" for c in words), ascii(words)


def written(name, content):
    """A file of this content."""
    path = FOLDER / name
    path.write_bytes(content)
    return path
