"""deeplab.caffemodel: .caffemodel files byte by byte."""

import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

torch = pytest.importorskip("torch")
pytest.importorskip("deeplab")

import deeplab_files as files  # noqa: E402

from deeplab import caffemodel  # noqa: E402

WEIGHT = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
BIAS = np.float32([0.5, -1.5])


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("caffe") / "a.caffemodel"

    def read(content):
        path.write_bytes(content)
        return caffemodel.read(path)

    return read


def assert_equal(layers, expected):
    assert {name: [x.tolist() for x in blobs] for name, blobs in layers.items()} == {
        name: [np.asarray(x).tolist() for x in blobs] for name, blobs in expected.items()
    }


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_layers_blobs_shapes_and_values_of_every_kind_are_read(read, old, legacy, packed, double):
    blobs = [files.blob(x, legacy=legacy, packed=packed, double=double) for x in (WEIGHT, BIAS)]
    layers = read(files.layer("conv1_1", *blobs, old=old) + files.layer("relu", old=old))
    assert_equal(layers, {"conv1_1": [WEIGHT, BIAS[None, None, None] if legacy else BIAS]})
    assert layers["conv1_1"][0].dtype == (np.float64 if double else np.float32)


def test_old_and_new_layers_and_what_else_is_in_a_file(read):
    other = files.integer(5, 1) + files.message(6, b"\x08\x01") + b"\x39" + bytes(8) + b"\x45" + bytes(4)
    content = other + files.layer("a", files.blob(BIAS), old=True) + other + files.layer("b", files.blob(WEIGHT))
    assert_equal(read(content), {"a": [BIAS], "b": [WEIGHT]})


def test_packed_values_may_come_in_parts(read):
    blob = files.message(5, WEIGHT.tobytes()[:40]) + files.message(5, WEIGHT.tobytes()[40:])
    shape = b"".join(map(files.varint, WEIGHT.shape))
    assert_equal(read(files.layer("a", blob + files.message(7, files.message(1, shape)))), {"a": [WEIGHT]})


def test_sides_may_come_one_by_one(read):
    shape = b"".join(files.integer(1, side) for side in WEIGHT.shape)
    blob = files.message(7, shape) + files.message(5, WEIGHT.tobytes())
    assert_equal(read(files.layer("a", blob)), {"a": [WEIGHT]})


def test_weights_can_be_written_to(read):
    (weight,) = read(files.layer("a", files.blob(WEIGHT)))["a"]
    weight += 1  # or torch.from_numpy warns
    assert_equal({"a": [weight]}, {"a": [WEIGHT + 1]})


# ---- damage ---------------------------------------------------------------------------------------------------

VALUES = files.message(5, bytes(8))
HUGE = 2**63
DAMAGED = {
    "nothing": (b"", "the file is empty"),
    "no layers": (files.message(1, b"name"), "no layer with weights"),
    "layers without weights": (files.layer("a"), "no layer with weights"),
    "a length beyond the end": (files.varint(100 << 3 | 2) + files.varint(HUGE), f"it ends {HUGE} bytes too early"),
    "half a fixed number": (b"\x39abcd", "it ends 4 bytes too early"),
    "a number without an end": (b"\xff" * 10 + b"\x01", "a number without an end"),
    "a name that is no text": (files.message(100, files.message(1, b"\xff")), "can't decode"),
    "a field of a type long gone": (b"\x0b", "a field of type 3"),
    "two layers of a name": (2 * files.layer("a", files.blob(BIAS)), "two layers 'a'"),
    "values without a shape": (files.layer("a", VALUES), r"8 bytes in a blob of shape \(0, 0, 0, 0\)"),
    "a shape without values": (files.layer("a", files.message(7, files.integer(1, 0))), r"0 bytes in .* \(0,\)"),
    "an absurd side": (files.layer("a", files.integer(1, HUGE) + VALUES), rf"8 bytes in a blob of shape \({HUGE}, 0"),
    "half a value": (files.layer("a", files.message(7, b"") + files.message(5, b"abc")), "3 bytes in a blob"),
    "an endless shape": (files.layer("a", files.message(7, bytes(401)) + VALUES), "whose shape takes 401 bytes"),
    "too many axes": (files.layer("a", files.message(7, b"\x0a\x46" + b"\x01" * 70) + VALUES[:1] + b"\x04aaaa"), "dim"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told(read, name):
    content, message = DAMAGED[name]
    with pytest.raises(ValueError, match=message):
        read(content)


def whole():
    blobs = [files.blob(WEIGHT, legacy=True), files.blob(BIAS, packed=False)]
    return files.message(1, b"net") + files.layer("a", *blobs, old=True) + files.layer("b", *blobs)


def test_of_a_truncated_file_at_most_whole_layers_are_read(read):
    content = whole()
    complete = read(content)
    ends = set()
    for length in range(len(content)):
        try:
            layers = read(content[:length])
        except ValueError:
            continue
        ends.add(length)
        assert_equal(layers, {"a": complete["a"]})
    assert len(ends) == 1


def assert_blobs_or_a_value_error(read, content):
    try:
        layers = read(content)
    except ValueError:
        return
    assert all(blob.size and blob.nbytes <= len(content) for blobs in layers.values() for blob in blobs)


@hypothesis.given(content=strategies.binary(max_size=200))
@hypothesis.settings(max_examples=300)
def test_any_bytes_are_blobs_or_a_value_error(read, content):
    assert_blobs_or_a_value_error(read, content)


@hypothesis.given(data=strategies.data())
@hypothesis.settings(max_examples=300)
def test_any_change_of_a_file_gives_blobs_or_a_value_error(read, data):
    content = bytearray(whole())
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(content) - 1))
        content[at : at + data.draw(strategies.integers(0, 3))] = data.draw(strategies.binary(max_size=3))
    assert_blobs_or_a_value_error(read, bytes(content))


N = 30_000
HOSTILE = {
    "empty layers": files.message(100, b"") * N,
    "an unpacked blob": files.layer("a", files.message(7, files.integer(1, N)) + (b"\x2d" + bytes(4)) * N),
    "many axes": files.layer("a", files.message(7, files.message(1, b"\x01" * N)) + VALUES),
    "many shapes": files.layer("a", files.message(7, b"\x08\x01") * N + VALUES),
    "absurd lengths": (files.varint(100 << 3 | 2) + files.varint(2**62)) * N,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_is_in_proportion_to_the_file(read, name):
    tracemalloc.start()
    try:
        assert_blobs_or_a_value_error(read, HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 3 * len(HOSTILE[name]) + 200_000
    finally:
        tracemalloc.stop()
