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
from densecrf._device import check, fetch, send
from densecrf._files import read_toml, reason_of
from densecrf._presets import Preset, presets
from densecrf._refine import refine
from densecrf._text import printable
from densecrf.terms import NORMALIZATIONS, Bilateral, Gaussian, Normalization, Term

_ABOUT = "CRF parameters"  # in messages

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
            value = self._plain_number(name)
            if not 0 <= value < _check.LARGEST_WEIGHT:
                raise ValueError(f"{_ABOUT}: {name} is a weight and must be >= 0, got {_check.shown(value)}")
        for name in ("sigma_alpha", "sigma_beta", "sigma_gamma"):
            _check.sigma(_ABOUT, name, self._plain_number(name))
        _check.choice(_ABOUT, "normalization", self.normalization, NORMALIZATIONS)
        object.__setattr__(self, "iterations", _check.integer(_ABOUT, "iterations", self.iterations, 0))
        _check.text(_ABOUT, "source", self.source)

    def _plain_number(self, name: str) -> float:
        """A field as a number of Python's, which can be written to a file: what came may have been NumPy's."""
        value = getattr(self, name)
        number = _check.finite(_ABOUT, name, value)
        if type(value) is not int:
            object.__setattr__(self, name, number)
        return number

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
        check(device)
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
        return "".join(lines).replace("\x7f", "\\u007f")  # the one character that JSON lets stand and TOML does not

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
    if preset is not None and not isinstance(preset, (str, Path)):
        raise TypeError(f"{_ABOUT}: preset must be a name or the path of a file, got {type(preset).__name__}")
    base = _read(str(preset) if preset else DEFAULT)
    values = {name: value for name, value in overrides.items() if value is not None}
    if not values:
        return base
    try:
        changed = replace(base, **values)
        return changed if "source" in values else replace(changed, source=_changed(base.source, values))
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
    if not _is_file(name):
        known = ", ".join(presets)
        raise ValueError(f"no CRF parameters {_check.shown(name)}: it must be a TOML file or one of {known}")
    try:
        found = read_toml(Path(name))
        _check_names(found)
        return Parameters(**found)
    except (TypeError, ValueError) as error:
        reason = printable(reason_of(error))
        raise ValueError(f"{name}: not a file of CRF parameters, which has {', '.join(NAMES)}: {reason}") from error


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


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
