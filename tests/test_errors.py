"""Every bad input is refused with a message that says where, what was needed, what came and what to do.

A row of a table below is the error and its message, as far as it has to be so (`..` stands for any words), and the
arguments that earn it.
"""

import functools
import sys

import numpy as np
import pytest
from conftest import assert_says
from fuzz_liars import Endless
from inputs import picture, probabilities, read_only
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Bilateral, Features, Gaussian


def labels_last(*shape):
    return np.moveaxis(probabilities(*(shape or (4, 5, 7))), -3, -1)


def with_one(value, *shape):
    """Probabilities, of which the very last one is `value`."""
    probs = probabilities(*(shape or (4, 5, 7)))
    probs.flat[-1] = value
    return probs


class OnTheGpu:
    """What Numba's arrays look like from outside."""

    def __init__(self):
        self.__cuda_array_interface__ = {"shape": (4, 5, 7), "typestr": "<f4", "data": (0, False)}


class SaysItIsAnArray:
    """What has NumPy's interface, and leads nowhere."""

    __array_interface__ = {"shape": (5, 7), "typestr": "nonsense", "version": 3}  # noqa: RUF012


def refused(expected, **arguments):
    """One row of a table: refine(picture(5, 7, 3), probabilities(4, 5, 7)) with these arguments instead."""
    return pytest.param(expected, arguments, id=expected)


def assert_refused(expected, arguments, capfd, function=densecrf.refine, name="densecrf.refine"):
    with pytest.raises((TypeError, ValueError)) as caught:
        function(**{"image": picture(5, 7, 3), "probs": probabilities(4, 5, 7), **arguments})
    assert_says(caught, name, expected)
    assert tuple(capfd.readouterr()) == ("", "")


# ---- the tables ---------------------------------------------------------------------------------------------

SIZES = [
    refused("ValueError: image and probs .. (9, 11) .. (5, 7) .. resize .. interpolate", image=picture(9, 11, 3)),
    refused("ValueError: image and probs .. (4, 6) .. (5, 7) .. resize .. skimage", image=picture(4, 6)),
    refused("ValueError: (6, 7) .. (5, 7) .. size=(6, 7)", image=picture(6, 7, 3)),
    refused("ValueError: (9, 11) .. (5, 7) .. resize", image=picture(2, 9, 11), probs=probabilities(2, 4, 5, 7)),
    refused("ValueError: (7, 5) .. (5, 7) .. swapped", image=picture(7, 5, 3)),
    refused("ValueError: (7, 5) .. (5, 7) .. swapped", image=picture(7, 5)),
    refused("ValueError: image .. not be empty .. (0, 7, 3)", image=picture(0, 7, 3)),
    refused("ValueError: image .. not be empty .. (5, 7, 0)", image=picture(5, 7, 0)),
    refused("ValueError: probs .. at least one label .. (0, 5, 7)", probs=np.empty((0, 5, 7), np.float32)),
    refused("ValueError: probs .. one pixel .. (4, 0, 7)", probs=np.empty((4, 0, 7), np.float32)),
    refused("ValueError: probs .. one pixel .. (4, 5, 0)", probs=np.empty((4, 5, 0), np.float32)),
    refused("ValueError: probs .. (0, 4, 5, 7)", image=picture(0, 5, 7), probs=np.empty((0, 4, 5, 7), np.float32)),
]

LABELS_LAST = "ValueError: labels last .. moveaxis(probs, -1, -3)"
HW_OR_HWC = "(H, W) or (H, W, C)"
LHW_OR_BLHW = "(L, H, W) or (B, L, H, W)"
STACK = "numpy.stack([1 - p, p])"

