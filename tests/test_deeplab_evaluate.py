"""python -m deeplab evaluate: what it measures, how a network sees a picture, where scores and parameters come from."""

import csv
import dataclasses
import itertools
import time
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

toys = pytest.importorskip("deeplab_toys")  # needs torch

import deeplab  # noqa: E402
from deeplab import evaluate  # noqa: E402
from deeplab.crf import network_input  # noqa: E402
from deeplab.parts import resize  # noqa: E402
from deeplab.scores import NetworkScores, StoredScores, Views, starts, store  # noqa: E402
from densecrf._parameters import Parameters, resolve  # noqa: E402

torch = toys.torch
network = toys.network


@pytest.fixture
def data(tmp_path):
    return toys.make(tmp_path / "set")


def arguments(tmp_path, *more):
    return ["--data", "folder", "--root", str(tmp_path / "set"), *map(str, more)]


def stored_arguments(tmp_path, *more):
    return arguments(tmp_path, "--scores", tmp_path / "set" / "scores", *more)


def table(path):
    """The rows of a CSV file by their first cell, numbers as such."""
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    return {name: [float(cell) for cell in cells] for name, *cells in rows}


def labels_of(data, tmp_path, preset=toys.DEFAULT):
    """By hand: for every picture its labels, those before and those after the CRF."""
    found = []
    for sample in data:
        logits = toys.stored(tmp_path / "set", sample.name)
        found.append((sample.labels, logits.argmax(0), toys.refined(sample.image, logits, preset).argmax(0)))
    return found


# ---- measures ---------------------------------------------------------------------------------------------------


def test_the_table_has_what_a_computation_by_hand_gives(data, tmp_path, capsys):
    assert evaluate.main(stored_arguments(tmp_path, "--out", tmp_path / "out")) == 0
    rows = table(tmp_path / "out" / "results.csv")
    triples = labels_of(data, tmp_path)
    for side in (0, 1):
        pairs = [(triple[0], triple[1 + side]) for triple in triples]
        truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
        truth, predicted = truth[truth != 255], predicted[truth != 255]
        iou = [((truth == c) & (predicted == c)).sum() / ((truth == c) | (predicted == c)).sum() for c in range(3)]
        assert_allclose(rows["pixel accuracy"][side], (truth == predicted).mean())
        assert_allclose(rows["mean accuracy"][side], np.mean([(predicted[truth == c] == c).mean() for c in range(3)]))
        assert_allclose(rows["mean IoU"][side], np.mean(iou))
        assert_allclose(rows["frequency weighted IoU"][side], np.average(iou, weights=np.bincount(truth)))
        assert_allclose([rows[f"IoU {name}"][side] for name in ("sky", "sea", "sand")], iou)
    printed = capsys.readouterr().out
    assert f"{100 * rows['mean IoU'][0]:.2f}" in printed
    assert f"{100 * rows['mean IoU'][1]:.2f}" in printed


def test_the_crf_makes_noisy_scores_better(data, tmp_path):
    before, after = evaluate.evaluate(data, StoredScores(tmp_path / "set" / "scores"), toys.DEFAULT).confusions
    assert before.mean_iou < 0.7
    assert after.mean_iou > 0.9


def test_the_labels_of_both_sides_are_written_as_they_were_counted(data, tmp_path):
    evaluate.main(stored_arguments(tmp_path, "--out", tmp_path / "out"))
    for sample, (_, *sides) in zip(data, labels_of(data, tmp_path), strict=True):
        for side, labels in zip(("before", "after"), sides, strict=True):
            with toys.Image.open(tmp_path / "out" / side / f"{sample.name}.png") as image:
                assert_array_equal(np.asarray(image), labels)


