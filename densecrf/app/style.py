"""What the page looks like: calm, close together, light and dark by the system's choice."""

from __future__ import annotations

from typing import Any

import gradio as gr


def theme() -> Any:
    """The toolkit's plain theme in the system's own fonts."""
    sans = [gr.themes.Font(name) for name in ("system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")]
    mono = [gr.themes.Font(name) for name in ("ui-monospace", "DejaVu Sans Mono", "monospace")]
    return gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=sans, font_mono=mono, spacing_size="sm", text_size="sm"
    )


CSS = """
.gradio-container { width: 100%; max-width: 1720px !important; margin: 0 auto !important; padding: 0 !important; }
.gradio-container > .main { padding: 12px 24px 16px !important; }
#header .html-container, #notice .html-container, #controls .html-container, #facts .html-container,
#views .html-container { padding: 0; }
#header .html-container > div { display: flex; align-items: baseline; gap: 14px; }
#header h1 { font-size: 20px; font-weight: 650; margin: 0; }
#header p { margin: 0; color: var(--body-text-color-subdued); font-size: 13px; }
#notice:not(:has(p)) { display: none; }
#notice p { margin: 0; padding: 7px 12px; border-radius: 6px;
  border: 1px solid #f0b429; background: #fff4d6; color: #5c3d00; }
.dark #notice p { background: #3a2d0c; border-color: #8a6d1b; color: #ffe2a0; }

#columns { display: grid; grid-template-columns: 270px minmax(0, 1fr) 240px; gap: 26px; align-items: start; }
@media (max-width: 1250px) { #columns { grid-template-columns: 215px minmax(0, 1fr) 185px; gap: 18px; } }
@media (max-width: 1250px) { table.shares td:last-child, table.shares th:last-child { display: none; } }
@media (max-width: 860px) { #columns { grid-template-columns: minmax(0, 1fr); } }
#controls, #facts, #views { min-width: 0 !important; }
#controls { gap: 10px; }
#samples, #uploads { gap: 6px; flex-wrap: nowrap; }
#uploads { margin-bottom: 8px; }
#samples button, #uploads button { padding-left: 2px; padding-right: 2px; white-space: nowrap; }
@media (max-width: 1250px) { #uploads button { font-size: 11px; } }

/* The toolkit frames its menus and puts names above them; here they are lines like the sliders. */
#controls .form { border: none; background: none; box-shadow: none; overflow: visible; gap: 8px; }
#controls .form > .block { padding: 0; border: none; background: none; overflow: visible; }
#controls .form .container { display: grid; grid-template-columns: 7.2em minmax(0, 1fr); align-items: center; }
#controls .form .container > span { margin: 0; font-size: 13px; color: var(--body-text-color); }

#status p { margin: 0; font-size: 13px; color: var(--body-text-color-subdued); line-height: 1.45; }
#status b { color: var(--body-text-color); font-variant-numeric: tabular-nums; }
#status .time { font-size: 15px; } #status .time b { font-size: 30px; font-weight: 650; }
#status .changed { margin-top: 10px; } #status .changed b { font-size: 17px; }
.quiet { color: var(--body-text-color-subdued); font-size: 12.5px; margin: 4px 0 0; }
table.shares { width: 100%; border-collapse: collapse; font-size: 13px; margin-top: 6px; }
table.shares caption { text-align: left; color: var(--body-text-color-subdued); padding-bottom: 4px; }
table.shares th { font-weight: 500; color: var(--body-text-color-subdued); text-align: right; }
table.shares th, table.shares td { padding: 3px 4px; border-bottom: 1px solid var(--border-color-primary);
  text-align: right; font-variant-numeric: tabular-nums; }
table.shares th:first-child, table.shares td:first-child { text-align: left; white-space: nowrap; }
table.shares i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }

#swipe img { background: none !important; }
#swipe .outer::before, #swipe .outer::after { position: absolute; top: 8px; padding: 2px 8px; border-radius: 4px;
  background: rgb(0 0 0 / .55); color: white; font-size: 12px; pointer-events: none; }
#swipe .outer::before { content: "before"; right: calc(50% + 8px); }
#swipe .outer::after { content: "after"; left: calc(50% + 8px); }
#changes img { width: 100%; height: 100%; object-fit: contain; }
#changes, #changes * { background: none; }
.brush { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin: 0 6px 0 14px; }
.dark input[type=range] { color-scheme: dark; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(360px, 1fr)); gap: 18px; }
.chart { margin: 0; }
.chart figcaption { font-size: 13px; display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; }
.chart i { display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: middle; }
.chart svg { width: 100%; height: auto; font-size: 11px; }
.chart svg text { fill: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.chart svg .grid { stroke: var(--border-color-primary); stroke-width: 1; }
"""
