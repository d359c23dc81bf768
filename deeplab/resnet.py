"""ResNet-101 (He et al. 2016) with output stride 8, as in DeepLab v2, section 4.1.2.

Not torchvision's: the stride is in the first 1x1 of a block (as in the authors' release of ResNet), and the dilation is
2 in every block of layer3 and 4 in every block of layer4, the first ones included. Parameters have torchvision's names.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics it was loaded with, in training too; scale and shift have no gradient."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (x - mean) / sqrt(var + eps) * scale + shift, per channel."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut, which is a 1x1 itself where the number of channels changes."""

    def __init__(self, channels: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, stride, bias=False)
        self.bn1 = FrozenBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = FrozenBatchNorm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = FrozenBatchNorm(4 * width)
        self.downsample = nn.Sequential()
        if channels != 4 * width:
            self.downsample.extend([nn.Conv2d(channels, 4 * width, 1, stride, bias=False), FrozenBatchNorm(4 * width)])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, h, w)`` to ``(B, 4 * width, h / stride, w / stride)``, sizes rounded up."""
        residual: Tensor = self.bn1(self.conv1(x)).relu_()
        residual = self.bn2(self.conv2(residual)).relu_()
        residual = self.bn3(self.conv3(residual)) + self.downsample(x)
        return residual.relu_()


class ResNet101(nn.Sequential):
    """conv1, bn1, relu, maxpool, layer1 ... layer4: ``(B, 3, H, W)`` to ``(B, 2048, h, w)``, 321 to 41."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
                bn1=FrozenBatchNorm(64),
                relu=nn.ReLU(inplace=True),
                maxpool=nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
                layer1=_layer(3, 64, 64),
                layer2=_layer(4, 256, 128, stride=2),
                layer3=_layer(23, 512, 256, dilation=2),
                layer4=_layer(3, 1024, 512, dilation=4),
            )
        )


def _layer(blocks: int, channels: int, width: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = Bottleneck(channels, width, stride, dilation)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1)))
