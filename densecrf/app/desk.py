"""One visitor's desk: what lies on it, and what its pages show of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from densecrf import Parameters, _files
from densecrf.app import curves
from densecrf.app.drawing import Bytes
from densecrf.app.facts import curve_charts
from densecrf.app.parameters import scaled
from densecrf.app.session import Subject, live_scale, refine, shrunk


class Desk:
    """A visitor's picture and its refinement.

    Attributes:
        subject: the picture, whole.
        result: the newest refinement; of a smaller picture while a slider moves on a large one.
        strokes: labels that were painted, for download; None for none.
        tab: the one that is looked at; the others are not drawn.
        turn: counts what was asked for.
    """

    def __init__(self, subject: Subject, parameters: Parameters) -> None:
        self.tab = "swipe"
        self.turn, self._settled = 0, 0
        self._edited: Bytes | None = None
        self._written: Path | None = None
        self.put(subject, parameters)

    def put(self, subject: Subject, parameters: Parameters, strokes: Bytes | None = None) -> None:
        """Lays another picture on the desk, and refines it."""
        scale = live_scale(subject)
        live = shrunk(subject, scale)
        self.result = refine(live, parameters, scale)  # what fails, fails before anything is changed
        self.subject, self.strokes = subject, strokes
        self._live, self._scale = live, scale
        self.turn += 1

    def refine(self, parameters: Parameters) -> None:
        """Refines as fast as a slider moves."""
        self.turn += 1
        self.result = refine(self._live, parameters, self._scale)

    def settle(self, parameters: Parameters, rest: float) -> bool:
        """Refines the whole picture, unless something else is asked for meanwhile.

        Args:
            parameters: what was asked for.
            rest: seconds to wait first.

        Returns:
            Whether this is still what is asked for, and is said for the first time.
        """
        turn = self.turn
        time.sleep(rest)
        if turn != self.turn or turn == self._settled:
            return False
        whole = self.result if self.result.scale == 1 else refine(self.subject, parameters)
        if turn != self.turn:
            return False
        self.result, self._settled = whole, turn
        return True

    def curves(self, parameters: Parameters, colours: Bytes) -> str:
        """Charts of what every iteration does, as HTML; on a small picture, for they take many passes."""
        scale = live_scale(self.subject, curves.PIXELS)
        small = shrunk(self.subject, scale)
        return curve_charts(small, curves.follow(small, scaled(parameters, scale)), colours, scale)

    def editor_needs(self, image: Bytes) -> bool:
        """Whether the editor has to be given this picture; strokes would be lost if it were given again."""
        if self._edited is image:
            return False
        self._edited = image
        return True

    def files(self, folder: Path) -> list[str]:
        """Writes the refined labels, and strokes where there are some; gives their paths."""
        if self._written is not None:
            shutil.rmtree(self._written, ignore_errors=True)
        self._written = Path(tempfile.mkdtemp(dir=folder))  # another name, or browsers show what they know
        _files.write_labels(self._written / "labels.png", self.result.after)
        if self.strokes is not None:
            _files.write_labels(self._written / "strokes.png", self.strokes)
        return [str(file) for file in sorted(self._written.iterdir())]
