"""What the page says in words, numbers and curves, as HTML."""

from __future__ import annotations

from html import escape

from densecrf.app import charts, curves, drawing
from densecrf.app.drawing import Bytes
from densecrf.app.session import Result, Subject, shares


def curve_charts(subject: Subject, followed: curves.Curves, colours: Bytes, scale: float) -> str:
    """The charts of a subject at that scale of its picture."""
    areas = [
        charts.Line(subject.names[label], values, drawing.swatch(colours, label))
        for label, values in followed.areas.items()
    ]
    changed = [
        charts.Line("since the start", followed.changed, "var(--color-accent)"),
        charts.Line("in the iteration", followed.moved, "#e8590c"),
    ]
    parts = [
        charts.chart("Pixels whose label changed", changed, percent=True),
        charts.chart("Free energy per pixel", [charts.Line("", followed.energy, "var(--color-accent)")]),
        charts.chart("Area of the labels", areas[:8], percent=True),
    ]
    height, width = subject.size
    smaller = f"Computed at {width} x {height} pixels, with sigmas to match. " if scale < 1 else ""
    note = f'<p class="quiet">{smaller}Across: iterations of mean field.</p>'
    return f'<div class="charts">{"".join(parts)}</div>{note}'


def status(result: Result, whole: Subject) -> str:
    """Time, size and share of changed pixels, as HTML."""
    height, width = whole.size
    now_height, now_width = result.subject.size
    draft = f"<p>while you drag: at {now_width} x {now_height}</p>" if result.scale < 1 else ""
    return (
        f'<div class="status" data-scale="{result.scale:.3f}"><p class="time"><b>{1000 * result.seconds:.0f}</b> ms</p>'
        f"<p>for one call of <code>refine</code></p>{draft}"
        f'<p class="changed"><b>{100 * result.changed:.2f} %</b> of the pixels changed</p>'
        f"<p>{escape(whole.title)}: {width} x {height}, {len(whole.names)} labels</p>"
        f'<p class="quiet">{escape(whole.note)}</p></div>'
    )


def share_table(result: Result, colours: Bytes) -> str:
    """Every label's share of the picture, before and after, as HTML; also the legend of the colours."""
    rows = [
        f'<tr><td><i style="background:{drawing.swatch(colours, label)}"></i>{escape(name)}</td>'
        f"<td>{100 * before:.1f}</td><td>{100 * after:.1f}</td>"
        f'<td class="{"up" if after > before else "down"}">{100 * (after - before):+.1f}</td></tr>'
        for label, name, before, after in shares(result)
    ]
    head = "<tr><th>label</th><th>before</th><th>after</th><th></th></tr>"
    return f'<table class="shares"><caption>share of the picture, %</caption>{head}{"".join(rows)}</table>'
