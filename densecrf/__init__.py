"""Fully connected CRF inference: `refine` makes a network's coarse segmentation crisp.

Mean field on the permutohedral lattice with Gaussian spatial and bilateral kernels, as in Krähenbühl & Koltun,
"Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials" (2011).
"""

from importlib import import_module as _import_module

from densecrf import _interpreter as _interpreter  # refuses what would hang, before anything compiled is loaded

try:
    _import_module("densecrf._core")
except ImportError as error:
    raise ImportError(
        f"densecrf's compiled core cannot be loaded from {__path__[0]} ({error}). If these are the sources: run "
        f"`pip install .` there and start Python in another folder, or build in place with `make ext`. If not: install "
        f"densecrf again for this Python."
    ) from error

from densecrf import reference
from densecrf._build import build_info
from densecrf._diagnose import Diagnosis, Finding, diagnose
from densecrf._errors import CudaError
from densecrf._labels import refine_labels, refine_mask
from densecrf._memory import MemoryEstimate, memory_estimate
from densecrf._model import DenseCRF, MeanField
from densecrf._parameters import Parameters
from densecrf._presets import Preset, presets
from densecrf._refine import refine
from densecrf._refiner import Refiner
from densecrf._unary import unary_from_labels, unary_from_probs
from densecrf._version import __version__
from densecrf._volume import refine_volume
from densecrf.terms import Bilateral, Features, Gaussian

__all__ = [
    "Bilateral",
    "CudaError",
    "DenseCRF",
    "Diagnosis",
    "Features",
    "Finding",
    "Gaussian",
    "MeanField",
    "MemoryEstimate",
    "Parameters",
    "Preset",
    "Refiner",
    "__version__",
    "build_info",
    "diagnose",
    "memory_estimate",
    "presets",
    "reference",
    "refine",
    "refine_labels",
    "refine_mask",
    "refine_volume",
    "unary_from_labels",
    "unary_from_probs",
]
