"""What `analyze` leaves in a folder: evidence, scores, overlay video, timeline, trajectory picture, event clips.

One decoding pass feeds the overlay, the event clips and the pictures; memory does not grow with the video. Everything
is made in a hidden folder beside its place and renamed at the end: an interrupted run leaves what was there before.

Next: tvad/stills.py
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from heatmap.palette import track_colour
from heatmap.render import (
    Box,
    StatusStrip,
    below,
    blend_heat,
    draw_boxes,
    draw_outline,
    fit_frame,
    font_px,
    scale_box,
)
from tvad.evidence import Analysis, Event
from tvad.spill import PIECE, release
from tvad.stills import analysed_stretch, draw_timeline, draw_trajectory, main_event
from tvad.video import VideoReader, probe
from tvad.writer import VideoWriter

OUTPUTS = ("evidence", "scores", "overlay", "timeline", "trajectory", "events")
MAX_FPS = 25.0
MAX_SIDE_PX = 960
CLIP_MARGIN_S = 1.0
MAX_GAP_S = 2.0  # a track unseen for longer is not drawn in between
MAX_THUMBNAILS = 6
THUMBNAIL_PX = 320

Progress = Callable[[float, float], None]


def write_outputs(
    analysis: Analysis,
    out_dir: str | Path,
    video_path: str | Path,
    which: Sequence[str] = OUTPUTS,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write the named outputs of `analysis` into `out_dir`; returns name -> path ("events" is a folder).

    Pictures show the stretch that was analysed (`start_s`, `end_s` of the settings), at most 25 frames/s and 960 px.
    Earlier outputs of the same names are replaced, event clips of an earlier run removed. "events" is missing from the
    answer when there is no event. `progress(done_s, total_s)` is told how many seconds of video are drawn.
    Raises ValueError for an unknown name and VideoError when the video cannot be read.
    """
    if unknown := [name for name in which if name not in OUTPUTS]:
        raise ValueError(f"unknown outputs {unknown}; choose from {list(OUTPUTS)}")
    out_dir = Path(out_dir)
    is_new = not out_dir.exists()
    out_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".tvad-", dir=out_dir) as staging:
            made = _make(analysis, Path(staging), video_path, which, progress)
            if "events" in which:
                _remove_stale_clips(out_dir / "events", keep={p.name for p in made if p.parent.name == "events"})
            for path in made:
                target = out_dir / path.relative_to(staging)
                target.parent.mkdir(exist_ok=True)
                path.replace(target)
    finally:
        if is_new:
            with suppress(OSError):  # not empty: the run succeeded
                out_dir.rmdir()
    places = {name: out_dir / file for name, file in _FILES.items() if name in which}
    return {name: path for name, path in places.items() if path.exists()}


_FILES = {
    "evidence": "evidence.json",
    "scores": "scores.npz",
    "overlay": "overlay.mp4",
    "timeline": "timeline.png",
    "trajectory": "trajectory.png",
    "events": "events",
}


def _make(
    analysis: Analysis, folder: Path, video_path: str | Path, which: Sequence[str], progress: Progress | None
) -> list[Path]:
    """Make the outputs in `folder`; the paths, evidence last (who finds it finds the rest)."""
    wanted = _still_times(analysis, which)
    stills = _stream(analysis, folder, video_path, which, wanted, progress)
    if "timeline" in which:
        scene = Scene(analysis)
        peaks = [(wanted[k], stills[k]) for k in wanted if k.startswith("peak") and k in stills]
        thumbnails = [(t_s, thumbnail(scene, frame, t_s)) for t_s, frame in peaks]
        Image.fromarray(draw_timeline(analysis, thumbnails)).save(folder / _FILES["timeline"])
    if "trajectory" in which and "background" in stills:
        Image.fromarray(draw_trajectory(analysis, stills["background"])).save(folder / _FILES["trajectory"])
    if "scores" in which:
        analysis.curves.save(folder / _FILES["scores"])
    made = sorted(p for p in folder.rglob("*") if p.is_file())
    if "evidence" in which:
        analysis.evidence.save(folder / _FILES["evidence"])
        made.append(folder / _FILES["evidence"])
    return made


def _remove_stale_clips(folder: Path, keep: set[str]) -> None:
    """Delete clips named as we name them (01.mp4, ...) that this run does not replace; other files stay."""
    for path in folder.glob("*.mp4"):
        if re.fullmatch(r"\d{2,}\.mp4", path.name) and path.name not in keep:
            path.unlink()
    with suppress(OSError):  # missing, or holds something else
        folder.rmdir()


# What there is to see at a moment


