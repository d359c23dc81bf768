"""From pictures to labels: what the network is fed, what the CRF sees, and what comes out."""

import numpy as np
import pytest
from inputs import scene
from numpy.testing import assert_allclose, assert_array_equal

import densecrf

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

from deeplab.crf import MEAN, network_input  # noqa: E402

CLASSES = 4


class Fake(deeplab.Network):
    """A network that keeps what it is fed, and scores by colour, at every pixel."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(np.random.default_rng(0).normal(size=(CLASSES, 3)) / 40).float())
        self.fed = None

    def forward(self, images):
        self.fed = images
        return torch.einsum("cd,bdhw->bchw", self.weight, images)


@pytest.fixture
def pictures():
    return np.stack([scene(22, 30, CLASSES, seed=seed)[0] for seed in (0, 1)])


@pytest.mark.parametrize("canvas", [9, 33, 513])
def test_the_network_is_fed_bgr_minus_the_mean_on_a_canvas(canvas, pictures):
    fed = network_input(torch.from_numpy(pictures), canvas).numpy()
    height, width = (25, 33) if canvas < 25 else (canvas, canvas)
    assert fed.shape == (2, 3, height, width)
    assert_allclose(fed[:, :, :22, :30], np.moveaxis(pictures[..., ::-1] - np.float32(MEAN), -1, 1), atol=1e-4)
    assert not fed[:, :, 22:].any()
    assert not fed[:, :, :, 30:].any()


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (10, 17), (513, 514), (1, 600)])
def test_the_canvas_is_the_next_size_that_the_strides_divide(size):
    fed = network_input(torch.zeros(1, *size, 3, dtype=torch.uint8), 9)
    for side, length in zip(fed.shape[2:], size, strict=True):
        assert (side - 1) % 8 == 0
        assert length <= side <= max(9, length + 7)


@pytest.mark.parametrize("normalization", [None, "after", "symmetric"])
@pytest.mark.parametrize("preset", ["deeplab-v2", "deeplab-v1-msc"])
def test_the_crf_sees_the_picture_itself_and_the_scores_of_its_pixels(preset, normalization, pictures):
    segmenter = deeplab.Segmenter(Fake(), preset=preset, normalization=normalization, canvas=33)
    scores = segmenter.scores(pictures)
    assert scores.shape == (2, CLASSES, 22, 30)
    terms = [
        term if normalization is None else type(term)(**{**vars(term), "normalization": normalization})
        for term in densecrf.presets[preset].terms
    ]
    expected = densecrf.refine(pictures, scores.numpy(), terms=terms, from_logits=True)
    marginals = segmenter(pictures)
    assert_array_equal(marginals.numpy(), expected)
    assert_array_equal(segmenter.labels(pictures).numpy(), expected.argmax(1))
    assert (segmenter.labels(pictures).numpy() != scores.numpy().argmax(1)).any()  # the CRF does something


def test_the_scores_are_the_networks_own_at_the_pixels_of_the_picture(pictures):
    segmenter = deeplab.Segmenter(Fake(), canvas=41)
    scores = segmenter.scores(pictures)
    assert segmenter.network.fed.shape == (2, 3, 41, 41)
    assert torch.equal(scores, segmenter.network(network_input(torch.from_numpy(pictures), 41))[..., :22, :30])


def test_iterations_and_tensors_are_taken_as_given(pictures):
    none = deeplab.Segmenter(Fake(), iterations=0, canvas=33)
    assert_allclose(none(pictures).numpy(), none.scores(pictures).softmax(1).numpy(), atol=1e-5)
    assert torch.equal(none(pictures), none(torch.from_numpy(pictures)))


def test_a_segmenter_is_a_module_without_parameters_of_its_own(pictures):
    network = Fake()
    segmenter = deeplab.Segmenter(network, canvas=33)
    assert list(segmenter.state_dict()) == ["network.weight"]
    assert not segmenter(pictures).requires_grad
    assert not segmenter.eval().network.training


@pytest.mark.parametrize("wrong", [np.zeros((22, 30, 3), np.uint8), np.zeros((1, 22, 30, 3), np.float32), "cat.jpg"])
def test_what_is_no_batch_of_pictures_is_refused(wrong):
    with pytest.raises((ValueError, TypeError), match=r"pictures must be uint8 of shape \(B, H, W, 3\)|str"):
        deeplab.Segmenter(Fake())(wrong)


def test_parameters_that_are_not_published_are_not_made_up():
    with pytest.raises(ValueError, match="preset"):
        deeplab.Segmenter(Fake(), preset="deeplab-v2-cityscapes")
    with pytest.raises(ValueError, match="preset"):
        deeplab.Segmenter(Fake(), preset="deeplab-v2-cityscapes", normalization="after")


def test_labels_are_saved_with_the_colours_of_pascal_voc(tmp_path):
    image = pytest.importorskip("PIL.Image")
    labels = np.arange(256).reshape(16, 16)
    deeplab.save_labels(tmp_path / "labels.png", torch.from_numpy(labels))
    with image.open(tmp_path / "labels.png") as read:
        assert read.mode == "P"
        assert_array_equal(np.array(read), labels)
        colours = np.array(read.convert("RGB")).reshape(256, 3)
    assert colours[[0, 1, 15, 255]].tolist() == [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
