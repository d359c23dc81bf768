"""The section about the networks that were trained here, on CamVid."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import labelled, quality
from benchmarks.labelled import Collection
from benchmarks.quality import NETWORK, Quality
from benchmarks.results import plots
from benchmarks.results.collections import BAND
from benchmarks.results.page import Page, change, percent
from benchmarks.workloads import MissingError
from deeplab import config
from densecrf import Preset
from densecrf._parameters import resolve

RECIPES = Path(__file__).resolve().parents[1] / "camvid"
BEST = "aspp-l"  # whose scores the other sections take
NAMES = {
    "plain": "DeepLab, 4x4 fc6, rate 4",
    "largefov-step": "LargeFOV, learning rate in steps",
    "largefov": "LargeFOV",
    BEST: "ASPP-L",
}


@dataclass(frozen=True)
class Network:
    """A network that was trained with a recipe, and the CRF's parameters that were found for it on train.

    Attributes:
        name: of the recipe.
        run: the folder of its training.
    """

    name: str
    run: Path

    @property
    def recipe(self) -> Path:
        """The file it was trained with."""
        return RECIPES / f"{self.name}.toml"

    @property
    def preset(self) -> Preset:
        """The parameters found."""
        path = self.run / "crf" / "preset.toml"
        if not path.is_file():
            raise MissingError(f"there is no {path}; make proof")
        return resolve(path).preset()

    @property
    def source(self) -> str:
        """The parameters found, in words."""
        near, alike = self.preset.terms
        return f"{near}, {alike}: {self.preset.source}"

    def losses(self) -> list[float]:
        """Of every iteration of the training."""
        with (self.run / "log.csv").open(newline="") as file:
            return [float(row["loss"]) for row in csv.DictReader(file)]

    def hours(self) -> float:
        """That the training took."""
        with (self.run / "log.csv").open(newline="") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file)) / 3600

    def pictures(self, limit: int | None = None) -> Collection:
        """CamVid's val with the network's probabilities."""
        return labelled.camvid(self.recipe, self.run / "weights.pt", limit=limit)


def networks(runs: Path) -> dict[str, Network]:
    """All recipes' networks, in the order of the papers."""
    return {name: Network(name, runs / name) for name in NAMES}


def section(page: Page, networks: dict[str, Network], limit: int | None) -> None:
    """Measures all networks on val, each with its own parameters."""
    page.heading("DeepLab, trained here")
    recipe = config.read(networks[BEST].recipe)
    page.text(
        f"""The papers' networks on VGG-16 at {recipe.width:g} of its channels and with batch normalisation, from
        scratch (no weights of ImageNet could be had), on CamVid's `train`, 367 pictures of 360 x 480:
        {recipe.solver.iterations} iterations of {recipe.solver.batch} crops of {recipe.input.crop} pixels in
        {recipe.run.precision}. Recipes and logs lie in `benchmarks/camvid`. Below: `val`, 101
        pictures; the CRF's parameters are those that `python -m deeplab search` found for each network on 24 pictures
        of `train`. Borders are where two labels meet."""
    )
    found = {name: quality.measure(one.pictures(limit), _ways(one)) for name, one in networks.items()}
    page.table(
        ("network", "pixel accuracy", "mean IoU", "+ CRF", f"within {BAND} px", "+ CRF", "hours of training"),
        [[NAMES[name], *_cells(found[name]), f"{networks[name].hours():.2f}"] for name in networks],
    )
    page.text("Parameters: " + "; ".join(f"{NAMES[name]}: {one.source}" for name, one in networks.items()) + ".")
    curves = {NAMES[name]: {way: q.band_curve() for way, q in found[name].items()} for name in networks}
    plots.bands(page.picture("camvid.png", "Mean IoU near borders on CamVid, before and after the CRF"), curves)
    logs = {NAMES[name]: one.losses() for name, one in networks.items()}
    plots.losses(page.picture("camvid_losses.png", "Losses of training on CamVid"), logs)
    page.text(f"Class by class, {NAMES[BEST]}, IoU before and after the CRF:")
    _classes(page, found[BEST], networks[BEST].pictures(limit).classes)


def _ways(network: Network) -> dict[str, quality.Way]:
    return {NETWORK: lambda one: one.probs, "with CRF": quality.refined(network.preset)}


def _cells(found: dict[str, Quality]) -> list[str]:
    before, after = found.values()
    near, nearer = (q.bands[BAND].mean_iou_of_present for q in (before, after))
    return [
        _both(before.whole.pixel_accuracy, after.whole.pixel_accuracy),
        percent(before.whole.mean_iou_of_present),
        _gained(before.whole.mean_iou_of_present, after.whole.mean_iou_of_present),
        percent(near),
        _gained(near, nearer),
    ]


def _both(before: float, after: float) -> str:
    return f"{percent(before)} → {percent(after)}"


def _gained(before: float, after: float) -> str:
    return f"{percent(after)} ({change(before, after)})"


def _classes(page: Page, found: dict[str, Quality], names: Sequence[str]) -> None:
    before, after = (q.whole.iou for q in found.values())
    rows = [[name, percent(a), percent(b), change(a, b)] for name, a, b in zip(names, before, after, strict=True)]
    page.table(("class", "before", "after", "change"), rows)