AXES = [
    refused(LABELS_LAST, probs=labels_last()),
    refused(LABELS_LAST, probs=labels_last(21, 5, 7)),
    refused(LABELS_LAST, probs=labels_last(3, 5, 7)),  # as many labels as channels
    refused(LABELS_LAST, probs=labels_last(), image=picture(5, 7)),
    refused(LABELS_LAST, probs=labels_last(2, 4, 5, 7), image=picture(2, 5, 7, 3)),
    refused("ValueError: (H, W, C) .. (3, 5, 7) .. channel_axis=0", image=picture(3, 5, 7)),
    refused("ValueError: (H, W, C) .. (1, 5, 7) .. channel_axis=0", image=picture(1, 5, 7)),
    refused("ValueError: (3, 9, 11) .. channel_axis", image=picture(3, 9, 11)),  # of another size, too
    refused("ValueError: (2, 3, 5, 7) .. channel_axis=1", image=picture(2, 3, 5, 7), probs=probabilities(2, 4, 5, 7)),
    refused("ValueError: (3, 3, 3) .. channel_axis=", image=picture(3, 3, 3), probs=probabilities(4, 3, 3)),
    refused("ValueError: (2, 3, 3, 3) .. channel_axis=", image=picture(2, 3, 3, 3), probs=probabilities(2, 4, 3, 3)),
    refused("ValueError: 2 .. 3 .. one image for each", image=picture(3, 5, 7, 3), probs=probabilities(2, 4, 5, 7)),
    refused("ValueError: image .. no batch axis", probs=probabilities(1, 4, 5, 7)),
    refused("ValueError: image .. no batch axis", probs=probabilities(2, 4, 5, 7)),
    refused(f"ValueError: image .. {HW_OR_HWC} .. no batch axis .. (1, 5, 7, 3)", image=picture(1, 5, 7, 3)),
    refused(f"ValueError: image .. {HW_OR_HWC} .. (5,)", image=picture(5)),
    refused(f"ValueError: image .. {HW_OR_HWC} .. ()", image=np.array(3, np.uint8)),
    refused("ValueError: image .. (1, 1, 5, 7, 3)", image=picture(1, 1, 5, 7, 3)),
    refused(f"ValueError: probs .. {LHW_OR_BLHW} .. (5, 7) .. {STACK}", probs=np.full((5, 7), 0.3, np.float32)),
    refused(f"ValueError: probs .. {LHW_OR_BLHW} .. (1, 1, 4, 5, 7)", probs=probabilities(1, 1, 4, 5, 7)),
    refused(f"ValueError: probs .. {LHW_OR_BLHW} .. ()", probs=np.array(1.0)),
]

BATCH = {"image": picture(2, 5, 7, 3), "probs": probabilities(2, 4, 5, 7)}

CHANNEL_AXIS = [
    refused("ValueError: channel_axis .. (5, 7)", image=picture(5, 7), channel_axis=-1),
    refused("ValueError: channel_axis .. (5, 7, 3) .. 3", channel_axis=3),
    refused("ValueError: channel_axis .. -4", channel_axis=-4),
    refused("ValueError: (7, 3) .. (5, 7, 3) .. (5, 7)", channel_axis=0),
    refused("ValueError: channel_axis .. batch axis", **BATCH, channel_axis=0),
    refused("ValueError: channel_axis .. batch axis", **BATCH, channel_axis=-4),
    refused("TypeError: channel_axis .. integer .. bool", channel_axis=True),
    refused("TypeError: channel_axis .. integer .. float", channel_axis=2.0),
    refused("TypeError: channel_axis .. integer .. str", channel_axis="last"),
]

