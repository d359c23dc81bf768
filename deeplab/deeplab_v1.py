"""DeepLab v1: Chen, Papandreou, Kokkinos, Murphy & Yuille, ICLR 2015 (arXiv 1412.7062), and what v2 shares with it.

Input: BGR, 0 to 255, minus (104.008, 116.669, 122.675). The authors pad pictures with that mean, so with zeros after
subtraction, at the bottom and the right: to 321 for training and 513 for tests; to 306 and 514 for `deeplab`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from deeplab.heads import vgg_head, vgg_large_fov
from deeplab.parts import PUBLISHED, Network, Variant, gaussian, upsample_by_8, zoom
from deeplab.vgg import VGG16, aligned_pools, narrow_pools


class DeepLab(Network):
    """A body with an output stride of 8 and a head: ``(B, 3, 321, 321)`` to ``(B, n_classes, 41, 41)``.

    Args:
        body: makes features of pictures.
        head: makes scores of features.
        origin: the row and column of the input that the first score lies on.
    """

    def __init__(self, body: nn.Module, head: nn.Module, origin: int = 0) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.origin = origin

    def forward(self, images: Tensor) -> Tensor:
        """Gives one score in eight pixels, along both sides."""
        scores: Tensor = self.head(self.body(images))
        return scores

    def upsample(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear, by a factor of 8 (DeepLab v1, section 3.1)."""
        return upsample_by_8(scores, size, self.origin)


def deeplab(n_classes: int, kernel: int = 4, rate: int = 4, variant: Variant = PUBLISHED) -> DeepLab:
    """DeepLab as first published: fc6 is VGG's 7x7, or decimated to 4x4 (section 3.2), with holes; 306 to 39.

    The pooling of the 7x7 and of the 4x4 network with rate 8 is not known; theirs is taken to be DeepLab's.
    """
    # Scores lie half a pixel behind 0, 8, ...; the authors' networks shrink labels and crop scores as if it were one.
    body = VGG16(narrow_pools(), dilation=2, variant=variant)
    return DeepLab(body, vgg_head(n_classes, kernel, rate, width=4096, variant=variant), origin=1)


def large_fov(n_classes: int, variant: Variant = PUBLISHED) -> DeepLab:
    """DeepLab-LargeFOV; 321 to 41."""
    body = VGG16(aligned_pools(average=True), dilation=2, variant=variant)
    return DeepLab(body, vgg_large_fov(n_classes, variant=variant))


# What DeepLab-MSc looks at besides pool5: channels, stride, and the standard deviation of its 1x1's first weights.
BRANCHES = (
    ("data", 3, 1, 0.001),
    ("pool1", 64, 2, 0.001),
    ("pool2", 128, 4, 0.001),
    ("pool3", 256, 8, 0.001),
    ("pool4", 512, 8, 0.005),
)


class MultiScaleFeatures(DeepLab):
    """DeepLab-MSc: pool1 to pool4 and the picture itself have a say in the scores (section 4.3), as it was released.

    The paper concatenates 128 channels of every branch before the soft-max; the released networks give every branch
    scores of its own and add them up, which is what is here. In training the branches skip to the pixels that have a
    score, and only they and fc8 are trained; `full_scores` runs them densely and adds up at the size of the input.
    Pictures are padded with zeros to 8k + 1 pixels, without which the branches do not meet.
    """

    body: VGG16

    def __init__(self, body: VGG16, head: nn.Module, n_classes: int) -> None:
        super().__init__(body, head)
        self.branches = nn.ModuleDict({name: Branch(channels, n_classes, std) for name, channels, _, std in BRANCHES})

    def forward(self, images: Tensor) -> Tensor:
        """Gives the sum of the six paths' scores, one in eight pixels."""
        inputs, scores = self._paths(images)
        for (name, _, stride, _), x in zip(BRANCHES, inputs, strict=True):
            scores = scores + self.branches[name](x, 8 // stride)
        return scores

    def full_scores(self, images: Tensor) -> Tensor:
        """Gives the sum of the six paths' scores, each zoomed to the size of the picture."""
        inputs, scores = self._paths(images)
        scores = zoom(scores, 8)
        for (name, _, stride, _), x in zip(BRANCHES, inputs, strict=True):
            scores = scores + zoom(self.branches[name](x, 1), stride)
        return scores[..., : images.shape[-2], : images.shape[-1]]

    def _paths(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """What the branches look at, and the scores of the head."""
        height, width = images.shape[-2:]
        images = functional.pad(images, (0, (1 - width) % 8, 0, (1 - height) % 8))
        *pooled, features = self.body.pooled(images)
        return [images, *pooled], self.head(features)


class Branch(nn.Module):
    """3x3 and 1x1 with 128 channels each, and scores."""

    def __init__(self, channels: int, n_classes: int, fc_std: float) -> None:
        super().__init__()
        self.conv = gaussian(nn.Conv2d(channels, 128, 3, padding=1), 0.001)
        self.fc = gaussian(nn.Conv2d(128, 128, 1), fc_std)
        self.score = gaussian(nn.Conv2d(128, n_classes, 1))
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor, stride: int) -> Tensor:
        """Scores at every ``stride``-th pixel of x; the weights are the same for every stride."""
        x = functional.conv2d(x, self.conv.weight, self.conv.bias, stride, padding=1)
        x = self.drop(functional.relu(x))
        x = self.drop(functional.relu(self.fc(x)))
        scores: Tensor = self.score(x)
        return scores


def msc(n_classes: int) -> MultiScaleFeatures:
    """DeepLab-MSc: the 4x4 fc6 with a rate of 4, on aligned poolings; 321 to 41."""
    head = vgg_head(n_classes, kernel=4, rate=4, width=4096)
    return MultiScaleFeatures(VGG16(aligned_pools(), dilation=2), head, n_classes)


def msc_large_fov(n_classes: int) -> MultiScaleFeatures:
    """DeepLab-MSc-LargeFOV; 321 to 41."""
    body = VGG16(aligned_pools(average=True), dilation=2)
    return MultiScaleFeatures(body, vgg_large_fov(n_classes), n_classes)
