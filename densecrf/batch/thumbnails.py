"""Small pictures for the summary: photograph, labels before and after, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import _files
from densecrf.batch.jobs import Job
from densecrf.batch.options import Recipe
from densecrf.batch.records import Record

Bytes: TypeAlias = NDArray[np.uint8]

LONGEST = 320  # pixels of the longer side
QUALITY = 82  # of the JPEG


class Triple(NamedTuple):
    """A picture in the summary: data URIs of the photograph and of its labels before and after."""

    job: Job
    record: Record
    photograph: str
    before: str
    after: str


def most_changed(results: Sequence[tuple[Job, Record]], recipe: Recipe, count: int) -> Iterator[Triple]:
    """Draw those pictures that refinement changed most; those that can no longer be read are left out.

    They are refined once more, which takes as long as reading them and works for every kind of output.
    """
    known = [(job, record) for job, record in results if record.size is not None]
    for job, record in sorted(known, key=lambda pair: (-pair[1].changed, pair[0].name))[:count]:
        try:
            yield Triple(job, record, *_drawn(job, recipe))
        except (OSError, ValueError, MemoryError):
            continue


def _drawn(job: Job, recipe: Recipe) -> tuple[str, str, str]:
    from densecrf import _overlay

    image = _files.read_image(job.picture)
    probs = _files.read_probs(job.probs, image.shape, **vars(recipe.reading))
    refined = recipe.parameters.refine(image, probs, from_logits=recipe.reading.logits)
    labels = (_shrunk(each.argmax(axis=0).astype(np.uint8)) for each in (probs, refined))
    small = _small(image)
    before, after = (_uri(_overlay.overlay(small, each)) for each in labels)
    return _uri(small), before, after


def _small(image: Bytes) -> Bytes:
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _shrunk(labels: Bytes) -> Bytes:
    """Labels at the size of `_small`, nearest neighbours: half of one label and half of another is no third."""
    from PIL import Image

    picture = Image.fromarray(labels)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.NEAREST)
    return np.asarray(picture)


def _uri(image: NDArray[Any]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