PROBS = [
    refused("ValueError: probs .. negative .. -0.5 .. from_logits=True", probs=with_one(-0.5)),
    refused("ValueError: probs .. negative .. from_logits=True", probs=np.log(probabilities(4, 5, 7))),
    refused("ValueError: probs .. sum to 1 .. 2 .. soft-max .. from_logits=True", probs=probabilities(4, 5, 7) * 2),
    refused("ValueError: probs .. sum to 1 .. 2 .. soft-max", probs=(probabilities(4, 5, 7) * 2).astype(np.float16)),
    refused("ValueError: probs .. sum to 1 .. 0.98 .. soft-max", probs=probabilities(4, 5, 7) * 0.98),
    refused("ValueError: probs .. sum to 1 .. 1.8 .. soft-max", probs=with_one(0.9)),
    refused("ValueError: probs .. sum to 1 .. 0 to 0 .. soft-max", probs=np.zeros((4, 5, 7), np.float32)),
    refused(f"ValueError: probs .. sum to 1 .. 0.3 .. {STACK}", probs=np.full((1, 5, 7), 0.3, np.float32)),
    refused(f"ValueError: {STACK}", image=picture(2, 5, 7), probs=np.full((2, 1, 5, 7), 0.3, np.float32)),
    refused("ValueError: probs .. finite .. 1 NaN", probs=with_one(np.nan)),
    refused("ValueError: probs .. finite .. 1 NaN or inf", probs=with_one(np.inf)),
    refused("ValueError: probs .. finite .. 140 NaN", probs=np.full((4, 5, 7), np.nan, np.float32)),
    refused("ValueError: probs .. finite", image=picture(2, 5, 7), probs=with_one(np.nan, 2, 4, 5, 7)),
    refused("ValueError: probs .. finite .. 1 NaN", probs=with_one(np.nan), from_logits=True),
    refused("ValueError: probs .. finite .. -inf .. -100", probs=with_one(-np.inf), from_logits=True),
    refused("ValueError: probs .. finite", probs=np.full((4, 5, 7), 1e300), from_logits=True),  # beyond float32
    refused(
        "TypeError: probs .. NumPy array or a torch tensor .. list .. asarray", probs=probabilities(4, 5, 7).tolist()
    ),
    refused("TypeError: probs .. NoneType", probs=None),
    refused("TypeError: probs .. GPU .. neither .. OnTheGpu .. cupy.asarray .. CPU", probs=OnTheGpu()),
    refused("TypeError: probs .. masked .. fill", probs=np.ma.masked_less(probabilities(4, 5, 7), 0.1)),
    refused("TypeError: probs .. floating point .. int64 .. map of labels", probs=np.ones((4, 5, 7), np.int64)),
    refused("TypeError: probs .. floating point .. bool", probs=np.ones((4, 5, 7), bool)),
    refused("TypeError: probs .. floating point .. complex128", probs=probabilities(4, 5, 7).astype(complex)),
    refused("TypeError: probs .. floating point .. object", probs=probabilities(4, 5, 7).astype(object)),
    refused("TypeError: probs .. floating point .. <U", probs=probabilities(4, 5, 7).astype(str)),
    refused(
        "TypeError: probs .. floating point .. uint8 .. order", image=probabilities(4, 5, 7), probs=picture(5, 7, 3)
    ),
]

IMAGE = [
    refused(
        "ValueError: image .. 0..1 or 0..255 .. -120 to 135 .. mean", image=picture(5, 7, 3).astype(np.float32) - 120
    ),
    refused("ValueError: image .. 0..1 or 0..255 .. mean was subtracted", image=(picture(5, 7, 3) / 255 - 0.45) / 0.22),
    refused("ValueError: image .. 0..1 or 0..255 .. -1 to 1 .. mean", image=picture(5, 7, 3) / 127.5 - 1),
    refused("ValueError: image .. 0..1 or 0..255 .. 2550 .. integers", image=np.full((5, 7), 2550.0)),
    refused("ValueError: image .. 0..1 or 0..255 .. 1e+300", image=np.full((5, 7), 1e300)),
    refused("ValueError: image .. finite .. NaN", image=np.where(picture(5, 7, 3) > 250, np.nan, 1.0)),
    refused("ValueError: image .. finite .. infinite", image=np.where(picture(5, 7, 3) > 250, np.inf, 1.0)),
    refused("TypeError: image .. NumPy array or a torch tensor .. list .. asarray", image=picture(5, 7, 3).tolist()),
    refused("TypeError: image .. NumPy array or a torch tensor .. str", image="picture.png"),
    refused("TypeError: image .. NoneType", image=None),
    refused("TypeError: image .. GPU .. neither .. OnTheGpu .. cupy.asarray .. CPU", image=OnTheGpu()),
    refused("TypeError: image .. masked .. fill", image=np.ma.masked_less(picture(5, 7, 3), 9)),
    refused("TypeError: image .. says that it is an array and is none .. SaysItIsAnArray", image=SaysItIsAnArray()),
    refused("TypeError: image .. integers or floats .. complex128", image=picture(5, 7, 3).astype(complex)),
    refused("TypeError: image .. integers or floats .. object", image=picture(5, 7, 3).astype(object)),
    refused("TypeError: image .. integers or floats .. datetime64", image=picture(5, 7, 3).astype("M8[s]")),
    refused("TypeError: image .. integers or floats", image=np.zeros((5, 7), [("r", "u1"), ("g", "u1")])),
]