def test_the_bands_around_void_are_those_of_a_dilation_by_hand(data, tmp_path):
    evaluate.main(stored_arguments(tmp_path, "--out", tmp_path / "out"))
    rows = table(tmp_path / "out" / "trimap.csv")
    assert list(rows) == [str(width) for width in range(1, 41)]
    for width in (1, 4):
        for side in (0, 1):
            pairs = []
            for truth, *sides in labels_of(data, tmp_path):
                padded = np.pad(truth == 255, width)
                shifts = [
                    np.roll(padded, (i, j), (0, 1)) for i in range(-width, width + 1) for j in range(-width, width + 1)
                ]
                band = np.any(shifts, 0)[width:-width, width:-width]
                pairs.append((np.where(band, truth, 255), sides[side]))
            assert_allclose(rows[str(width)][3 * side + 2], toys.mean_iou(pairs))


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_the_curves_are_drawn(data, tmp_path):
    evaluate.main(stored_arguments(tmp_path, "--out", tmp_path / "out"))
    with toys.Image.open(tmp_path / "out" / "trimap.png") as image:
        assert min(image.size) > 300
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_without_matplotlib_everything_else_is_there(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deeplab.plots.find_spec", lambda name: None)
    assert evaluate.main(stored_arguments(tmp_path, "--out", tmp_path / "out")) == 0
    assert (tmp_path / "out" / "trimap.csv").exists()
    assert not (tmp_path / "out" / "trimap.png").exists()
    assert "matplotlib is not installed" in capsys.readouterr().err


def test_a_limit_takes_the_first_pictures_and_progress_is_told_with_the_time_left(data, tmp_path, capsys):
    evaluate.main(stored_arguments(tmp_path, "--limit", 2, "--out", tmp_path / "out"))
    assert sorted(path.stem for path in (tmp_path / "out" / "after").iterdir()) == ["toy0", "toy1"]
    assert "evaluate: 2 of 2, 0:00:00 left" in capsys.readouterr().err


def test_a_network_is_measured_as_its_scores_are(data, tmp_path, network, capsys):
    made, named = network(tmp_path)
    for sample in data:
        np.save(tmp_path / "set" / "scores" / f"{sample.name}.npy", NetworkScores(made)(sample.name, sample.image))
    tables = []
    for options in (named + arguments(tmp_path), stored_arguments(tmp_path)):
        assert evaluate.main(options) == 0
        tables.append(capsys.readouterr().out.splitlines()[:-1])  # but for the seconds
    assert tables[0] == tables[1]
    assert not made.training


# ---- how a network sees a picture -------------------------------------------------------------------------------


@pytest.fixture
def image(data):
    return data[0].image


def plain(network, image):
    return deeplab.Segmenter(network).scores(image[None])[0]


def test_seen_once_scores_are_the_segmenters(image):
    for made in (toys.ByColour(), toys.ByPlace()):
        assert torch.equal(NetworkScores(made)("", image), plain(made, image))


@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 5), (13, 9), (36, 1), (40, 0), (100, 50)])
def test_tiles_are_the_whole_for_a_network_that_looks_at_one_pixel(tile, overlap, image):
    made = toys.ByColour()
    assert_allclose(NetworkScores(made, Views(tile=tile, overlap=overlap))("", image), plain(made, image), atol=1e-4)


def test_scores_are_averaged_where_tiles_overlap(image):
    made = toys.ByPlace()
    image = image[:20, :30]
    scores = NetworkScores(made, Views(tile=20, overlap=10))("", image)
    left, right = plain(made, image[:, :20]), plain(made, image[:, 10:])
    assert_allclose(scores[..., :10], left[..., :10], atol=1e-5)
    assert_allclose(scores[..., 10:20], (left[..., 10:] + right[..., :10]) / 2, atol=1e-5)
    assert_allclose(scores[..., 20:], right[..., 10:], atol=1e-5)


@pytest.mark.parametrize("overlap", [0, 3, 9])
@pytest.mark.parametrize("side", [1, 10, 11, 20, 37])
def test_tiles_cover_a_side_and_overlap_as_asked(side, overlap):
    found = starts(side, 10, overlap)
    assert found[0] == 0
    assert found[-1] + 10 == max(side, 10)
    assert all(0 < b - a <= 10 - overlap for a, b in itertools.pairwise(found))


def test_flipped_the_average_is_over_both_soft_maxes(image):
    made = toys.ByPlace()
    scores = NetworkScores(made, Views(flip=True))("", image)
    flipped = plain(made, np.ascontiguousarray(image[:, ::-1])).flip(-1)
    assert not torch.allclose(flipped, plain(made, image), atol=0.1)
    assert_allclose(scores.exp(), (plain(made, image).softmax(0) + flipped.softmax(0)) / 2, atol=1e-5)


def test_over_scales_the_average_is_over_soft_maxes_at_the_size_of_the_picture(image):
    made = toys.ByPlace()
    scores = NetworkScores(made, Views(scales=(0.5, 1.0)))("", image)
    picture = torch.from_numpy(image).float().movedim(-1, 0)[None]
    small = resize(picture, (19, 23))  # round(35 / 2) + 1: corners on corners
    seen = made(network_input(small.movedim(1, -1)))[..., :19, :23].detach()
    expected = (resize(seen, image.shape[:2])[0].softmax(0) + plain(made, image).softmax(0)) / 2
    assert_allclose(scores.exp(), expected, atol=1e-5)


def test_the_options_reach_the_network(data, tmp_path, network):
    made, named = network(tmp_path)
    more = ("--scales", "0.5,1", "--flip", "--tile", "30", "--overlap", "2", "--msc")
    assert evaluate.main(named + arguments(tmp_path, "--limit", 1, *more)) == 0
    assert made.calls == 3 * 2 * (1 + 4)  # scales of MSC; flips; tiles of 18 x 22, and of 36 x 44


# ---- stored scores ----------------------------------------------------------------------------------------------


