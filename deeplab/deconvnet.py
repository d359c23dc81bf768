"""DeconvNet: Noh, Hong & Han, ICCV 2015 (arXiv 1505.04366): VGG-16 and its mirror image.

Input: BGR, 0 to 255, minus (104.008, 116.669, 122.675), 224x224: one object proposal, resized; any size from 193 works.
Scores come at the size of the input. The authors resize them back to the proposal and take the maximum over 50 of them.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from deeplab.parts import Network, Variant, gaussian
from deeplab.vgg import VGG16, classic_pools, shifted_batch_norm

# Channels of the deconvolutions that follow each unpooling.
WIDTHS = {5: (512, 512, 512), 4: (512, 512, 256), 3: (256, 256, 128), 2: (128, 64), 1: (64, 64)}


class DeconvNet(Network):
    """Unpooling puts every value back where max-pooling found it (section 3.2): ``(B, 3, H, W)`` to scores of H x W.

    Batch normalisation follows every layer but the last. In training it needs more than one value per channel, hence
    more than one picture of 224x224.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body = VGG16(classic_pools(return_indices=True), variant=Variant(batch_norm=True))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers |= _normalised("fc6", nn.Conv2d(512, 4096, 7))
        layers |= _normalised("fc7", nn.Conv2d(4096, 4096, 1))
        layers |= _normalised("fc6_deconv", gaussian(nn.ConvTranspose2d(4096, 512, 7)))
        channels = 512
        for stage, widths in WIDTHS.items():
            layers[f"unpool{stage}"] = nn.MaxUnpool2d(2, 2)
            for i, width in enumerate(widths, 1):
                layer = nn.ConvTranspose2d(channels, width, 3, padding=1)
                layers |= _normalised(f"deconv{stage}_{i}", gaussian(layer))
                channels = width
        layers["seg_score"] = gaussian(nn.Conv2d(channels, n_classes, 1))
        self.head = nn.Sequential(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Gives scores at the size of the pictures."""
        x = images
        switches = []
        for layer in self.body:
            if isinstance(layer, nn.MaxPool2d):
                size = x.shape
                x, indices = layer(x)
                switches.append((indices, size))
            else:
                x = layer(x)
        for layer in self.head:
            x = layer(x, *switches.pop()) if isinstance(layer, nn.MaxUnpool2d) else layer(x)
        return x


def _normalised(name: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        {name: layer, f"{name}_bn": shifted_batch_norm(layer.out_channels), f"{name}_relu": nn.ReLU(inplace=True)}
    )
