"""What the CRF buys on real pictures with real networks: measures it, draws it, and writes docs/results.md.

Run it as `make proof`, which first trains the networks on CamVid where that has not been done (benchmarks/camvid, about
an hour on two cores). Pictures are looked for in `$DENSECRF_DATA` and ../shared/data; what is missing is said in the
page. Pictures of the data sets may not be shipped: sheets of photograph, truth, and labels before and after go to a
folder of their own (`--pictures`), which is not under version control.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

from benchmarks import labelled, quality
from benchmarks.labelled import Collection
from benchmarks.quality import NETWORK, Way
from benchmarks.results import camvid, collections, pictures, plots
from benchmarks.results.collections import TEXTONBOOST, default
from benchmarks.results.page import Page
from benchmarks.workloads import MissingError
from densecrf import Preset

ROOT = Path(__file__).resolve().parents[1]
DRAWN = (NETWORK, "deeplab-v2", "deeplab-v2-vgg", "densecrf")  # ways, where all would be too many
SHEETS = 6  # of a collection

INTRODUCTION = f"""
Real photographs, what real networks said of them, and what `densecrf.refine` made of it. Measures are in per cent,
gains in points in brackets. Pixel accuracy and mean IoU are those of the FCN paper, the latter over the classes that
the pictures have; "within {collections.BAND} px" counts only pixels that near to a border of an object, where a CRF
has its say (the trimap experiment of DeepLab v1, figure 5). Seconds are those of the CRF, with all cores. A preset is
a published parameter set (`densecrf.presets`). Where the CRF helps and where it does not:
[when it helps](when_it_helps.md)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures everything, and writes the page; 1 if something was missing."""
    options = _parser().parse_args(arguments)
    page = Page(options.out, "results", "Results on real data")
    page.text(INTRODUCTION)
    page.provenance(" ".join(["python benchmarks/real_data.py", *(sys.argv[1:] if arguments is None else arguments)]))
    proof = Proof(page, camvid.networks(options.runs), options.limit)
    missing = sum(not _done(page, section) for section in proof.sections(options.pictures))
    page.write()
    print(f"written: {page.file}, {page.pictures}/, {options.pictures}/")
    return 1 if missing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", metavar="DIR", help="where results.md is written")
    parser.add_argument("--pictures", type=Path, default=ROOT / "proof", metavar="DIR", help="where sheets are written")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", metavar="DIR", help="the trained networks")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N pictures of CamVid only")
    return parser


def _done(page: Page, section: Callable[[], None]) -> bool:
    """Adds a section, or says what it lacks."""
    try:
        section()
    except MissingError as error:
        page.text(f"**Not measured:** {error}.")
        print(f"not measured: {error}", file=sys.stderr)
        return False
    return True


class Proof:
    """What is measured, section by section.

    Args:
        page: to add to.
        networks: that were trained on CamVid.
        limit: of CamVid's pictures.
    """

    def __init__(self, page: Page, networks: dict[str, camvid.Network], limit: int | None) -> None:
        self.page = page
        self.networks = networks
        self.limit = limit
        self.known: dict[Collection, Preset] = {}  # with the parameters that are best known for each

    def sections(self, sheets: Path) -> list[Callable[[], None]]:
        """In the order of the page."""
        return [
            lambda: pictures.samples(self.page),
            self.voc,
            self.msrc,
            lambda: camvid.section(self.page, self.networks, self.limit),
            self.camvid,
            lambda: collections.iterations(self.page, self.known),
            lambda: collections.agreement(self.page, collections.some(list(self.known)), default()),
            lambda: collections.exact(self.page, collections.some(list(self.known)), default()),
            lambda: pictures.sheets(sheets, self.known, SHEETS),
        ]

    def voc(self) -> None:
        """PASCAL VOC with a modern network."""
        self.page.heading("PASCAL VOC 2012")
        self._presets(labelled.voc(), default(), quality.by_preset())

    def msrc(self) -> None:
        """MSRC-21 with the unaries that the CRF was published with."""
        self.page.heading("MSRC-21")
        ways = quality.by_preset() | {"TextonBoost's own": quality.refined(TEXTONBOOST)}
        self._presets(labelled.msrc(), TEXTONBOOST, ways, "TextonBoost's own")

    def camvid(self) -> None:
        """CamVid with the best of the networks trained here: the presets of others, and the parameters found."""
        self.page.heading("CamVid: other networks' parameters")
        network = self.networks[camvid.BEST]
        ways = quality.by_preset() | {"found on train": quality.refined(network.preset)}
        self._presets(network.pictures(self.limit), network.preset, ways, "found on train")

    def _presets(self, collection: Collection, best: Preset, ways: dict[str, Way], *also: str) -> None:
        """A table of all ways, and a drawing of some."""
        found = collections.section(self.page, collection, ways)
        curves = {name: found[name].band_curve() for name in (*DRAWN, *also)}
        path = self.page.picture(f"{collection.name.lower()}_bands.png", f"Mean IoU near borders, {collection.name}")
        plots.bands(path, {collection.name: curves})
        self.known[collection] = best


if __name__ == "__main__":
    sys.exit(main())
