"""Learning rates, losses and augmentation, each against its formula."""

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")
deeplab = pytest.importorskip("deeplab")

from torch import nn  # noqa: E402  # needs torch
from torch.nn import functional  # noqa: E402

from deeplab import augment, config, losses, policies, training  # noqa: E402
from deeplab.data import VOID, Sample  # noqa: E402
from deeplab.deeplab_v1 import DeepLab  # noqa: E402
from deeplab.deeplab_v2 import MultiScale  # noqa: E402

SOLVER = config.Solver(iterations=100, batch=6, base_lr=0.1, policy="poly", step_size=30)


def conv(n_classes=4):
    """Scores at every eighth pixel."""
    torch.manual_seed(0)
    return DeepLab(nn.Conv2d(3, 5, 1, stride=8), nn.Conv2d(5, n_classes, 1))


def picture(height=20, width=30):
    """A picture whose pixels are all different, and labels that follow from the colours."""
    at = np.arange(height * width).reshape(height, width)
    image = np.stack([at % 256, at // 256, at % 7], axis=-1).astype(np.uint8)
    return Sample("some", image, (at % 7).astype(np.uint8))


def how(**changes):
    return dataclasses.replace(config.Input(crop=16, mirror=False), **changes)


def colours_of(image):
    """RGB of what the network is fed."""
    return (image.movedim(0, -1) + torch.tensor(deeplab.crf.MEAN)).round().to(torch.uint8).flip(-1)


@pytest.mark.parametrize(
    ("policy", "at", "expected"),
    [
        ("poly", 0, 0.1),
        ("poly", 75, 0.1 * 0.25**0.9),
        ("poly", 99, 0.1 * 0.01**0.9),
        ("step", 29, 0.1),
        ("step", 30, 0.01),
        ("step", 99, 0.0001),
        ("fixed", 99, 0.1),
    ],
)
def test_learning_rates_follow_their_policy(policy, at, expected):
    assert policies.learning_rate(dataclasses.replace(SOLVER, policy=policy), at) == pytest.approx(expected)


def test_two_steps_are_those_of_the_formula():
    """Weights decay and biases do not; biases learn twice, the classifier ten times as fast."""
    network = conv()
    groups = policies.parameter_groups(network, SOLVER)
    optimiser = torch.optim.SGD(groups, lr=SOLVER.base_lr, momentum=SOLVER.momentum)
    rates = {"body.weight": (1, 5e-4), "body.bias": (2, 0), "head.weight": (10, 5e-4), "head.bias": (20, 0)}
    expected = {name: p.detach().clone() for name, p in network.named_parameters()}
    velocity = dict.fromkeys(rates, 0)
    for lr in (0.1, 0.05):
        for group in optimiser.param_groups:
            group["lr"] = lr * group["rate"]
        for name, p in network.named_parameters():
            p.grad = torch.full_like(p, 0.5)
            rate, decay = rates[name]
            velocity[name] = 0.9 * velocity[name] + 0.5 + decay * expected[name]
            expected[name] = expected[name] - lr * rate * velocity[name]
        optimiser.step()
    for name, p in network.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name])


def test_every_layer_of_scores_is_the_classifier_and_no_other():
    for name in deeplab.names():
        with torch.device("meta"):
            network = deeplab.build(name, n_classes=33)
        found = {n.rpartition(".")[0] for n, _ in network.named_parameters() if policies.CLASSIFIER.match(n)}
        modules = {n: m for n, m in network.named_modules() if n.startswith("head") and isinstance(m, nn.Conv2d)}
        assert found == {n for n, m in modules.items() if m.out_channels == 33}
        assert found


def test_the_loss_is_the_mean_over_pixels_that_have_a_label():
    network = conv()
    labels = torch.randint(0, 4, (2, 33, 33))
    labels[0, :20] = VOID
    images = torch.randn(2, 3, 33, 33)
    logs = network(images).log_softmax(dim=1)
    terms = [-logs[b, labels[b, 8 * y, 8 * x], y, x] for b in range(2) for y in range(5) for x in range(5)
             if labels[b, 8 * y, 8 * x] != VOID]  # fmt: skip
    assert len(terms) == 35
    torch.testing.assert_close(losses.TrainingLoss(network, mean=True)(images, labels), torch.stack(terms).mean())
    torch.testing.assert_close(losses.TrainingLoss(network, mean=False)(images, labels), torch.stack(terms).sum())


def test_pictures_without_any_label_have_no_loss():
    labels = torch.full((1, 33, 33), VOID)
    assert losses.TrainingLoss(conv(), mean=True)(torch.randn(1, 3, 33, 33), labels).item() == 0


def test_the_multi_scale_loss_has_the_papers_four_terms():
    network = conv()
    images, labels = torch.randn(1, 3, 65, 65), torch.randint(0, 4, (1, 65, 65))

    def at(side):
        x = functional.interpolate(images, (side, side), mode="bilinear", align_corners=True)
        return network(x)

    def wide(x):
        return functional.interpolate(x, (9, 9), mode="bilinear", align_corners=True)

    large, middle, small = at(65), wide(at(49)), at(33)
    fused = torch.maximum(torch.maximum(large, middle), wide(small))
    eighth, sixteenth = labels[:, ::8, ::8], labels[:, ::16, ::16]
    expected = sum(functional.cross_entropy(x, eighth) for x in (fused, large, middle))
    expected = expected + functional.cross_entropy(small, sixteenth)
    torch.testing.assert_close(losses.TrainingLoss(MultiScale(network), mean=True)(images, labels), expected)


