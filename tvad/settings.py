"""Settings: what a person may choose about an analysis. A frozen value; part of the cache key. Needs no torch."""

from dataclasses import asdict, dataclass
from typing import Any

PARTS = ("memory", "decoder", "words", "head", "falls")
USUAL = ("usual",)  # which parts these are depends on whether there is a scene, see `usual_parts`
MAX_SIDE_PX = 640  # analysis size: larger frames are scaled down while decoding


def usual_parts(scene: bool) -> tuple[str, ...]:
    """Of an analysis with or without a scene. A scene knows its camera's movement, and places it better in time than a
    head does; without one, movement is judged by the head alone. With the decoder too, Ped2 without a scene got no
    better (docs/RESULTS.md)."""
    return ("memory", "words", "falls") if scene else ("memory", "words", "head", "falls")


@dataclass(frozen=True)
class Settings:
    """One analysis.

    fps: sampled frames per second of video (rounded to a whole number of source frames).
    start_s, end_s: the stretch to look at, None for the ends of the file.
    scene: path of a `.scene.safetensors` made by `tvad calibrate`, or None (the clip's own frequent patterns).
    anomaly, normal: the user's words; None takes the preset's defaults, an empty tuple switches words off.
    parts: which scores are used, out of PARTS; USUAL stands for `usual_parts` and is replaced by them.
    false_alarms_per_hour: the rate of false events on normal footage that the threshold is set to.
    sam: weights of SAM that give tracks masks (heatmap/sam.py), None for none.
    tower: folder of a CLIP or SigLIP model whose patches the part `decoder` reads instead (tvad/tower_part.py); that
    part is then used.
    """

    preset: str = "mini"
    fps: float = 8.0
    start_s: float | None = None
    end_s: float | None = None
    scene: str | None = None
    anomaly: tuple[str, ...] | None = None
    normal: tuple[str, ...] | None = None
    parts: tuple[str, ...] = USUAL
    false_alarms_per_hour: float = 1.0
    device: str = "cpu"
    sam: str | None = None
    tower: str | None = None

    def __post_init__(self) -> None:
        if self.parts == USUAL:
            object.__setattr__(self, "parts", usual_parts(self.scene is not None))
        if self.tower is not None and "decoder" not in self.parts:
            object.__setattr__(self, "parts", (*self.parts, "decoder"))
        if not 0 < self.fps <= 240:
            raise ValueError(f"fps is {self.fps}; it must be above 0 and at most 240 (--fps)")
        if self.start_s is not None and self.start_s < 0:
            raise ValueError(f"start is {self.start_s} s; it must be 0 or more (--start)")
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError(f"end {self.end_s} s is not after start {self.start_s or 0.0} s (--end)")
        if not self.parts or set(self.parts) - set(PARTS):
            raise ValueError(f"parts are {list(self.parts)}; choose one or more of {list(PARTS)} (--parts)")
        if not 0 < self.false_alarms_per_hour <= 3600:
            raise ValueError(
                f"false alarms per hour is {self.false_alarms_per_hour}; it must be above 0 and at most 3600"
            )

    def to_dict(self) -> dict[str, Any]:
        """Every field as JSON has it: lists, not tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
