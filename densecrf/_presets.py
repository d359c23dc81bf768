"""Parameter sets in real use, by name: ``densecrf.presets["deeplab-v2"]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from densecrf.terms import Bilateral, Gaussian, Term


@dataclass(frozen=True)
class Preset:
    """One published parameter set.

    Attributes:
        terms: the pairwise terms, as `densecrf.refine` takes them.
        iterations: how many the source runs; `densecrf.refine` runs what its own argument says.
        source: where the numbers come from.
    """

    terms: tuple[Term, ...]
    iterations: int
    source: str


class Presets(Mapping[str, Preset]):
    """A read-only table of presets, which prints as one."""

    def __init__(self, table: dict[str, Preset]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Preset:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        head = f"{'name':<16}{'sxy, weight':<14}{'sxy, srgb, weight':<20}{'iterations':<12}{'normalization':<15}source"
        return "\n".join([head, *(_row(name, preset) for name, preset in self._table.items())])


def _row(name: str, preset: Preset) -> str:
    spatial, bilateral = preset.terms
    assert isinstance(spatial, Gaussian)
    assert isinstance(bilateral, Bilateral)
    near = f"{spatial.sxy:g}, {spatial.weight:g}"
    alike = f"{bilateral.sxy:g}, {bilateral.srgb:g}, {bilateral.weight:g}"
    normalization = spatial.normalization
    return f"{name:<16}{near:<14}{alike:<20}{preset.iterations:<12}{normalization:<15}{preset.source}"


def _preset(
    near: tuple[float, float],
    alike: tuple[float, float, float],
    iterations: int,
    normalization: Literal["symmetric", "after"],
    source: str,
) -> Preset:
    terms = (Gaussian(*near, normalization), Bilateral(*alike, normalization))
    return Preset(terms, iterations, source)


presets = Presets(
    {
        "deeplab-v2": _preset((1, 3), (67, 3, 4), 10, "symmetric", "DeepLab v2 ResNet-101, its PyTorch port"),
        "deeplab-v2-vgg": _preset((3, 3), (49, 5, 4), 10, "after", "DeepLab v2 VGG-16 LargeFOV, authors' script"),
        "deeplab-v1": _preset((3, 3), (50, 10, 5), 10, "after", "DeepLab v1 VGG-16, authors' script"),
        "deeplab-v1-msc": _preset((3, 3), (95, 3, 3), 10, "after", "DeepLab v1 MSc, authors' script"),
        "deeplab-v1-coco": _preset((3, 3), (67, 3, 5), 10, "after", "DeepLab v1 trained on COCO, authors' script"),
        "densecrf": _preset((3, 3), (80, 13, 10), 5, "symmetric", "Krähenbühl & Koltun's demo, pydensecrf's README"),
        "irn": _preset((3, 3), (50, 5, 10), 10, "symmetric", "weak supervision, the IRN family"),
        "crf-rnn": _preset((3, 3), (160, 3, 5), 10, "after", "CRF-RNN"),
        "edeconvnet": _preset((3, 3), (20, 3, 5), 10, "after", "EDeconvNet"),
    }
)
