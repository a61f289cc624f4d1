"""Scene files: one camera's normality, saved as `.scene.safetensors` by `tvad calibrate`.

Strict on reading: a file from a stranger gives one clear line, never a wrong heat map.  Next: tvad/calibrate.py
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from heatmap.levels import AlarmLevel, Alarms
from heatmap.memory import PARTS, QUANTILES, Projection, SceneMemory, Tail
from tvad.classifier import N_CLASSES
from tvad.evidence import write_atomic

SCENE_VERSION = 1
MAX_BYTES = 256 * 2**20


class SceneError(ValueError):
    """A scene file that is damaged, of another preset or from the future."""


@dataclass(frozen=True)
class Looks:
    """What the classifier said of normal things: logits (N, 1000) float16, the thing (N,) and time (N,) of each look,
    and the seconds of footage they come from."""

    logits: np.ndarray
    thing: np.ndarray
    times_s: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Scene:
    """A memory, the alarm levels of its curve and of its hottest place on held-out normal footage, looks at normal
    things, and where all that comes from; those of the decoder, None where it was switched off.

    about: preset, clips, seconds, frames, fps (sampled) and aspect (width / height) of the footage; with `--tower`
    which one (tvad.tower_part.about_tower).
    """

    memory: SceneMemory
    frame_alarm: AlarmLevel
    heat_alarm: AlarmLevel
    looks: Looks
    about: dict[str, Any]
    decoder_alarms: Alarms | None = None
    head_alarm: AlarmLevel | None = None

    def save(self, path: str | Path) -> None:
        m = self.memory
        tensors = {
            "projection.mean": m.projection.mean,
            "projection.axes": m.projection.axes,
            "appearance.bank": m.appearance,
            "motion.bank": m.motion,
            "appearance.quantiles": m.appearance_tail.quantiles,
            "motion.quantiles": m.motion_tail.quantiles,
            "tail.scales": np.array([m.appearance_tail.scale, m.motion_tail.scale]),
            "looks.thing": self.looks.thing,
            "looks.times_s": self.looks.times_s,
        }
        data = save_tensors(
            {k: np.ascontiguousarray(v, np.float32) for k, v in tensors.items()}
            | {"looks.logits": np.ascontiguousarray(self.looks.logits, np.float16)},
            {
                "kind": "tvad-scene",
                "version": str(SCENE_VERSION),
                "frame_alarm": json.dumps(asdict(self.frame_alarm)),
                "heat_alarm": json.dumps(asdict(self.heat_alarm)),
                "looks_s": json.dumps(self.looks.seconds),
                "decoder_alarms": json.dumps(asdict(self.decoder_alarms) if self.decoder_alarms else None),
                "head_alarm": json.dumps(asdict(self.head_alarm) if self.head_alarm else None),
                "about": json.dumps(self.about),
            },
        )
        write_atomic(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: str | Path) -> "Scene":
        """SceneError (one line) when the file is not a whole scene file of this version; OSError when unreadable."""
        path = Path(path)
        if path.stat().st_size > MAX_BYTES:
            raise SceneError(f"{path}: {path.stat().st_size} bytes is too large for a scene file")
        data = path.read_bytes()
        try:
            tensors = load_tensors(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
        except (SafetensorError, KeyError, ValueError, RecursionError) as error:
            raise SceneError(f"{path}: not a scene file ({error}). Make one with `tvad calibrate`") from None
        if header.get("kind") != "tvad-scene" or header.get("version") != str(SCENE_VERSION):
            raise SceneError(
                f"{path}: is {header.get('kind', 'no scene')!r} version {header.get('version')!r}; this tvad reads "
                f"'tvad-scene' version {SCENE_VERSION}. Make it again with `tvad calibrate`"
            )
        try:
            frame_alarm, heat_alarm = (AlarmLevel(**json.loads(header[k])) for k in ("frame_alarm", "heat_alarm"))
            decoder = json.loads(header.get("decoder_alarms", "null"))
            decoder_alarms = Alarms(**{k: AlarmLevel(**decoder[k]) for k in decoder}) if decoder else None
            head = json.loads(header.get("head_alarm", "null"))
            head_alarm = AlarmLevel(**head) if head else None
            about = _about(json.loads(header["about"]))
            looks = _looks(tensors, float(header["looks_s"]))
            memory = _memory(tensors)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise SceneError(f"{path}: damaged scene file ({error}). Make it again with `tvad calibrate`") from None
        return cls(memory, frame_alarm, heat_alarm, looks, about, decoder_alarms, head_alarm)


def _about(about: Any) -> dict[str, Any]:
    """Checks where the scene comes from."""
    if not isinstance(about, dict) or not isinstance(about["preset"], str):
        raise ValueError("it does not say where it comes from")
    for name in ("clips", "seconds", "frames", "fps", "aspect"):
        if not 0 < about[name] < np.inf:
            raise ValueError(f"{name} is {about[name]!r}")
    tower = about.get("tower")
    if tower is not None and not (isinstance(tower, dict) and {"model", "anomaly", "normal"} <= set(tower)):
        raise ValueError("it does not say with which tower it was calibrated")
    return about


def _looks(t: dict[str, np.ndarray], seconds: float) -> Looks:
    """Takes the looks out of the tensors."""
    logits, thing, times_s = (t.pop(f"looks.{k}") for k in ("logits", "thing", "times_s"))
    if logits.shape != (len(thing), N_CLASSES) or thing.shape != times_s.shape or logits.dtype != np.float16:
        raise ValueError(f"looks have shapes {logits.shape}, {thing.shape}, {times_s.shape}")
    if not all(np.isfinite(v).all() for v in (logits, thing, times_s)) or not 0 <= seconds < np.inf:
        raise ValueError("looks are not finite")
    return Looks(logits, thing.astype(int), times_s.astype(np.float64), seconds)


def _memory(t: dict[str, np.ndarray]) -> SceneMemory:
    width, channels = t["projection.axes"].shape[1], t["projection.axes"].shape[0]
    expected = {
        "projection.mean": (channels,),
        "appearance.bank": (PARTS, t["appearance.bank"].shape[1], width),
        "motion.bank": (PARTS, t["motion.bank"].shape[1], 4),
        "appearance.quantiles": (len(QUANTILES),),
        "motion.quantiles": (len(QUANTILES),),
        "tail.scales": (2,),
    }
    for name, shape in expected.items():
        if t[name].shape != shape or 0 in shape:
            raise ValueError(f"{name} has shape {t[name].shape}, expected {shape}")
    for name, values in t.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite float32")
    if (t["tail.scales"] <= 0).any() or any((np.diff(t[f"{k}.quantiles"]) < 0).any() for k in ("appearance", "motion")):
        raise ValueError("the distance distribution is not one")
    scales = t["tail.scales"]
    return SceneMemory(
        Projection(t["projection.mean"], t["projection.axes"]),
        t["appearance.bank"],
        t["motion.bank"],
        Tail(t["appearance.quantiles"], float(scales[0])),
        Tail(t["motion.quantiles"], float(scales[1])),
    )
