"""The CRF's parameters: by name, as in ``densecrf.presets``, or in a TOML file, as `deeplab.search` writes them.

The file, with the names of DeepLab's papers::

    w1 = 4
    sigma_alpha = 67
    sigma_beta = 3
    w2 = 3
    sigma_gamma = 1
    normalization = "symmetric"
    iterations = 10
    source = "cross-validation on 100 pictures"
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from densecrf import Bilateral, Gaussian, Preset, presets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Parameters:
    """The CRF's parameters as the papers name them.

    Attributes:
        w1: the weight of the bilateral kernel.
        sigma_alpha: its standard deviation in pixels.
        sigma_beta: its standard deviation in colours of 0 to 255.
        w2: the weight of the Gaussian kernel; both papers keep it at 3.
        sigma_gamma: its standard deviation in pixels; both papers keep it at 3.
        normalization: of both kernels; "after" is what DeepLab's own program does, "symmetric" what pydensecrf does.
        iterations: of mean field; both papers run 10.
        source: where they come from.
    """

    w1: float
    sigma_alpha: float
    sigma_beta: float
    w2: float = 3.0
    sigma_gamma: float = 3.0
    normalization: Literal["after", "symmetric"] = "after"
    iterations: int = 10
    source: str = ""

    def preset(self) -> Preset:
        """The same as `densecrf.refine` takes it.

        Raises:
            ValueError, TypeError: a number that cannot be.
        """
        near = Gaussian(self.sigma_gamma, self.w2, self.normalization)
        alike = Bilateral(self.sigma_alpha, self.sigma_beta, self.w1, self.normalization)
        return Preset((near, alike), self.iterations, self.source)

    def write(self, path: Path) -> None:
        """Writes the file that `read` takes; a JSON value is a TOML value where it is a number or a string."""
        path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in vars(self).items()))


def read(name: str) -> Preset:
    """The parameters of a name of ``densecrf.presets``, or of a file.

    Raises:
        ValueError: there is neither, or the file is not as it must be.
    """
    if name in presets:
        return presets[name]
    if not Path(name).is_file():
        raise ValueError(f"no CRF parameters {name!r}: it must be a TOML file or one of {', '.join(presets)}")
    try:
        return Parameters(**tomllib.loads(Path(name).read_text())).preset()
    except (TypeError, ValueError) as error:
        names = ", ".join(Parameters.__annotations__)
        raise ValueError(f"{name}: not a file of CRF parameters, which has {names}: {error}") from error
