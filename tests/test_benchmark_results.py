"""What real_data.py measures and writes: on made-up pictures, and on the real ones where they are at hand."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL.Image")

from benchmarks import labelled, quality
from benchmarks.labelled import Collection, Labelled
from benchmarks.results import collections, pictures
from benchmarks.results.page import Page
from densecrf import Bilateral, Gaussian, Preset, reference

PRESET = Preset((Gaussian(1, 3), Bilateral(20, 10, 4)), 5, "made up")
H, W = 40, 48

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib draws; it is not installed"
)
needs_voc = pytest.mark.skipif(
    not (labelled.DATA / "voc").is_dir(), reason=f"there is no voc in {labelled.DATA}; DENSECRF_DATA names its parent"
)


def square(name="square"):
    """A bright square on a dark ground; the network sees it two pixels too far to the right."""
    truth = np.zeros((H, W), np.uint8)
    truth[10:30, 10:30] = 1
    image = np.where(truth[..., None] == 1, 200, 50).astype(np.uint8).repeat(3, axis=2)
    seen = np.roll(truth, 2, axis=1)
    probs = np.stack([np.where(seen, 0.3, 0.7), np.where(seen, 0.7, 0.3)]).astype(np.float32)
    return Labelled(name, image, probs, truth)


def squares(classes=("background", "square")):
    return Collection("Squares", "made-up squares", classes, "labels", ("a", "b"), square)


def test_the_crf_is_measured_beside_the_network():
    ways = {quality.NETWORK: lambda one: one.probs, "crf": quality.refined(PRESET)}
    before, after = quality.measure(squares(), ways).values()
    assert before.changed == 0
    assert before.whole.pixel_accuracy == pytest.approx(1 - 80 / (H * W))
    assert after.whole.pixel_accuracy > before.whole.pixel_accuracy
    assert after.bands[2].mean_iou_of_present > before.bands[2].mean_iou_of_present
    assert list(after.bands) == list(range(1, 41))
    assert after.seconds > 0


def test_iterations_begin_with_the_network_and_end_with_the_crf():
    steps = quality.by_iteration(squares(), PRESET, 5)
    assert [step.iterations for step in steps] == list(range(6))
    assert steps[0].pixel_accuracy == pytest.approx(1 - 80 / (H * W))
    (_, after) = quality.measure(squares(), {"": lambda one: one.probs, "crf": quality.refined(PRESET)}).values()
    assert steps[5].pixel_accuracy == after.whole.pixel_accuracy
    assert steps[5].band_iou == after.bands[2].mean_iou_of_present


def test_an_answer_has_no_distance_from_itself_and_the_networks_has_one():
    one = square()
    exact = [reference.refine(one.image, one.probs, terms=PRESET.terms)]
    assert quality.distance(exact, exact) == quality.Distance(0, 1)
    assert quality.distance(exact, [one.probs]).variation > 0.05


def test_the_busiest_crop_holds_the_borders():
    one = square()
    crop = quality.busiest_crop(one, 24, 24)
    assert crop.image.shape == (24, 24, 3)
    assert crop.probs.shape == (2, 24, 24)
    assert len(np.unique(crop.probs.argmax(0))) == 2


def test_a_section_has_a_row_for_every_way_with_what_it_gains(tmp_path):
    page = Page(tmp_path, "page", "A page")
    ways = {quality.NETWORK: lambda one: one.probs, "crf": quality.refined(PRESET)}
    found = collections.section(page, squares(), ways)
    page.write()
    rows = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 4  # head, rule, network, crf
    gain = 100 * (found["crf"].whole.pixel_accuracy - found[quality.NETWORK].whole.pixel_accuracy)
    assert f"({gain:+.1f})" in rows[3]


def test_a_page_says_what_was_run_where_and_when(tmp_path):
    page = Page(tmp_path, "page", "A page")
    page.provenance("python some.py --flag")
    page.write()
    text = (tmp_path / "page.md").read_text()
    for words in ("# A page", "`python some.py --flag`", "machine:", "date: 20", "densecrf:"):
        assert words in text


@needs_matplotlib
def test_iterations_are_tabled_and_drawn(tmp_path):
    page = Page(tmp_path, "page", "A page")
    collections.iterations(page, {squares(): PRESET})
    page.write()
    assert "Squares: pixel accuracy" in page.file.read_text()
    assert (tmp_path / "page" / "iterations.png").stat().st_size > 1000


@pytest.mark.parametrize("classes", [("background", "square"), ("grass", "square")])
def test_sheets_show_photograph_truth_before_and_after(tmp_path, classes):
    pictures.sheets(tmp_path, {squares(classes): PRESET}, most=1)
    from PIL import Image

    with Image.open(tmp_path / "Squares_a.png") as sheet:
        assert sheet.width > 4 * W
    assert len(list(tmp_path.iterdir())) == 1


@needs_voc
def test_borders_in_real_pictures_are_found_better_with_the_crf():
    ways = quality.by_preset(("deeplab-v2",))
    before, after = quality.measure(labelled.voc(), ways).values()
    assert before.bands[2].mean_iou_of_present == pytest.approx(0.395, abs=0.001)
    assert after.bands[2].mean_iou_of_present >= 0.42
    assert after.whole.pixel_accuracy > before.whole.pixel_accuracy