@pytest.mark.parametrize(
    ("name", "side", "n", "first", "step"),
    [("deeplab-v1", 306, 39, 1, 8), ("deeplab-v1-largefov", 321, 41, 0, 8), ("fcn8s", 306, 306, 0, 1)],
)
def test_labels_are_those_of_the_pixels_that_scores_lie_on(name, side, n, first, step):
    with torch.device("meta"):
        network = deeplab.build(name)
        scores = network.eval()(torch.zeros(1, 3, side, side))
    labels = torch.arange(side * side).reshape(1, side, side)
    got = losses.labels_at(labels, scores, getattr(network, "origin", 0))
    pixels = first + step * torch.arange(n)
    torch.testing.assert_close(got[0], side * pixels[:, None] + pixels)


def test_scores_beside_the_pixels_are_refused():
    with pytest.raises(ValueError, match=r"input\.crop: \(6, 6\) scores for pictures of \(36, 36\) do not lie on"):
        losses.labels_at(torch.zeros(1, 36, 36), torch.zeros(1, 2, 6, 6))


def test_crops_keep_picture_and_labels_together():
    sample = picture()
    corners = set()
    for seed in range(50):
        image, labels = augment.augmented(sample, how(mirror=True), augment.random(seed))
        assert (image.shape, labels.shape) == ((3, 16, 16), (16, 16))
        colours = colours_of(image)
        torch.testing.assert_close(colours[..., 2].long(), labels)
        corners.add((*colours[0, 0].tolist(), *colours[0, 1].tolist()))
    assert len(corners) > 25  # different places, and both ways round


def test_the_whole_picture_is_fed_where_there_is_no_crop():
    image, labels = augment.augmented(picture(), how(crop=0), augment.random(0))
    np.testing.assert_array_equal(colours_of(image).numpy(), picture().image)
    np.testing.assert_array_equal(labels.numpy(), picture().labels)


def test_mirrored_are_half_of_the_pictures():
    first = [augment.augmented(picture(), how(crop=0, mirror=True), augment.random(i))[1][0, 0] for i in range(200)]
    assert {int(x) for x in first} == {0, 29 % 7}
    assert 70 < sum(int(x) == 0 for x in first) < 130


def test_small_pictures_are_padded_below_and_to_the_right_with_the_mean_and_void():
    image, labels = augment.augmented(picture(20, 30), how(crop=40), augment.random(0))
    np.testing.assert_array_equal(labels[:20, :30].numpy(), picture().labels)
    inside = torch.zeros(40, 40, dtype=torch.bool)
    inside[:20, :30] = True
    assert (labels[~inside] == VOID).all()
    assert (image[:, ~inside] == 0).all()  # the mean, subtracted
    assert (image[:, inside] != 0).any()


def test_scaled_labels_are_labels_and_stay_on_their_pixels():
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 20:40] = 6
    labels[0] = VOID
    sample = Sample("square", np.repeat(np.where(labels == 6, 250, 0)[..., None], 3, -1).astype(np.uint8), labels)
    sides = set()
    for seed in range(40):
        image, got = augment.augmented(sample, how(crop=0, scales=(0.5, 1.0, 1.5)), augment.random(seed))
        assert image.shape[1:] == got.shape
        assert set(got.unique().tolist()) <= {0, 6, VOID}
        inside = colours_of(image)[..., 0] > 125
        assert (inside == (got == 6)).float().mean() == 1
        sides.add(tuple(got.shape))
    assert sides == {(20, 30), (40, 60), (60, 90)}


def test_every_epoch_has_every_picture_in_an_order_of_its_own():
    samples = [Sample(str(i), np.full((4, 4, 3), i, np.uint8), np.full((4, 4), i, np.uint8)) for i in range(10)]
    settings = dataclasses.replace(config.read("fcn32s"), input=how(crop=0))
    stream = augment.Stream(samples, settings)
    epochs = [[int(stream[10 * epoch + i][1][0, 0]) for i in range(10)] for epoch in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("n_processes", [1, 3])
def test_processes_share_the_pictures_of_every_pass(n_processes):
    solver = dataclasses.replace(SOLVER, batch=6, accumulate=2, iterations=5)
    settings = dataclasses.replace(config.read("fcn32s"), solver=solver)
    shares = [list(augment.places(settings, 3, rank, n_processes)) for rank in range(n_processes)]
    passes = [list(itertools.chain(*share)) for share in zip(*shares, strict=True)]
    assert passes == [[18, 19, 20], [21, 22, 23], [24, 25, 26], [27, 28, 29]]


def test_processes_that_cannot_share_a_pass_are_refused():
    settings = config.read("deeplab-v2-resnet101-aspp")
    with pytest.raises(ValueError, match=r"solver\.batch / solver\.accumulate is 1, which 2 processes cannot share"):
        training.Training(settings, training.Processes(0, 2, torch.device("cpu")))
