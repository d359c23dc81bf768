"""Files in and out: pictures, a network's scores, labels. Every path that the command line is given is read here.

Needs Pillow for pictures and torch for torch's files; both are imported when such a file is met.
"""

from densecrf._files.arrays import ARRAYS, TENSORS
from densecrf._files.errors import FileError
from densecrf._files.pictures import IMAGES, read_image, require_pillow
from densecrf._files.results import (
    KINDS,
    Kind,
    kind_for,
    require_suffix,
    write_labels,
    write_overlay,
    write_picture,
    write_result,
    write_whole,
)
from densecrf._files.scores import (
    PICTURES,
    UNSURE,
    Meaning,
    Reading,
    Scores,
    read_labels,
    read_probs,
    read_scores,
    stretch,
)

__all__ = [
    "ARRAYS",
    "IMAGES",
    "KINDS",
    "PICTURES",
    "TENSORS",
    "UNSURE",
    "FileError",
    "Kind",
    "Meaning",
    "Reading",
    "Scores",
    "kind_for",
    "read_image",
    "read_labels",
    "read_probs",
    "read_scores",
    "require_pillow",
    "require_suffix",
    "stretch",
    "write_labels",
    "write_overlay",
    "write_picture",
    "write_result",
    "write_whole",
]
