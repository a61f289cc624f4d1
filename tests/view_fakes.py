"""Analyses with things that move, and their mirror images, for the tests of what a language model is shown."""

from dataclasses import asdict

import numpy as np

from heatmap.motion import cell_path, describe_motion, entry_exit
from tvad.evidence import Analysis, Curves, Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.sight import COLOURS, GRID, Sight

SIZE_WH = (360, 240)
PARTS = (("memory",), ("words", "heat"), ("memory", "words"), ())


def make_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 4) boxes on a curved way, some of them off the picture's edge."""
    start, end, bend = rng.uniform((0, 0), SIZE_WH, (3, 2))
    t = np.linspace(0, 1, count)[:, None]
    centres = (1 - t) * start + t * end + 0.4 * t * (1 - t) * (bend - start)
    half = rng.uniform(4, 30, 2)
    return np.concatenate([centres - half, centres + half], 1)


def mirrored(boxes: np.ndarray) -> np.ndarray:
    width = SIZE_WH[0]
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def make_track(number: int, boxes: np.ndarray, times_s: np.ndarray, length_s: float, label: str = "bicycle") -> Track:
    came, gone = entry_exit(times_s, boxes, SIZE_WH, 0.0, length_s)
    motion = Motion(**asdict(describe_motion(times_s, boxes, SIZE_WH)))
    seen = tuple(
        TrackBox(float(t), tuple(b), 0.5 + 0.04 * number) for t, b in zip(times_s, boxes.tolist(), strict=True)
    )
    return Track(number, label, 0.8, "small red", seen, cell_path(boxes, SIZE_WH), motion, came, gone)


def make_evidence(tracks: list[Track], events: list[Event], length_s: float = 12.0) -> Evidence:
    meta = VideoMeta("street.mp4", "0" * 64, length_s, 10.0, *SIZE_WH)
    return Evidence(meta, "mini", {}, {}, tuple(events), tuple(tracks), bool(events), 0.9, "", peak_score=0.8)


def make_event(number: int, start_s: float, end_s: float, score: float, tracks: tuple[int, ...]) -> Event:
    return Event(number, start_s, end_s, (start_s + end_s) / 2, score, "cycling", tracks, PARTS[number % 4])


def make_curves(rng: np.random.Generator, length_s: float = 12.0, shape: tuple[int, ...] = (40, 24, 36)) -> Curves:
    times_s = np.linspace(0, length_s, 60)
    heat = rng.random(shape).astype(np.float16)
    parts = {"memory": rng.random(60).astype(np.float32)}
    scores = rng.random(60).astype(np.float32)
    return Curves(times_s, scores, np.linspace(0, length_s, shape[0]), heat, parts=parts)


def make_sight(rng: np.random.Generator, tracks: int, pictures: int = 9) -> Sight:
    shares = rng.dirichlet(np.ones(COLOURS), (tracks, 2))
    return Sight(
        np.linspace(0, 12, pictures),
        rng.normal(0, 0.1, (pictures, *GRID, 152)).astype(np.float16),
        rng.normal(0, 2, (tracks, 1000)).astype(np.float16),
        shares.astype(np.float16),
    )


def make_analysis(seed: int = 0, things: int = 2, flip: bool = False) -> tuple[Analysis, Sight]:
    """An analysis of a video of 12 s with one event for each thing; flip: seen in a mirror."""
    rng = np.random.default_rng(seed)
    tracks, events = [], []
    for n in range(1, things + 1):
        times_s = np.round(np.arange(1.0 * n, 1.0 * n + rng.uniform(1.5, 5), 0.2), 4)
        boxes = make_boxes(rng, len(times_s))
        tracks.append(make_track(n, mirrored(boxes) if flip else boxes, times_s, 12.0))
        events.append(make_event(n, times_s[0], times_s[-1], 0.6 + 0.05 * n, (n,)))
    curves, sight = make_curves(rng), make_sight(rng, things)
    if flip:
        heat = curves.heat[:, :, ::-1]
        curves = Curves(curves.times_s, curves.scores, curves.heat_times_s, heat, parts=curves.parts)
    return Analysis(make_evidence(tracks, events), curves), sight