LIST_OF_TERMS = "TypeError: terms .. list of Gaussian, Bilateral and Features"
TWO_SIGMAS = Bilateral(3, (1, 2), 1)

OPTIONS = [
    refused("ValueError: preset .. 'deeplab-v2' .. 'edeconvnet' .. got 'deeplab'", preset="deeplab"),
    refused("ValueError: Gaussian .. 3 position sigmas .. 2 axes", terms=[Gaussian((1, 2, 3), 3)]),
    refused("ValueError: Bilateral .. 1 position sigmas .. 2 axes", terms=[Bilateral([80], 13, 10)]),
    refused("ValueError: weight .. 3 labels .. 4", terms=[Gaussian(3, [1, 2, 3])]),
    refused("ValueError: Features .. (D, N) with N = 35 .. got N = 34", terms=[Features(np.zeros((2, 34)), 1)]),
    refused("ValueError: preset .. 'deeplab-v2' .. None", preset=None),
    refused("ValueError: preset .. 'deeplab-v2' .. got Preset(", preset=densecrf.presets["irn"]),
    refused(f"{LIST_OF_TERMS} .. Gaussian", terms=Gaussian(1, 1)),
    refused(LIST_OF_TERMS, terms=iter([Gaussian(1, 1)])),
    refused(LIST_OF_TERMS, terms=densecrf.presets["irn"]),
    refused(LIST_OF_TERMS, terms={"sxy": 3}),
    refused(LIST_OF_TERMS, terms=3),
    refused("TypeError: terms .. Gaussian, Bilateral and Features .. str", terms="irn"),
    refused("TypeError: terms .. Gaussian, Bilateral and Features .. tuple", terms=[(3, 3), (80, 13, 10)]),
    refused("TypeError: terms .. Gaussian, Bilateral and Features .. type", terms=[Gaussian]),
    refused("TypeError: terms .. Gaussian, Bilateral and Features .. NoneType", terms=[Gaussian(1, 1), None]),
    refused("ValueError: Bilateral( .. 2 colour sigmas .. 3 channels .. one per channel", terms=[TWO_SIGMAS]),
    refused("ValueError: Bilateral( .. 2 colour sigmas .. 1 channel", image=picture(5, 7), terms=[TWO_SIGMAS]),
    refused("ValueError: Gaussian(sxy=1e-06 .. too small .. 6e+06 .. 13.7 times", terms=[Gaussian(1e-6, 1)]),
    refused("ValueError: Gaussian(sxy=(1.0, 1e-06) .. too small .. 4e+06", terms=[Gaussian((1, 1e-6), 1)]),
    refused("ValueError: Bilateral( .. too small .. 2.55e+07 .. times as large", terms=[Bilateral(3, 1e-5, 1)]),
    refused("ValueError: Bilateral( .. too small .. times as large", image=np.full((5, 7), 2**62)),
    refused("ValueError: 33 feature dimensions .. 32 .. reduce the channels", image=picture(5, 7, 31)),
    refused("ValueError: iterations .. >= 0 .. -1", iterations=-1),
    refused("ValueError: iterations .. 2^31 .. 2147483648", iterations=2**31),
    refused("TypeError: iterations .. integer .. float", iterations=10.0),
    refused("TypeError: iterations .. integer .. bool", iterations=True),
    refused("TypeError: iterations .. integer .. str", iterations="10"),
    refused("TypeError: iterations .. integer .. NoneType", iterations=None),
    refused("ValueError: iterations .. 2^31 .. thousands of digits", iterations=10**5000),
    refused("ValueError: preset .. got 'xxx .. xxx'", preset="x" * 3000),
    refused("ValueError: terms .. more than 1000", terms=Endless(2, Gaussian(1, 1))),
    refused("ValueError: Gaussian( .. 1000 .. 2 axes", terms=[Gaussian((1,) * 1000, 1)]),
    refused("ValueError: num_threads .. >= 1 .. 0", num_threads=0),
    refused("ValueError: num_threads .. >= 1 .. -1", num_threads=-1),
    refused("ValueError: num_threads .. 2^31", num_threads=2**40),
    refused("TypeError: num_threads .. integer .. float", num_threads=0.5),
    refused("TypeError: num_threads .. integer .. bool", num_threads=True),
    refused("TypeError: from_logits .. True or False .. int", from_logits=1),
    refused("TypeError: from_logits .. True or False .. float", from_logits=0.5),
    refused("TypeError: from_logits .. True or False .. str", from_logits="no"),
    refused("TypeError: from_logits .. True or False .. NoneType", from_logits=None),
    refused("TypeError: from_logits .. True or False .. ndarray", from_logits=np.array(True)),
]