class Scene:
    """The findings as functions of time: heat, boxes, score and event at any t_s, between samples interpolated."""

    def __init__(self, analysis: Analysis) -> None:
        self.evidence, self.curves = analysis
        times = self.curves.heat_times_s
        self._hold_s = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.25
        self._paths = [
            (track, np.array([b.t_s for b in track.boxes]), np.array([b.xyxy for b in track.boxes], np.float64))
            for track in self.evidence.tracks
            if track.boxes
        ]

    def heat(self, t_s: float) -> np.ndarray | None:
        """Heat (h, w) float32, linear in time between samples, held at the ends; None when there is none."""
        times, heat = self.curves.heat_times_s, self.curves.heat
        if not len(times):
            return None
        i = int(np.clip(np.searchsorted(times, t_s, side="right") - 1, 0, len(times) - 1))
        j = min(i + 1, len(times) - 1)
        share = float(np.clip((t_s - times[i]) / max(times[j] - times[i], 1e-9), 0, 1))
        return heat[i].astype(np.float32) * (1 - share) + heat[j].astype(np.float32) * share

    def boxes(self, t_s: float, size_wh: tuple[int, int]) -> list[Box]:
        """The tracks seen at `t_s`, in pixels of a frame of size (W, H)."""
        scale = size_wh[0] / self.evidence.video.width, size_wh[1] / self.evidence.video.height
        found = [(track, self._box(times, xyxy, t_s)) for track, times, xyxy in self._paths]
        return [Box(track.id, scale_box(box.tolist(), scale), track.label) for track, box in found if box is not None]

    def _box(self, times: np.ndarray, xyxy: np.ndarray, t_s: float) -> np.ndarray | None:
        if not times[0] - self._hold_s <= t_s <= times[-1] + self._hold_s:
            return None
        i = int(np.clip(np.searchsorted(times, t_s, side="right") - 1, 0, len(times) - 1))
        j = min(i + 1, len(times) - 1)
        near = min(abs(t_s - times[i]), abs(t_s - times[j]))
        if times[j] - times[i] > MAX_GAP_S and near > self._hold_s:
            return None
        share = np.clip((t_s - times[i]) / max(times[j] - times[i], 1e-9), 0, 1)
        return xyxy[i] * (1 - share) + xyxy[j] * share

    def score(self, t_s: float) -> float:
        curves = self.curves
        return float(np.interp(t_s, curves.times_s, curves.scores)) if len(curves.times_s) else 0.0

    def event(self, t_s: float) -> Event | None:
        """The event under way at `t_s`, the strongest of several."""
        running = [e for e in self.evidence.events if e.start_s <= t_s <= e.end_s]
        return max(running, key=lambda e: e.score, default=None)


class Painter:
    """Draws the findings onto frames of one size: heat and boxes on the frame, the rest in a strip below."""

    def __init__(self, scene: Scene, size_wh: tuple[int, int]) -> None:
        self.scene, self.size_wh = scene, size_wh
        evidence = scene.evidence
        note = "uncalibrated" if evidence.calibration == "uncalibrated" else "calibrated"
        self._font_px = font_px(*size_wh)
        self._strip = StatusStrip(size_wh[0], self._font_px, evidence.threshold, note)

    def paint(self, frame: np.ndarray, t_s: float) -> np.ndarray:
        """The finished picture: the frame (H, W, 3) in its top left corner, the strip under it."""
        heat, event = self.scene.heat(t_s), self.scene.event(t_s)
        picture = frame if heat is None else blend_heat(frame, heat)
        picture = draw_boxes(picture, self.scene.boxes(t_s, self.size_wh), self._font_px)
        text = f"{event.category} · event {event.id}" if event else ""
        return below(picture, self._strip.draw(t_s, self.scene.score(t_s), text))


def thumbnail(scene: Scene, frame: np.ndarray, t_s: float, side_px: int = THUMBNAIL_PX) -> np.ndarray:
    """`frame` at a small size with heat and boxes but without words, for pictures of many frames."""
    scale = min(1.0, side_px / max(frame.shape[:2]))
    size_wh = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    small = fit_frame(frame, size_wh)
    heat = scene.heat(t_s)
    small = small if heat is None else blend_heat(small, heat)
    for box in scene.boxes(t_s, size_wh):
        draw_outline(small, box.xyxy, track_colour(box.id), 2)
    return small


# The one pass over the video


class _Sink:
    """One video being written: frames with start_s <= t <= end_s go into `path`, which itself begins at 0 s."""

    def __init__(self, path: Path, start_s: float, end_s: float) -> None:
        self.path, self.start_s, self.end_s = path, start_s, end_s
        self._writer: VideoWriter | None = None
        self._offset_s = 0.0

    def __enter__(self) -> "_Sink":
        return self

    def __exit__(self, *error: Any) -> None:
        writer, self._writer = self._writer, None
        if writer:
            writer.__exit__(*error)

    def write(self, picture: np.ndarray, t_s: float, fps: float) -> None:
        if self._writer is None:
            self.path.parent.mkdir(exist_ok=True)
            self._offset_s = t_s
            self._writer = VideoWriter(self.path, fps, (picture.shape[1], picture.shape[0])).__enter__()
        self._writer.write(picture, t_s - self._offset_s)

    def close(self) -> None:
        self.__exit__(None, None, None)


