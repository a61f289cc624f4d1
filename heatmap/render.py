"""Pictures out of heat, boxes and scores: pure operations on RGB uint8 frames (H, W, 3).

Heat is painted on an absolute scale (heat 0.5 looks the same in every frame of every video) and lies exactly on the
frame. What is not the scene (clock, score, legend) goes into a strip *below* the picture. Sizes follow the frame, so
that a 240 px and a 1080p video are both legible. Knows no videos, no files and no Evidence.

Next: tvad/outputs.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from heatmap.palette import (
    ALARM,
    CALM,
    HEAT_FLOOR,
    INK,
    MUTED,
    PAPER,
    RGB,
    blend_tables,
    faded,
    heat_tables,
    track_colour,
)

MIN_FONT_PX = 11
MIN_STRIP_WIDTH = 24  # letter heights; in less the words of the strip do not fit


@dataclass(frozen=True)
class Box:
    """A box to draw: inclusive extents (x0, y0, x1, y1) in pixels of the frame drawn on, and what to write at it."""

    id: int
    xyxy: tuple[float, float, float, float]
    text: str = ""


def font_px(width: int, height: int) -> int:
    """Letter height that suits a frame of this size: 1.8 % of the longer side, at least 11 px."""
    return max(MIN_FONT_PX, round(0.018 * max(width, height)))


def clock(t_s: float) -> str:
    """Seconds as m:ss.s, or h:mm:ss.s from one hour on."""
    tenths = max(0, round(t_s * 10))
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


# Heat


def upsample_heat(heat_hw: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Heat (h, w) in [0, 1] to (H, W) float32, bilinear; the grid covers the whole frame.

    Cell (i, j) has its centre at ((j + 0.5) W / w, (i + 0.5) H / h) in pixel-edge coordinates (the
    `align_corners=False` convention); beyond the outermost centres the value is held.
    """
    return cv2.resize(np.asarray(heat_hw, np.float32), size_wh, interpolation=cv2.INTER_LINEAR)


def blend_heat(frame: np.ndarray, heat_hw: np.ndarray) -> np.ndarray:
    """A copy of `frame` with heat (h, w) in [0, 1] painted over it; pixels with heat up to 0.25 stay as they are."""
    out = frame.copy()
    window = _visible_window(heat_hw, frame.shape[:2])
    if window is None:
        return out
    height, width = frame.shape[:2]
    steps = (upsample_heat(heat_hw, (width, height))[window] * 255).astype(np.uint8)
    levels = cv2.cvtColor(steps, cv2.COLOR_GRAY2RGB)
    keep, paint = blend_tables()
    out[window] = cv2.add(cv2.multiply(frame[window], cv2.LUT(levels, keep), scale=1 / 255), cv2.LUT(levels, paint))
    return out


def _visible_window(heat_hw: np.ndarray, size_hw: tuple[int, int]) -> tuple[slice, slice] | None:
    """The rectangle of the frame that visible cells can reach (bilinear: up to one cell further), None if none."""
    seen = np.asarray(heat_hw) > HEAT_FLOOR
    slices = []
    for axis, size in ((1, size_hw[0]), (0, size_hw[1])):
        hit = np.flatnonzero(seen.any(axis=axis))
        if not hit.size:
            return None
        cells = seen.shape[1 - axis]
        slices.append(slice(max(0, (hit[0] - 1) * size // cells), min(size, -(-(hit[-1] + 2) * size // cells) + 1)))
    return slices[0], slices[1]


# Words


@cache
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    import matplotlib  # a second that who draws nothing need not wait

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size_px)


@lru_cache(maxsize=2048)
def _sprite(text: str, size_px: int, bold: bool) -> np.ndarray:
    """The coverage of one line of text, (h, w) uint8; h depends on the size only, so that lines align."""
    font = _font(size_px, bold)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text))), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    return np.asarray(image)


