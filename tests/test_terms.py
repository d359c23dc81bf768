"""The small values around `refine`: terms, the table of presets, what the build says of itself."""

import copy
import dataclasses
import json
import os
import pickle
import re
from collections.abc import Mapping
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, Gaussian, Preset, _build, _core, presets

TERMS = {
    "Gaussian(sxy=3.0, weight=2.0, normalization='symmetric')": lambda: Gaussian(3, 2),
    "Gaussian(sxy=(3.0, 4.0), weight=0.5, normalization='after')": lambda: Gaussian((3, 4), 0.5, "after"),
    "Bilateral(sxy=80.0, srgb=13.0, weight=10.0, normalization='symmetric')": lambda: Bilateral(80, 13, 10),
    "Bilateral(sxy=(80.0, 60.0), srgb=(13.0, 14.0, 15.0), weight=10.0, normalization='none')": lambda: Bilateral(
        (80, 60), (13, 14, 15), 10, "none"
    ),
}

each_term = pytest.mark.parametrize("make", [pytest.param(make, id=text) for text, make in TERMS.items()])


# ---- terms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TERMS)
def test_a_term_prints_as_the_call_that_makes_it(text):
    term = TERMS[text]()
    assert repr(term) == text
    assert eval(text, {"Gaussian": Gaussian, "Bilateral": Bilateral}) == term