OUT = [
    refused("ValueError: out .. (4, 5, 7) .. (4, 5, 8)", out=np.empty((4, 5, 8), np.float32)),
    refused("ValueError: out .. (4, 5, 7) .. (5, 7, 4)", out=np.empty((5, 7, 4), np.float32)),
    refused("ValueError: out .. (4, 5, 7) .. (1, 4, 5, 7)", out=np.empty((1, 4, 5, 7), np.float32)),
    refused("ValueError: out .. writable .. read-only", out=read_only(probabilities(4, 5, 7))),
    refused("ValueError: out .. memory", out=as_strided(np.empty((1, 5, 7), np.float32), (4, 5, 7), (0, 28, 4))),
    refused("TypeError: out .. float32 .. float64", out=np.empty((4, 5, 7))),
    refused("TypeError: out .. float32 .. int64", out=np.empty((4, 5, 7), np.int64)),
    refused("TypeError: out .. float32 .. >f4", out=np.empty((4, 5, 7), ">f4")),
    refused("TypeError: out .. list", out=probabilities(4, 5, 7).tolist()),
    refused("TypeError: out .. bool", out=True),
    refused("TypeError: out .. GPU .. neither .. OnTheGpu", out=OnTheGpu()),
    refused("TypeError: out .. masked", out=np.ma.zeros((4, 5, 7), np.float32)),
]

# Made by calling them with torch, which may not be there.
TENSORS = [
    ("ValueError: (C, H, W) .. (5, 7, 3) .. channel_axis=-1", lambda t: {"image": t(picture(5, 7, 3))}),
    ("ValueError: (9, 11, 3) .. channel_axis", lambda t: {"image": t(picture(9, 11, 3))}),
    (
        "ValueError: (3, 3, 3) .. channel_axis=",
        lambda t: {"image": t(picture(3, 3, 3)), "probs": probabilities(4, 3, 3)},
    ),
    ("ValueError: (H, W) or (C, H, W) .. no batch axis .. (1, 3, 5, 7)", lambda t: {"image": t(picture(1, 3, 5, 7))}),
    (
        "ValueError: image .. no batch axis",
        lambda t: {"image": t(picture(3, 5, 7)), "probs": probabilities(1, 4, 5, 7)},
    ),
    ("ValueError: image .. 0..1 or 0..255 .. mean", lambda t: {"image": t(picture(3, 5, 7)) / 255 - 0.5}),
    ("TypeError: image .. dense tensor on the CPU .. meta", lambda t: {"image": t(picture(3, 5, 7)).to("meta")}),
    ("ValueError: labels last .. movedim", lambda t: {"probs": t(labels_last())}),
    ("ValueError: probs .. negative .. from_logits=True", lambda t: {"probs": t(probabilities(4, 5, 7)).log()}),
    ("TypeError: probs .. floating point .. torch.int64", lambda t: {"probs": t(probabilities(4, 5, 7)).long()}),
    ("TypeError: probs .. floating point .. torch.complex64", lambda t: {"probs": t(probabilities(4, 5, 7)).cfloat()}),
    ("TypeError: probs .. float8_e5m2", lambda t: {"probs": as_float8(t(probabilities(4, 5, 7)))}),
    ("TypeError: probs .. dense tensor on the CPU .. meta", lambda t: {"probs": t(probabilities(4, 5, 7)).to("meta")}),
    (
        "TypeError: probs .. dense tensor on the CPU .. sparse",
        lambda t: {"probs": t(probabilities(4, 5, 7)).to_sparse()},
    ),
    ("TypeError: probs .. values in memory", lambda t: {"probs": without_memory("_efficientzerotensor", (4, 5, 7))}),
    ("TypeError: image .. values in memory", lambda t: {"image": without_memory("nn.UninitializedParameter")}),
    ("TypeError: out .. same library .. Tensor .. ndarray", lambda t: {"out": t(probabilities(4, 5, 7))}),
    (
        "TypeError: out .. same library .. ndarray .. Tensor",
        lambda t: {"probs": t(probabilities(4, 5, 7)), "out": probabilities(4, 5, 7)},
    ),
    (
        "TypeError: out .. bfloat16 .. float32",
        lambda t: {"probs": t(probabilities(4, 5, 7)).bfloat16(), "out": t(probabilities(4, 5, 7))},
    ),
    (
        "ValueError: out .. (4, 5, 7) .. (4, 7, 5)",
        lambda t: {"probs": t(probabilities(4, 5, 7)), "out": t(probabilities(4, 5, 7)).mT},
    ),
    (
        "ValueError: out .. memory",
        lambda t: {"probs": t(probabilities(4, 5, 7)), "out": t(probabilities(4, 5, 7))[:1].expand(4, -1, -1)},
    ),
]


