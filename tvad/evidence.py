"""Evidence: everything the program knows about a video, as one frozen value.

Everything before it (decoding, features, heat, scores, tracks) makes it; everything after it (narrator, language
model, page, captions) only reads it. It saves to JSON and back without loss; the long arrays (scores, heat) live
beside it in `Curves`, saved as `scores.npz`. Needs numpy only, and knows neither videos nor models.

Next: chat/session.py
"""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from heatmap.masks import of_runs
from tvad.kinds import UNSPECIFIED
from tvad.npz import read_maps, write_npz
from tvad.plain import no_number, number, plain, texts
from tvad.sight import Sight
from tvad.spill import pieces

SCHEMA_VERSION = 1


class EvidenceError(ValueError):
    """An evidence file that is damaged, from the future, or not one at all."""


@dataclass(frozen=True)
class VideoMeta:
    """The analysed file. `fps` is the average rate of the source; sizes are in displayed (rotated) pixels."""

    path: str
    sha256: str
    duration_s: float
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class TrackBox:
    """Where a track was at one moment: seconds, box (x0, y0, x1, y1) in source pixels, heat score in [0, 1]."""

    t_s: float
    xyxy: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class TrackMask:
    """The shape of a track at one moment. size_wh: of the mask, which covers the whole frame; runs: as in
    heatmap/masks.py. by: "sam", or "heat" where no mask of SAM agreed with the heat; iou, heat_share: how the best of
    SAM's masks agreed (heatmap/sam.py)."""

    t_s: float
    size_wh: tuple[int, int]
    runs: tuple[int, ...]
    by: str
    iou: float
    heat_share: float


@dataclass(frozen=True)
class Motion:
    """How a track moves, in the words of heatmap/motion.py. Speeds are in frame diagonals per second."""

    summary: str  # one phrase: "moves quickly from the left to the bottom right, then stops"
    displacement: str  # still | small | large
    direction: str | None  # one of eight compass words ("up-left"), None when still
    speed_change: str  # steady | accelerates | slows
    turn: bool
    stops: bool
    mean_speed: float
    max_speed: float


@dataclass(frozen=True)
class Track:
    """One thing that was followed. `trajectory` is the path over the 3x3 cells, repeats removed. `masks`: at a few
    moments, in order of time; none without `--sam`."""

    id: int
    label: str
    label_confidence: float
    appearance: str
    boxes: tuple[TrackBox, ...]
    trajectory: tuple[str, ...]
    motion: Motion
    entry: str | None  # border it came in through, None when it was there from the start or appeared inside
    exit: str | None
    masks: tuple[TrackMask, ...] = ()

    @property
    def start_s(self) -> float:
        return self.boxes[0].t_s

    @property
    def end_s(self) -> float:
        return self.boxes[-1].t_s


@dataclass(frozen=True)
class Seen:
    """How many of a kind ("person", "motor vehicle") were in the picture, ordinary ones too: `most` at once, first at
    `most_at_s`, and `usual`, the median of the moments with any. Single pictures are counted: who is small or hidden
    is missed."""

    kind: str
    most: int
    most_at_s: float
    usual: int


