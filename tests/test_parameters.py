"""The CRF's parameters: from a preset, from a file, from single values; and on to other processes."""

import dataclasses
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
from inputs import picture, probabilities
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Parameters, _device, presets
from densecrf._parameters import of_preset, resolve


@pytest.mark.parametrize("name", presets)
def test_a_name_gives_the_terms_and_the_iterations_of_the_preset(name):
    parameters = resolve(name)
    assert parameters.preset() == presets[name]
    assert of_preset(parameters.preset()) == parameters


def test_nothing_gives_what_refine_takes_by_default():
    assert_array_equal(resolve().refine(picture(), probabilities()), densecrf.refine(picture(), probabilities()))


def test_a_file_gives_back_what_was_written(tmp_path):
    written = Parameters(4, 67, 3.5, 3, 1, "symmetric", 7, 'Krähenbühl\'s "quoted" source\\')
    written.write(tmp_path / "found.toml")
    assert resolve(tmp_path / "found.toml") == written
    assert resolve(str(tmp_path / "found.toml")) == written


def test_a_file_of_the_three_that_must_be_there_leaves_the_others_at_the_papers_values(tmp_path):
    (tmp_path / "short.toml").write_text("w1 = 5\nsigma_alpha = 50\nsigma_beta = 10\n")
    assert resolve(tmp_path / "short.toml").terms == presets["deeplab-v1"].terms


def test_single_values_take_the_place_of_the_presets_and_are_named_in_the_source():
    changed = resolve("deeplab-v1", w1=7.0, normalization="symmetric", iterations=2, sigma_beta=None)
    expected = dataclasses.replace(resolve("deeplab-v1"), w1=7.0, normalization="symmetric", iterations=2)
    assert dataclasses.replace(changed, source="") == dataclasses.replace(expected, source="")
    assert changed.source == f"{presets['deeplab-v1'].source}; w1 = 7.0, normalization = symmetric, iterations = 2"


def test_refining_runs_the_terms_and_the_iterations():
    parameters = Parameters(2, 5, 20, 1, 2, "symmetric", 3)
    refined = parameters.refine(picture(), np.log(probabilities()), from_logits=True, num_threads=1)
    terms = [densecrf.Gaussian(2, 1), densecrf.Bilateral(5, 20, 2)]
    expected = densecrf.refine(picture(), np.log(probabilities()), terms=terms, iterations=3, from_logits=True)
    assert_array_equal(refined, expected)


def test_on_a_gpu_numpy_arrays_are_taken_there_and_brought_back(monkeypatch, torch):
    """With the CPU in the GPU's place: what is sent, refined and fetched."""
    monkeypatch.setattr("densecrf._device.require", lambda device: None)
    monkeypatch.setattr("torch.Tensor.to", lambda tensor, device: tensor)
    probs = probabilities()
    refined = resolve().refine(picture(), probs, device="cuda")
    assert type(refined) is np.ndarray
    assert_array_equal(refined, densecrf.refine(picture(), probs))
    tensor = torch.from_numpy(probs)
    assert isinstance(_device.fetch(_device.send(tensor, "cuda"), tensor), torch.Tensor)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"densecrf._device.cuda_module": lambda: None}, "densecrf was built without CUDA; build it where nvcc is"),
        ({"torch.version.cuda": None}, "was built without CUDA"),
        ({"torch.version.cuda": "13.0", "torch.cuda.device_count": lambda: 1}, "torch finds 1 GPUs"),
    ],
)
def test_a_gpu_that_cannot_be_had_is_refused_with_the_reason(monkeypatch, torch, change, why):
    for name, value in {"densecrf._device.cuda_module": lambda: _device, **change}.items():
        monkeypatch.setattr(name, value)
    with pytest.raises(ValueError, match=f"^there is no cuda:1 to work on: .*{why}"):
        resolve().refine(picture(), probabilities(), device="cuda:1")


def test_without_torch_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr("densecrf._device.cuda_module", lambda: _device)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r'pip install "densecrf\[torch\]"'):
        _device.require("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "CUDA", ""])
def test_a_device_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="the device must be cpu, cuda or cuda:N"):
        _device.require(name)


def test_they_can_be_pickled_and_compared():
    parameters = resolve("irn", w2=1)
    assert pickle.loads(pickle.dumps(parameters)) == parameters
    assert hash(parameters) == hash(resolve("irn", w2=1))


REFUSED = {
    "no such name": (
        {"preset": "deeplab-v9"},
        "no CRF parameters 'deeplab-v9': it must be a TOML file or one of deeplab",
    ),
    "a weight below 0": ({"w1": -1}, "w1 is a weight and must be >= 0, got -1"),
    "a weight that is no number": ({"w2": float("nan")}, "w2 must be finite, got nan"),
    "a text for a number": ({"sigma_gamma": "wide"}, "sigma_gamma must be a number, got str"),
    "a sigma of 0": ({"sigma_beta": 0}, "sigma_beta is a standard deviation and must be positive"),
    "several sigmas": ({"sigma_alpha": [3, 4]}, "sigma_alpha must be a number, got list"),
    "a normalisation that is none": ({"normalization": "later"}, "normalization must be one of 'symmetric'"),
    "half an iteration": ({"iterations": 2.5}, "iterations must be an integer"),
    "iterations below 0": ({"iterations": -1}, "iterations must be an integer >= 0"),
    "no such parameter": ({"sigma": 3}, "sigma"),
}


def test_numbers_of_numpy_and_any_text_survive_their_file(tmp_path):
    parameters = Parameters(
        np.float32(0.1), np.int64(3), Fraction(7, 2), iterations=np.int8(4), source="\x7f\x00\u2028ä"
    )
    parameters.write(tmp_path / "crf.toml")
    assert resolve(tmp_path / "crf.toml") == parameters


@pytest.mark.parametrize("name", ["x" * 5000, "\0", "ä\ud800"])
def test_what_can_be_no_file_is_no_preset_either(name):
    with pytest.raises(ValueError, match=r"^no CRF parameters") as caught:
        resolve(name)
    assert len(str(caught.value)) < 500


def test_a_source_that_no_file_can_hold_is_refused():
    with pytest.raises(ValueError, match="source must be a text that UTF-8 can hold"):
        Parameters(1, 2, 3, source="\ud800")


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_one_clear_sentence(what):
    given, words = REFUSED[what]
    with pytest.raises(ValueError, match=r".") as caught:
        resolve(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


FILES = {
    "an unknown name": ("w1 = 4\nsigma_alpha = 67\nsigma_beta = 3\nweight = 3\n", "it has weight, too"),
    "a name that is missing": ("w1 = 4\nsigma_beta = 3\n", "it has no sigma_alpha"),
    "a wrong value": ("w1 = 4\nsigma_alpha = 67\nsigma_beta = -3\n", "sigma_beta is a standard deviation"),
    "a wrong type": ('w1 = "4"\nsigma_alpha = 67\nsigma_beta = 3\n', "w1 must be a number, got str"),
    "a source that is no text": ("w1 = 4\nsigma_alpha = 67\nsigma_beta = 3\nsource = 1\n", "source must be a text"),
    "no TOML": ("w1: 4\n", "Expected"),
    "no text": (b"\xff\xfe\x00", "utf-8"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_wrong_is_named_and_what_it_must_have(tmp_path, what):
    content, words = FILES[what]
    file = tmp_path / "found.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r".") as caught:
        resolve(file)
    assert str(caught.value).startswith(f"{file}: not a file of CRF parameters, which has w1, sigma_alpha, ")
    assert words in str(caught.value)
