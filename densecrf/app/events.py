"""What happens on the page: which event calls what, and what is shown then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
import numpy as np

from densecrf import Parameters, presets
from densecrf._files import UNSURE, FileError
from densecrf._parameters import of_preset
from densecrf.app import drawing, export
from densecrf.app.desk import Desk
from densecrf.app.facts import share_table, status
from densecrf.app.loading import load_picture, load_scores, sentence
from densecrf.app.page import OPACITY, Page
from densecrf.app.painting import labels_of_strokes, with_strokes
from densecrf.app.parameters import RANGES, of_form
from densecrf.app.session import SAMPLES, picture_alone, sample, with_scores

SETTLED = 0.3  # seconds without another setting, after which the whole picture is refined

Update: TypeAlias = Any  # what Gradio takes for a component's new value
Look: TypeAlias = tuple[drawing.Bytes, float]  # colours and opacity of labels
QUIET: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}


class Events:
    """The handlers of a page's events.

    Args:
        page: the components.
        folder: for files that are downloaded.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder = page, folder
        self._fields = [*page.dials.values(), page.normalization]
        self._form = [page.desk, *self._fields, page.palette, page.opacity]
        self._outputs = [
            page.swipe, page.changes, page.curves, page.editor, page.painted, page.toml, page.program, page.files,
            page.status, page.table, page.notice,
        ]  # fmt: skip

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects everything; inside the `gradio.Blocks` of the page."""
        page = self._page
        blocks.load(self._start, self._form[1:], [page.desk, *self._outputs], **QUIET)
        self._on(partial(gr.on, [field.input for field in self._fields]), Desk.refine)
        self._on(partial(gr.on, [page.palette.input, page.opacity.input]), self._look_again)
        chosen = page.preset.input(self._preset, page.preset, self._fields, **QUIET)
        self._on(chosen.then, Desk.refine)
        for name, button in page.samples.items():
            self._on(button.click, partial(self._sample, name))
        self._on(page.picture.upload, self._picture, page.picture)
        self._on(page.scores.upload, self._scores, page.scores)
        # The first tells of a stroke now and then before its pixels have arrived, the second of Python's pictures, too.
        self._on(partial(gr.on, [page.editor.input, page.editor.change]), self._strokes, page.editor)
        for name, tab in page.tabs.items():
            self._on(tab.select, partial(self._turn_to, name))

    def _on(self, event: Callable[..., Any], work: Callable[..., Any], *extra: gr.Component) -> None:
        """Calls ``work(desk, parameters, *extra)`` at an event, only for the newest of many, and shows the desk."""
        handler = partial(self._answer, work)
        done = event(handler, [*self._form, *extra], self._outputs, trigger_mode="always_last", **QUIET)
        done.then(self._settle, self._form, self._outputs, trigger_mode="multiple", **QUIET)

    # ---- when an event comes --------------------------------------------------------------------------------

    def _start(self, *form: Any) -> list[Update]:
        parameters, look = self._read(form)
        desk = Desk(sample(SAMPLES[0]), parameters)
        return [desk, *self._show(desk, parameters, look)]

    def _answer(self, work: Callable[..., Any], desk: Desk | None, *form: Any, settled: bool = False) -> list[Update]:
        """Does the work, unless it says False; then shows the desk, or a sentence about what went wrong."""
        if desk is None:  # the page tells which tab it begins with before there is anything on it
            return [gr.skip()] * len(self._outputs)
        fields = len(self._form) - 1
        try:
            parameters, look = self._read(form[:fields])
            if work(desk, parameters, *form[fields:]) is False:
                return [gr.skip()] * len(self._outputs)
            return self._show(desk, parameters, look, settled)
        except FileError as error:
            return self._say(sentence(error))
        except (ValueError, TypeError, MemoryError) as error:
            return self._say(str(error) or "There is not enough memory for this picture.")

    def _settle(self, *form: Any) -> list[Update]:
        """Once the sliders rest: the whole picture, and what takes longer."""
        return self._answer(partial(Desk.settle, rest=SETTLED), *form, settled=True)

    def _read(self, form: Sequence[Any]) -> tuple[Parameters, Look]:
        *fields, palette, opacity = form
        parameters = of_form(dict(zip([*RANGES, "normalization"], fields, strict=True)))
        return parameters, (drawing.PALETTES[palette], OPACITY.clamped(opacity))

    # ---- what it does ---------------------------------------------------------------------------------------

    def _preset(self, name: str) -> list[Update]:
        parameters = of_preset(presets[name])  # not `resolve`, which would read a file of this machine by its name
        return [getattr(parameters, field) for field in [*RANGES, "normalization"]]

    def _sample(self, name: str, desk: Desk, parameters: Parameters) -> None:
        desk.put(sample(name), parameters)

    def _picture(self, desk: Desk, parameters: Parameters, file: str) -> None:
        path = Path(file)
        desk.put(picture_alone(path.name, load_picture(path)), parameters)

    def _scores(self, desk: Desk, parameters: Parameters, file: str) -> None:
        desk.put(with_scores(desk.subject, load_scores(Path(file), desk.subject.size)), parameters)

    def _strokes(self, desk: Desk, parameters: Parameters, edited: dict[str, Any]) -> bool:
        layers = edited["layers"] or [np.zeros((1, 1, 4), np.uint8)]
        strokes = labels_of_strokes(layers[0], desk.subject.size)
        if (strokes == UNSURE).all() or (desk.strokes is not None and np.array_equal(strokes, desk.strokes)):
            return False
        desk.put(with_strokes(desk.subject, strokes), parameters, strokes)
        return True

    def _look_again(self, desk: Desk, parameters: Parameters) -> None:
        desk.turn += 1  # curves have colours, too

    def _turn_to(self, tab: str, desk: Desk, parameters: Parameters) -> None:
        desk.tab = tab
        desk.turn += 1  # what the tab shows may take longer: it is settled

    # ---- what is shown --------------------------------------------------------------------------------------

    def _say(self, sentence: str) -> list[Update]:
        return [*[gr.skip()] * (len(self._outputs) - 1), f'<p role="alert">{escape(sentence)}</p>']

    def _show(self, desk: Desk, parameters: Parameters, look: Look, settled: bool = False) -> list[Update]:
        """New values of the outputs: of the tab that is looked at, and of what is always seen."""
        page = self._page
        shown: dict[Any, Update] = {page.notice: ""}
        shown[page.status] = status(desk.result, desk.subject)
        shown[page.table] = share_table(desk.result, look[0])
        if desk.tab == "swipe":
            shown[page.swipe] = drawing.before_and_after(desk.result, *look)
        elif desk.tab == "changes":
            shown[page.changes] = drawing.changes(desk.result)
        elif desk.tab == "paint":
            shown[page.painted] = drawing.before_and_after(desk.result, *look)[1]
            if desk.editor_needs(desk.subject.image):
                shown[page.editor] = {"background": desk.subject.image, "layers": [], "composite": None}
        elif desk.tab == "export":
            shown[page.toml] = parameters.toml()
            shown[page.program] = export.program(desk.subject, parameters)
            if settled:
                shown[page.files] = desk.files(self._folder)
        elif settled:
            shown[page.curves] = desk.curves(parameters, look[0])
        return [shown.get(output, gr.skip()) for output in self._outputs]
