"""The packaged classifier: EfficientNet-Lite0 with its ImageNet head on crops, run by OpenVINO.

It knows the 1000 ImageNet classes (Russakovsky et al. 2015), no others: people are not among them, though what they
wear and carry is. Class names come with timm.

Next: tvad/words.py
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tvad.converted import BESIDE_OTHERS, converted, is_kept, multiplies_bf16
from tvad.encoder import backbone
from tvad.presets.mini import EFFICIENTNET_LITE0

CROP_PX = 224
N_CLASSES = 1000
BATCH = 8


class Classifier:
    """RGB crops to ImageNet logits. precision: "bf16" where the CPU multiplies it natively, else "f32"; None chooses.
    threads: CPU threads; None leaves it to OpenVINO."""

    def __init__(self, threads: int | None = None, precision: str | None = None) -> None:
        import openvino

        core = openvino.Core()
        if precision is None:
            precision = "bf16" if multiplies_bf16() else "f32"
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision} | BESIDE_OTHERS
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self.precision = precision
        graph = converted("classifier", EFFICIENTNET_LITE0, _graph)
        self._request = core.compile_model(graph, "CPU", options).create_infer_request()

    def logits(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 1000) float32 for N crops, each (h, w, 3) uint8 RGB of any size; they are resized to 224x224.

        Raises ValueError for a crop that is no picture.
        """
        out = np.empty((len(crops), N_CLASSES), np.float32)
        for start in range(0, len(crops), BATCH):
            batch = np.stack([_fit(crop) for crop in crops[start : start + BATCH]])
            self._request.infer({0: batch})
            out[start : start + len(batch)] = self._request.get_output_tensor(0).data
        return out


@lru_cache(maxsize=2)
def shared_classifier(threads: int | None = None) -> Classifier:
    """One classifier a process: compiling takes a second."""
    return Classifier(threads)


@lru_cache(maxsize=1)
def class_names() -> tuple[tuple[str, ...], ...]:
    """Names of each of the 1000 classes, most usual first: class_names()[468] is ("cab", "hack", "taxi", "taxicab")."""
    package = find_spec("timm")  # its files alone: importing it takes torch along, seconds for a thousand words
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "data" / "_info"
    lemmas = dict(line.split("\t") for line in (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines())
    return tuple(tuple(lemmas[s].split(", ")) for s in (folder / "imagenet_synsets.txt").read_text().split())


def is_prepared() -> bool:
    """Whether the classifier's graph is in the cache already."""
    return is_kept("classifier", EFFICIENTNET_LITE0, _graph)


def _fit(crop: np.ndarray) -> np.ndarray:
    if crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape or crop.dtype != np.uint8:
        raise ValueError(f"a crop must be (h, w, 3) uint8 RGB, not {crop.shape} {crop.dtype}")
    if crop.shape[:2] == (CROP_PX, CROP_PX):
        return crop
    shrinks = max(crop.shape[:2]) > 1.5 * CROP_PX
    return cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _graph() -> Any:
    """The network with its normalisation inside, (N, 224, 224, 3) uint8 to (N, 1000), as an OpenVINO model."""
    import openvino
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net: Any = backbone()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.net((x.permute(0, 3, 1, 2).float() - 127.0) / 128.0)
            return out

    with torch.no_grad():
        return openvino.convert_model(
            Logits().eval(),
            example_input=torch.zeros(1, CROP_PX, CROP_PX, 3, dtype=torch.uint8),
            input=[openvino.PartialShape([-1, CROP_PX, CROP_PX, 3])],
        )
