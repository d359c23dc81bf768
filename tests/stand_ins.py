"""Stand-ins for libraries of networks that the tests do not install: their call shapes, and scores made up.

Each is given by name to `sys.modules` while a page runs. Written against transformers 5.23, torchvision 0.29,
segmentation_models_pytorch 0.6, mmsegmentation 1.2.2, segment_anything 1.0 and MONAI 1.6, whose sources were read.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np


def modules(path: str, **members: Any) -> dict[str, ModuleType]:
    """A module of this dotted name with these members, and the packages around it."""
    found: dict[str, ModuleType] = {}
    module = None
    for name in [path.rsplit(".", count)[0] for count in range(path.count(".") + 1)]:
        found[name] = ModuleType(name)
        if module is None:
            vars(found[name]).update(members)
        else:
            setattr(found[name], module.__name__.rpartition(".")[2], module)
        module = found[name]
    return found


def scores(*shape: int) -> Any:
    """A network's scores: sharp, smooth in places, the same every time."""
    import torch

    return torch.from_numpy(np.random.default_rng(0).normal(scale=3, size=shape).astype(np.float32))


def transformers() -> dict[str, ModuleType]:
    import torch

    class Processor:
        @classmethod
        def from_pretrained(cls, name: str) -> Processor:
            return cls()

        def __call__(self, images: Any, return_tensors: str) -> dict[str, Any]:
            assert images.dtype == np.uint8
            assert images.shape[-1] == 3
            assert return_tensors == "pt"
            return {"pixel_values": torch.zeros(1, 3, 512, 512)}

        def post_process_semantic_segmentation(
            self, outputs: Any, target_sizes: Any = None, return_segmentation_scores: bool = False
        ) -> list[Any]:
            resized = torch.nn.functional.interpolate(outputs.logits, size=target_sizes[0], mode="bilinear")[0]
            answer = {"segmentation": resized.argmax(0), "segmentation_scores": resized}
            return [answer if return_segmentation_scores else answer["segmentation"]]

    class Segformer(torch.nn.Module):
        @classmethod
        def from_pretrained(cls, name: str) -> Segformer:
            return cls()

        def forward(self, pixel_values: Any) -> SimpleNamespace:
            return SimpleNamespace(logits=scores(1, 150, 128, 128))

    return modules("transformers", AutoImageProcessor=Processor, AutoModelForSemanticSegmentation=Segformer)


def torchvision() -> dict[str, ModuleType]:
    import torch

    class Network(torch.nn.Module):
        def forward(self, batch: Any) -> dict[str, Any]:
            assert batch.dtype == torch.float32
            return {"out": scores(1, 21, *batch.shape[-2:]), "aux": scores(1, 21, *batch.shape[-2:])}

    def deeplabv3_resnet50(*, weights: Any) -> Network:
        assert weights is default
        return Network()

    default = SimpleNamespace(transforms=lambda: lambda picture: torch.zeros(3, 65, 65))
    return modules(
        "torchvision.models.segmentation",
        DeepLabV3_ResNet50_Weights=SimpleNamespace(DEFAULT=default),
        deeplabv3_resnet50=deeplabv3_resnet50,
    )


def segmentation_models_pytorch() -> dict[str, ModuleType]:
    import torch

    class Unet(torch.nn.Module):
        def __init__(self, encoder_name: str, encoder_weights: str, classes: int) -> None:
            super().__init__()
            self.classes = classes

        @torch.no_grad()
        def predict(self, batch: Any) -> Any:
            height, width = batch.shape[-2:]
            assert batch.dtype == torch.float32
            assert height % 32 == width % 32 == 0
            return scores(len(batch), self.classes, height, width)

    encoders = SimpleNamespace(get_preprocessing_fn=lambda name, pretrained: lambda image: image / 255 - 0.5)
    return modules("segmentation_models_pytorch", Unet=Unet, encoders=encoders)


def mmsegmentation() -> dict[str, ModuleType]:
    from PIL import Image

    def init_model(config: str, checkpoint: str | None = None, device: str = "cuda:0") -> int:
        return 1 if config == "one_class.py" else 19

    def inference_model(model: int, img: str) -> SimpleNamespace:
        with Image.open(img) as picture:
            found = scores(model, *picture.size[::-1])
        found = found.sigmoid() if model == 1 else found
        return SimpleNamespace(seg_logits=SimpleNamespace(data=found))

    return modules("mmseg.apis", init_model=init_model, inference_model=inference_model)


def segment_anything() -> dict[str, ModuleType]:
    class SamPredictor:
        def __init__(self, sam_model: str) -> None:
            assert sam_model == "sam_vit_b_01ec64.pth"

        def set_image(self, image: Any) -> None:
            self.size = image.shape[:2]

        def predict(
            self,
            point_coords: Any = None,
            point_labels: Any = None,
            box: Any = None,
            mask_input: Any = None,
            multimask_output: bool = True,
            return_logits: bool = False,
        ) -> tuple[Any, Any, Any]:
            assert point_coords.shape == (*point_labels.shape, 2)
            masks = scores(3, *self.size).numpy()
            return masks if return_logits else masks > 0, np.array([0.5, 0.9, 0.7]), scores(3, 256, 256).numpy()

    return modules(
        "segment_anything", SamPredictor=SamPredictor, sam_model_registry={"vit_b": lambda checkpoint: checkpoint}
    )


def monai() -> dict[str, ModuleType]:
    import torch

    class MetaTensor(torch.Tensor):
        @property
        def pixdim(self) -> torch.Tensor:
            return torch.tensor([0.8, 0.8, 2.5], dtype=torch.float64)

    def load(path: str) -> Any:
        values = np.random.default_rng(0).integers(-200, 300, (1, 9, 10, 6))
        return torch.from_numpy(values.astype(np.float32)).as_subclass(MetaTensor)

    def load_image(image_only: bool, ensure_channel_first: bool) -> Any:
        assert image_only
        assert ensure_channel_first
        return load

    def scale(a_min: float, a_max: float, b_min: float, b_max: float, clip: bool) -> Any:
        return lambda scan: ((scan - a_min) / (a_max - a_min)).clamp(b_min, b_max)

    def sliding_window_inference(inputs: Any, roi_size: Any, sw_batch_size: int, predictor: Any) -> Any:
        return predictor(inputs)

    inferers = modules("monai.inferers", sliding_window_inference=sliding_window_inference)
    return inferers | modules("monai.transforms", LoadImage=load_image, ScaleIntensityRange=scale)
