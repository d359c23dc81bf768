"""A small typed program of a user's: run with an installed wheel, and checked by mypy --strict against it.

Needs nothing but the wheel and NumPy: what cibuildwheel runs for every wheel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import densecrf
import densecrf.data
from densecrf import Bilateral, DenseCRF, Gaussian, MemoryEstimate, Preset
from densecrf.pydensecrf.densecrf import DenseCRF2D
from densecrf.pydensecrf.utils import unary_from_softmax
from densecrf.terms import Term


def main() -> None:
    """Refine the centre of the shipped scores on a made-up picture, in three ways that have to agree."""
    image = np.random.default_rng(0).integers(0, 256, (20, 25, 3), np.uint8)
    probs: NDArray[np.float32] = densecrf.data.softmax(densecrf.data.logits("astronaut")[:, 6:26, 4:29])
    terms: list[Term] = [Gaussian(sxy=1, weight=3), Bilateral(sxy=67, srgb=3, weight=4)]
    refined: NDArray[np.float32] = densecrf.refine(image, probs, terms=terms, label_tolerance=0)
    unary: NDArray[np.float32] = densecrf.unary_from_probs(probs)
    built: NDArray[np.float32] = DenseCRF(image, n_labels=len(probs), terms=terms).infer(unary)
    drop_in = DenseCRF2D(25, 20, len(probs))
    drop_in.setUnaryEnergy(unary_from_softmax(probs))
    drop_in.addPairwiseGaussian(sxy=1, compat=3)
    drop_in.addPairwiseBilateral(sxy=67, srgb=3, rgbim=image, compat=4)
    same = np.array(drop_in.inference(10)).reshape(probs.shape)
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(built, refined, atol=1e-5)
    np.testing.assert_allclose(same, refined, atol=1e-5)
    labels: NDArray[np.uint8] = densecrf.refine_labels(image, probs.argmax(axis=0).astype(np.uint8), 21)
    preset: Preset = densecrf.presets["deeplab-v2"]
    memory: MemoryEstimate = densecrf.memory_estimate(image.shape[:2], len(probs), preset.terms)
    assert labels.dtype == np.uint8
    assert 0 < memory.least < memory.most
    print(densecrf.__version__, densecrf.build_info())


if __name__ == "__main__":
    main()
