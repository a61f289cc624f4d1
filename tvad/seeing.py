"""A full-size language model before one analysed video: frames, heat of its own vision tower, evidence as embeddings.

    frames -> vision tower (once) -> decoder (AHD) -> heat -> region encoder (RAE) -> embeddings beside the frames

Without a trained adapter nothing is injected: what was found is drawn on the frames, and told in words by the prompt.
Next: tvad/explainer.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from heatmap.render import draw_boxes
from tvad.evidence import Analysis, Curves
from tvad.lvlm import BACKBONES
from tvad.lvlm.adapter import SHIPPED, Adapter
from tvad.lvlm.choice import Choice
from tvad.presets.base import Preset
from tvad.repos import Repo
from tvad.video import VideoError, VideoReader

MAX_SIDE_PX = 868  # of T-VAD's 476 x 868 frames
AFTER_S = 2.0  # within which a frame is looked for


@dataclass(frozen=True)
class Ready:
    """What answering needs. watching: a `Backbone` that has seen the video. given: (N, E) embeddings, None without an
    adapter. yes_no: of the adapter. times_s: when the frames were. heat: of the vision tower (T', h, w) in [0, 1], None
    without a decoder."""

    watching: Any
    given: np.ndarray | None
    yes_no: tuple[float, float]
    times_s: np.ndarray
    heat: np.ndarray | None = None


def adapter_of(preset: Preset, choice: Choice) -> Adapter | None:
    """The adapter to use: the chosen one, that of the preset, or none. MissingWeights, AdapterError for a bad one."""
    if choice.adapter is not None:
        return Adapter.load(choice.adapter)
    return Adapter.load(SHIPPED / preset.name) if (SHIPPED / preset.name).is_dir() else None


def weights_of(preset: Preset, choice: Choice) -> Path:
    """The folder of the model. MissingWeights when it is not here."""
    if choice.weights is not None:
        return choice.weights
    return next(w for w in preset.needed("lvlm") if isinstance(w, Repo)).locate()


def ready(
    analysis: Analysis, preset: Preset, choice: Choice, video: str | Path, told: bool, note: Callable[[str], None]
) -> Ready:
    """Load the model (kept for the next video) and look at a video.

    told: the evidence is told in words, so frames are marked and no adapter is used. MissingWeights, VideoError,
    AdapterError; ValueError for a model of another family than the preset's and an adapter of another model.
    """
    adapter = None if told else adapter_of(preset, choice)
    loaded = model_of(preset, choice, adapter, analysis.evidence.settings.get("device") or "cpu")
    frames, times_s = look_at(analysis, video, frames_of(preset, choice), marked=adapter is None)
    return shown(analysis, loaded, adapter, frames, times_s)


def frames_of(preset: Preset, choice: Choice) -> int:
    """How many frames are looked at."""
    return choice.frames or BACKBONES[preset.backbone].frames


def shown(analysis: Analysis, loaded: Any, adapter: Adapter | None, frames: np.ndarray, times_s: np.ndarray) -> Ready:
    """Show a loaded model the frames (`look_at`) of a video. ValueError for an adapter that does not fit."""
    if adapter is None:
        return Ready(_watching(loaded, loaded.look(frames, times_s)), None, (1.0, 0.0), times_s)
    from tvad.lvlm.tower_heat import decoder_of
    from tvad.lvlm.view import view_of

    config = adapter.config
    decoder = decoder_of(loaded, config.ahd, adapter.ahd) if config.ahd else None
    seen, curves, heat = looked(analysis, loaded, decoder, frames, times_s)
    given = adapter.embed(view_of(analysis.evidence, curves, config=config.rae.view))
    return Ready(_watching(loaded, seen), given, adapter.yes_no, times_s, heat)


def looked(
    analysis: Analysis, loaded: Any, decoder: Any, frames: np.ndarray, times_s: np.ndarray
) -> tuple[Any, Curves, np.ndarray | None]:
    """One pass of the frames through the tower, for answering and for training alike: what was seen, and with a decoder
    the curves with its heat, and that heat (T', h, w); without one (None) those of the analysis, and None."""
    if decoder is None:
        return loaded.look(frames, times_s), analysis.curves, None
    from tvad.lvlm.tower_heat import layers_of, tower_heat

    words = analysis.evidence.settings
    seen = loaded.look(frames, times_s, layers_of(decoder.config.to_dict()))
    heat = tower_heat(loaded, seen, decoder, words.get("anomaly") or (), words.get("normal") or ())
    return seen, with_heat(analysis.curves, heat, seen.pictures.times_s), heat


def with_heat(curves: Curves, heat: np.ndarray, times_s: np.ndarray) -> Curves:
    """The curves with the heat of a vision tower (T', h, w) in the place of that of the analysis."""
    return replace(curves, heat=heat.astype(np.float16), heat_times_s=np.asarray(times_s, np.float64))


def model_of(preset: Preset, choice: Choice, adapter: Adapter | None, device: str) -> Any:
    """The loaded model, with what the adapter changes."""
    folder = weights_of(preset, choice)
    from tvad.lvlm.loaded import kind_of

    if (kind := kind_of(folder)) != preset.backbone:
        fitting = "the presets of it are other ones" if kind in BACKBONES else "no preset is"
        raise ValueError(
            f"{folder} holds a model of type {kind!r}, preset {preset.name!r} wants {preset.backbone!r}; {fitting} "
            "(--preset, --weights)"
        )
    chosen = choice.device or device
    loaded = _model(folder, chosen, choice.dtype, choice.quantise, choice.attention, _Adapted(adapter))
    if adapter and (adapter.config.backbone, adapter.config.rae.width) != (kind, loaded.width):
        raise ValueError(
            f"the adapter is for {adapter.config.backbone!r}, {adapter.config.rae.width} wide; the model in {folder} "
            f"is {kind!r}, {loaded.width} wide (--adapter)"
        )
    return loaded


class _Adapted:
    """An adapter as a key: two with the same low-rank matrices change a model alike."""

    def __init__(self, adapter: Adapter | None) -> None:
        self.adapter = adapter
        self.key = adapter.change.digest if adapter else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Adapted) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=1)
