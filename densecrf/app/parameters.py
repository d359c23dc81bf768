"""The page's sliders: the ranges that they have for the CRF's parameters, and what a form full of them says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from densecrf._parameters import Parameters

SOURCE = "densecrf app"


@dataclass(frozen=True)
class Range:
    """What a slider goes through.

    Attributes:
        low: the smallest value.
        high: the largest.
        step: what its values are multiples of.
        geometric: whether a step of the slider multiplies rather than adds: small values need small steps.
        unit: of the number, if it has one.
        meaning: what the number does, in a line.
    """

    low: float
    high: float
    step: float
    geometric: bool
    unit: str
    meaning: str

    def stops(self, count: int = 120) -> list[float]:
        """The values that the slider stops at, rising; about as many as asked for, or all multiples of the step."""
        if not self.geometric:
            return [round(self.low + i * self.step, 6) for i in range(round((self.high - self.low) / self.step) + 1)]
        ratio = self.high / self.low
        values = (self.low * ratio ** (i / (count - 1)) for i in range(count))
        return sorted({round(round(value / self.step) * self.step, 6) for value in values})

    def clamped(self, value: Any) -> float:
        """The nearest number that may be.

        Raises:
            ValueError, TypeError: it is no number.
        """
        number = float(value)
        if math.isnan(number):
            raise ValueError("not a number")
        return min(max(number, self.low), self.high)


RANGES: Mapping[str, Range] = {
    "w1": Range(0, 20, 0.5, False, "", "weight of the bilateral kernel: how much alike pixels pull"),
    "sigma_alpha": Range(1, 200, 1, True, "px", "how far the bilateral kernel reaches"),
    "sigma_beta": Range(1, 80, 0.1, True, "levels", "how different a colour may be and still count as alike"),
    "w2": Range(0, 20, 0.5, False, "", "weight of the smoothness kernel: how much neighbours pull"),
    "sigma_gamma": Range(0.5, 20, 0.05, True, "px", "how far the smoothness kernel reaches"),
    "iterations": Range(0, 20, 1, False, "", "steps of mean field"),
}


def of_form(values: Mapping[str, Any]) -> Parameters:
    """What the page's fields hold, moved into their ranges: whoever fills them in need not be the page.

    Raises:
        ValueError, TypeError: a field holds something else than a number, or an unknown normalisation.
    """
    numbers: dict[str, Any] = {name: scale.clamped(values[name]) for name, scale in RANGES.items()}
    numbers["iterations"] = round(numbers["iterations"])
    return Parameters(**numbers, normalization=values["normalization"], source=SOURCE)


def scaled(parameters: Parameters, scale: float) -> Parameters:
    """The same for a picture drawn that much larger: distances grow with it, colours do not."""
    near, far = parameters.sigma_gamma * scale, parameters.sigma_alpha * scale
    return replace(parameters, sigma_gamma=near, sigma_alpha=far)