@dataclass(frozen=True)
class Event:
    """A stretch of time that is anomalous. `raised_by` names the parts whose score crossed: memory, words, ...

    `class_probs`: what its movement looks like, a calibrated probability a class, "normal" among them; empty without
    the part `head`. `kind`: the class, where that is sure enough to be shown, which is then the `category`;
    else "unspecified".
    """

    id: int
    start_s: float
    end_s: float
    peak_s: float
    score: float
    category: str
    tracks: tuple[int, ...]
    raised_by: tuple[str, ...] = ()
    kind: str = UNSPECIFIED
    class_probs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """The findings about one video; `settings` and `versions` say how they were made.

    `has_anomaly` is `bool(events)`. `confidence` in [0.5, 1] is the probability that `has_anomaly` is right, as far
    as the calibration can say. `calibration` is "scene" (measured on this camera's normal footage) or
    "uncalibrated" (the clip's own frequent patterns). `peak_score` is the highest score of the video, event or
    not. `kind` and `class_probs` are those of the strongest event or, without one, of the least usual moment.
    `seen`: who was there, of kinds of which there was any.
    """

    video: VideoMeta
    preset: str
    versions: dict[str, str]
    settings: dict[str, Any]
    events: tuple[Event, ...]
    tracks: tuple[Track, ...]
    has_anomaly: bool
    confidence: float
    summary: str
    calibration: str = "uncalibrated"
    threshold: float = 0.5
    peak_score: float | None = None
    warnings: tuple[str, ...] = ()
    kind: str = UNSPECIFIED
    class_probs: dict[str, float] = field(default_factory=dict)
    seen: tuple[Seen, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)

    def __post_init__(self) -> None:
        meta = self.video
        if not (meta.width > 0 and meta.height > 0 and meta.fps > 0 and meta.duration_s >= 0):
            raise EvidenceError(f"the video is {meta.duration_s} s of {meta.width}x{meta.height}, {meta.fps} frames/s")
        if self.has_anomaly != bool(self.events):
            raise EvidenceError(f"has_anomaly is {self.has_anomaly} but there are {len(self.events)} events")
        ids = {t.id for t in self.tracks}
        if len(ids) < len(self.tracks):
            raise EvidenceError(f"tracks share an id: {sorted(t.id for t in self.tracks)}")
        if empty := [t.id for t in self.tracks if not t.boxes]:
            raise EvidenceError(f"tracks {empty} have no boxes")
        for event in self.events:
            if not event.start_s <= event.peak_s <= event.end_s:
                raise EvidenceError(
                    f"event {event.id}: start {event.start_s}, peak {event.peak_s}, end {event.end_s} are out of order"
                )
            if missing := set(event.tracks) - ids:
                raise EvidenceError(f"event {event.id} names tracks {sorted(missing)}, known are {sorted(ids)}")

    def track(self, track_id: int) -> Track:
        """The track with this id; KeyError lists the known ids."""
        for t in self.tracks:
            if t.id == track_id:
                return t
        raise KeyError(f"no track {track_id}; known: {[t.id for t in self.tracks]}")

    def to_json(self) -> str:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        # A file name that is no UTF-8 has half surrogate pairs, which no file of text holds: as escapes they come back.
        return text.encode("utf-8", "backslashreplace").decode()

    @classmethod
    def from_json(cls, text: str) -> "Evidence":
        """Read what `to_json` wrote. Raises EvidenceError with the reason in one line."""
        try:
            raw = json.loads(text, parse_constant=no_number)
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"not JSON: {error}") from None
        if not isinstance(raw, dict) or "schema_version" not in raw:
            raise EvidenceError("not an evidence file: it has no schema_version")
        if raw["schema_version"] != SCHEMA_VERSION:
            raise EvidenceError(
                f"evidence schema {raw['schema_version']!r}; this tvad reads {SCHEMA_VERSION}. "
                "Run `tvad analyze` on the video again"
            )
        try:
            return _from_dict(raw)
        except EvidenceError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise EvidenceError(f"evidence file has a missing or malformed field: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write JSON to `path`; a reader never sees half of it."""
        write_atomic(path, lambda file: file.write(self.to_json().encode()))

    @classmethod
    def load(cls, path: str | Path) -> "Evidence":
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise EvidenceError(f"{path}: not a text file") from None


@dataclass(frozen=True)
class Curves:
    """The arrays behind the evidence.

    times_s (N,) float64 and scores (N,) float32 in [0, 1]: one value per *source* frame.
    heat_times_s (T,) float64 and heat (T, h, w) float16 in [0, 1]: one map per sampled frame, covering the whole frame.
    class_names (K,) and class_probs (N, K) float32 where a head gives them, else empty.
    parts: name of a scoring part -> its own (N,) curve.
    sight: what a language model may look at, None where nothing was kept.
    """

    times_s: np.ndarray
    scores: np.ndarray
    heat_times_s: np.ndarray
    heat: np.ndarray
    class_names: tuple[str, ...] = ()
    class_probs: np.ndarray | None = None
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    sight: Sight | None = None

    def __post_init__(self) -> None:
        if self.times_s.shape != self.scores.shape or self.times_s.ndim != 1:
            raise EvidenceError(f"times_s {self.times_s.shape} and scores {self.scores.shape} must be equal (N,)")
        if self.heat.ndim != 3 or self.heat.shape[:1] != self.heat_times_s.shape:
            raise EvidenceError(f"heat {self.heat.shape} must be (T, h, w) with T = {self.heat_times_s.shape}")
        for name, values in {"scores": self.scores, "heat": self.heat}.items():
            if values.size and not all(p.min() >= 0 and p.max() <= 1 for p in pieces(values)):  # nor NaN, which is not
                raise EvidenceError(f"{name} leaves [0, 1]: {np.nanmin(values)} to {np.nanmax(values)}")

    def save(self, path: str | Path) -> None:
        arrays: dict[str, Any] = {
            "times_s": self.times_s.astype(np.float64),
            "scores": self.scores.astype(np.float32),
            "heat_times_s": self.heat_times_s.astype(np.float64),
            "heat": self.heat.astype(np.float16, copy=False),
            "class_names": np.array(self.class_names, dtype=np.str_),
        }
        if self.class_probs is not None:
            arrays["class_probs"] = self.class_probs.astype(np.float32)
        arrays |= {f"part_{name}": curve.astype(np.float32) for name, curve in self.parts.items()}
        if self.sight is not None:
            arrays |= {f"sight_{name}": np.asarray(value) for name, value in vars(self.sight).items()}
        write_atomic(path, lambda file: write_npz(file, arrays))

    @classmethod
    def load(cls, path: str | Path) -> "Curves":
        try:
            with np.load(path, allow_pickle=False) as z:
                return cls(
                    z["times_s"],
                    z["scores"],
                    z["heat_times_s"],
                    read_maps(z, "heat"),
                    tuple(str(n) for n in z["class_names"]),
                    z["class_probs"] if "class_probs" in z.files else None,
                    {name[5:]: z[name] for name in z.files if name.startswith("part_")},
                    _sight({f.name: z[f"sight_{f.name}"] for f in fields(Sight)}) if "sight_looks" in z.files else None,
                )
        # RuntimeError: of an archive that says it is encrypted, or packed in a way that Python does not know.
        except (
            KeyError,
            TypeError,
            ValueError,
            OSError,
            EOFError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            if isinstance(error, FileNotFoundError | EvidenceError):
                raise
            raise EvidenceError(f"{path}: not a readable scores.npz ({error})") from None


def _sight(arrays: dict[str, np.ndarray]) -> Sight:
    return Sight(**arrays | {"suspects": str(arrays["suspects"])})  # type: ignore[arg-type]


class Analysis(NamedTuple):
    """What one run over a video gives: the findings and the arrays behind them."""

    evidence: Evidence
    curves: Curves


def write_atomic(path: str | Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write(file)` fill a temporary file next to `path`, then rename it: whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


LARGEST_MASK = 1 << 26  # pixels


def _from_dict(raw: dict[str, Any]) -> Evidence:
    def box(b: dict[str, Any]) -> TrackBox:
        x0, y0, x1, y1 = (float(number(v, "a box")) for v in b["xyxy"])
        t_s, score = (float(number(b[name], f"{name} of a box")) for name in ("t_s", "score"))
        return TrackBox(t_s, (x0, y0, x1, y1), score)

    def ids(values: Any) -> tuple[int, ...]:
        if not isinstance(values, list):
            raise TypeError("tracks of an event are no list")
        return tuple(int(number(value, "a track's id")) for value in values)

    def mask(m: dict[str, Any]) -> TrackMask:
        width, height = (int(number(v, "the size of a mask")) for v in m["size_wh"])
        runs = tuple(int(number(n, "a run of a mask")) for n in m["runs"])
        if not 0 < width * height <= LARGEST_MASK:
            raise ValueError(f"a mask is of {width} x {height} pixels")
        of_runs(runs, (width, height))
        return TrackMask(**{**plain(TrackMask, m), "size_wh": (width, height), "runs": runs})

    tracks = tuple(
        Track(
            **{
                **plain(Track, t),
                "boxes": tuple(box(b) for b in t["boxes"]),
                "masks": tuple(mask(m) for m in t.get("masks", ())),
                "trajectory": texts(t["trajectory"], "trajectory"),
                "motion": Motion(**plain(Motion, t["motion"])),
            }
        )
        for t in raw["tracks"]
    )
    events = tuple(
        Event(
            **{**plain(Event, e), "tracks": ids(e["tracks"]), "raised_by": texts(e.get("raised_by", []), "raised_by")}
        )
        for e in raw["events"]
    )
    return Evidence(
        **{
            **plain(Evidence, raw),
            "video": VideoMeta(**plain(VideoMeta, raw["video"])),
            "tracks": tracks,
            "events": events,
            "warnings": texts(raw.get("warnings", []), "warnings"),
            "seen": tuple(Seen(**plain(Seen, s)) for s in raw.get("seen", ())),
        }
    )