@pytest.mark.parametrize(("expected", "arguments"), SIZES + AXES + CHANNEL_AXIS)
def test_shapes_that_do_not_fit_are_refused(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd)


@pytest.mark.parametrize(("expected", "arguments"), PROBS)
def test_probs_that_are_no_probabilities_are_refused(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd)


@pytest.mark.parametrize(("expected", "arguments"), IMAGE)
def test_images_that_are_no_pictures_are_refused(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd)


@pytest.mark.parametrize(("expected", "arguments"), OPTIONS)
def test_options_that_mean_nothing_are_refused(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd)


@pytest.mark.parametrize(("expected", "arguments"), OUT)
def test_an_out_that_cannot_take_the_result_is_refused(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd)


def without_memory(make, *arguments):
    return functools.reduce(getattr, make.split("."), sys.modules["torch"])(*arguments)


def as_float8(tensor):
    return tensor.to(sys.modules["torch"].float8_e5m2)


@pytest.mark.parametrize(("expected", "arguments"), [pytest.param(*row, id=row[0]) for row in TENSORS])
def test_tensors_that_do_not_fit_are_refused(expected, arguments, capfd):
    torch = pytest.importorskip("torch")
    assert_refused(expected, arguments(torch.from_numpy), capfd)


def test_a_pillow_image_of_palette_indices_is_refused(capfd):
    """Its pixels are numbers of colours, not colours: neighbours in the palette need not look alike."""
    image_module = pytest.importorskip("PIL.Image")
    image = image_module.fromarray(picture(5, 7, 3)).convert("P")
    assert_refused("TypeError: image .. palette .. convert", {"image": image}, capfd)


@pytest.mark.parametrize(("expected", "arguments"), [SIZES[0], AXES[0], PROBS[0], IMAGE[0], OPTIONS[0], OUT[0]])
def test_the_reference_refuses_the_same_in_its_own_name(expected, arguments, capfd):
    assert_refused(expected, arguments, capfd, densecrf.reference.refine, "densecrf.reference.refine")


def test_the_reference_refuses_pictures_it_would_take_forever_for():
    with pytest.raises(ValueError, match=r"^densecrf\.reference\.refine: at most 16384 pixels, got 16512; .*refine$"):
        densecrf.reference.refine(picture(128, 129), probabilities(2, 128, 129))


def test_a_refused_call_leaves_everything_as_it_was():
    image, probs = picture(2, 5, 7, 3), with_one(np.nan, 2, 4, 5, 7)
    out = np.full_like(probs, -7)
    before = image.copy(), probs.copy()
    with pytest.raises(ValueError, match="finite"):
        densecrf.refine(image, probs, out=out)
    assert_array_equal(image, before[0])
    assert_array_equal(probs, before[1])
    assert_array_equal(out, -7)
