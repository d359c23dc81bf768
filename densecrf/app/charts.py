"""Line charts as SVG: they take the page's colours, light or dark, and need nothing from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 26  # around the plot, for numbers


@dataclass(frozen=True)
class Line:
    """One line of a chart; where a value is not a number there is none."""

    name: str
    values: Sequence[float]
    colour: str


def chart(title: str, lines: Sequence[Line], percent: bool = False) -> str:
    """Draws lines over the iterations 0, 1, 2, ... as a figure with a legend.

    Args:
        title: plain text.
        lines: at least one, all of one length.
        percent: whether the values are shares.
    """
    factor = 100 if percent else 1
    values = [factor * value for line in lines for value in line.values if not math.isnan(value)]
    ticks = nice_ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    last = max(len(lines[0].values) - 1, 1)

    def across(iteration: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * iteration / last

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    unit = " %" if percent else ""
    parts = [_tick(up(tick), f"{tick:g}{unit}") for tick in ticks]
    every = max(1, math.ceil(last / 10))
    parts += [_iteration(across(i), str(i)) for i in range(0, last + 1, every)]
    for line in lines:
        points = [(across(i), up(factor * value)) for i, value in enumerate(line.values) if not math.isnan(value)]
        parts.append(_polyline(line, points))
    legend = "".join(_key(line) for line in lines if len(lines) > 1)
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f'<figure class="chart"><figcaption><b>{escape(title)}</b>{legend}</figcaption>{drawing}</figure>'


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from just below the smallest value to the largest; at least two."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _key(line: Line) -> str:
    return f'<span><i style="background:{line.colour}"></i>{escape(line.name)}</span>'


def _tick(y: float, text: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _iteration(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{text}</text>'


def _polyline(line: Line, points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{line.colour}"/>' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"/>{dots}'
