"""The example data, the drawing, and the command ``densecrf demo``."""

import subprocess
import sys

import numpy as np
import pytest

from densecrf import _demo, cli, data


@pytest.fixture
def overlay():
    pytest.importorskip("PIL")
    from densecrf import _overlay

    return _overlay


# --- the example data ---


@pytest.mark.parametrize(("name", "thing"), [("astronaut", "person"), ("motorcycle", "motorbike"), ("chelsea", "cat")])
def test_the_network_sees_the_right_thing_in_each_example(name, thing):
    scores = data.logits(name)
    assert scores.shape == (21, 33, 33)
    assert scores.dtype == np.float32
    labels, counts = np.unique(scores.argmax(axis=0)[:18, :28], return_counts=True)
    seen = {data.VOC_LABELS[label]: count for label, count in zip(labels, counts, strict=True)}
    seen.pop("background", None)
    assert max(seen, key=seen.get) == thing


def test_an_unknown_example_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"astronaut, motorcycle.*got 'scale'"):
        data.logits("scale")


# --- from the network's grid to the picture ---


def test_upsampling_puts_each_score_on_its_pixel():
    scores = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    up = data.upsample(scores, (65, 49))
    assert up.shape == (3, 65, 49)
    assert up.dtype == np.float32
    np.testing.assert_array_equal(up[:, ::16, ::16], scores)


def test_upsampling_is_linear_between_the_scores_and_cuts_off_what_lies_outside_the_picture():
    row, column = np.mgrid[:5, :4].astype(np.float32)
    up = data.upsample((3 * row - 2 * column)[None], (50, 33))
    y, x = np.mgrid[:50, :33]
    np.testing.assert_allclose(up[0], (3 * y - 2 * x) / 16, atol=1e-5)


def test_softmax_sums_to_one_even_for_huge_scores():
    probs = data.softmax(np.array([[[1000.0, -1000.0]], [[1000.0, 0.0]]], np.float32))
    np.testing.assert_allclose(probs[:, 0, 0], [0.5, 0.5])
    np.testing.assert_allclose(probs[:, 0, 1], [0, 1])


# --- the drawing ---


def test_the_palette_is_that_of_pascal_voc(overlay):
    colours = dict(zip(data.VOC_LABELS, overlay.palette(21).tolist(), strict=True))
    assert colours["background"] == [0, 0, 0]
    assert colours["bottle"] == [128, 0, 128]
    assert colours["motorbike"] == [64, 128, 128]
    assert colours["person"] == [192, 128, 128]
    assert colours["tv monitor"] == [0, 64, 128]
    assert overlay.palette()[255].tolist() == [224, 224, 192]  # the void border in VOC's own files


