"""Encoder: frames to features, one pass that everything below shares.

Appearance is EfficientNet-Lite0 (ImageNet weights from the package index) up to stride 16, run by OpenVINO: of fp32,
bf16, channels-last and compiled variants it is the fastest here (`make bench` prints the table). Motion is dense
optical flow (DIS; Kroeger et al. 2016) and the change of grey values around each moment, pooled to the same grid.

Knows nothing about what is normal.  Next: heatmap/memory.py
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tvad.converted import BESIDE_OTHERS, converted, is_kept, multiplies_bf16
from tvad.flow import CELL, FLOW_STEP, STRIDE, flow_histograms, pooled
from tvad.presets.mini import EFFICIENTNET_LITE0
from tvad.video import fitted

if TYPE_CHECKING:
    import torch

    from tvad.video import Clip

INPUT_AREA = 256 * 384  # encoder pixels per frame; the aspect ratio follows the video
LOOK_S = 0.2  # change is measured between the frames this long before and after
MOVING = 0.002  # flow in frame heights per step below which a pixel counts as still (camera noise)
CHANGED = 0.05  # least grey change (of 1.0) that counts as movement, raised for noisy cameras
LEAST_STEP_S = 1e-3
C_APPEARANCE = 40 + 112  # channels of the two levels
MOTION_NAMES = ("vx", "vy", "speed", "spread")


@dataclass(frozen=True)
class Features:
    """What was seen, on a grid of h x w cells that covers the whole frame.

    patch (T, h, w, 152) float32: levels at stride 8 (40 channels) and 16 (112), each unit length, 3x3 averaged.
    motion (T, h, w, 4) float32: mean velocity x, y, mean speed and its spread over the moving pixels near a cell, in
    frame heights per second; 0 where nothing moves.
    moving (T, h, w) float32 in [0, 1]: share of pixels near the cell with flow. changed (T, h, w) float32 in [0, 1]:
    share of the cell's pixels that differ between shortly before and shortly after.
    frame (T, 224) float32: mean and maximum of the stride-16 level over the frame. times_s (T,) float64.
    flow (T, h // 2, w // 2, C_FLOW) float16: histograms of the flow's directions (tvad/flow.py), without channels where
    they were not asked for.
    people (T, n, 6) float32: boxes as in tvad/people.py, which fills them in; n is 0 where nobody looked for any.
    """

    patch: np.ndarray
    motion: np.ndarray
    moving: np.ndarray
    changed: np.ndarray
    frame: np.ndarray
    times_s: np.ndarray
    flow: np.ndarray
    people: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 6), np.float32))

    def __post_init__(self) -> None:
        grid = self.patch.shape[:3]
        if not self.people.size:
            object.__setattr__(self, "people", np.zeros((grid[0], 0, 6), np.float32))
        for name in ("motion", "moving", "changed"):
            if getattr(self, name).shape[:3] != grid:
                raise ValueError(f"{name} has grid {getattr(self, name).shape[:3]}, patch has {grid}")
        rows = {name: len(getattr(self, name)) for name in ("times_s", "frame", "flow", "people")}
        if set(rows.values()) != {grid[0]} or self.times_s.ndim != 1:
            told = ", ".join(f"{name} {count}" for name, count in rows.items())
            raise ValueError(f"patch has {grid[0]} frames; there are {told}")

    def __len__(self) -> int:
        return len(self.times_s)

    @staticmethod
    def join(parts: Iterable["Features"]) -> "Features":
        """Consecutive pieces as one."""
        items = list(parts)
        return Features(*(np.concatenate([getattr(p, name) for p in items]) for name in Features.__dataclass_fields__))


def input_size(width: int, height: int) -> tuple[int, int]:
    """Encoder input (W, H) for a video: about INPUT_AREA pixels, multiples of 32, at least 64 a side."""
    scale = (INPUT_AREA / (width * height)) ** 0.5
    return max(64, round(width * scale / 32) * 32), max(64, round(height * scale / 32) * 32)


class Encoder:
    """Frames in, `Features` out, streaming.

    threads: CPU threads for the network; None leaves it to OpenVINO. precision: "bf16" where the CPU multiplies it
    natively (cosine to fp32 0.998 in the mean, `make bench`), else "f32"; None chooses.
    """

    def __init__(self, threads: int | None = None, precision: str | None = None) -> None:
        self.precision = precision or ("bf16" if multiplies_bf16() else "f32")
        self.threads = threads

    def features(self, clips: Iterable["Clip"], flow: bool = False) -> Iterator[Features]:
        """Encode a stream of clips of one video. Yields pieces in order; every frame appears exactly once.

        A frame's change needs a little of its future, so pieces lag the input by up to LOOK_S. flow: whether its
        histograms are wanted, which take their time.
        """
        stream = self.stream(flow)
        for clip in clips:
            yield from stream.push(clip)
        yield from stream.finish()

    def stream(self, flow: bool = False) -> "EncoderStream":
        """The same, a clip at a time."""
        return EncoderStream(lambda wh: self._network(*input_size(*wh)), flow)

    def appearance(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Appearance alone: (T, H, W, 3) uint8 RGB to patch (T, h, w, 152) and frame (T, 224)."""
        size = input_size(frames.shape[2], frames.shape[1])
        return self._network(*size).infer(np.stack([fitted(f, size) for f in frames]))

    def _network(self, width: int, height: int) -> "_Network":
        return _compiled(width, height, self.precision, self.threads)


class _Network:
    """The compiled network for one input size; `start` and `wait` let optical flow run meanwhile."""

    def __init__(self, width: int, height: int, precision: str, threads: int | None) -> None:
        import openvino

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision} | BESIDE_OTHERS
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        model = converted("encoder", EFFICIENTNET_LITE0, _graph)
        model.reshape({model.input(0): [-1, height, width, 3]})
        self.request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
        self.size = (width, height)

    def start(self, batch: np.ndarray) -> None:
        self.request.start_async({0: batch})

    def wait(self) -> tuple[np.ndarray, np.ndarray]:
        self.request.wait()
        # Copies: OpenVINO reuses its output buffers on the next call.
        return tuple(self.request.get_output_tensor(i).data.copy() for i in (0, 1))  # type: ignore[return-value]

    def infer(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.start(batch)
        return self.wait()


class EncoderStream:
    """One video's encoding: appearance at once, motion with LOOK_S of look-ahead."""

    def __init__(self, network_for: Callable[[tuple[int, int]], _Network], with_flow: bool = False) -> None:
        self._network_for, self.with_flow = network_for, with_flow
        self._open = False
        self.times: list[float] = []
        self.done = 0  # frames of the window already handed out

    def _begin(self, frame_wh: tuple[int, int]) -> None:
        self._open = True
        self.network = self._network_for(frame_wh)
        network = self.network
        self.grid_wh = (network.size[0] // STRIDE, network.size[1] // STRIDE)
        self.flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.grey: list[np.ndarray] = []  # a window of recent grey frames ...
        self.patch: list[np.ndarray] = []  # ... and what is already known of those not yet handed out
        self.frame: list[np.ndarray] = []
        self.motion: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def push(self, clip: "Clip") -> list[Features]:
        """Encode the next clip; gives what is ready."""
        frames, times_s = clip.frames, clip.times_s
        if not self._open:
            self._begin((frames.shape[2], frames.shape[1]))
        small = np.stack([fitted(f, self.network.size) for f in frames])
        self.network.start(small)
        for n, (frame, t) in enumerate(zip(small, times_s, strict=True)):
            self.grey.append(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
            self.times.append(float(t))
            if len(self.grey) > 1:
                moved = self._moved(clip, n)
                if not self.motion:  # the first frame has no past; it gets the movement of the second
                    self.motion.append(moved)
                self.motion.append(moved)
        patch, frame_level = self.network.wait()
        self.patch.extend(patch)
        self.frame.extend(frame_level)
        ready = sum(t <= self.times[-1] - LOOK_S - 1e-6 for t in self.times)
        return [self._take(ready)] if ready > self.done else []

    def finish(self) -> list[Features]:
        """The rest."""
        if len(self.times) <= self.done:
            return []
        if not self.motion:  # a single frame: nothing moves
            still = np.zeros((*self.grey[0].shape, 2), np.float32)
            self.motion.append((*self._motion(still, 1.0), self._histograms(still, 1.0).astype(np.float16)))
        return [self._take(len(self.times))]

    def _moved(self, clip: "Clip", n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the newest frame, number n of its clip: motion, moving, flow."""
        now, before = self.grey[-1], self.grey[-2]
        dt = max(self.times[-1] - self.times[-2], LEAST_STEP_S)
        whole = self._flow(now, before)
        motion = self._motion(whole, dt)
        t = float("nan") if clip.between_s is None or not self.with_flow else float(clip.between_s[n])
        if clip.between is None or np.isnan(t) or motion[1].max() == 0:  # where nothing moves one look is enough
            return *motion, self._histograms(whole, dt).astype(np.float16)
        middle = clip.between[n]
        steps = (middle, before, t - self.times[-2]), (now, middle, self.times[-1] - t)
        first, second = (flow_histograms(self._flow(a, b), max(step_s, LEAST_STEP_S)) for a, b, step_s in steps)
        return *motion, ((first + second) / 2).astype(np.float16)

    def _histograms(self, backward: np.ndarray, dt: float) -> np.ndarray:
        if self.with_flow:
            return flow_histograms(backward, dt)
        return np.zeros((*(n // CELL for n in backward.shape[:2]), 0), np.float32)

    def _flow(self, now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return np.asarray(self.flow.calc(now, before, None))  # type: ignore[call-overload]

    def _motion(self, backward: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Flow from a frame back to the one before, (H, W, 2) px, to motion (h, w, 4) and moving (h, w)."""
        flow = -backward[FLOW_STEP // 2 :: FLOW_STEP, FLOW_STEP // 2 :: FLOW_STEP]
        height = len(backward)
        speed = np.hypot(flow[..., 0], flow[..., 1])
        moving = (speed > MOVING * height).astype(np.float32)
        speed *= moving
        flow *= moving[..., None]
        planes = [flow[..., 0], flow[..., 1], speed, speed * speed, moving]
        # Cells of moving pixels average over 5x3 cells, about a standing person's shape.
        cells = np.dstack([cv2.blur(pooled(p, STRIDE // FLOW_STEP), (3, 5)) for p in planes])
        share = cells[..., 4]
        mean = cells[..., :4] / (share[..., None] + 0.05)
        spread = np.sqrt(np.maximum(mean[..., 3] - mean[..., 2] ** 2, 0))
        out = np.dstack([mean[..., :3], spread]) / (height * dt)
        return out.astype(np.float32), share

    def _changed(self, i: int) -> np.ndarray:
        """Share of changed pixels around window index i, (h, w)."""
        t = np.asarray(self.times)
        before = int(np.argmin(np.abs(t[: i + 1] - (t[i] - LOOK_S))))
        after = i + int(np.argmin(np.abs(t[i:] - (t[i] + LOOK_S))))
        change = cv2.absdiff(self.grey[before], self.grey[after])
        # Half the pixels of a fixed camera's picture are still: their change is its noise.
        count = cv2.calcHist([change], [0], None, [256], [0, 256])
        middle = int(np.searchsorted(np.cumsum(count), change.size / 2))
        limit = max(CHANGED * 255, 5 * middle)
        return pooled((change > limit).astype(np.float32), STRIDE)

    def _take(self, end: int) -> Features:
        count = end - self.done
        changed = np.stack([self._changed(i) for i in range(self.done, end)])
        motion, moving, flow = (np.stack(values) for values in zip(*self.motion[:count], strict=True))
        out = Features(
            np.stack(self.patch[:count]),
            motion,
            moving,
            changed,
            np.stack(self.frame[:count]),
            np.array(self.times[self.done : end]),
            flow,
        )
        del self.patch[:count], self.frame[:count], self.motion[:count]
        # Keep only the past that later frames look back at (one frame at least, for the flow).
        keep_from = self.times[end - 1] - 2 * LOOK_S
        drop = min(end - 1, sum(t < keep_from for t in self.times))
        del self.grey[:drop], self.times[:drop]
        self.done = end - drop
        return out


def is_prepared() -> bool:
    """Whether the encoder's graph is in the cache already."""
    return is_kept("encoder", EFFICIENTNET_LITE0, _graph)


def backbone() -> "torch.nn.Module":
    """timm's tf_efficientnet_lite0 with the packaged weights, strictly loaded, in eval mode."""
    import timm
    import torch

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    packaged = torch.load(EFFICIENTNET_LITE0.locate(), weights_only=True, map_location="cpu")
    names = list(model.state_dict())
    if len(names) != len(packaged):
        raise ValueError(f"the packaged EfficientNet-Lite0 has {len(packaged)} tensors, the network {len(names)}")
    # The package names its tensors differently, but in the same order; shapes are checked by the strict load.
    model.load_state_dict(dict(zip(names, packaged.values(), strict=True)))
    return model


@lru_cache(maxsize=4)
def _compiled(width: int, height: int, precision: str, threads: int | None) -> _Network:
    return _Network(width, height, precision, threads)


def network() -> "torch.nn.Module":
    """Normalisation, network, pooling and fusion of the levels: (T, H, W, 3) uint8 to what `appearance` gives."""
    import torch
    import torch.nn.functional as F

    class Levels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net: Any = backbone()

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = (x.permute(0, 3, 1, 2).float() - 127.0) / 128.0  # (B, 3, H, W)
            x = self.net.bn1(self.net.conv_stem(x))
            levels = []
            for i in range(5):
                x = self.net.blocks[i](x)
                if i in (2, 4):  # strides 8 and 16
                    levels.append(x)
            frame = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)  # (B, 224)
            pooled = [F.normalize(F.avg_pool2d(v, 3, 1, 1), dim=1) for v in levels]
            coarse = F.interpolate(pooled[1], scale_factor=2.0, mode="bilinear", align_corners=False)
            return torch.cat([pooled[0], coarse], 1).permute(0, 2, 3, 1), frame

    return Levels().eval()


def _graph() -> Any:
    """The same as an OpenVINO model."""
    import openvino
    import torch

    with torch.no_grad():
        return openvino.convert_model(
            network(),
            example_input=torch.zeros(1, 64, 64, 3, dtype=torch.uint8),
            input=[openvino.PartialShape([-1, -1, -1, 3])],
        )
