"""What turns features into scores: VGG's fully connected layers as convolutions, LargeFOV, and ASPP."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from deeplab.parts import PUBLISHED, Sum, Variant, gaussian
from deeplab.vgg import shifted_batch_norm


def vgg_head(
    n_classes: int, kernel: int, rate: int, width: int, padding: int | None = None, variant: Variant = PUBLISHED
) -> nn.Sequential:
    """fc6, fc7 and fc8 as convolutions: ``(B, 512, h, w)`` to ``(B, n_classes, h, w)`` (DeepLab v1, section 3.2).

    Args:
        n_classes: channels of fc8.
        kernel: of fc6.
        rate: of fc6, whose taps lie that many pixels apart.
        width: channels of fc6 and fc7, before the variant's factor.
        padding: of fc6; what keeps h and w if not given.
        variant: fewer channels, here and in what comes in, and batch normalisation.
    """
    if padding is None:
        padding = rate * (kernel - 1) // 2
    width = variant.channels(width)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, conv in (
        ("6", nn.Conv2d(variant.channels(512), width, kernel, padding=padding, dilation=rate)),
        ("7", nn.Conv2d(width, width, 1)),
    ):
        layers[f"fc{name}"] = conv
        if variant.batch_norm:
            layers[f"bn{name}"] = shifted_batch_norm(width)
        layers[f"relu{name}"] = nn.ReLU(inplace=True)
        layers[f"drop{name}"] = nn.Dropout(0.5)
    layers["fc8"] = gaussian(nn.Conv2d(width, n_classes, 1))
    return nn.Sequential(layers)


def vgg_large_fov(n_classes: int, rate: int = 12, variant: Variant = PUBLISHED) -> nn.Sequential:
    """A 3x3 fc6 with a rate of 12 and 1,024 channels: a sixth of the parameters of 7x7 (DeepLab v1, table 2)."""
    return vgg_head(n_classes, kernel=3, rate=rate, width=1024, variant=variant)


def vgg_aspp(n_classes: int, rates: Sequence[int], variant: Variant = PUBLISHED) -> Sum:
    """Atrous spatial pyramid pooling on VGG-16: fc6, fc7 and fc8 for every rate, scores summed (DeepLab v2, fig. 7)."""
    return Sum(vgg_large_fov(n_classes, rate, variant) for rate in rates)


def resnet_plain(n_classes: int) -> nn.Conv2d:
    """One 1x1 convolution from ``(B, 2048, h, w)``: ResNet-101 without LargeFOV or ASPP."""
    return gaussian(nn.Conv2d(2048, n_classes, 1))


def resnet_large_fov(n_classes: int, rate: int = 12) -> nn.Conv2d:
    """One 3x3 convolution with a rate of 12, "on top of ResNet"; no fc6 and fc7 (DeepLab v2, section 4.1.2)."""
    return gaussian(nn.Conv2d(2048, n_classes, 3, padding=rate, dilation=rate))


def resnet_aspp(n_classes: int, rates: Sequence[int]) -> Sum:
    """One 3x3 convolution for every rate, summed."""
    return Sum(resnet_large_fov(n_classes, rate) for rate in rates)


def field_of_view(kernel: int, rate: int) -> int:
    """Pixels of the input, along a side, that fc6 of DeepLab's VGG-16 is said to see (DeepLab v1, table 2).

    The effective kernel ``kernel + (kernel - 1) * (rate - 1)``, in steps of 8 pixels, on the 32 of a pool5 score.
    """
    effective = kernel + (kernel - 1) * (rate - 1)
    return 8 * (effective - 1) + 32
