"""The layers that the networks of deeplab are made of, on small inputs."""

from collections import OrderedDict
from itertools import product

import pytest

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

from torch.nn import functional  # noqa: E402

from deeplab import deconvnet, deeplab_v1, fcn, field_of_view, heads, parts, resnet, vgg  # noqa: E402

# Kernel and rate of fc6, and the field of view that the paper gives for it (DeepLab v1, table 2).
FC6 = {(7, 4): 224, (4, 4): 128, (4, 8): 224, (3, 12): 224}
every_fc6 = pytest.mark.parametrize(("kernel", "rate"), FC6)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def flat(height, width, channels=1):
    return torch.rand(1, channels, height, width)


@pytest.fixture
def fc6(kernel, rate):
    return heads.vgg_head(n_classes=2, kernel=kernel, rate=rate, width=3).fc6


# ---- atrous convolution -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "rate", "pixels"), [(*key, pixels) for key, pixels in FC6.items()])
def test_the_field_of_view_is_that_of_the_papers_table(kernel, rate, pixels):
    assert field_of_view(kernel, rate) == pixels


@every_fc6
def test_atrous_convolution_is_convolution_with_an_upsampled_filter(fc6, rate):
    x = flat(11, 13, channels=512)
    side = (fc6.kernel_size[0] - 1) * rate + 1
    upsampled = torch.zeros(3, 512, side, side)
    upsampled[..., ::rate, ::rate] = fc6.weight.detach()
    expected = functional.conv2d(x, upsampled, fc6.bias, padding=(side - 1) // 2)
    assert expected.shape[-2:] == (11, 13)
    torch.testing.assert_close(fc6(x), expected)


@every_fc6
def test_atrous_convolution_is_subsampling_convolution_and_interleaving(fc6, rate):
    x = flat(11, 13, channels=512)
    padded = functional.pad(x, 4 * fc6.padding[:1])
    interleaved = torch.full((1, 3, 11, 13), torch.nan)
    for row, column in product(range(min(rate, 11)), range(min(rate, 13))):
        part = functional.conv2d(padded[..., row::rate, column::rate], fc6.weight, fc6.bias)
        interleaved[..., row::rate, column::rate] = part
    torch.testing.assert_close(fc6(x), interleaved)


# ---- bodies -------------------------------------------------------------------------------------------------


def test_only_conv5_of_deeplabs_vgg_has_holes():
    body = vgg.VGG16(vgg.aligned_pools(), dilation=2)
    rates = {name: layer.dilation[0] for name, layer in body.named_children() if name.startswith("conv")}
    assert [name for name, rate in rates.items() if rate == 2] == ["conv5_1", "conv5_2", "conv5_3"]
    assert len(rates) == 13
    assert set(rates.values()) == {1, 2}


def test_pool5a_is_an_average_that_counts_the_padding():
    *_, pool5 = vgg.aligned_pools(average=True)
    averaged = pool5(torch.ones(1, 1, 5, 5))[0, 0]
    torch.testing.assert_close(averaged[0, 0], torch.tensor(4 / 9))
    assert averaged[2, 2] == 1


def test_aligned_pools_keep_every_eighth_pixel_on_its_place():
    x = torch.zeros(1, 1, 33, 33)
    x[..., 16, 24] = 1
    for pool in vgg.aligned_pools()[:3]:
        x = pool(x)
    assert x.shape[-2:] == (5, 5)
    assert x[0, 0].nonzero().tolist() == [[2, 3]]


def test_resnet_strides_in_the_first_1x1_and_has_holes_in_every_block():
    with torch.device("meta"):
        body = resnet.ResNet101()
    convolutions = {"layer1": (3, 1, 1), "layer2": (4, 2, 1), "layer3": (23, 1, 2), "layer4": (3, 1, 4)}
    for name, (blocks, stride, rate) in convolutions.items():
        layer = body.get_submodule(name)
        assert len(layer) == blocks
        assert [block.conv1.stride[0] for block in layer] == [stride] + [1] * (blocks - 1)
        assert layer[0].downsample[0].stride[0] == stride
        assert {(block.conv2.stride, block.conv2.dilation) for block in layer} == {((1, 1), (rate, rate))}


def test_resnets_pooling_rounds_up_as_caffe_does():
    with torch.device("meta"):
        body = resnet.ResNet101()
        assert body.maxpool(torch.zeros(1, 64, 152, 153)).shape[-2:] == (77, 77)


def test_a_bottleneck_adds_to_its_shortcut():
    block = resnet.Bottleneck(8, 2, stride=1, dilation=2)
    torch.nn.init.zeros_(block.bn3.weight)
    x = flat(5, 6, channels=8)
    torch.testing.assert_close(block(x), x)


def test_frozen_batch_norm_is_the_same_in_training_and_learns_nothing():
    layer = resnet.FrozenBatchNorm(2).train()
    layer.load_state_dict(
        {
            "running_mean": torch.tensor([1.0, 2.0]),
            "running_var": torch.tensor([4.0, 9.0]),
            "weight": torch.tensor([3.0, 1.0]),
            "bias": torch.tensor([0.5, -0.5]),
            "num_batches_tracked": torch.tensor(0),
        }
    )
    x = flat(3, 4, channels=2).requires_grad_()
    y = layer(x)
    y.sum().backward()
    torch.testing.assert_close(y[:, 0], (x[:, 0] - 1) / (4 + 1e-5) ** 0.5 * 3 + 0.5)
    torch.testing.assert_close(y, layer.eval()(x))
    assert layer.running_mean.tolist() == [1, 2]
    assert layer.weight.grad is None
    assert x.grad[0, 0, 0, 0] == pytest.approx(1.5, rel=1e-5)


# ---- heads --------------------------------------------------------------------------------------------------


def test_aspp_sums_the_scores_of_its_rates():
    head = heads.resnet_aspp(3, (6, 12, 18, 24))
    x = flat(6, 7, channels=2048)
    expected = torch.zeros(1, 3, 6, 7)
    for branch, rate in zip(head, (6, 12, 18, 24), strict=True):
        expected += functional.conv2d(x, branch.weight, branch.bias, padding=rate, dilation=rate)
    torch.testing.assert_close(head(x), expected)


@pytest.mark.parametrize(("letter", "rates"), [("s", (2, 4, 8, 12)), ("l", (6, 12, 18, 24))])
def test_aspp_has_the_rates_of_its_name(letter, rates):
    with torch.device("meta"):
        head = deeplab.build(f"deeplab-v2-vgg16-aspp-{letter}").head
    assert [branch.fc6.dilation[0] for branch in head] == list(rates)
    assert [branch.fc6.padding[0] for branch in head] == list(rates)


def test_new_layers_start_as_in_the_papers():
    score = heads.resnet_large_fov(21)
    assert score.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not score.bias.any()
    branch = deeplab_v1.Branch(3, 21, 0.005)
    assert branch.conv.weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert branch.fc.weight.std().item() == pytest.approx(0.005, rel=0.05)
    norm = vgg.shifted_batch_norm(4)
    assert (norm.weight.tolist(), norm.bias.tolist()) == ([1] * 4, pytest.approx([0.001] * 4))


# ---- from scores to pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [0, 1])
@pytest.mark.parametrize("size", [(41, 57), (44, 50), (34, 64)])
def test_upsampling_leaves_every_score_on_its_pixel(origin, size):
    rows, columns = (origin + 8.0 * torch.arange(n) for n in (6, 8))
    scores = torch.stack([rows[:, None].expand(6, 8), columns.expand(6, 8)])[None]
    row, column = parts.upsample_by_8(scores, size, origin)[0]
    torch.testing.assert_close(row, torch.arange(1.0 * size[0])[:, None].clamp(origin, 40 + origin).expand(size))
    torch.testing.assert_close(column, torch.arange(1.0 * size[1]).clamp(origin, 56 + origin).expand(size))


def test_pictures_of_8k_and_1_pixels_are_upsampled_corners_on_corners():
    scores = flat(6, 5, channels=3)
    expected = functional.interpolate(scores, (41, 33), mode="bilinear", align_corners=True)
    torch.testing.assert_close(parts.upsample_by_8(scores, (41, 33), 0), expected)


@pytest.fixture
def msc():
    """The whole of DeepLab-MSc, with branches that have something to say."""
    network = deeplab_v1.msc_large_fov(3).eval()
    for p in network.branches.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return network


@torch.no_grad()
def test_msc_says_the_same_at_every_eighth_pixel_in_training_and_densely(msc):
    images = flat(25, 38, channels=3)
    coarse, full = msc(images), msc.full_scores(images)
    assert coarse.shape[-2:] == (4, 6)
    assert full.shape[-2:] == (25, 38)
    torch.testing.assert_close(full[..., ::8, ::8], coarse[..., :, :5])


def test_every_path_of_msc_has_a_gradient(msc):
    msc(flat(17, 17, channels=3)).square().sum().backward()
    assert [name for name, p in msc.named_parameters() if not p.grad.any()] == []


@pytest.fixture
def multi_scale():
    body = torch.nn.Conv2d(3, 8, 3, stride=8, padding=1)
    return deeplab.MultiScale(deeplab_v1.DeepLab(body, torch.nn.Conv2d(8, 2, 1)))


@torch.no_grad()
def test_the_largest_score_of_three_scales_wins(multi_scale):
    images = flat(321, 321, channels=3)
    one, three_quarters, half = scales = multi_scale.scales(images)
    assert [x.shape[-1] for x in scales] == [41, 31, 21]
    stretched = [parts.resize(x, (41, 41)) for x in (three_quarters, half)]
    expected = torch.stack([one, *stretched]).amax(0)
    torch.testing.assert_close(multi_scale(images), expected)
    assert all((expected == x).any() for x in (one, *stretched))
    torch.testing.assert_close(multi_scale.full_scores(images), parts.zoom(expected, 8))


@torch.no_grad()
def test_scales_see_the_picture_corners_on_corners(multi_scale):
    images = torch.arange(33.0)[:, None].expand(1, 3, 33, 41)
    multi_scale.network.body = torch.nn.Identity()
    multi_scale.network.head = torch.nn.Identity()
    _, three_quarters, half = multi_scale.scales(images)
    torch.testing.assert_close(three_quarters[0, 0], torch.linspace(0, 32, 25)[:, None].expand(25, 31))
    torch.testing.assert_close(half[0, 0], torch.linspace(0, 32, 17)[:, None].expand(17, 21))


@torch.no_grad()
def test_multi_scale_takes_any_size(multi_scale):
    assert multi_scale.full_scores(flat(50, 37, channels=3)).shape == (1, 2, 50, 37)


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
@torch.no_grad()
def test_fcns_transposed_convolutions_interpolate_every_class_by_itself(factor):
    x = torch.stack([torch.arange(4.0).expand(4, 4), torch.full((4, 4), 7.0)])[None]
    ramp, constant = fcn.bilinear(2, factor)(x)[0]
    inside = slice(factor, -factor)
    torch.testing.assert_close(constant[inside, inside], torch.full_like(constant[inside, inside], 7))
    steps = ramp[2 * factor, inside].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / factor))


