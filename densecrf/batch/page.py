"""Pieces of a page of HTML that needs nothing but itself. Whatever is shown is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
"""
)

_STYLE = """
:root { --ground: #f6f7f9; --card: #fff; --ink: #1d2430; --quiet: #667085; --line: #e1e5ec; --accent: #2563c9;
  --bad: #c0362c; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1b2029; --ink: #e6e9ef; --quiet: #98a2b3;
  --line: #2c3340; --accent: #7aa7f7; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 36px 24px 64px }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px } h2 { font-size: 18px; margin: 40px 0 12px }
.quiet { color: var(--quiet) } p { margin: 0 0 12px }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 24px 0 0 }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px }
.tile b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums }
.tile.bad b { color: var(--bad) } .tile span { color: var(--quiet); font-size: 13px }
.card + .card { margin-top: 12px } .card h3 { font-size: 15px; margin: 0 0 10px; overflow-wrap: anywhere }
.card h3 span { color: var(--quiet); font-weight: 400 }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 12px }
.pair .card { padding: 8px 16px } .pair td, .pair th { padding: 4px 16px 4px 0 }
.three { display: grid; grid-template-columns: repeat(3, 1fr); gap: 10px }
figure { margin: 0 } img { display: block; width: 100%; height: auto; border-radius: 6px }
figcaption { color: var(--quiet); font-size: 13px; margin-top: 4px }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 7px 16px 7px 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere } tr:first-child > * { border-top: 0 }
th { color: var(--quiet); font-weight: 500; white-space: nowrap } td.number { font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; min-width: 640px; height: auto } svg text { fill: var(--quiet); font-size: 12px }
svg .bar { fill: var(--accent) } svg .axis { stroke: var(--line) }
@media (max-width: 620px) { .three { grid-template-columns: 1fr } }
@media print { body { background: none } .card, .tile { break-inside: avoid } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page; the parts are HTML."""
    return _PAGE.substitute(title=escape(title), style=_STYLE, body="\n".join(parts))


def heading(title: str, below: str) -> str:
    """The title of the page, and a line below it."""
    return f'<h1>{escape(title)}</h1>\n<p class="quiet">{escape(below)}</p>'


def section(title: str, *parts: str) -> str:
    """Parts, which are HTML, under a title."""
    return "\n".join([f"<section>\n<h2>{escape(title)}</h2>", *parts, "</section>"])


def pair(*parts: str) -> str:
    """Parts, which are HTML, side by side where there is room."""
    return f'<div class="pair">{"".join(parts)}</div>'


def note(text: str) -> str:
    """A paragraph in the background."""
    return f'<p class="quiet">{escape(text)}</p>'


def tiles(figures: Iterable[tuple[str, str, bool]]) -> str:
    """Figures, each with what it counts and whether it is bad."""
    each = (
        f'<div class="tile{" bad" if bad else ""}"><b>{escape(figure)}</b><span>{escape(what)}</span></div>'
        for figure, what, bad in figures
    )
    return f'<div class="tiles">{"".join(each)}</div>'


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table; with no head the first cell of a row is one."""
    lines = [_row(head, "th")] if head else []
    lines += [_row(row, "td") if head else _row(row[:1], "th") + _row(row[1:], "td") for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="card scroll"><table>{body}</table></div>'


def triple(title: str, about: str, pictures: Sequence[tuple[str, str]]) -> str:
    """Pictures side by side, each a caption and a data URI."""
    figures = "".join(
        f'<figure><img src="{escape(uri)}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for caption, uri in pictures
    )
    head = f"<h3>{escape(title)} <span>{escape(about)}</span></h3>"
    return f'<div class="card">{head}<div class="three">{figures}</div></div>'


def histogram(counts: Sequence[int], most: float, caption: str) -> str:
    """Bars over shares from 0 to ``most``."""
    width, height, base = 1040, 200, 168
    step, tallest = width / len(counts), max(1, *counts)
    bars = "".join(
        _bar(place * step, step, base, (base - 20) * count / tallest, count) for place, count in enumerate(counts)
    )
    digits = 0 if most >= 0.4 else 1 if most >= 0.04 else 2
    ticks = "".join(
        f'<text x="{width * part / 4:.0f}" y="{base + 18}" text-anchor="{anchor}">{most * part / 4:.{digits}%}</text>'
        for part, anchor in enumerate(("start", "middle", "middle", "middle", "end"))
    )
    axis = f'<line class="axis" x1="0" y1="{base}" x2="{width}" y2="{base}"/>'
    return (
        f'<div class="card scroll"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(caption)}">'
        f"{bars}{axis}{ticks}</svg>{note(caption)}</div>"
    )


def _bar(left: float, step: float, base: float, tall: float, count: int) -> str:
    if not count:
        return ""
    top = base - max(2.0, tall)  # one picture among thousands is still seen
    return (
        f'<rect class="bar" x="{left + 2:.1f}" y="{top:.1f}" width="{step - 4:.1f}" height="{base - top:.1f}" rx="2"/>'
        f'<text x="{left + step / 2:.1f}" y="{top - 5:.1f}" text-anchor="middle">{count}</text>'
    )


def _row(cells: Sequence[str], kind: str) -> str:
    return "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells)
