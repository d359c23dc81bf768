"""The page's slider: one line of name and number, which can be typed, above a track whose steps may be geometric."""

from __future__ import annotations

from typing import Any

import gradio as gr

from densecrf.app.parameters import Range

TEMPLATE = """
<label class="dial" title="${meaning}">
  <span class="name">${symbol}<small>${unit}</small></span>
  <input type="number" aria-label="${symbol}, value" step="any" min="${low}" max="${high}">
  <input type="range" aria-label="${symbol}" min="0" max="${stops.length - 1}" step="1">
</label>
"""

STYLE = """
.dial { display: grid; grid-template-columns: 1fr 4.6em; align-items: center; row-gap: 0; }
.name { font-size: 13px; color: var(--body-text-color); }
.name small { color: var(--body-text-color-subdued); margin-left: .5em; font-size: 11px; }
input[type=number] { font: inherit; font-size: 13px; font-variant-numeric: tabular-nums; text-align: right;
  margin: 0; padding: 1px 6px; height: 24px; appearance: textfield; color: var(--body-text-color);
  background: var(--input-background-fill); border: 1px solid var(--border-color-primary); border-radius: 5px; }
input[type=number]::-webkit-inner-spin-button { appearance: none; }
input[type=range] { grid-column: 1 / 3; width: 100%; height: 18px; margin: 0; cursor: pointer;
  accent-color: var(--color-accent); }
"""

# The value travels as a number. What is shown follows it wherever it comes from: the track, the number, or Python.
SCRIPT = """
const number = element.querySelector('input[type=number]');
const range = element.querySelector('input[type=range]');
const stops = props.stops;
const nearest = (value) => {
  let best = 0;
  stops.forEach((stop, i) => { if (Math.abs(stop - value) < Math.abs(stops[best] - value)) best = i; });
  return best;
};
const show = () => {
  const value = Number(props.value);
  if (document.activeElement !== number) number.value = Number(value.toFixed(2));
  const place = nearest(value);
  if (stops[Number(range.value)] !== value) range.value = place;
};
const set = (value) => { props.value = value; show(); trigger('input'); };
range.addEventListener('input', () => set(stops[Number(range.value)]));
number.addEventListener('change', () => {
  const value = Math.min(Math.max(Number(number.value) || 0, props.low), props.high);
  number.value = value;
  set(value);
});
watch('value', show);
show();
"""


def dial(value: float, symbol: str, scale: Range, **options: Any) -> gr.HTML:
    """Makes a slider with a number.

    Its value is a number; ``input`` is triggered while it is dragged, by the keyboard and by typing, not by Python.
    """
    return gr.HTML(
        value,
        html_template=TEMPLATE,
        css_template=STYLE,
        js_on_load=SCRIPT,
        symbol=symbol,
        unit=scale.unit,
        meaning=scale.meaning,
        low=scale.low,
        high=scale.high,
        stops=scale.stops(),
        apply_default_css=False,
        **options,
    )
