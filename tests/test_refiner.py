"""densecrf.Refiner: batches of rows, as data engines hand them out."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from inputs import picture, probabilities
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Parameters, Refiner

SIZES = [(5, 7), (8, 6), (4, 9)]


def pictures(sizes):
    return [picture(*size, 3) for size in sizes]


def scores(sizes):
    return [probabilities(4, *size) for size in sizes]


def objects(rows):
    column = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        column[index] = row
    return column


def expected(sizes, **options):
    return [
        densecrf.refine(image, probs, **options) for image, probs in zip(pictures(sizes), scores(sizes), strict=True)
    ]


def test_a_batch_of_one_size_gets_arrays_of_labels_and_marginals():
    batch = {"image": np.stack(pictures(SIZES[:1] * 3)), "probs": np.stack(scores(SIZES[:1] * 3))}
    refined = Refiner(marginals="refined")(batch)
    assert_array_equal(refined["refined"], np.stack(expected(SIZES[:1] * 3)))
    assert refined["labels"].dtype == np.uint8
    assert_array_equal(refined["labels"], refined["refined"].argmax(1))


@pytest.mark.parametrize("column", [list, objects], ids=["lists", "arrays of objects"])
def test_pictures_of_different_sizes_are_refined_one_by_one(column):
    refined = Refiner(marginals="refined")({"image": column(pictures(SIZES)), "probs": column(scores(SIZES))})
    assert type(refined["labels"]) is type(refined["refined"]) is type(column([]))
    for labels, marginals, wanted in zip(refined["labels"], refined["refined"], expected(SIZES), strict=True):
        assert_array_equal(marginals, wanted)
        assert_array_equal(labels, wanted.argmax(0))


def test_torch_tensors_stay_tensors(torch):
    images = torch.from_numpy(np.stack(pictures(SIZES[:1] * 2)).transpose(0, 3, 1, 2).copy())
    probs = torch.from_numpy(np.stack(scores(SIZES[:1] * 2)))
    refined = Refiner(marginals="refined")({"image": images, "probs": probs})
    assert refined["labels"].dtype == torch.uint8
    assert_array_equal(refined["refined"].numpy(), np.stack(expected(SIZES[:1] * 2)))


def test_a_loader_can_map_it_over_its_batches(torch):
    rows = [{"image": picture(5, 7, 3), "probs": probabilities(4, 5, 7), "name": str(index)} for index in range(4)]

    def collated(rows):
        return Refiner()({"image": [row["image"] for row in rows], "probs": [row["probs"] for row in rows]})

    batches = list(torch.utils.data.DataLoader(rows, batch_size=2, collate_fn=collated))
    assert [len(batch["labels"]) for batch in batches] == [2, 2]


def test_other_columns_are_kept_and_the_batch_is_not_changed():
    names = np.array(["cat", "dog"])
    batch = {"image": pictures(SIZES[:2]), "probs": scores(SIZES[:2]), "name": names, "size": [1, 2]}
    before = dict(batch)
    refined = Refiner()(batch)
    assert list(refined) == ["image", "probs", "name", "size", "labels"]
    assert refined["name"] is names
    assert list(batch) == list(before)
    assert all(batch[name] is before[name] for name in batch)


def test_columns_have_the_names_that_are_given():
    refined = Refiner(image="photo", probs="scores", labels=None, marginals="scores")(
        {"photo": pictures(SIZES), "scores": scores(SIZES)}
    )
    assert list(refined) == ["photo", "scores"]
    assert_array_equal(refined["scores"][1], expected(SIZES)[1])


def test_parameters_are_those_of_a_preset_a_file_or_ones_own(tmp_path):
    batch = {"image": pictures(SIZES), "probs": scores(SIZES)}
    mine = Parameters(3, 10, 20, 2, 2, iterations=4)
    mine.write(tmp_path / "mine.toml")
    for preset in (mine, str(tmp_path / "mine.toml")):
        refined = Refiner(preset, labels=None, marginals="refined")(batch)["refined"]
        assert_array_equal(refined[2], expected(SIZES, terms=mine.terms, iterations=4)[2])
    refined = Refiner("densecrf", labels=None, marginals="refined")(batch)["refined"]
    assert_array_equal(refined[0], expected(SIZES, preset="densecrf", iterations=5)[0])


def test_logits_are_taken_for_logits():
    batch = {"image": pictures(SIZES), "probs": [9 * np.log(probs) for probs in scores(SIZES)]}
    refined = Refiner(from_logits=True, labels=None, marginals="refined")(batch)["refined"]
    assert_array_equal(refined[0], densecrf.refine(batch["image"][0], batch["probs"][0], from_logits=True))


def test_more_labels_than_a_byte_holds_get_wider_ones():
    probs = np.full((1, 300, 4, 4), 0.5 / 299, np.float32)
    probs[:, 299] = 0.5
    refined = Refiner()({"image": picture(4, 4, 3)[None], "probs": probs})
    assert refined["labels"].dtype == np.int32
    assert (refined["labels"] == 299).all()


@pytest.mark.parametrize("column", [np.stack, list], ids=["arrays", "lists"])
def test_it_travels_to_other_processes_and_gives_the_same_there(column):
    refiner = Refiner("deeplab-v1", marginals="refined", num_threads=1)
    assert pickle.loads(pickle.dumps(refiner)) == refiner
    batch = {"image": column(pictures(SIZES[:1] * 2)), "probs": column(scores(SIZES[:1] * 2))}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(refiner, batch).result()
    assert_array_equal(np.stack(there["refined"]), np.stack(refiner(batch)["refined"]))


def test_no_rows_are_no_rows():
    empty = {"image": np.zeros((0, 5, 7, 3), np.uint8), "probs": np.zeros((0, 4, 5, 7), np.float32)}
    assert Refiner()(empty)["labels"].shape == (0, 5, 7)
    assert Refiner()({"image": [], "probs": []})["labels"] == []


WRONG = {
    "a column that is missing": ({"image": [], "name": []}, "the batch has no column 'probs'; it has image, name"),
    "columns of different lengths": (
        {"image": pictures(SIZES), "probs": scores(SIZES[:2])},
        "column 'image' has 3 rows and 'probs' has 2",
    ),
    "a row that does not fit": (
        {"image": pictures(SIZES), "probs": scores([SIZES[0], SIZES[2], SIZES[2]])},
        "columns 'image' and 'probs', row 1: densecrf.refine: image and probs must have the same height and width",
    ),
    "a batch that does not fit": (
        {"image": np.stack(pictures(SIZES[:1] * 2)), "probs": np.stack(scores(SIZES[1:2] * 2))},
        "columns 'image' and 'probs': densecrf.refine: ",
    ),
    "values that are no probabilities": (
        {"image": pictures(SIZES[:1]), "probs": [scores(SIZES[:1])[0] * 2]},
        "columns 'image' and 'probs', row 0: densecrf.refine: probs must sum to 1",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_names_the_column_and_the_row(what):
    batch, words = WRONG[what]
    with pytest.raises(ValueError, match=r"^densecrf\.Refiner: ") as caught:
        Refiner()(batch)
    assert words in str(caught.value)


def test_wrong_types_stay_type_errors():
    with pytest.raises(TypeError, match=r"^densecrf\.Refiner: columns 'image' and 'probs', row 0: .*floating point"):
        Refiner()({"image": pictures(SIZES[:1]), "probs": [np.zeros((4, 5, 7), int)]})


@pytest.mark.parametrize("batch", [None, 3, "image", [1], {"image": 3, "probs": 3}, {"image": iter(()), "probs": []}])
def test_what_is_no_batch_is_a_type_error(batch):
    with pytest.raises(TypeError, match=r"^densecrf\.Refiner: "):
        Refiner()(batch)


def test_probabilities_of_one_picture_are_not_taken_for_a_batch():
    """(L, H, W) of a grey picture whose height is L would be refined as one picture, and its rows taken for labels."""
    batch = {"image": np.zeros((4, 4, 1), np.uint8), "probs": np.full((4, 4, 4), 0.25, np.float32)}
    with pytest.raises(ValueError, match=r"'probs' must be of shape \(B, L, H, W\), got \(4, 4, 4\)"):
        Refiner()(batch)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": 3},
        {"image": None},
        {"marginals": 3},
        {"device": None},
        {"preset": "none"},
        {"labels": None},
        {"num_threads": 0},
        {"from_logits": "yes"},
        {"device": "tpu"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(wrong):
    with pytest.raises((TypeError, ValueError)):
        Refiner(**wrong)


def test_a_gpu_that_is_not_there_is_named_when_it_is_needed():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    refiner = Refiner(device="cuda")  # made where there is none, for workers that have one
    with pytest.raises(ValueError, match="there is no cuda to work on"):
        refiner({"image": pictures(SIZES), "probs": scores(SIZES)})
