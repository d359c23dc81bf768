"""Batches of rows, as data engines hand them out: `Refiner`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from densecrf import _arrays, _check, _device
from densecrf._parameters import DEFAULT, Parameters, resolve

NAME = "densecrf.Refiner"


@dataclass(frozen=True)
class Refiner:
    """Refines batches, dicts with an array for every column; for Ray Data, torch's DataLoader, joblib.

    It can be pickled and keeps nothing between calls, so that it goes to worker processes as it is::

        dataset.map_batches(densecrf.Refiner(preset="deeplab-v1"), batch_size=16)  # Ray Data
        joblib.Parallel()(joblib.delayed(densecrf.Refiner(num_threads=1))(batch) for batch in batches)

    Args:
        preset: a name of ``densecrf.presets``, the path of a TOML file, or `densecrf.Parameters`; read at once.
            Iterations are those of the preset.
        image: the column of pictures, as `densecrf.refine` takes them: an array ``(B, H, W, C)`` or ``(B, H, W)``, a
            torch tensor ``(B, C, H, W)``; or, where sizes differ, a list or an array of objects of B pictures.
        probs: the column of probabilities: ``(B, L, H, W)``, or B times ``(L, H, W)``.
        labels: the column to write the likeliest labels to: ``(B, H, W)``, or B times ``(H, W)``; uint8, int32 with
            more than 256 labels. None for none.
        marginals: the column to write the marginals to, like ``probs``. None for none.
        from_logits: ``probs`` are raw scores, from before the soft-max.
        num_threads: of this process; None for as many as `densecrf.refine` takes. Workers that share a machine want
            their share of it.
        device: "cpu", or "cuda", on which NumPy arrays are taken to the GPU of the process, with torch.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """

    preset: str | Parameters = DEFAULT
    image: str = "image"
    probs: str = "probs"
    labels: str | None = "labels"
    marginals: str | None = None
    from_logits: bool = False
    num_threads: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not isinstance(self.preset, Parameters):
            object.__setattr__(self, "preset", resolve(self.preset))
        _check.flag(NAME, "from_logits", self.from_logits)
        _check.threads(NAME, self.num_threads, 1)
        _device.check(self.device)
        for column in ("image", "probs", "labels", "marginals"):
            name = getattr(self, column)
            if not isinstance(name, str) and (name is not None or column in ("image", "probs")):
                raise TypeError(f"{NAME}: {column} must be the name of a column, got {type(name).__name__}")
        if self.labels is None and self.marginals is None:
            raise ValueError(f"{NAME}: name a column for labels or for marginals; there is nothing to write otherwise")

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch, with columns added; it is not modified, and its other columns are passed on as they are.

        Raises:
            TypeError, ValueError: a column is missing or is not what it should be; the message names it and the row.
        """
        if not isinstance(batch, Mapping):
            raise TypeError(f"{NAME}: a batch must be a dict of columns, got {type(batch).__name__}")
        images, probs = self._column(batch, self.image), self._column(batch, self.probs)
        if len(images) != len(probs):
            raise ValueError(
                f"{NAME}: column {self.image!r} has {len(images)} rows and {self.probs!r} has {len(probs)}"
            )
        whole = _is_array(images) and _is_array(probs)
        if whole and len(probs) and probs.ndim != 4:
            raise ValueError(f"{NAME}: column {self.probs!r} must be of shape (B, L, H, W), got {tuple(probs.shape)}")
        refined = self._refined(images, probs) if whole else self._one_by_one(images, probs)
        added: dict[str, Any] = {}
        if self.labels is not None:
            added[self.labels] = _labels(refined) if whole else _like(probs, [_labels(one[None])[0] for one in refined])
        if self.marginals is not None:
            added[self.marginals] = refined if whole else _like(probs, refined)
        return {**batch, **added}

    def _column(self, batch: Mapping[str, Any], name: str) -> Any:
        if name not in batch:
            known = ", ".join(map(str, islice(batch, 20)))[:200]
            raise ValueError(f"{NAME}: the batch has no column {_check.shown(name)}; it has {known}")
        column = batch[name]
        if not isinstance(column, Sequence) and not getattr(column, "shape", ()):
            raise TypeError(f"{NAME}: column {name!r} must have a row for every picture, got {type(column).__name__}")
        return column

    def _one_by_one(self, images: Sequence[Any], probs: Sequence[Any]) -> list[Any]:
        pairs = enumerate(zip(islice(images, len(images)), probs, strict=False))  # a column may not end by itself
        return [self._refined(image, one, f", row {row}") for row, (image, one) in pairs]

    def _refined(self, image: Any, probs: Any, where: str = "") -> Any:
        assert isinstance(self.preset, Parameters)
        if _is_array(probs) and probs.ndim and len(probs) == 0:  # an engine's look at the columns, without rows
            return probs
        try:
            return self.preset.refine(
                image, probs, from_logits=self.from_logits, num_threads=self.num_threads, device=self.device
            )
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{NAME}: columns {self.image!r} and {self.probs!r}{where}: {error}") from error


def _is_array(column: Any) -> bool:
    """Whether all rows are of one size: an array of numbers or a tensor, not a list or an array of arrays."""
    return hasattr(column, "dtype") and hasattr(column, "shape") and column.dtype != object


def _labels(marginals: Any) -> Any:
    """The likeliest labels ``(B, H, W)`` of marginals ``(B, L, H, W)``, in their library."""
    small = marginals.shape[1] <= 256
    if hasattr(marginals, "astype"):  # NumPy, CuPy
        return marginals.argmax(1).astype(np.uint8 if small else np.int32)
    import torch

    given = _arrays.take(NAME, "marginals", marginals, gpu=True)
    if given.gpu is None:  # not with torch's own threads: see densecrf/_bfloat16.py
        return torch.from_numpy(given.values.argmax(1).astype(np.uint8 if small else np.int32))
    return marginals.argmax(1).to(torch.uint8 if small else torch.int32)


def _like(column: Any, rows: list[Any]) -> Any:
    """Rows of any sizes as a column: a list where the other column is one, else an array of objects."""
    if isinstance(column, (list, tuple)):
        return rows
    objects = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        objects[index] = row
    return objects