def test_boundaries_lie_where_a_label_changes(overlay):
    labels = np.array([[0, 0, 5], [0, 0, 5], [7, 7, 7]])
    expected = [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(overlay.boundaries(labels), np.array(expected, bool))


def test_thickening_makes_a_disc_of_a_point_and_respects_the_border(overlay):
    mask = np.zeros((5, 5), bool)
    mask[2, 0] = True
    row, column = np.mgrid[:5, :5]
    np.testing.assert_array_equal(overlay.thicken(mask, 2), (row - 2) ** 2 + column**2 <= 4)


def test_a_line_is_as_wide_as_asked_and_centred_on_the_boundary(overlay):
    labels = np.repeat([[0, 1]], 10, axis=1).repeat(20, axis=0)
    coverage = overlay.line_coverage(labels, width=4)
    np.testing.assert_allclose(coverage.sum(axis=1), 4, atol=0.5)
    assert coverage[10, 8:12].min() > 0.5
    assert coverage[:, :7].max() == coverage[:, 13:].max() == 0


def test_an_overlay_tints_things_darkens_background_and_draws_a_white_line_between(overlay):
    image = np.full((20, 40, 3), 200, np.uint8)
    labels = np.zeros((20, 40), int)
    labels[:, 20:] = 15
    drawn = overlay.overlay(image, labels)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    background, thing, line = drawn[10, 5].astype(int), drawn[10, 35].astype(int), drawn[10, 20]
    assert background.max() < 200
    assert background.min() == background.max()  # darker, but no other colour
    assert thing[0] > thing[1] == thing[2]  # towards (192, 128, 128)
    assert line.min() > 240
    np.testing.assert_array_equal(image, 200)


def test_a_figure_shows_its_panels_unchanged_with_white_between(overlay):
    panels = [(name, np.full((30, 200, 3), grey, np.uint8)) for name, grey in [("one", 10), ("two", 90)]]
    sheet = np.asarray(overlay.figure(panels, legend=[("bottle", overlay.palette()[5])]))
    middle = sheet[overlay.CAPTION + 15, :, 0]
    assert sheet.shape[1] == 2 * overlay.MARGIN + 2 * 200 + overlay.GUTTER
    assert [np.count_nonzero(middle == value) for value in (10, 90)] == [200, 200]
    assert np.count_nonzero(middle == 255) == middle.size - 400
    assert (sheet[: overlay.CAPTION] < 128).any()  # the captions
    assert (sheet[overlay.CAPTION + 30 :] == [128, 0, 128]).all(axis=-1).any()  # the legend


# --- the table ---


def test_the_table_counts_changed_pixels_and_compares_with_deeplab():
    before = np.zeros((10, 20), int)
    after = before.copy()
    after[0, :5] = 15
    head, row = _demo.table([_demo.Outcome("name", before, after, seconds=0.04)]).splitlines()
    assert row.split() == ["name", "10x20", "background,", "person", "5", "(2.5%)", "40.0", "12x"]
    assert len(head) == len(row)


# --- the command ---


def test_the_bare_command_prints_help(capsys):
    assert cli.main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_the_command_imports_neither_pillow_nor_scikit_image_until_the_demo_runs():
    program = "import sys, densecrf.cli, densecrf._demo; print({'PIL', 'skimage'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_demo_without_its_packages_says_how_to_install_them(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert cli.main(["demo", "--out", str(tmp_path / "demo")]) == 1
    message = capsys.readouterr().err
    assert "scikit-image" in message
    assert 'pip install "densecrf[demo]"' in message
    assert not (tmp_path / "demo").exists()


def test_the_demo_says_so_when_it_cannot_write(capsys, tmp_path):
    pytest.importorskip("skimage")
    pytest.importorskip("PIL")
    (tmp_path / "taken").touch()
    assert cli.main(["demo", "--out", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err


def test_the_demo_draws_both_pictures_and_prints_the_table(monkeypatch, capsys, tmp_path):
    pytest.importorskip("skimage")
    image_module = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(_demo, "REPEATS", 1)
    assert cli.main(["demo", "--out", str(tmp_path / "new" / "demo")]) == 0
    printed = capsys.readouterr().out
    assert "512x512  background, bottle, person" in printed
    assert "337x500  background, motorbike" in printed
    for name, (height, width) in {"astronaut": (512, 512), "motorcycle": (337, 500)}.items():
        path = tmp_path / "new" / "demo" / f"{name}.png"
        assert str(path) in printed
        with image_module.open(path) as picture:
            assert picture.width > 3 * width
            assert picture.height > height


@pytest.mark.parametrize("name", _demo.EXAMPLES)
def test_refining_moves_the_outlines_onto_edges_of_the_photograph(monkeypatch, overlay, name):
    pytest.importorskip("skimage")
    monkeypatch.setattr(_demo, "REPEATS", 1)
    image = data.photograph(name)
    outcome = _demo.refine_example(name, *data.example(name))
    changed = np.mean(outcome.before != outcome.after)
    assert 0.01 < changed < 0.08  # mended at the edges, not swept away
    before = edge_strength(overlay, image, outcome.before)
    after = edge_strength(overlay, image, outcome.after)
    assert after > 1.25 * before  # measured: 1.4 for the motorcycle, whose background is busy


def edge_strength(overlay, image, labels):
    """Give the mean change of brightness over the labels' boundaries."""
    grey = image.mean(axis=2)
    change = np.zeros_like(grey)
    change[:, :-1] += np.abs(np.diff(grey, axis=1))
    change[:-1] += np.abs(np.diff(grey, axis=0))
    return change[overlay.boundaries(labels)].mean()