def test_stored_scores_may_be_npz_and_smaller_than_the_picture(tmp_path, image):
    logits = np.random.default_rng(0).normal(size=(3, 6, 8))
    np.savez(tmp_path / "a.npz", logits)
    expected = resize(torch.from_numpy(logits).float()[None], image.shape[:2])[0]
    assert torch.equal(StoredScores(tmp_path)("a", image), expected)


def test_what_is_stored_is_found_again_and_not_written_twice(tmp_path, image):
    made = toys.ByColour()
    for _ in range(2):
        store(NetworkScores(made), tmp_path, "aachen/a", image)
    assert made.calls == 1
    assert torch.equal(StoredScores(tmp_path)("aachen/a", image), plain(made, image))
    assert [path.name for path in (tmp_path / "aachen").iterdir()] == ["a.npy"]


# ---- presets ----------------------------------------------------------------------------------------------------


def test_the_preset_is_the_one_that_is_measured(data, tmp_path):
    Parameters(1, 5, 60, 1, 1, iterations=1).write(tmp_path / "found.toml")
    options = stored_arguments(tmp_path, "--out", tmp_path / "out", "--preset", tmp_path / "found.toml")
    assert evaluate.main(options) == 0
    preset = resolve(tmp_path / "found.toml").preset()
    expected = toys.mean_iou([(truth, after) for truth, _, after in labels_of(data, tmp_path, preset)])
    assert_allclose(table(tmp_path / "out" / "results.csv")["mean IoU"][1], expected)
    for other in (toys.DEFAULT, dataclasses.replace(preset, iterations=10)):
        assert expected != toys.mean_iou([(truth, after) for truth, _, after in labels_of(data, tmp_path, other)])


# ---- what is refused --------------------------------------------------------------------------------------------

WRONG = [
    (["--preset", "deeplab-v9"], "no CRF parameters 'deeplab-v9': it must be a TOML file or one of deeplab-v2,"),
    (["--preset", "bad.toml"], "bad.toml: not a file of CRF parameters, which has w1, sigma_alpha"),
    (["--scores", "nowhere"], "nowhere has no scores of 3 of 3 pictures, such as toy0.npy"),
    (["--scores", "many"], "the scores are of 5 classes, and the data set has 3"),
    (["--scores", "large"], "it must be (classes, height, width), and no larger than the picture, which is 36 x 44"),
    (["--data", "pascal"], "no kind 'pascal'"),
    (["--root", "nowhere"], "nowhere"),
    (["toy", "nowhere.pth"], "there is no file of weights nowhere.pth"),
    (["net", "toy.pth"], "no network 'net'; there are fcn32s"),
    (["toy", "toy.pth", "--scores", "set/scores"], "NETWORK and WEIGHTS or from --scores DIR: give one of the two"),
    ([], "NETWORK and WEIGHTS or from --scores DIR: give one of the two"),
    (["toy", "toy.pth", "--scales", "0,1"], "scales must be positive factors"),
    (["toy", "toy.pth", "--overlap", "5"], "the overlap must be at least 0, and needs a tile size"),
    (["toy", "toy.pth", "--tile", "5", "--overlap", "5"], "tiles must be larger than their overlap; got 5 and 5"),
]


@pytest.mark.parametrize(("more", "words"), WRONG, ids=[" ".join(more) for more, _ in WRONG])
def test_what_is_wrong_is_said_within_a_second(more, words, data, tmp_path, network, monkeypatch, capsys):
    network(tmp_path)
    for folder, shape in (("many", (5, 36, 44)), ("large", (3, 36, 45))):
        (tmp_path / folder).mkdir()
        for name in data.names:
            np.save(tmp_path / folder / f"{name}.npy", np.zeros(shape, np.float32))
    (tmp_path / "bad.toml").write_text("w1 = 3\nsigma = 4\n")
    monkeypatch.chdir(tmp_path)
    start = time.perf_counter()
    scores = [] if more[:1] in ([], ["toy"], ["net"]) else ["--scores", "set/scores"]
    assert evaluate.main([*arguments(tmp_path), *scores, *more]) == 2
    assert time.perf_counter() - start < 1
    said = capsys.readouterr().err
    assert "python -m deeplab evaluate: " in said
    assert words in said


def test_weights_that_leave_layers_untrained_are_refused(data, tmp_path, network, monkeypatch, capsys):
    _, named = network(tmp_path)
    monkeypatch.setattr("deeplab.weights.load", lambda network, path: ["weight"])
    assert evaluate.main(named + arguments(tmp_path)) == 2
    assert "the network is yet to be trained" in capsys.readouterr().err


def test_help_reads_like_a_manual(capsys):
    with pytest.raises(SystemExit, match="0"):
        evaluate.main(["--help"])
    said = capsys.readouterr().out
    assert "examples:" in said
    assert all(name in said for name in ("results.csv", "trimap.png", "--preset", "--scores", "--tile"))
