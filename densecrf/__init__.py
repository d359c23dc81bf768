"""Fully connected CRF inference: `refine` makes a network's coarse segmentation crisp.

Mean field on the permutohedral lattice with Gaussian spatial and bilateral kernels, as in Krähenbühl & Koltun,
"Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials" (2011).
"""

from densecrf import reference
from densecrf._build import build_info
from densecrf._presets import Preset, presets
from densecrf._refine import refine
from densecrf._version import __version__
from densecrf.terms import Bilateral, Gaussian

__all__ = [
    "Bilateral",
    "Gaussian",
    "Preset",
    "__version__",
    "build_info",
    "presets",
    "reference",
    "refine",
]
