"""Files in and out: pictures, a network's scores, labels. Every path that the command line is given is read here.

Needs Pillow for pictures and torch for torch's files; both are imported when such a file is met.
"""

from densecrf._files.arrays import ARRAYS, TENSORS, read_array
from densecrf._files.errors import FileError, reason_of
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
from densecrf._files.tables import read_toml
from densecrf._files.tensors import load_tensors, require_plain

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
    "load_tensors",
    "read_array",
    "read_image",
    "read_labels",
    "read_probs",
    "read_scores",
    "read_toml",
    "reason_of",
    "require_pillow",
    "require_plain",
    "require_suffix",
    "stretch",
    "write_labels",
    "write_overlay",
    "write_picture",
    "write_result",
    "write_whole",
]
