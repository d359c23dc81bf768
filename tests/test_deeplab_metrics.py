"""deeplab.metrics: every score against its definition, one pixel at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("torch")
pytest.importorskip("PIL")

from deeplab.metrics import Confusion, trimap, trimap_confusions, trimap_curve

N = 3
VOID = 255

LABELS = st.sampled_from([0, 1, 2, 3, VOID])  # 3 is none of the classes
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)


@st.composite
def pictures(draw):
    shape = draw(SHAPES)
    labels = draw(arrays.arrays(np.uint8, shape, elements=LABELS))
    return labels, draw(arrays.arrays(np.int64, shape, elements=st.integers(0, N - 1)))


def confusion(labels, predicted, n_classes=N):
    counted = Confusion(n_classes)
    counted.add(labels, predicted)
    return counted


# ---- the definitions, slowly -----------------------------------------------------------------------------------


def pixels(labels, predicted):
    """Pairs of labels, those of no class left out."""
    return [(t, p) for t, p in zip(np.ravel(labels).tolist(), np.ravel(predicted).tolist(), strict=True) if t < N]


def share(part, whole):
    return part / whole if whole else np.nan


def mean(values):
    known = [value for value in values if value == value]
    return share(sum(known), len(known))


def slow_scores(pairs):
    """Pixel accuracy, mean accuracy, IoU of every class, their mean, and their mean weighted by frequency."""
    truths, right, ious = [], [], []
    for k in range(N):
        truths.append(sum(t == k for t, _ in pairs))
        right.append(sum(t == p == k for t, p in pairs))
        ious.append(share(right[k], sum(k in pair for pair in pairs)))
    accuracies = [share(*counts) for counts in zip(right, truths, strict=True)]
    weighted = sum(t * iou for t, iou in zip(truths, ious, strict=True) if t)
    return share(sum(right), len(pairs)), mean(accuracies), ious, mean(ious), share(weighted, len(pairs))


def slow_trimap(labels, width):
    band = np.zeros(labels.shape, bool)
    for y, x in np.argwhere(labels == VOID):
        band[max(y - width, 0) : y + width + 1, max(x - width, 0) : x + width + 1] = True
    return band & (labels != VOID)


# ---- Confusion -------------------------------------------------------------------------------------------------


@given(pictures())
def test_the_matrix_counts_truths_in_rows_and_predictions_in_columns(picture):
    matrix = np.zeros((N, N), int)
    for t, p in pixels(*picture):
        matrix[t, p] += 1
    assert confusion(*picture).matrix.tolist() == matrix.tolist()


@given(pictures())
def test_scores_are_those_of_the_definitions(picture):
    found = confusion(*picture)
    pixel, accuracy, ious, iou, weighted = slow_scores(pixels(*picture))
    np.testing.assert_allclose(
        [found.pixel_accuracy, found.mean_accuracy, *found.iou, found.mean_iou, found.frequency_weighted_iou],
        [pixel, accuracy, *ious, iou, weighted],
    )


def test_scores_of_an_example_by_hand():
    found = confusion([0, 0, 0, 1, 1, VOID], [0, 0, 1, 1, 2, 0])
    assert found.matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert found.pixel_accuracy == pytest.approx(3 / 5)
    assert found.mean_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)  # the truth has no 2
    assert found.iou.tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert found.mean_iou == pytest.approx(1 / 3)  # the prediction has one
    assert found.frequency_weighted_iou == pytest.approx(3 / 5 * 2 / 3 + 2 / 5 * 1 / 3)


def test_a_class_of_neither_truth_nor_prediction_has_no_say():
    found = confusion([0, 1], [0, 1])
    assert np.isnan(found.iou).tolist() == [False, False, True]
    assert found.mean_iou == found.mean_accuracy == found.frequency_weighted_iou == 1


@pytest.mark.parametrize("labels", [np.zeros((0, 0), int), np.full((2, 2), VOID)])
def test_where_nothing_is_known_scores_are_not_a_number(labels):
    found = confusion(labels, np.zeros_like(labels))
    scores = [found.pixel_accuracy, found.mean_accuracy, found.mean_iou, found.frequency_weighted_iou, *found.iou]
    assert np.isnan(scores).all()


@given(pictures(), pictures())
def test_parts_add_up_to_the_whole_and_stay_as_they_are(one, other):
    whole = confusion(*one)
    whole.add(*other)
    parts = [confusion(*one), confusion(*other)]
    assert sum(parts, Confusion(N)).matrix.tolist() == whole.matrix.tolist()
    assert parts[0].matrix.tolist() == confusion(*one).matrix.tolist()


@given(pictures())
def test_scores_are_those_of_scikit_learn(picture):
    metrics = pytest.importorskip("sklearn.metrics")
    truths, answers = zip(*pixels(*picture), strict=True) if pixels(*picture) else ((0,), (0,))
    found = confusion(truths, answers)
    assert found.pixel_accuracy == pytest.approx(metrics.accuracy_score(truths, answers))
    assert found.mean_iou == pytest.approx(metrics.jaccard_score(truths, answers, average="macro"))
    assert found.frequency_weighted_iou == pytest.approx(metrics.jaccard_score(truths, answers, average="weighted"))


def test_small_types_do_not_overflow():
    labels = np.full((20, 20), 199, np.uint8)  # 199 * 200 + 199 is beyond 16 bits
    assert confusion(labels, labels, n_classes=200).matrix[199, 199] == 400


WRONG = {
    "a class too many": ([0], [3], r"must be 0 to 2, got 3 to 3"),
    "where truth is void": ([VOID], [VOID], r"must be 0 to 2, got 255"),
    "below": ([0], [-1], r"must be 0 to 2, got -1"),
    "another shape": ([[0, 1]], [[0], [1]], r"labels are \(1, 2\), predicted ones \(2, 1\)"),
    "scores": ([0], [0.5], r"must be integers, got float64"),
}


@pytest.mark.parametrize(("labels", "predicted", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_counted_is_an_error_and_counts_nothing(labels, predicted, words):
    counted = Confusion(N)
    with pytest.raises(ValueError, match=f"^confusion: .*{words}"):
        counted.add(labels, predicted)
    assert counted.matrix.sum() == 0


def test_more_classes_than_there_is_memory_for_are_refused_at_once():
    with pytest.raises(MemoryError, match="memory"):
        Confusion(2**30)


# ---- trimaps ---------------------------------------------------------------------------------------------------


@given(pictures(), st.integers(0, 12))
def test_a_trimap_is_the_dilated_void_less_the_void(picture, width):
    labels, _ = picture
    assert trimap(labels, width).tolist() == slow_trimap(labels, width).tolist()


def test_a_trimap_reaches_as_far_at_an_angle_as_straight():
    labels = np.zeros((7, 7), np.uint8)
    labels[3, 3] = VOID
    assert trimap(labels, 2).sum() == 5 * 5 - 1


def test_without_void_there_is_no_trimap_however_wide():
    assert not trimap(np.zeros((4, 5), np.uint8), 10**9).any()


@given(st.lists(pictures(), max_size=3), st.sampled_from([(1, 2, 5), (4, 2), (1,), (40,)]))
def test_a_curve_has_the_scores_within_every_band_over_all_pictures(pairs, widths):
    curve = trimap_curve(iter(pairs), N, widths)
    assert list(curve) == list(widths)
    for width in widths:
        bands = [(labels[band], p[band]) for labels, p in pairs for band in [slow_trimap(labels, width)]]
        pixel, accuracy, _, iou, _ = slow_scores([pair for band in bands for pair in pixels(*band)])
        np.testing.assert_allclose(curve[width], [pixel, accuracy, iou])


def test_a_curve_has_the_papers_forty_widths():
    labels = np.zeros((1, 100), np.uint8)
    labels[0, 0] = VOID
    predicted = (np.arange(100) > 10)[None].astype(int)  # right within ten pixels
    curve = trimap_curve([(labels, predicted)], 2)
    assert list(curve) == list(range(1, 41))
    assert [curve[width][0] for width in (1, 10, 20, 40)] == [1, 1, 0.5, 0.25]


def slow_trimap_of_labels(labels, width):
    """Every pixel, and every pixel that it may be near to."""
    H, W = labels.shape
    beside = np.zeros((H, W), bool)
    for y, x in np.ndindex(H, W):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < H and 0 <= u < W
            beside[y, x] |= inside and labels[v, u] != labels[y, x] and VOID not in (labels[v, u], labels[y, x])
    band = np.zeros((H, W), bool)
    for y, x in np.ndindex(H, W):
        near = beside[max(0, y - width + 1) : y + width, max(0, x - width + 1) : x + width]
        band[y, x] = labels[y, x] != VOID and near.any()
    return band


@given(pictures(), st.integers(1, 6))
def test_a_trimap_of_labels_is_around_where_two_of_them_meet(picture, width):
    labels, _ = picture
    assert trimap(labels, width, "labels").tolist() == slow_trimap_of_labels(labels, width).tolist()


@given(pictures(), st.integers(1, 6))
def test_a_trimap_of_either_is_around_both(picture, width):
    labels, _ = picture
    both = slow_trimap(labels, width) | slow_trimap_of_labels(labels, width)
    assert trimap(labels, width, "either").tolist() == both.tolist()


def test_confusions_of_bands_count_the_pixels_of_the_trimap():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, N, (3, 4)), 5, 0), 5, 1).astype(np.uint8)
    predicted = rng.integers(0, N, labels.shape)
    bands = trimap_confusions([(labels, predicted)], N, (1, 3), "labels")
    for width, band in bands.items():
        expected = Confusion(N)
        inside = trimap(labels, width, "labels")
        expected.add(labels[inside], predicted[inside])
        assert (band.matrix == expected.matrix).all()


def test_the_mean_over_classes_that_the_truth_has_ignores_those_it_has_not():
    confusion = Confusion(3)
    confusion.add([0, 0, 0, 1], [0, 0, 2, 1])
    assert confusion.mean_iou == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert confusion.mean_iou_of_present == pytest.approx((2 / 3 + 1) / 2)


def test_a_curve_does_not_count_what_cannot_be_predicted():
    with pytest.raises(ValueError, match="must be 0 to 2, got 3"):
        trimap_curve([(np.zeros((2, 2), int), np.full((2, 2), 3))], N)


@pytest.mark.parametrize(
    "wrong",
    [
        {"borders": "edges"},
        {"widths": ()},
        {"widths": (-1,)},
        {"widths": 3},
        {"pairs": [3]},
        {"pairs": None},
        {"pairs": np.ones(())},
    ],
    ids=str,
)
def test_trimaps_that_mean_nothing_are_refused(wrong):
    labels = np.zeros((3, 4), int)
    with pytest.raises((TypeError, ValueError), match=r"^trimap: "):
        trimap_confusions(**{"pairs": [(labels, labels)], "n_classes": 2, "widths": (1,), **wrong})


def test_a_trimap_of_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"^trimap: labels must be integers"):
        trimap(np.zeros(3, int), 2)


def test_a_parameter_without_a_shape_is_no_pairs():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="trimap: pairs must be an iterable, got UninitializedParameter"):
        trimap_confusions(torch.nn.UninitializedParameter(), 3)
