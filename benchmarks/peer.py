"""pydensecrf, the library to compare with: found where `make peers` puts it, called as its users call it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import Bilateral, Gaussian
from densecrf.terms import Term

ROOT = Path(__file__).resolve().parents[1]
NOT_INSTALLED = "not installed (make peers)"

_ENUM = {
    "none": "NO_NORMALIZATION",
    "before": "NORMALIZE_BEFORE",
    "after": "NORMALIZE_AFTER",
    "symmetric": "NORMALIZE_SYMMETRIC",
}


class Peer:
    """An importable pydensecrf."""

    def __init__(self, core: ModuleType, utils: ModuleType) -> None:
        self._core: Any = core
        self._utils: Any = utils

    def refine(
        self,
        image: NDArray[np.uint8],  # [H, W, 3]
        probs: NDArray[np.float32],  # [L, H, W]
        *,
        terms: Sequence[Term],
        iterations: int = 10,
    ) -> NDArray[np.float32]:  # [L, H, W]
        """Do what `densecrf.refine` does, by pydensecrf: from probabilities to marginals, label-major."""
        unary = np.ascontiguousarray(self._utils.unary_from_softmax(probs, clip=1e-5))
        return self.infer(image, unary, terms=terms, iterations=iterations)

    def infer(
        self,
        image: NDArray[np.uint8],  # [H, W, 3]
        unary: NDArray[np.float32],  # [L, H * W]
        *,
        terms: Sequence[Term],
        iterations: int = 10,
    ) -> NDArray[np.float32]:  # [L, H, W]
        """Do the same from unary energies."""
        H, W = image.shape[:2]
        L = len(unary)
        crf = self._core.DenseCRF2D(W, H, L)
        crf.setUnaryEnergy(unary)
        for term in terms:
            how = getattr(self._core, _ENUM[term.normalization])
            if isinstance(term, Bilateral):
                crf.addPairwiseBilateral(
                    sxy=term.sxy, srgb=term.srgb, rgbim=image, compat=term.weight, normalization=how
                )
            elif isinstance(term, Gaussian):
                crf.addPairwiseGaussian(sxy=term.sxy, compat=term.weight, normalization=how)
            else:
                raise TypeError("Features are not compared here")
        marginals = crf.inference(iterations)  # a buffer of shape [L, N] over pixel-major memory
        return np.ascontiguousarray(marginals).reshape(L, H, W)


def find() -> Peer | None:
    """Import pydensecrf: the installed one, else `$DENSECRF_PEERS`'s, else `.venv-peers`'s, else None.

    The folder of the peers goes last into the search path, so NumPy stays that of this environment, and
    leaves it again. What is found but cannot be loaded raises its own ImportError.
    """
    for folder in _folders():
        if folder:
            sys.path.append(folder)
        try:
            return Peer(importlib.import_module("pydensecrf.densecrf"), importlib.import_module("pydensecrf.utils"))
        except ModuleNotFoundError:
            sys.modules.pop("pydensecrf", None)  # built for another Python: its package came, its core did not
        finally:
            if folder:
                sys.path.remove(folder)
    return None


def _folders() -> Iterator[str]:
    yield ""
    if named := os.environ.get("DENSECRF_PEERS"):
        yield named
    for folder in sorted((ROOT / ".venv-peers" / "lib").glob("python*/site-packages")):
        yield str(folder)
