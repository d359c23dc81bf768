"""Pictures: the shipped samples before and after, iteration by iteration; sheets with the truth, which stay here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import quality, workloads
from benchmarks.labelled import Bytes, Collection, Labelled
from benchmarks.results import collections, plots
from benchmarks.results.page import Page
from densecrf import Preset, _overlay
from densecrf.data import VOC_LABELS

TURNS = (0, 1, 2, 4, 10)  # iterations that are drawn
WIDEST = 1280  # pixels of a sheet
PERSON = VOC_LABELS.index("person")


def samples(page: Page) -> None:
    """Adds the shipped samples before and after, and the astronaut iteration by iteration."""
    preset = collections.default()
    page.heading("What it looks like")
    page.text(
        f"""Three photographs that scikit-image ships, a DeepLabv3 on MobileNetV2 with an output stride of 16, and
        `refine` with its defaults (preset `{collections.DEFAULT}`). The last is a soft-focus picture, where strong
        weights for colour follow the blur: [when it helps](when_it_helps.md) says what to do then."""
    )
    for name in ("astronaut", "motorcycle", "chelsea"):
        image, probs = workloads.sample(name)
        path = page.picture(f"{name}.png", f"{name}: photograph, the network's labels, after the CRF")
        after = quality.refined(preset)(Labelled(name, image, probs, np.zeros(image.shape[:2], np.uint8)))
        _sheet(path, image, {"network": probs.argmax(0), "after the CRF": after.argmax(0)}, VOC_LABELS)
    page.text(
        """Iteration by iteration, as in figure 5 of DeepLab v1: the score of a label (the log odds of its marginal) and
        the belief in it (the marginal)."""
    )
    image, probs = workloads.sample("astronaut")
    path = page.picture("beliefs.png", "Scores of and beliefs in the label person, by iteration")
    steps = list(quality.beliefs(image, probs, preset, max(TURNS)))
    plots.score_maps(path, image, "person", {n: steps[n][PERSON] for n in TURNS})


def sheets(folder: Path, chosen: Mapping[Collection, Preset], most: int) -> None:
    """Draws photograph, truth, and labels before and after, of pictures that may not be shipped."""
    for collection, preset in chosen.items():
        for name in collection.names[:: max(1, len(collection) // most)][:most]:
            one = collection.read(name)
            labels = {
                "truth": one.truth,
                "network": one.probs.argmax(0),
                "after the CRF": quality.refined(preset)(one).argmax(0),
            }
            _sheet(folder / f"{collection.name}_{name}.png", one.image, labels, collection.classes)


def _sheet(path: Path, image: Bytes, labels: Mapping[str, NDArray[Any]], classes: Sequence[str]) -> None:
    """Draws the photograph and label maps side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = {title: each.astype(np.uint8) for title, each in labels.items()}
    if classes[0] != "background":  # what is drawn as such is void then: 255 + 1 is 0 in eight bits
        drawn = {title: each + np.uint8(1) for title, each in drawn.items()}
        classes = ("unknown", *classes)
    panels = [("photograph", image), *((title, _overlay.overlay(image, each)) for title, each in drawn.items())]
    seen = sorted(set(np.unique(np.stack(list(drawn.values())))) - {0, 255})
    colours = _overlay.palette()
    sheet = _overlay.figure(panels, [(classes[label], colours[label]) for label in seen])
    sheet.thumbnail((WIDEST, sheet.height))
    sheet.quantize(256).save(path, optimize=True)