@pytest.fixture
def small_head(monkeypatch):
    """FCN's fc6 to fc8 in one layer: what they do to positions, with a thousandth of the parameters."""

    def head(n_classes, **_):
        return torch.nn.Sequential(OrderedDict(fc8=torch.nn.Conv2d(512, n_classes, 7)))

    monkeypatch.setattr(fcn, "vgg_head", head)


@pytest.mark.usefixtures("small_head")
@pytest.mark.parametrize("stride", [32, 16, 8])
@torch.no_grad()
def test_fcns_crops_leave_scores_on_their_pixels(stride):
    network = fcn.FCN(1, stride)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    images = flat(26, 26, channels=3)  # 26 + 198 is a multiple of 32: nothing is rounded, left is as right
    images += images.flip(-1)
    scores = network(images + images.flip(-2))
    torch.testing.assert_close(scores, scores.flip(-1), rtol=1e-4, atol=0)
    torch.testing.assert_close(scores, scores.flip(-2), rtol=1e-4, atol=0)


@pytest.mark.usefixtures("small_head")
def test_fcn_starts_without_an_opinion_and_keeps_its_last_interpolation():
    network = fcn.FCN(3, 8)
    assert not network.skips[0].weight.any()
    assert not network.head.fc8.weight.any()
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["upscore.weight"]


@torch.no_grad()
def test_unpooling_puts_values_back_where_they_were_found():
    with torch.device("meta"):
        network = deconvnet.DeconvNet(2)
    network.body = torch.nn.Sequential(*vgg.classic_pools(return_indices=True)[:2])
    network.head = torch.nn.Sequential(torch.nn.MaxUnpool2d(2, 2), torch.nn.MaxUnpool2d(2, 2))
    x = flat(7, 8)
    back = network(x)
    largest = functional.max_pool2d(x, 4, 4, ceil_mode=True)
    assert back.shape == x.shape
    assert sorted(back[back > 0].tolist()) == sorted(largest.flatten().tolist())
    torch.testing.assert_close(back[back > 0], x[back > 0])
