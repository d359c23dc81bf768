"""The compiled module, called with what no caller of the library would: wrong types, shapes, strides, numbers."""

import struct

import numpy as np

from densecrf import _core

from .promises import only

KINDS = ("probabilities", "logits", "energies", "", "nonsense\0", "\ud800")
NORMALIZATIONS = ("none", "before", "after", "symmetric", "", "Symmetric")
DTYPES = ("f4", "f4", "f4", "f4", "u1", "f8", "i4", ">f4", "f2", "c8", "?", "U1", "M8[s]", "O")
NUMBERS = (0, 1, 2, 3, -1, -(2**31), 2**31 - 1, 2**31, 2**40, 2**62, -(2**63), 2**64, True, None, 1.5, "3", b"x", [])
SIZES = (0, 1, -1, 2**40, 2**62, -(2**63), 2**64, True, None, 1.5, "3", [])  # none that only takes long
FLOATS = (1.0, 3.0, 0.0, -0.0, 1e-45, 1e-38, 1e-5, 1e30, 3e38, -1.0, 1e300, float("inf"), float("nan"), None, "x", 2)


class Draw:
    """Choices made of bytes; zeros when there are no more of them."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def byte(self):
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def below(self, count):
        return self.byte() % count

    def of(self, choices):
        return choices[self.below(len(choices))]

    def often(self, usual, odd):
        """The usual, or once in eight cases what odd() gives."""
        return odd() if self.below(8) == 7 else usual

    def number(self, usual):
        return self.often(usual, lambda: self.of(NUMBERS))

    def real(self):
        if self.below(4) == 0:
            return self.of(FLOATS)
        if self.below(4) == 0:
            return struct.unpack("<f", bytes(self.byte() for _ in range(4)))[0]
        return 0.25 + self.byte() / 4

    def reals(self, most=5):
        return self.often([self.real() for _ in range(self.below(most))], lambda: self.of((None, "ab", 3, [[1.0]], {})))

    def array(self, *shape):
        """An array of this shape, or almost; planes of any strides, dtype and byte order."""
        shape = tuple(self.often(side, lambda: self.below(9)) for side in shape)
        if self.below(16) == 15:
            shape = shape[1:] if self.below(2) else (*shape, 1)
        dtype = self.often("f4", lambda: self.of(DTYPES))
        pattern = [self.byte() for _ in range(1 + self.below(12))]
        values = np.resize(np.array(pattern, np.uint8), shape)
        if dtype == "f4" and self.below(8) == 7:
            array = np.resize(np.array([self.real_number() for _ in range(4)], "f4"), shape)
        else:
            array = (values / 64).astype(dtype) if dtype in ("f4", "f8", "f2") else values.astype(dtype)
        return self.often(array, lambda: self.view(np.atleast_1d(array)))

    def real_number(self):
        number = self.real()
        return number if isinstance(number, (int, float)) and abs(number) < 3e38 else np.nan

    def view(self, array):
        """The same values in another layout, or something that is no array."""
        which = self.below(8)
        if which == 0:
            return np.asfortranarray(array)
        if which == 1:
            return array[..., ::-1]
        if which == 2:
            return np.broadcast_to(array[:1], array.shape)
        if which == 3:
            array.flags.writeable = False
            return array
        if which == 4:  # no element where its alignment wants it
            packed = np.zeros(array.shape, [("pad", "u1"), ("x", array.dtype)])
            packed["x"] = array
            return packed["x"]
        return (None, array.tolist(), array[..., None])[which - 5]


DOCUMENTED = (TypeError, ValueError, MemoryError)  # an OverflowError of pybind11 is a TypeError


def call(data):
    """One model, and a few calls of it."""
    draw = Draw(data)
    with only(*DOCUMENTED), np.errstate(all="ignore"):
        shape = [1 + draw.below(8) for _ in range(1 + draw.below(3))]
        points = int(np.prod(shape))
        labels = 1 + draw.below(9)
        terms = [_term(draw, points, labels, len(shape)) for _ in range(draw.below(3))]
        if draw.below(8) == 7:
            shape[draw.below(len(shape))] = draw.of(SIZES)
        if terms:
            _core.max_abs(shape, terms[0])
        model = _core.Model(draw.often(shape, lambda: draw.of(((), None, "ab", 7))), terms, draw.number(1))
        assert model.vertices >= 0
        for _ in range(1 + draw.below(2)):
            _call(draw, model, points, labels)


def _term(draw, points, labels, axes):
    channels = draw.array(points, 1 + draw.below(3)) if draw.below(2) else None
    weight = draw.often(
        [3.0, draw.array(labels), draw.array(labels, labels)][draw.below(3)], lambda: draw.of((None, "x", -1.0, []))
    )
    colours = draw.reals() if channels is not None else []
    positions = [draw.real() for _ in range(draw.below(axes + 1))]
    return _core.Term(draw.often(positions, draw.reals), colours, channels, draw.of(NORMALIZATIONS), weight)


def _call(draw, model, points, labels):
    scores, out = draw.array(labels, points), np.full((labels, points), 7, "f4")
    before = scores.tobytes() if isinstance(scores, np.ndarray) and scores.dtype != object else None
    threads = draw.number(1)
    if draw.below(3) == 0:
        _core.survey(scores, threads)
        model.message(scores, threads, draw.often(out, lambda: draw.array(labels, points)))
    else:
        start = draw.array(labels, points) if draw.below(2) else None
        kind, iterations = draw.of(KINDS), draw.often(draw.below(4), lambda: draw.of(NUMBERS[:5]))
        floats = [draw.often(0.0, draw.real) for _ in range(4)]
        clip, damping, tolerance, label_tolerance = floats
        model.infer(
            scores, kind, clip, iterations, start, damping, tolerance, label_tolerance, threads,
            draw.often(out, lambda: draw.of((scores, start, draw.array(labels, points)))),
        )  # fmt: skip
    if before is not None and out[0, 0] != 7:  # the answer went elsewhere
        assert scores.tobytes() == before, "an input was changed"
