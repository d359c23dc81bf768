"""The convolutions of VGG-16 (Simonyan & Zisserman 2015) with the poolings of FCN, DeconvNet and DeepLab."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from deeplab.parts import PUBLISHED, Variant

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Sequential):
    """conv1_1, relu1_1, conv1_2, ... pool5: ``(B, 3, H, W)`` to ``(B, 512, h, w)``, or fewer channels.

    Args:
        pools: pool1 to pool5.
        dilation: the rate of conv5_1 to conv5_3; 2 where pool4 has stride 1 (DeepLab v1, section 3.1).
        border: the padding of conv1_1; FCN has 100.
        variant: its width, and whether a batch normalisation follows every convolution, as in DeconvNet.
    """

    def __init__(
        self, pools: Sequence[nn.Module], *, dilation: int = 1, border: int = 1, variant: Variant = PUBLISHED
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for stage, (widths, pool) in enumerate(zip(WIDTHS, pools, strict=True), 1):
            rate = dilation if stage == 5 else 1
            for i, width in enumerate(map(variant.channels, widths), 1):
                padding = border if channels == 3 else rate
                layers[f"conv{stage}_{i}"] = nn.Conv2d(channels, width, 3, padding=padding, dilation=rate)
                if variant.batch_norm:
                    layers[f"bn{stage}_{i}"] = shifted_batch_norm(width)
                layers[f"relu{stage}_{i}"] = nn.ReLU(inplace=True)
                channels = width
            layers[f"pool{stage}"] = pool
        super().__init__(layers)

    def pooled(self, x: Tensor) -> list[Tensor]:
        """The outputs of pool1 to pool5, for networks that look at more than the last."""
        outputs = []
        for name, layer in self.named_children():
            x = layer(x)
            if name.startswith("pool"):
                outputs.append(x)
        return outputs


def shifted_batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as DeconvNet starts it: scale 1, shift 0.001. Its epsilon was not found; this is torch's."""
    layer = nn.BatchNorm2d(channels)
    nn.init.constant_(layer.bias, 0.001)
    return layer


# Caffe rounds the sizes of pooled maps up, hence ceil_mode throughout.


def classic_pools(return_indices: bool = False) -> list[nn.Module]:
    """Five times 2x2, stride 2: VGG's own, for FCN and DeconvNet. Total stride 32."""
    return [nn.MaxPool2d(2, 2, ceil_mode=True, return_indices=return_indices) for _ in range(5)]


def narrow_pools() -> list[nn.Module]:
    """2x2 with a padding of 1, pool4 without its stride: DeepLab v1 before LargeFOV. Total stride 8, 306 to 39.

    pool4 is that of the authors' training network, without padding; their test network pads it by 1, which adds scores
    outside the picture and cuts them off again.
    """
    halving = [nn.MaxPool2d(2, 2, padding=1, ceil_mode=True) for _ in range(3)]
    return [*halving, nn.MaxPool2d(2, 1), nn.MaxPool2d(3, 1, padding=1)]


def aligned_pools(average: bool = False) -> list[nn.Module]:
    """3x3 with a padding of 1, pool4 without its stride: all other DeepLabs. Total stride 8, 8k + 1 to k + 1.

    For LargeFOV of v1 an ``average`` follows pool5, named pool5a there; it counts the padding.
    """
    pools: list[nn.Module] = [nn.MaxPool2d(3, stride, padding=1, ceil_mode=True) for stride in (2, 2, 2, 1, 1)]
    if average:
        pools[4] = nn.Sequential(pools[4], nn.AvgPool2d(3, 1, padding=1))
    return pools