class _Stills:
    """Keeps, of the frames that pass, the one nearest to each wanted time."""

    def __init__(self, wanted: dict[str, float]) -> None:
        self._wanted, self._distance = wanted, dict.fromkeys(wanted, np.inf)
        self.frames: dict[str, np.ndarray] = {}

    def offer(self, frame: np.ndarray, t_s: float) -> None:
        for key, wanted_s in self._wanted.items():
            if (distance := abs(t_s - wanted_s)) < self._distance[key]:
                self._distance[key] = distance
                self.frames[key] = frame.copy()


def _stream(
    analysis: Analysis,
    folder: Path,
    video_path: str | Path,
    which: Sequence[str],
    wanted: dict[str, float],
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """Decode once, write the videos into `folder`; returns the frame nearest to each wanted time, as decoded."""
    start_s, end_s = analysed_stretch(analysis)
    sinks = [_Sink(folder / _FILES["overlay"], start_s, np.inf)] if "overlay" in which else []
    if "events" in which:
        for e in analysis.evidence.events:
            margin_s = max(start_s, e.start_s - CLIP_MARGIN_S), e.end_s + CLIP_MARGIN_S
            sinks.append(_Sink(folder / "events" / f"{e.id:02d}.mp4", *margin_s))
    looked_at = [(s.start_s, s.end_s) for s in sinks] + [(t - 0.5, t + 0.5) for t in wanted.values()]
    stretches = _merged(looked_at, start_s, end_s)
    total_s, done_s = sum(b - a for a, b in stretches), 0.0
    scene, stills, painter = Scene(analysis), _Stills(wanted), None
    until_s = analysis.evidence.settings.get("end_s")
    for a, b in stretches:
        with ExitStack() as stack:
            waiting = [stack.enter_context(s) for s in sinks if a <= s.start_s <= b]
            for number, (frame, t_s, fps) in enumerate(_frames(video_path, a, until_s if b >= end_s else b)):
                if number % PIECE == 0:
                    release(analysis.curves.heat)
                stills.offer(frame, t_s)
                for sink in [s for s in waiting if s.end_s < t_s]:
                    sink.close()
                    waiting.remove(sink)
                takers = [s for s in waiting if s.start_s <= t_s]
                if takers:
                    painter = painter or Painter(scene, (frame.shape[1], frame.shape[0]))
                    picture = painter.paint(frame, t_s)
                    for sink in takers:
                        sink.write(picture, t_s, fps)
                if progress:
                    progress(min(done_s + t_s - a, total_s), total_s)
        done_s += b - a
    return stills.frames


def _frames(path: str | Path, start_s: float, end_s: float | None) -> Iterator[tuple[np.ndarray, float, float]]:
    """Every k-th frame of the source, so that there are at most 25 a second: frame, time, frames a second."""
    fps = probe(path).fps
    every = max(1, ceil(fps / MAX_FPS - 0.02))
    reader = VideoReader(path, fps / every if every > 1 else None, start_s or None, end_s, max_side=MAX_SIDE_PX)
    clips = iter(reader)
    with ThreadPoolExecutor(1) as pool:  # decodes the next chunk while this one is drawn
        ahead = pool.submit(next, clips, None)
        while (clip := ahead.result()) is not None:
            ahead = pool.submit(next, clips, None)
            for frame, t_s in zip(clip.frames, clip.times_s, strict=True):
                yield frame, float(t_s), fps / every


def _merged(stretches: Sequence[tuple[float, float]], start_s: float, end_s: float) -> list[tuple[float, float]]:
    """The stretches cut to [start_s, end_s], in order, touching ones joined."""
    out: list[tuple[float, float]] = []
    for a, b in sorted((max(a, start_s), min(b, end_s)) for a, b in stretches):
        if out and a <= out[-1][1] + 0.5:
            out[-1] = out[-1][0], max(b, out[-1][1])
        else:
            out.append((a, b))
    return out


def _still_times(analysis: Analysis, which: Sequence[str]) -> dict[str, float]:
    """The frames that the pictures need: name -> seconds."""
    best, wanted = main_event(analysis.evidence), {}
    if "timeline" in which:
        strongest = sorted(analysis.evidence.events, key=lambda e: -e.score)[:MAX_THUMBNAILS]
        wanted = {f"peak{e.id}": e.peak_s for e in strongest}
    if "trajectory" in which:
        wanted["background"] = best.peak_s if best else sum(analysed_stretch(analysis)) / 2
    return wanted
