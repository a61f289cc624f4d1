"""Family: what differs between full-size LVLMs. One family a file; what they share is here and in tvad/lvlm/loaded.py.

A family knows how frames go into its model, what its chat template puts in their place, where the patches of its vision
tower are and which positions its language model counts. Torch and transformers are imported inside functions.

Next: tvad/lvlm/loaded.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

MILLI = 1000  # times are told to processors as numbers of frames of a video with as many a second
DEPTHS = (0.0, 7 / 31, 15 / 31, 1.0)  # taps of T-VAD: blocks 0, 7, 15 and 31 of the 32 of Qwen2.5-VL


@dataclass(frozen=True)
class Pictures:
    """What a processor makes of frames.

    inputs: tensors for the vision tower, by the names of its arguments. written: what stands in the dialogue where the
    chat template puts a placeholder, one for each of them. said: words after the pictures, "" where the family needs
    none. grid: T', h, w of the tower's patches. times_s (T',) float64: the middle of each slice.
    """

    inputs: dict[str, Any]
    written: tuple[str, ...]
    said: str
    grid: tuple[int, int, int]
    times_s: np.ndarray


class Family:
    """One family of models.

    model_type: as config.json has it. title: for people. kind: "video" or "image", what the dialogue calls the frames;
    door: the same for the model, whose `get_DOOR_features` takes `inputs`. tower, blocks: the vision tower inside the
    transformers model, and its list of blocks. time_patch: frames to a slice. first: tokens of a slice before its
    patches (a class token: 1). aligned: the dual encoder whose vision side the tower began as, so that its text side
    fits it; "" for none. frames: looked at where nobody says how many.
    """

    model_type = ""
    title = ""
    kind = "video"
    door = "video"
    inputs: tuple[str, ...] = ("pixel_values_videos",)
    tower = "model.vision_tower"
    blocks = "encoder.layers"
    time_patch = 1
    first = 0
    aligned = ""
    frames = 16

    def taps(self, depth: int) -> tuple[int, ...]:
        """0-based blocks of a tower of `depth` that the heatmap decoder reads."""
        return tuple(sorted({round(d * (depth - 1)) for d in DEPTHS}))

    def tower_of(self, model: "torch.nn.Module") -> Any:
        return model.get_submodule(self.tower)

    def blocks_of(self, model: "torch.nn.Module") -> Any:
        return self.tower_of(model).get_submodule(self.blocks)

    def pictures(self, processor: Any, config: Any, frames: np.ndarray, times_s: np.ndarray) -> Pictures:
        """Frames (T, H, W, 3) uint8 RGB seen at times_s (T,) as the model of this config takes them."""
        import torch
        from transformers.video_utils import VideoMetadata

        inputs = processor.video_processor(
            videos=[torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)],
            video_metadata=[VideoMetadata(**metadata(times_s))],
            do_sample_frames=False,
            return_metadata=True,
            return_tensors="pt",
        )
        written = processor.replace_video_token(inputs, 0)
        grid = self.grid(inputs, config)
        kept = {name: value for name, value in inputs.items() if name != "video_metadata"}
        return Pictures(kept, (written,), self.said(times_s), grid, slice_times(times_s, self.time_patch, grid[0]))

    def grid(self, inputs: Any, config: Any) -> tuple[int, int, int]:
        """T', h, w of the patches in what the processor made."""
        t, _, h, w = inputs[self.inputs[0]].shape[-4:]
        patch = side(config.vision_config.patch_size)
        return int(t), int(h) // patch, int(w) // patch

    def said(self, times_s: np.ndarray) -> str:
        """The times of the frames in words; "" for a family that writes them itself."""
        told = ", ".join(f"{t:.1f}" for t in times_s)
        return f"The pictures are frames of one video, at {told} seconds.\n"

    def expand(self, processor: Any, text: str, pictures: Pictures) -> str:
        """A rendered dialogue with each placeholder of pictures replaced by what stands for them."""
        written = list(pictures.written)
        images, videos = ([], written) if self.kind == "video" else (written, [])
        return str(processor.get_text_with_replacements([text], images, videos)[0][0])

    def features(self, model: Any, pictures: Pictures) -> Any:
        """What the vision side hands to the language model (`mm_encoder_outputs` of transformers)."""
        inputs = {name: moved(pictures.inputs[name], model) for name in self.inputs if name in pictures.inputs}
        return getattr(model.model, f"get_{self.door}_features")(**inputs, return_dict=True)

    def joined(self, features: Sequence[Any]) -> Any:
        """Features of several videos as those of one batch."""
        return type(features[0])(pooler_output=_joined([f["pooler_output"] for f in features]))

    def patches(self, model: Any, hidden: "torch.Tensor", pictures: Pictures) -> "torch.Tensor":
        """Tokens inside the tower to (T', h, w, C), each patch at its own place."""
        from heatmap.patches import from_rows

        t, h, w = pictures.grid
        return from_rows(hidden.reshape(t, -1, hidden.shape[-1]), (h, w), self.first)

    def positions(self, model: Any, ids: "torch.Tensor", pictures: Pictures | None) -> "torch.Tensor":
        """Positions of ids (1, S) in the language model: (1, S), or (3, 1, S) where they have three axes."""
        import torch

        return torch.arange(ids.shape[1], device=ids.device)[None]


def metadata(times_s: np.ndarray) -> dict[str, Any]:
    """What transformers has to know of a video of which these frames were taken."""
    times = np.asarray(times_s, np.float64)
    step = float(np.diff(times).mean()) if len(times) > 1 else 1.0
    whole = max(len(times), round(len(times) * max(step, 1e-3) * MILLI))
    indices = [round(t * MILLI) for t in times]
    return {"total_num_frames": whole, "fps": MILLI, "frames_indices": indices, "duration": whole / MILLI}


def slice_times(times_s: np.ndarray, time_patch: int, slices: int) -> np.ndarray:
    """Middle of each slice of `time_patch` frames; the last frame stands for those that a slice lacks."""
    wanted = slices * time_patch
    times = np.concatenate([times_s, np.repeat(times_s[-1:], max(wanted - len(times_s), 0))])[:wanted]
    return times.reshape(slices, time_patch).mean(1)


def side(size: int | Sequence[int]) -> int:
    """Of a square that a config gives by one number or by two."""
    return int(size) if isinstance(size, int) else int(size[0])


def moved(value: Any, model: Any) -> Any:
    """A tensor on the model's device, numbers with a point in its precision."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)


def _joined(values: Sequence[Any]) -> Any:
    import torch

    if isinstance(values[0], torch.Tensor):
        return torch.cat(list(values))
    return [part for value in values for part in value]
