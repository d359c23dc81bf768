"""The page: what lies where. What happens is in events.py, what it looks like in style.py."""

from __future__ import annotations

from typing import Any

import gradio as gr

from densecrf import _files, _parameters, presets
from densecrf.app import drawing
from densecrf.app.dial import dial
from densecrf.app.loading import SCORES
from densecrf.app.painting import BRUSHES
from densecrf.app.parameters import RANGES, Range
from densecrf.app.session import SAMPLES
from densecrf.terms import NORMALIZATIONS

OPACITY = Range(0, 1, 0.05, False, "", "how much of the picture the labels cover")
HEIGHT = 700  # of pictures, at most: with all else it fits a screen 900 high

PLAIN: dict[str, Any] = {"padding": False, "apply_default_css": False}

HEADER = "<h1>densecrf</h1><p>a network's coarse labels, made to follow the edges of the picture</p>"
PAINT = "Paint a little of the background and a little of a thing; the rest is worked out."
KEY = "".join(f'<i class="brush" style="background:{colour}"></i>{name}' for name, colour in BRUSHES)


class Page:
    """The components of one `gradio.Blocks`, made inside it."""

    def __init__(self) -> None:
        self.desk = gr.State(None)
        gr.HTML(HEADER, elem_id="header", **PLAIN)
        self.notice = gr.HTML("", elem_id="notice", **PLAIN)
        with gr.Row(elem_id="columns", equal_height=False):
            with gr.Column(elem_id="controls", min_width=200):
                self._files()
                self._numbers()
                self._look()
            with gr.Column(elem_id="views", min_width=300), gr.Tabs(elem_id="tabs"):
                self.tabs = self._tabs()
            with gr.Column(elem_id="facts", min_width=150):
                self.status = gr.HTML("", elem_id="status", **PLAIN)
                self.table = gr.HTML("", elem_id="table", **PLAIN)

    def _files(self) -> None:
        with gr.Row(elem_id="samples"):
            self.samples = {name: gr.Button(name, size="sm", min_width=40) for name in SAMPLES}
        with gr.Row(elem_id="uploads"):
            self.picture = gr.UploadButton("Open picture", file_types=[*_files.IMAGES], size="sm", min_width=40)
            self.scores = gr.UploadButton("Open probabilities", file_types=[*SCORES], size="sm", min_width=40)

    def _numbers(self) -> None:
        start = _parameters.resolve()
        self.preset = gr.Dropdown([*presets], value=_parameters.DEFAULT, label="preset", elem_id="preset")
        self.dials = {name: dial(getattr(start, name), name, scale, elem_id=name) for name, scale in RANGES.items()}
        self.normalization = gr.Dropdown(
            [*NORMALIZATIONS], value=start.normalization, label="normalization", elem_id="normalization"
        )

    def _look(self) -> None:
        palettes = [*drawing.PALETTES]
        self.palette = gr.Dropdown(palettes, value=palettes[0], label="colours", elem_id="palette")
        self.opacity = dial(0.5, "opacity", OPACITY, elem_id="opacity")

    def _tabs(self) -> dict[str, gr.Tab]:
        quiet: dict[str, Any] = {"show_label": False, "container": False}
        shown: dict[str, Any] = {"interactive": False, "min_width": 150, "wrap_lines": True}
        with gr.Tab("Before / after") as swipe:
            self.swipe = gr.ImageSlider(
                elem_id="swipe", format="jpeg", buttons=["fullscreen"], max_height=HEIGHT, **quiet
            )
        with gr.Tab("Changed pixels") as changes:
            self.changes = gr.Image(elem_id="changes", format="png", buttons=["fullscreen"], height=HEIGHT, **quiet)
        with gr.Tab("Curves") as curves:
            self.curves = gr.HTML("", elem_id="curves", **PLAIN)
        with gr.Tab("Paint") as paint:
            gr.HTML(f'<p class="quiet">{PAINT}{KEY}</p>', **PLAIN)
            with gr.Row():
                self.editor = self._editor()
                self.painted = gr.Image(elem_id="painted", format="jpeg", buttons=[], **quiet)
        with gr.Tab("Export") as export:
            with gr.Row():
                self.toml = gr.Code(label="parameters.toml", elem_id="toml", scale=2, **shown)
                self.program = gr.Code(label="refine.py", language="python", elem_id="program", scale=3, **shown)
            self.files = gr.File(label="labels as PNG", file_count="multiple", elem_id="files", interactive=False)
        return {"swipe": swipe, "changes": changes, "curves": curves, "paint": paint, "export": export}

    def _editor(self) -> gr.ImageEditor:
        colours = [colour for _, colour in BRUSHES]
        return gr.ImageEditor(
            elem_id="editor",
            show_label=False,
            type="numpy",
            sources=[],
            transforms=[],
            layers=False,
            buttons=[],
            brush=gr.Brush(default_size=12, colors=colours, default_color=colours[1], color_mode="fixed"),
            eraser=gr.Eraser(default_size=16),
            height=430,
        )