def fit_text(text: str, size_px: int, width_px: float, bold: bool = False) -> str:
    """`text` on one line, cut with an ellipsis where it would be wider than `width_px`; "" when nothing fits."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    font = _font(size_px, bold)
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1].rstrip()
    return text + "…" if text else ""


def put_text(
    image: np.ndarray, text: str, xy: tuple[float, float], size_px: int, colour: RGB = PAPER, bold: bool = False
) -> int:
    """Write `text` into `image` in place with its top left corner at `xy`, cut at the border; returns its width."""
    sprite = _sprite(text, size_px, bold)
    x, y = round(xy[0]), round(xy[1])
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(image.shape[1], x + sprite.shape[1]), min(image.shape[0], y + sprite.shape[0])
    if x1 > x0 and y1 > y0:
        alpha = sprite[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
        under = image[y0:y1, x0:x1]
        under[:] = np.round(under + (np.asarray(colour, np.float32) - under) * alpha).astype(np.uint8)
    return sprite.shape[1]


# Boxes


def draw_boxes(frame: np.ndarray, boxes: Sequence[Box], size_px: int | None = None) -> np.ndarray:
    """A copy of `frame` with boxes in the colours of their ids; a label never leaves the frame.

    Lines have a dark edge and labels a dark ground: both are readable on any scene. A label stands above its box, or
    below, or inside, wherever it hides no earlier label.
    """
    out = frame.copy()
    height, width = out.shape[:2]
    size_px = size_px or font_px(width, height)
    for box in boxes:
        draw_outline(out, box.xyxy, track_colour(box.id), max(1, round(size_px / 9)))
    placed: list[tuple[int, int, int, int]] = []
    for box in boxes:
        placed.append(_label(out, box, size_px, placed))
    return out


def scale_box(xyxy: Sequence[float], scale_xy: tuple[float, float]) -> tuple[float, float, float, float]:
    """A box of inclusive pixel extents on a frame that is scaled by (x, y)."""
    (x0, y0, x1, y1), (sx, sy) = xyxy, scale_xy
    return x0 * sx, y0 * sy, (x1 + 1) * sx - 1, (y1 + 1) * sy - 1


def draw_outline(image: np.ndarray, xyxy: Sequence[float], colour: RGB, line_px: int) -> None:
    """A rectangle with a dark edge into `image` in place; `xyxy` as in Box."""
    x0, y0, x1, y1 = (round(v) for v in xyxy)
    cv2.rectangle(image, (x0, y0), (x1, y1), INK, line_px + 2)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, line_px)


def label_place(
    box_xyxy: Sequence[float], label_wh: tuple[int, int], size_wh: tuple[int, int], taken: Sequence[Sequence[int]] = ()
) -> tuple[int, int, int, int]:
    """Where a label goes: (x0, y0, x1, y1), end exclusive, inside a frame of size (W, H), off the places `taken`."""
    (w, h), (width, height) = label_wh, size_wh
    x0, y0, x1, y1 = (round(v) for v in box_xyxy)
    places = []
    for x, y in ((x0, y0 - h - 1), (x0, y1 + 2), (x1 - w, y0 - h - 1), (x0, y0 + 2), (x1 + 3, y0)):
        x, y = max(0, min(x, width - w)), max(0, min(y, height - h))
        places.append((x, y, x + w, y + h))

    def hidden(place: tuple[int, int, int, int]) -> int:
        return sum(
            max(0, min(place[2], p[2]) - max(place[0], p[0])) * max(0, min(place[3], p[3]) - max(place[1], p[1]))
            for p in [*taken, (x0, y0, x1 + 1, y1 + 1)]
        )

    return min(places, key=hidden)


def _label(image: np.ndarray, box: Box, size_px: int, taken: Sequence[Sequence[int]]) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    pad, stripe = max(2, size_px // 4), max(2, size_px // 5)
    text = fit_text(f"{box.id} {box.text}", size_px, width - 2 * pad - stripe, bold=True)
    sprite = _sprite(text, size_px, True)
    label_wh = (min(width, sprite.shape[1] + 2 * pad + stripe), min(height, sprite.shape[0] + pad // 2))
    place = x0, y0, x1, y1 = label_place(box.xyxy, label_wh, (width, height), taken)
    ground = image[y0:y1, x0:x1]
    ground[:] = cv2.addWeighted(ground, 0.2, np.full_like(ground, INK), 0.8, 0)
    ground[:, :stripe] = track_colour(box.id)
    put_text(ground, text, (stripe + pad, 0), size_px, PAPER, bold=True)
    return place


def draw_path(image: np.ndarray, points_xy: Sequence[tuple[float, float]], colour: RGB, line_px: int) -> None:
    """A path with a dark edge, from white to `colour` over its length, into `image` in place; an arrow at its end."""
    points = [(round(x), round(y)) for x, y in points_xy]
    for edge in (True, False):
        width_px = line_px + 2 if edge else line_px
        for i, (a, b) in enumerate(pairwise(points)):
            shade = INK if edge else faded(colour, 0.8 * (1 - (i + 1) / (len(points) - 1)))
            cv2.line(image, a, b, shade, width_px, cv2.LINE_AA)
        tip = _arrow(points, 4.0 * line_px + 4)
        if tip is not None:
            cv2.polylines(image, [tip], False, INK if edge else colour, width_px + 1, cv2.LINE_AA)
    if points:
        cv2.circle(image, points[0], line_px + 2, INK, -1, cv2.LINE_AA)
        cv2.circle(image, points[0], line_px + 1, faded(colour, 0.8), -1, cv2.LINE_AA)


def _arrow(points: Sequence[tuple[int, int]], size_px: float) -> np.ndarray | None:
    """The two barbs at the last point, aimed along the last stretch that is longer than a barb."""
    path = np.asarray(points, np.float64)
    far = np.flatnonzero(np.hypot(*(path - path[-1]).T) > size_px) if len(path) else np.empty(0, int)
    if not far.size:
        return None
    back = path[far[-1]] - path[-1]
    back *= size_px / np.hypot(*back)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    return np.round([path[-1] + turn @ back, path[-1], path[-1] + turn.T @ back]).astype(np.int32)


# Around the picture


class StatusStrip:
    """The strip below a picture of this width: clock, event, score bar, heat legend, "calibrated" or not.

    Score and legend share one 0-1 scale, with one mark through both at `threshold`.
    """

    def __init__(self, width: int, size_px: int, threshold: float, note: str) -> None:
        self.width, self.size_px, self.threshold = max(width, MIN_STRIP_WIDTH * size_px), size_px, threshold
        f = size_px
        small = max(9, round(0.75 * f))
        self.height = round(4.2 * f)
        self._row_y = (round(0.35 * f), round(1.75 * f))
        right = max(_sprite(s, f, False).shape[1] for s in (note, "0.00"))
        name = max(_sprite(s, f, False).shape[1] for s in ("score", "heat"))
        free = self.width - right - name - round(2.8 * f)
        clock_w = _sprite("00:00.0", f, True).shape[1] + f
        self._bar_w = min(round(0.55 * free), 26 * f, free - clock_w)
        self._left_w = free - self._bar_w
        self._bar_x = self._left_w + name + round(1.4 * f)
        ground = np.full((self.height, self.width, 3), INK, np.uint8)
        for text, y in zip(("score", "heat"), self._row_y, strict=True):
            put_text(ground, text, (self._bar_x - name - 0.4 * f, y), f, MUTED)
        put_text(ground, note, (self._bar_x + self._bar_w + 0.5 * f, self._row_y[1]), f, MUTED)
        self._legend(ground[self._bar(1)])
        ground[self._bar(0)] = (52, 57, 66)
        for value in (0.0, threshold, 1.0):
            text = f"{value:g}" if value in (0.0, 1.0) else f"{value:.2g}"
            x = self._bar_x + value * self._bar_w - _sprite(text, small, False).shape[1] / 2
            put_text(ground, text, (x, self._row_y[1] + 1.2 * f), small, PAPER if value == threshold else MUTED)
        self._ground = ground

    def _bar(self, row: int) -> tuple[slice, slice]:
        y = self._row_y[row] + round(0.3 * self.size_px)
        return slice(y, y + round(0.75 * self.size_px)), slice(self._bar_x, self._bar_x + self._bar_w)

    def _legend(self, bar: np.ndarray) -> None:
        """The heat scale as it looks over a mid-grey scene."""
        colours, alpha = heat_tables()
        level = np.linspace(0, 255, bar.shape[1]).round().astype(int)
        bar[:] = np.round(110 + (colours[level].astype(np.float32) - 110) * alpha[level, None]).astype(np.uint8)

    def draw(self, t_s: float, score: float, event: str = "") -> np.ndarray:
        """The strip (h, W, 3) at one moment; score in [0, 1]. From the threshold on, the score bar turns orange."""
        out, f = self._ground.copy(), self.size_px
        rows, cols = self._bar(0)
        alarm = score >= self.threshold
        out[rows, cols.start : cols.start + round(score * self._bar_w)] = ALARM if alarm else CALM
        mark = cols.start + round(self.threshold * self._bar_w)
        out[rows.start - 2 : self._bar(1)[0].stop + 2, mark : mark + max(1, f // 9)] = PAPER
        put_text(out, clock(t_s), (0.6 * f, self._row_y[0]), f, PAPER, bold=True)
        if event:
            put_text(out, fit_text(event, f, self._left_w - 0.6 * f), (0.6 * f, self._row_y[1]), f, ALARM)
        put_text(out, f"{score:.2f}", (cols.stop + 0.5 * f, self._row_y[0]), f, ALARM if alarm else PAPER, bold=alarm)
        return out


def below(frame: np.ndarray, strip: np.ndarray) -> np.ndarray:
    """`frame` with `strip` under it; the frame keeps the top left corner, a narrower one is padded on the right."""
    height, width = frame.shape[:2]
    out = np.empty((height + strip.shape[0], max(width, strip.shape[1]), 3), np.uint8)
    out[:height, :width], out[height:, : strip.shape[1]] = frame, strip
    out[:height, width:] = INK
    out[height:, strip.shape[1] :] = INK
    return out


def contact_sheet(
    frames: Sequence[np.ndarray], captions: Sequence[str], columns: int = 4, tile_width: int = 320
) -> np.ndarray:
    """Frames of any sizes in a grid with a caption under each; RGB. Every frame is shown whole."""
    if not frames or len(frames) != len(captions):
        raise ValueError(f"{len(frames)} frames and {len(captions)} captions; give one caption a frame, at least one")
    columns = min(columns, len(frames))
    tile_height = max(round(tile_width * f.shape[0] / f.shape[1]) for f in frames)
    tile_height = min(tile_height, 2 * tile_width)
    size_px, gap = font_px(tile_width, tile_height), max(4, tile_width // 40)
    cell_h, cell_w = tile_height + round(1.8 * size_px) + gap, tile_width + gap
    rows = -(-len(frames) // columns)
    sheet = np.full((rows * cell_h + gap, columns * cell_w + gap, 3), INK, np.uint8)
    for i, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        y, x = gap + i // columns * cell_h, gap + i % columns * cell_w
        tile = fit_frame(frame, (tile_width, tile_height))
        sheet[y : y + tile_height, x : x + tile_width] = tile
        put_text(sheet, fit_text(caption, size_px, tile_width), (x, y + tile_height + 0.2 * size_px), size_px)
    return sheet


def fit_frame(frame: np.ndarray, size_wh: tuple[int, int], ground: RGB = INK) -> np.ndarray:
    """`frame` scaled to lie whole and centred in (W, H), on `ground`."""
    width, height = size_wh
    scale = min(width / frame.shape[1], height / frame.shape[0])
    w, h = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    out = np.full((height, width, 3), ground, np.uint8)
    y, x = (height - h) // 2, (width - w) // 2
    out[y : y + h, x : x + w] = cv2.resize(
        frame, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return out
