"""What the app's page does behind the browser: parameters, refinement, drawings, curves, strokes."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("PIL")
import densecrf
from densecrf._parameters import of_preset, resolve
from densecrf.app import charts, curves, drawing, painting, session
from densecrf.app.desk import Desk
from densecrf.app.facts import share_table, status
from densecrf.app.parameters import RANGES, of_form, scaled

START = resolve("deeplab-v2")


def subject(height=40, width=60):
    """A picture of two colours and a map of three labels whose border is some pixels off."""
    noise = np.random.default_rng(0).normal(scale=4, size=(height, width, 3))
    right = np.arange(width) >= width // 2
    image = np.clip(60 + 120 * right[:, None] + noise, 0, 255).astype(np.uint8)
    labels = np.broadcast_to(np.arange(width) >= width // 2 + 4, (height, width)).astype(int)
    labels[:5, :5] = 2
    probs = np.full((3, height, width), 0.1, np.float32)
    np.put_along_axis(probs, labels[None], 0.8, axis=0)
    return session.Subject("scene", image, probs, session.label_names(3), "", "")


# ---- parameters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", densecrf.presets)
def test_every_preset_is_in_reach_of_the_sliders_and_comes_back_as_its_terms(name):
    parameters = of_form(vars(of_preset(densecrf.presets[name])))
    assert parameters.terms == densecrf.presets[name].terms
    assert parameters.iterations == densecrf.presets[name].iterations


def test_what_the_sliders_say_is_a_file_that_the_command_line_takes(tmp_path):
    parameters = of_form({**vars(START), "w1": 4.5, "normalization": "after"})
    (tmp_path / "parameters.toml").write_text(parameters.toml(), encoding="utf-8")
    assert resolve(tmp_path / "parameters.toml") == parameters
    assert parameters.source == "densecrf app"


@pytest.mark.parametrize("name", RANGES)
def test_a_slider_stops_at_both_ends_and_rises_between(name):
    stops = RANGES[name].stops()
    assert (stops[0], stops[-1]) == (RANGES[name].low, RANGES[name].high)
    assert stops == sorted(set(stops))
    assert 20 < len(stops) <= 120 or name == "iterations"


def test_geometric_sliders_take_smaller_steps_at_small_values():
    stops = RANGES["sigma_alpha"].stops()
    assert stops[1] - stops[0] == 1
    assert stops[-1] - stops[-2] > 5


def test_a_form_is_moved_into_its_ranges_and_nonsense_is_refused():
    wild = {**vars(START), "w1": 1e9, "sigma_beta": "-3", "iterations": 10**9}
    tame = of_form(wild)
    assert (tame.w1, tame.sigma_beta, tame.iterations) == (20, 1, 20)
    for broken in ({"w1": math.nan}, {"w2": "much"}, {"sigma_gamma": None}, {"normalization": "__import__"}):
        with pytest.raises((ValueError, TypeError)):
            of_form({**vars(START), **broken})


# ---- refinement ----------------------------------------------------------------------------------------------


def test_refining_is_the_librarys_refinement():
    result = session.refine(subject(), START)
    expected = densecrf.refine(subject().image, subject().probs, preset="deeplab-v2", iterations=10)
    np.testing.assert_array_equal(result.after, expected.argmax(axis=0))
    assert result.changed == np.mean(expected.argmax(axis=0) != subject().probs.argmax(axis=0))
    assert result.seconds > 0


def test_a_small_picture_answers_at_its_own_size_and_a_large_one_at_a_smaller():
    assert session.live_scale(subject()) == 1
    large = subject(800, 1500)
    scale = session.live_scale(large)
    small = session.shrunk(large, scale)
    assert small.image[..., 0].size == pytest.approx(session.LIVE_PIXELS, rel=0.01)
    assert small.probs.shape == (3, *small.size)
    np.testing.assert_allclose(small.probs.sum(axis=0), 1, rtol=1e-5)
    assert scaled(START, scale).sigma_alpha == START.sigma_alpha * scale
    assert scaled(START, scale).sigma_beta == START.sigma_beta


def test_shares_of_the_labels_seen_add_up():
    rows = session.shares(session.refine(subject(), START))
    assert {name for _, name, _, _ in rows} <= {"label 0", "label 1", "label 2"}
    assert sum(before for *_, before, _ in rows) == pytest.approx(1)
    assert sum(after for *_, after in rows) == pytest.approx(1)


# ---- one visitor's desk --------------------------------------------------------------------------------------


def test_a_large_picture_is_refined_whole_once_the_sliders_rest():
    desk = Desk(subject(800, 900), START)
    assert desk.result.scale < 1
    assert "while you drag" in status(desk.result, desk.subject)
    assert desk.settle(START, rest=0)
    assert desk.result.after.shape == (800, 900)
    assert "while you drag" not in status(desk.result, desk.subject)
    assert not desk.settle(START, rest=0)  # that was said


def test_a_setting_that_is_overtaken_is_not_settled(monkeypatch):
    desk = Desk(subject(), START)
    monkeypatch.setattr(time, "sleep", lambda seconds: desk.refine(START))
    assert not desk.settle(START, rest=0.1)
    monkeypatch.undo()
    assert desk.settle(START, rest=0)


def test_a_subject_that_cannot_be_refined_leaves_the_desk_as_it_was():
    desk = Desk(subject(), START)
    before = desk.subject, desk.result
    broken = session.Subject("broken", subject().image, subject().probs[:, :3], (), "", "")
    with pytest.raises(ValueError, match="shape"):
        desk.put(broken, START)
    assert (desk.subject, desk.result) == before


def test_what_a_file_is_called_is_not_taken_for_html():
    result = session.refine(subject(), START)
    named = session.picture_alone("<script>alert(1)</script>.png", subject().image)
    assert "<script" not in status(result, named)


def test_downloads_replace_each_other(tmp_path):
    desk = Desk(subject(), START)
    first = desk.files(tmp_path)
    second = desk.files(tmp_path)
    assert first != second
    assert len(list(tmp_path.iterdir())) == 1


# ---- drawings ------------------------------------------------------------------------------------------------


def test_labels_tint_the_picture_as_thick_as_asked():
    image = np.full((10, 10, 3), 100, np.uint8)
    labels = np.ones((10, 10), int)
    colours = drawing.PALETTES["bright"]
    np.testing.assert_array_equal(drawing.tinted(image, labels, colours, 0), image)
    np.testing.assert_allclose(drawing.tinted(image, labels, colours, 1)[5, 5], colours[1], atol=1)
    half = (image[5, 5].astype(int) + colours[1]) / 2
    np.testing.assert_allclose(drawing.tinted(image, labels, colours, 0.5)[5, 5], half, atol=1)


def test_changed_pixels_are_highlighted_and_no_others():
    result = session.refine(subject(), START)
    marked = (drawing.changes(result) == drawing.HIGHLIGHT).all(axis=2)
    np.testing.assert_array_equal(marked, result.before != result.after)
    assert marked.any()


def test_drawings_are_no_larger_than_a_screen():
    large = session.refine(subject(300, 3000), START)
    before, after = drawing.before_and_after(large, drawing.PALETTES["bright"], 0.5)
    assert before.shape == after.shape == (140, drawing.MOST_SHOWN, 3)


def test_neighbouring_labels_have_colours_of_their_own():
    bright = drawing.PALETTES["bright"][:25].astype(int)
    apart = np.abs(bright[:, None] - bright[None]).sum(axis=2) + 1000 * np.eye(25, dtype=int)
    assert apart.min() > 30


# ---- curves --------------------------------------------------------------------------------------------------


def test_curves_begin_before_the_first_iteration_and_end_with_the_answer():
    followed = curves.follow(subject(), START)
    result = session.refine(subject(), START)
    assert len(followed.changed) == len(followed.energy) == START.iterations + 1
    assert followed.changed[0] == 0
    assert followed.changed[-1] == pytest.approx(result.changed, abs=0.002)
    assert math.isnan(followed.moved[0])
    assert followed.moved[1] == followed.changed[1] > 0
    assert np.all(np.diff(followed.energy) < 1e-4)  # with symmetric kernels, this is what mean field minimises
    assert sum(area[-1] for area in followed.areas.values()) == pytest.approx(1)


def test_no_iterations_are_one_point():
    still = of_form({**vars(START), "iterations": 0})
    assert curves.follow(subject(), still).changed == [0]
    assert "<svg" in charts.chart("nothing", [charts.Line("", [0.0], "red")], percent=True)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.4, -2.8), (0, 0.031), (5, 5), (0, 0), (1e-7, 3e-7), (-1e6, 1e6)])
def test_ticks_are_round_and_enclose_the_values(low, high):
    ticks = charts.nice_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 8
    assert max(len(f"{tick:g}") for tick in ticks) <= 8


def test_a_chart_escapes_names_and_leaves_out_what_is_no_number():
    svg = charts.chart("a < b", [charts.Line("<x>", [math.nan, 1.0, 2.0], "red"), charts.Line("y", [0, 1, 2], "blue")])
    assert "nan" not in svg
    assert "&lt;x&gt;" in svg
    assert svg.count("<circle") == 5


def test_the_table_names_every_label_with_its_colour():
    table = share_table(session.refine(subject(), START), drawing.PALETTES["PASCAL VOC"])
    assert "label 1" in table
    assert "#800000" in table


# ---- strokes -------------------------------------------------------------------------------------------------


def strokes(height=40, width=60):
    layer = np.zeros((height, width, 4), np.uint8)
    for (_, colour), columns in zip(painting.BRUSHES, [slice(5, 10), slice(45, 50)], strict=False):
        layer[20:24, columns] = [*bytes.fromhex(colour[1:]), 255]
    layer[30, 30] = [255, 255, 255, 40]  # a brush's soft edge
    return layer


def test_strokes_are_labels_and_the_rest_is_unsure():
    labels = painting.labels_of_strokes(strokes(), (40, 60))
    assert np.unique(labels[20:24, 5:10]).tolist() == [0]
    assert np.unique(labels[20:24, 45:50]).tolist() == [1]
    assert np.count_nonzero(labels == 255) == labels.size - 40


def test_strokes_on_a_smaller_canvas_are_brought_to_the_picture():
    labels = painting.labels_of_strokes(strokes(), (80, 120))
    assert labels.shape == (80, 120)
    assert labels[44, 95] == 1


def test_two_strokes_are_enough_to_tell_two_colours_apart():
    labels = painting.labels_of_strokes(strokes(), (40, 60))
    painted = painting.with_strokes(subject(), labels)
    strong = of_form({**vars(START), "w1": 10, "sigma_beta": 10})
    result = session.refine(painted, strong)
    truth = np.arange(60) >= 30
    assert np.mean(result.after == truth) > 0.99
    assert painted.names == ("background", "thing")


def test_a_single_colour_asks_for_another():
    labels = np.full((40, 60), 255, np.uint8)
    for _ in range(2):
        with pytest.raises(ValueError, match="two colours"):
            painting.with_strokes(subject(), labels)
        labels[3, 3] = 1


# ---- what it needs -------------------------------------------------------------------------------------------


def test_importing_the_app_imports_none_of_its_packages():
    program = "import sys, densecrf.app; print({'gradio', 'PIL', 'skimage', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
