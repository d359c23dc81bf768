"""The CRF's parameters, under the names of DeepLab's papers: from a name, a TOML file or single values.

The file, as ``python -m deeplab search`` writes it::

    w1 = 4
    sigma_alpha = 67
    sigma_beta = 3
    w2 = 3
    sigma_gamma = 1
    normalization = "symmetric"
    iterations = 10
    source = "cross-validation on 100 pictures"

The first three must be there, the others may be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from densecrf import _check
from densecrf._device import fetch, send
from densecrf._files import printable, read_toml, reason_of
from densecrf._presets import Preset, presets
from densecrf._refine import refine
from densecrf.terms import NORMALIZATIONS, Bilateral, Gaussian, Normalization, Term

DEFAULT = "deeplab-v2"  # as densecrf.refine has it


@dataclass(frozen=True)
class Parameters:
    """The CRF's parameters as the papers name them; plain values, to be pickled and passed on to other processes.

    Attributes:
        w1: the weight of the bilateral kernel.
        sigma_alpha: its standard deviation in pixels.
        sigma_beta: its standard deviation in colours of 0 to 255.
        w2: the weight of the Gaussian kernel; both papers keep it at 3.
        sigma_gamma: its standard deviation in pixels; both papers keep it at 3.
        normalization: of both kernels; "after" is what DeepLab's own program does, "symmetric" what pydensecrf does.
        iterations: of mean field; both papers run 10.
        source: where they come from.

    Raises:
        TypeError, ValueError: a value that cannot be.
    """

    w1: float
    sigma_alpha: float
    sigma_beta: float
    w2: float = 3.0
    sigma_gamma: float = 3.0
    normalization: Normalization = "after"
    iterations: int = 10
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("w1", "w2"):
            if _check.finite("CRF parameters", name, getattr(self, name)) < 0:
                raise ValueError(f"CRF parameters: {name} is a weight and must be >= 0, got {getattr(self, name)}")
        for name in ("sigma_alpha", "sigma_beta", "sigma_gamma"):
            _check.sigma("CRF parameters", name, _check.finite("CRF parameters", name, getattr(self, name)))
        _check.choice("CRF parameters", "normalization", self.normalization, NORMALIZATIONS)
        _check.integer("CRF parameters", "iterations", self.iterations, 0)
        if not isinstance(self.source, str):
            raise TypeError(f"CRF parameters: source must be a text, got {type(self.source).__name__}")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The pairwise terms as `densecrf.refine` takes them: the Gaussian, then the bilateral one."""
        near = Gaussian(self.sigma_gamma, self.w2, self.normalization)
        alike = Bilateral(self.sigma_alpha, self.sigma_beta, self.w1, self.normalization)
        return (near, alike)

    def preset(self) -> Preset:
        """The same as an entry of ``densecrf.presets``."""
        return Preset(self.terms, self.iterations, self.source)

    def refine(
        self,
        image: Any,
        probs: Any,
        *,
        from_logits: bool = False,
        num_threads: int | None = None,
        device: str = "cpu",
    ) -> Any:
        """`densecrf.refine` with these parameters.

        Args:
            image: as there.
            probs: as there; on the CPU, unless they are torch's or CuPy's on a GPU already.
            from_logits: as there.
            num_threads: as there.
            device: "cpu" works where ``probs`` lie. "cuda" or "cuda:1" takes NumPy arrays and torch tensors there, with
                torch, and brings the answer back.

        Returns:
            The marginals, with the library, shape and dtype of ``probs``, where ``probs`` lie.

        Raises:
            ValueError: the device cannot be had; and whatever `densecrf.refine` raises.
        """
        given = probs if device == "cpu" else send(probs, device)
        marginals = refine(
            image,
            given,
            terms=self.terms,
            iterations=self.iterations,
            from_logits=from_logits,
            num_threads=num_threads,
        )
        return marginals if device == "cpu" else fetch(marginals, probs)

    def toml(self) -> str:
        """What is in the file that `resolve` takes; a JSON value is a TOML value where it is a number or a string."""
        lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in vars(self).items())
        return "".join(lines).replace("\x7f", "\\u007f")  # the one control character that JSON takes as it is

    def write(self, path: Path) -> None:
        """Writes the file that `resolve` takes."""
        path.write_text(self.toml(), encoding="utf-8")


NAMES = tuple(field.name for field in fields(Parameters))


def resolve(preset: str | Path | None = None, **overrides: Any) -> Parameters:
    """The parameters that a user means.

    Args:
        preset: a name of ``densecrf.presets``, or the path of a TOML file; None for "deeplab-v2", which
            `densecrf.refine` takes too. Iterations are the preset's own.
        overrides: single values by the names of `Parameters`; None leaves what the preset has.

    Raises:
        ValueError: there is neither such a name nor such a file, the file is not as it must be, or a value cannot be.
    """
    base = _read(str(preset or DEFAULT))
    values = {name: value for name, value in overrides.items() if value is not None}
    if not values:
        return base
    try:
        return replace(base, **{"source": _changed(base.source, values), **values})
    except TypeError as error:
        raise ValueError(str(error)) from error


def of_preset(preset: Preset) -> Parameters:
    """The same parameters under the papers' names."""
    near, alike = preset.terms
    assert isinstance(near, Gaussian)
    assert isinstance(alike, Bilateral)
    numbers: Any = {"w1": alike.weight, "sigma_alpha": alike.sxy, "sigma_beta": alike.srgb}
    numbers |= {"w2": near.weight, "sigma_gamma": near.sxy}
    return Parameters(**numbers, normalization=near.normalization, iterations=preset.iterations, source=preset.source)


def _read(name: str) -> Parameters:
    """The parameters of a name, or of a file."""
    if name in presets:
        return of_preset(presets[name])
    if not Path(name).is_file():
        raise ValueError(f"no CRF parameters {name!r}: it must be a TOML file or one of {', '.join(presets)}")
    try:
        found = read_toml(Path(name))
        _check_names(found)
        return Parameters(**found)
    except (TypeError, ValueError) as error:
        reason = printable(reason_of(error))
        raise ValueError(f"{name}: not a file of CRF parameters, which has {', '.join(NAMES)}: {reason}") from error


def _check_names(found: dict[str, Any]) -> None:
    unknown = [name for name in found if name not in NAMES]
    if unknown:
        raise ValueError(f"it has {', '.join(unknown)}, too")
    missing = [name for name in ("w1", "sigma_alpha", "sigma_beta") if name not in found]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")


def _changed(source: str, values: dict[str, Any]) -> str:
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"{source}; {changes}" if source else changes
