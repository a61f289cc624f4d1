"""Pictures of a whole analysis: the timeline and the trajectories. Analysis and a few frames in, RGB out.

Reads Evidence and Curves only; decodes no video and writes no file.

Next: tvad/evidence.py
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from heatmap.masks import of_runs
from heatmap.palette import INK, MUTED, PAPER, faded, track_colour
from heatmap.render import (
    Box,
    clock,
    draw_boxes,
    draw_outline,
    draw_path,
    fit_text,
    font_px,
    put_text,
    scale_box,
    upsample_heat,
)
from tvad.evidence import Analysis, Curves, Event, Evidence, Track

TIMELINE_WH_PX = (1200, 500)
MAX_POINTS = 4000  # of a curve; a longer one is drawn by its maxima
MAX_TRACKS = 6
BOXES_A_TRACK = 8
PART_COLOURS = ("#3f8f83", "#9a6fb0", "#b08d3f", "#6b7f99")
TEXT, GREY, CURVE, BAND = "#2b3440", "#8a95a3", "#2f6690", "#e69f00"


def analysed_stretch(analysis: Analysis) -> tuple[float, float]:
    """First and last second of the part of the video that was analysed."""
    evidence, times_s = analysis.evidence, analysis.curves.times_s
    start_s, end_s = evidence.settings.get("start_s"), evidence.settings.get("end_s")
    last_s = max(evidence.video.duration_s, float(times_s[-1]) if len(times_s) else 0.0)
    return float(start_s or 0.0), float(last_s if end_s is None else min(end_s, last_s))


def main_event(evidence: Evidence) -> Event | None:
    """The strongest event that has a track, else the strongest."""
    return max(evidence.events, key=lambda e: (bool(e.tracks), e.score), default=None)


# Timeline


def draw_timeline(analysis: Analysis, thumbnails: Sequence[tuple[float, np.ndarray]] = ()) -> np.ndarray:
    """Score curve, threshold, events and parts over time, (500, 1200, 3) uint8; `thumbnails` (t_s, frame) on top."""
    evidence, curves = analysis
    start_s, end_s = analysed_stretch(analysis)
    end_s = max(end_s, start_s + 0.1)
    width, height = TIMELINE_WH_PX
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.052, 0.115, 0.925, 0.51 if thumbnails else 0.76))
    _style(axes, start_s, end_s)
    _bands(axes, evidence, end_s - start_s)
    _curves(axes, curves, evidence.threshold)
    figure.text(0.052, 0.945, _headline(evidence), fontsize=12, color=TEXT, weight="bold")
    figure.text(0.977, 0.945, _footnote(evidence), fontsize=9, color=GREY, ha="right")
    _thumbnails(figure, axes, thumbnails, end_s - start_s)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _headline(evidence: Evidence) -> str:
    n = len(evidence.events)
    return "No anomalous event" if n == 0 else f"{n} anomalous event{'s' if n > 1 else ''}"


def _footnote(evidence: Evidence) -> str:
    name = fit_text(evidence.video.path.replace("\\", "/").rsplit("/", 1)[-1], 12, 420)
    return f"{name}  ·  {'uncalibrated' if evidence.calibration == 'uncalibrated' else 'calibrated'}"


def _style(axes: Axes, start_s: float, end_s: float) -> None:
    axes.set_xlim(start_s, end_s)
    axes.set_ylim(0, 1.02)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#c9d0d8")
    axes.tick_params(colors=GREY, labelsize=9, length=0, pad=6)
    axes.grid(axis="y", color="#eef1f4", linewidth=1)
    axes.set_axisbelow(True)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
    step = next((s for s in steps if (end_s - start_s) / s <= 14), 86400)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: clock(t) if step < 1 else clock(t)[:-2]))


def _bands(axes: Axes, evidence: Evidence, length_s: float) -> None:
    """A band an event; the strongest are named first, later ones where one of two lines has room left."""
    least_s = 0.003 * length_s
    taken: tuple[list[tuple[float, float]], ...] = ([], [])
    for event in sorted(evidence.events, key=lambda e: -e.score):
        a, b = event.start_s, max(event.end_s, event.start_s + least_s)
        axes.axvspan(a, b, color=BAND, alpha=0.16, linewidth=0)
        axes.plot([a, b], [1.012, 1.012], color=BAND, linewidth=3, solid_capstyle="butt")
        text = f"{event.category}  {clock(event.start_s)} - {clock(event.end_s)}"
        half_s = 3.3 * len(text) / (0.925 * TIMELINE_WH_PX[0]) * length_s
        low, high = axes.get_xlim()
        middle_s = min(max((a + b) / 2, low + half_s), high - half_s)
        left_s, right_s = middle_s - half_s, middle_s + half_s
        line = next((i for i, row in enumerate(taken) if not any(left_s < q and right_s > p for p, q in row)), None)
        if line is None:
            continue
        taken[line].append((left_s, right_s))
        axes.annotate(
            text,
            (middle_s, 1.02),
            xytext=(0, 4 + 10 * line),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color="#8a5a00",
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=5,
        )


def _curves(axes: Axes, curves: Curves, threshold: float) -> None:
    for (name, part), colour in zip(sorted(curves.parts.items()), PART_COLOURS * 4, strict=False):
        axes.plot(*thinned(curves.times_s, part), color=colour, linewidth=0.9, alpha=0.8, label=name)
    times_s, scores = thinned(curves.times_s, curves.scores)
    axes.fill_between(times_s, scores, color=CURVE, alpha=0.10, linewidth=0)
    axes.plot(times_s, scores, color=CURVE, linewidth=1.8, label="score")
    axes.axhline(threshold, color=TEXT, linewidth=0.9, linestyle=(0, (5, 4)), label=f"threshold {threshold:.2g}")
    axes.legend(
        loc="upper right",
        bbox_to_anchor=(1.0, -0.095),
        ncol=8,
        frameon=False,
        fontsize=9,
        labelcolor=TEXT,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0,
    )


def thinned(times_s: np.ndarray, values: np.ndarray, points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points of a curve: the highest of each stretch, at its own time, so that no peak is lost."""
    if len(values) <= points:
        return times_s, values
    edges = (np.arange(points + 1) * len(values) // points).tolist()
    kept = [a + int(np.argmax(values[a:b])) for a, b in pairwise(edges)]
    return times_s[kept], values[kept]


def _thumbnails(figure: Figure, axes: Axes, thumbnails: Sequence[tuple[float, np.ndarray]], length_s: float) -> None:
    """Frames in a row over the curve, in order of time, each as near above its moment as its neighbours allow."""
    left, right, bottom, height, gap = 0.052, 0.977, 0.70, 0.225, 0.006
    aspect = TIMELINE_WH_PX[1] / TIMELINE_WH_PX[0]
    thumbnails = sorted(thumbnails, key=lambda pair: pair[0])
    widths = [min(height * aspect * f.shape[1] / f.shape[0], 0.3) for _, f in thumbnails]
    shrink = min(1.0, (right - left - gap * len(widths)) / sum(widths)) if widths else 1.0
    low = axes.get_xlim()[0]
    xs = [
        left + (t - low) / length_s * (right - left) - w * shrink / 2
        for (t, _), w in zip(thumbnails, widths, strict=True)
    ]
    for i in range(len(xs)):
        xs[i] = max(xs[i], left if i == 0 else xs[i - 1] + widths[i - 1] * shrink + gap)
    for i in reversed(range(len(xs))):
        xs[i] = min(xs[i], (right if i == len(xs) - 1 else xs[i + 1] - gap) - widths[i] * shrink)
    for (t_s, frame), x, width in zip(thumbnails, xs, widths, strict=True):
        inset = figure.add_axes((x, bottom, width * shrink, height))
        inset.imshow(frame, interpolation="antialiased")
        inset.set_anchor("S")
        inset.set_xticks([])
        inset.set_yticks([])
        for spine in inset.spines.values():
            spine.set(color=BAND, linewidth=1.2)
        inset.apply_aspect()
        foot = figure.transFigure.inverted().transform(inset.transAxes.transform((0.5, 0)))
        foot_xy = float(foot[0]), float(foot[1])
        line = ConnectionPatch(foot_xy, (t_s, 1.02), "figure fraction", "data", axesB=axes, color=BAND, linewidth=0.9)
        line.set(annotation_clip=False, zorder=1)
        axes.add_artist(line)


# Trajectories


def draw_trajectory(analysis: Analysis, frame: np.ndarray) -> np.ndarray:
    """Where the tracks of the events went, accumulated over `frame` (H, W, 3); a legend line a track below.

    A track has one colour, pale at its beginning and full at its end: boxes at up to 8 moments, the places where heat
    stood above the threshold inside its boxes, and the path of the box centre with an arrow.
    """
    tracks, hidden = _event_tracks(analysis.evidence)
    height, width = frame.shape[:2]
    video, f = analysis.evidence.video, font_px(width, height)
    scale = width / video.width, height / video.height
    picture = frame.copy()
    for track in tracks:
        picture = _tint(picture, track, analysis, scale)
    for track in tracks:
        for share, box in _sampled(track):
            shade = faded(track_colour(track.id), 0.75 * (1 - share))
            draw_outline(picture, scale_box(box, scale), shade, max(2, f // 8))
    for track in tracks:
        boxes = [scale_box(b.xyxy, scale) for b in track.boxes]
        centres = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]
        draw_path(picture, centres, track_colour(track.id), max(2, f // 7))
    ends = [Box(track.id, scale_box(track.boxes[-1].xyxy, scale)) for track in tracks]
    return np.concatenate([draw_boxes(picture, ends, f), _legend(tracks, hidden, width, f)])


def _event_tracks(evidence: Evidence) -> tuple[list[Track], int]:
    """The tracks of the events, by time; beyond MAX_TRACKS those of weaker events are only counted."""
    best = main_event(evidence)
    events = sorted(evidence.events, key=lambda e: (e is not best, -e.score))
    ids = list(dict.fromkeys(i for event in events for i in event.tracks))
    shown = sorted((evidence.track(i) for i in ids[:MAX_TRACKS]), key=lambda t: t.start_s)
    return shown, len(ids) - len(shown)


def _sampled(track: Track) -> list[tuple[float, tuple[float, float, float, float]]]:
    """Up to BOXES_A_TRACK boxes, evenly spread, each with its share of the way (0 first, 1 last)."""
    last = len(track.boxes) - 1
    picks = sorted({round(i) for i in np.linspace(0, last, min(BOXES_A_TRACK, last + 1))})
    return [(i / last if last else 1.0, track.boxes[i].xyxy) for i in picks]


def _tint(picture: np.ndarray, track: Track, analysis: Analysis, scale_xy: tuple[float, float]) -> np.ndarray:
    """`picture` with the track's masks tinted in its colour; without any, the hot places inside its boxes."""
    times, heat = analysis.curves.heat_times_s, analysis.curves.heat
    height, width = picture.shape[:2]
    hot = np.zeros((height, width), bool)
    for mask in track.masks:
        shape = of_runs(mask.runs, mask.size_wh).astype(np.float32)
        hot |= upsample_heat(shape, (width, height)) >= 0.5
    last = len(track.boxes) - 1
    for i in (
        sorted({round(i) for i in np.linspace(0, last, min(3 * BOXES_A_TRACK, last + 1))})
        if len(times) and not track.masks
        else ()
    ):
        box = track.boxes[i]
        x0, y0, x1, y1 = (round(v) for v in scale_box(box.xyxy, scale_xy))
        window = slice(max(0, y0), max(0, y1 + 1)), slice(max(0, x0), max(0, x1 + 1))
        nearest = heat[int(np.abs(times - box.t_s).argmin())]
        hot[window] |= upsample_heat(nearest, (width, height))[window] >= analysis.evidence.threshold
    out = picture.copy()
    out[hot] = np.round(picture[hot] * 0.62 + np.asarray(track_colour(track.id)) * 0.38).astype(np.uint8)
    return out


def _legend(tracks: Sequence[Track], hidden: int, width: int, size_px: int) -> np.ndarray:
    """The lines under the picture: colour from first to last second, number, label, times, motion."""
    line_px, pad, swatch = round(1.5 * size_px), round(0.6 * size_px), 5 * size_px
    lines = len(tracks) + (1 if hidden or not tracks else 0)
    out = np.full((lines * line_px + 2 * pad // 2, width, 3), INK, np.uint8)
    for row, track in enumerate(tracks):
        y, x = pad // 2 + row * line_px, pad
        bar = out[y + size_px // 3 : y + size_px, x : x + swatch]
        bar[:] = [faded(track_colour(track.id), 0.8 * (1 - i / swatch)) for i in range(bar.shape[1])]
        x += swatch + pad
        name = fit_text(f"{track.id} {track.label}", size_px, width - x - pad, bold=True)
        x += put_text(out, name, (x, y), size_px, PAPER, bold=True) + pad
        rest = f"{clock(track.start_s)} - {clock(track.end_s)}  ·  {track.motion.summary}"
        put_text(out, fit_text(rest, size_px, width - x - pad), (x, y), size_px, MUTED)
    if hidden or not tracks:
        text = f"and {hidden} more" if hidden else "no anomalous track"
        put_text(out, fit_text(text, size_px, width - 2 * pad), (pad, pad // 2 + (lines - 1) * line_px), size_px, MUTED)
    return out