def _model(folder: Path, device: str, dtype: str, quantise: str, attention: str, adapted: _Adapted) -> Any:
    from tvad.lvlm.loaded import Loaded, load
    from tvad.lvlm.lora import add_lora, merge_into, set_lora_weights

    loaded = load(folder, device, dtype, quantise, attention)
    adapter = adapted.adapter
    if adapter is None:
        return loaded
    if not quantise:
        merge_into(loaded.model, adapter.lora, adapter.config.lora.scale)
        return loaded
    loaded.injector.remove()
    tuned = add_lora(loaded.model, adapter.config.lora)
    set_lora_weights(tuned, adapter.lora)
    return Loaded(tuned.eval(), loaded.processor, loaded.family)


def _watching(loaded: Any, seen: Any) -> Any:
    from tvad.lvlm.watching import Watching

    return Watching(loaded, seen)


def look_at(analysis: Analysis, video: str | Path, count: int, marked: bool) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, H, W, 3) uint8 RGB of a video and their times, T at most `count`: evenly spread, and those nearest to
    the events' peaks at the peaks. marked: boxes of what was found are drawn on them. VideoError for no frame."""
    from tvad.outputs import Scene

    scene = Scene(analysis)
    found: list[np.ndarray] = []
    times_s: list[float] = []
    for t_s in moments(analysis, count):
        try:
            reader = VideoReader(
                video, fps=None, start_s=t_s, end_s=t_s + AFTER_S, chunk=1, max_side=MAX_SIDE_PX, prefetch=False
            )
            clip = next(iter(reader))
        except VideoError:
            if found:
                continue  # a damaged place; the others tell enough
            raise
        frame, at_s = clip.frames[0], float(clip.times_s[0])
        boxes = scene.boxes(at_s, (frame.shape[1], frame.shape[0])) if marked else []
        found.append(draw_boxes(frame, boxes) if boxes else frame)
        times_s.append(at_s)
    return np.stack(found), np.array(times_s)


def moments(analysis: Analysis, count: int) -> Sequence[float]:
    """Times of frames worth looking at, in seconds, rising and at most `count`."""
    evidence, curves = analysis
    every = curves.times_s
    if not len(every):
        every = np.arange(0, max(evidence.video.duration_s - 1 / max(evidence.video.fps, 1), 0) + 1e-9, 0.1)
    wanted = np.linspace(every[0], every[-1], min(count, len(every)))
    strongest = sorted(evidence.events, key=lambda e: -e.score)[: len(wanted) // 2]
    for event in strongest:
        wanted[int(np.abs(wanted - event.peak_s).argmin())] = event.peak_s
    return sorted({float(every[int(np.abs(every - t).argmin())]) for t in wanted})