@each_term
def test_a_term_cannot_be_changed(make):
    term = make()
    for field in dataclasses.fields(term):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(term, field.name, 1.0)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(term, field.name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        term.something_else = 1.0
    assert term == make()


@each_term
def test_equal_terms_are_one_key(make):
    assert make() == make()
    assert hash(make()) == hash(make())
    assert {make(): "found"}[make()] == "found"


def test_terms_that_differ_anywhere_are_not_equal():
    different = [
        Gaussian(3, 2),
        Gaussian(4, 2),
        Gaussian((3, 4), 2),
        Gaussian((4, 3), 2),
        Gaussian(3, 5),
        Gaussian(3, 2, "after"),
        Bilateral(3, 2, 2),
        Bilateral(3, (2, 2, 2), 2),
        Bilateral(3, (2, 2, 3), 2),
        Bilateral(3, 4, 2),
        Bilateral(3, 2, 4),
        Bilateral(3, 2, 2, "before"),
    ]
    assert len(set(different)) == len(different)
    for i, one in enumerate(different):
        assert [one == other for other in different].index(True) == i
    assert Gaussian(3, 2) != (3, 2, "symmetric")


@each_term
def test_terms_can_be_copied_and_sent_to_other_processes(make):
    assert pickle.loads(pickle.dumps(make())) == make()
    assert copy.deepcopy(make()) == make()


@pytest.mark.parametrize("three", [3, 3.0, np.float32(3), np.float16(3), np.int64(3), np.uint8(3), Fraction(3)])
def test_any_real_number_will_do_and_becomes_a_float(three):
    assert Gaussian(three, three) == Gaussian(3.0, 3.0)
    assert Bilateral((three, three), [three, three], three) == Bilateral((3.0, 3.0), (3.0, 3.0), 3.0)
    term = Bilateral(three, three, three)
    assert {type(value) for value in (term.sxy, term.srgb, term.weight)} == {float}
    assert {type(value) for value in Gaussian([three, three], 1).sxy} == {float}


@pytest.mark.parametrize("several", [(13, 14), [13, 14], np.array([13, 14]), np.array([13, 14], np.float32)])
def test_any_sequence_will_do_and_becomes_a_tuple(several):
    assert Gaussian(several, 1).sxy == (13.0, 14.0)
    assert Bilateral(several, several, 1) == Bilateral((13, 14), (13, 14), 1)
    assert type(Bilateral(1, several, 1).srgb) is tuple
    assert hash(Bilateral(1, several, 1)) == hash(Bilateral(1, (13, 14), 1))


def test_a_term_does_not_change_with_the_list_it_was_made_of():
    sigmas = [13, 14, 15]
    term = Bilateral(80, sigmas, 10)
    sigmas[0] = 99
    assert term.srgb == (13, 14, 15)


def test_arguments_have_names_and_come_in_the_order_position_colour_weight():
    assert Gaussian(sxy=3, weight=2, normalization="after") == Gaussian(3, 2, "after")
    named = Bilateral(sxy=80, srgb=13, weight=10, normalization="before")
    assert named == Bilateral(80, 13, 10, "before")
    assert (named.sxy, named.srgb, named.weight) == (80, 13, 10)


def test_normalization_is_symmetric_unless_said_otherwise():
    assert Gaussian(3, 2).normalization == "symmetric"
    assert Bilateral(80, 13, 10).normalization == "symmetric"


def test_a_changed_copy_of_a_term_is_checked_like_a_new_one():
    assert dataclasses.replace(Gaussian(3, 2), weight=5) == Gaussian(3, 5)
    with pytest.raises(ValueError, match=r"^Gaussian: sxy is a standard deviation and must be positive"):
        dataclasses.replace(Gaussian(3, 2), sxy=0)


def test_sxy_is_x_then_y():
    """Where sy is far smaller than a pixel, what one pixel shows spreads along its row and nowhere else."""
    grey = np.zeros((6, 9), np.uint8)
    probs = np.full((2, 6, 9), 0.5, np.float32)
    marked = probs.copy()
    marked[:, 2, 4] = 0.9, 0.1
    for function in (densecrf.refine, densecrf.reference.refine):
        for sxy, reached in {(5, 0.01): np.s_[2, :], (0.01, 5): np.s_[:, 4]}.items():
            result = function(grey, marked, terms=[Gaussian(sxy, 1)])[0]
            expected = np.zeros((6, 9), bool)
            expected[reached] = True
            assert_array_equal(result > 0.51, expected)
            assert_allclose(result[~expected], 0.5, atol=1e-6)


# ---- presets ------------------------------------------------------------------------------------------------

# Name: spatial (sxy, weight), bilateral (sxy, srgb, weight), iterations, normalization; as published.
PUBLISHED = {
    "deeplab-v2": ((1, 3), (67, 3, 4), 10, "symmetric"),
    "deeplab-v2-vgg": ((3, 3), (49, 5, 4), 10, "after"),
    "deeplab-v1": ((3, 3), (50, 10, 5), 10, "after"),
    "deeplab-v1-msc": ((3, 3), (95, 3, 3), 10, "after"),
    "deeplab-v1-coco": ((3, 3), (67, 3, 5), 10, "after"),
    "densecrf": ((3, 3), (80, 13, 10), 5, "symmetric"),
    "irn": ((3, 3), (50, 5, 10), 10, "symmetric"),
    "crf-rnn": ((3, 3), (160, 3, 5), 10, "after"),
    "edeconvnet": ((3, 3), (20, 3, 5), 10, "after"),
}

each_preset = pytest.mark.parametrize("name", PUBLISHED)


def test_these_are_the_presets():
    assert list(presets) == list(PUBLISHED)
    assert len(presets) == len(PUBLISHED)


@each_preset
def test_a_preset_has_the_published_numbers(name):
    near, alike, iterations, normalization = PUBLISHED[name]
    preset = presets[name]
    assert preset.terms == (Gaussian(*near, normalization), Bilateral(*alike, normalization))
    assert preset.iterations == iterations
    assert preset.source


@each_preset
def test_a_preset_is_its_terms_and_leaves_the_iterations_to_the_caller(name):
    random = np.random.default_rng(4)
    image = random.integers(0, 256, (8, 9, 3)).astype(np.uint8)
    probs = random.random((3, 8, 9)).astype(np.float32)
    probs /= probs.sum(axis=0)
    result = densecrf.refine(image, probs, preset=name)
    assert_array_equal(result, densecrf.refine(image, probs, terms=presets[name].terms, iterations=10))
    assert np.abs(result - probs).max() > 0.1


def test_deeplab_v2_is_the_preset_unless_said_otherwise():
    random = np.random.default_rng(4)
    image = random.integers(0, 256, (8, 9, 3)).astype(np.uint8)
    probs = np.full((2, 8, 9), 0.5, np.float32)
    probs[:, ::3, ::2] = np.array([0.1, 0.9], np.float32)[:, None, None]
    answers = {name: densecrf.refine(image, probs, preset=name).tobytes() for name in presets}
    assert densecrf.refine(image, probs).tobytes() == answers["deeplab-v2"]
    assert len(set(answers.values())) == len(answers)


def test_the_presets_cannot_be_changed():
    assert isinstance(presets, Mapping)
    with pytest.raises(TypeError):
        presets["mine"] = presets["irn"]
    with pytest.raises(TypeError):
        del presets["irn"]
    assert not hasattr(presets, "update")
    with pytest.raises(dataclasses.FrozenInstanceError):
        presets["irn"].iterations = 3
    assert type(presets["irn"].terms) is tuple
    assert list(presets) == list(PUBLISHED)


def test_the_presets_are_a_mapping_like_any_other():
    assert "irn" in presets
    assert "deeplab" not in presets
    assert presets.get("deeplab") is None
    with pytest.raises(KeyError, match="deeplab"):
        presets["deeplab"]
    assert dict(presets) == {name: presets[name] for name in PUBLISHED}
    assert {type(preset) for preset in presets.values()} == {Preset}
    assert len(set(presets.values())) == len(PUBLISHED)


def test_the_presets_print_as_a_table():
    head, *rows = repr(presets).splitlines()
    starts = [
        head.index(title) for title in ("name", "sxy, weight", "sxy, srgb, weight", "iterations", "normalization")
    ]
    starts.append(head.index("source"))
    assert starts[0] == 0
    for row, (name, (near, alike, iterations, normalization)) in zip(rows, PUBLISHED.items(), strict=True):
        cells = [row[start:end].rstrip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        numbers = ", ".join(map(str, near)), ", ".join(map(str, alike))
        assert cells == [name, *numbers, str(iterations), normalization, presets[name].source]


# ---- the build ----------------------------------------------------------------------------------------------


def test_build_info_says_what_runs():
    info = densecrf.build_info()
    assert set(info) == {"version", "isa", "cuda", "threads"}
    assert info["version"] == densecrf.__version__
    assert info["isa"] in {"avx512", "avx2", "baseline"}
    assert info["threads"] == _build.default_threads()
    assert json.loads(json.dumps(info)) == info


@pytest.mark.parametrize(
    ("devices", "words"),
    [(None, "not built: "), ((0, "no driver"), "no device: no driver"), ((1, ""), "1 device"), ((8, ""), "8 devices")],
)
def test_build_info_says_whether_there_is_cuda_and_if_not_why(devices, words, monkeypatch):
    module = None if devices is None else SimpleNamespace(devices=lambda: devices)
    monkeypatch.setattr(_build, "cuda_module", lambda: module)
    assert densecrf.build_info()["cuda"].startswith(words)


def test_build_info_is_the_callers_own():
    densecrf.build_info()["threads"] = -1
    assert densecrf.build_info()["threads"] >= 1


def test_the_version_is_a_version():
    assert re.match(r"\d+\.\d+\.\d+", densecrf.__version__)


# ---- threads ------------------------------------------------------------------------------------------------


@pytest.fixture
def seven_cores(monkeypatch):
    """This process may use seven cores, and no variable says otherwise."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.delenv("DENSECRF_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def no_quota(seven_cores, monkeypatch):
    monkeypatch.setattr(_build, "_cores_by_quota", lambda: 100)


@pytest.mark.usefixtures("no_quota")
def test_threads_are_the_cores_of_this_process_unless_said_otherwise():
    assert _build.default_threads() == 7
    assert densecrf.build_info()["threads"] == 7


@pytest.mark.usefixtures("no_quota")
@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"DENSECRF_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4"}, 4),
        ({"DENSECRF_NUM_THREADS": "3", "OMP_NUM_THREADS": "4"}, 3),
        ({"DENSECRF_NUM_THREADS": "12", "OMP_NUM_THREADS": "4"}, 12),
        ({"DENSECRF_NUM_THREADS": " 3 "}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),  # OpenMP's way to say it for nested regions
        ({"DENSECRF_NUM_THREADS": "", "OMP_NUM_THREADS": "4"}, 4),
        ({"DENSECRF_NUM_THREADS": "0", "OMP_NUM_THREADS": "4"}, 4),
        ({"DENSECRF_NUM_THREADS": "-2", "OMP_NUM_THREADS": "4"}, 4),
        ({"DENSECRF_NUM_THREADS": "many", "OMP_NUM_THREADS": "4"}, 4),
        ({"DENSECRF_NUM_THREADS": "2.5", "OMP_NUM_THREADS": "0"}, 7),
    ],
    ids=str,
)
def test_variables_say_how_many_threads(monkeypatch, variables, threads):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _build.default_threads() == threads
    assert densecrf.build_info()["threads"] == threads


IMAGE, PROBS = np.zeros((4, 5), np.uint8), np.full((2, 4, 5), 0.5, np.float32)


@pytest.mark.usefixtures("no_quota")
def test_a_variable_that_asks_for_absurdly_many_threads_does_no_harm(monkeypatch):
    monkeypatch.setenv("DENSECRF_NUM_THREADS", "99999999999")
    assert_allclose(densecrf.refine(IMAGE, PROBS), PROBS, atol=1e-6)


@pytest.mark.usefixtures("no_quota")
def test_num_threads_has_the_last_word(monkeypatch):
    used = []

    class Model(_core.Model):
        def infer(self, *arguments):
            used.append(arguments[8])
            return super().infer(*arguments)

    monkeypatch.setattr(_core, "Model", Model)
    densecrf.refine(IMAGE, PROBS)
    monkeypatch.setenv("DENSECRF_NUM_THREADS", "3")
    densecrf.refine(IMAGE, PROBS)
    densecrf.refine(IMAGE, PROBS, num_threads=2)
    assert used == [7, 3, 2]


@pytest.mark.usefixtures("seven_cores")
@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("900000 100000\n", 7),
        ("max 100000\n", 7),
    ],
)
def test_threads_are_no_more_than_a_containers_quota(monkeypatch, tmp_path, quota, threads):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(_build, "Path", lambda _: tmp_path / "cpu.max")
    assert _build.default_threads() == threads


@pytest.mark.usefixtures("seven_cores")
def test_threads_are_all_cores_where_there_are_no_quotas(monkeypatch, tmp_path):
    monkeypatch.setattr(_build, "Path", lambda _: tmp_path / "no such file")
    assert _build.default_threads() == 7
