"""heatmap/render.py: heat lies exactly on the frame, on an absolute scale; words stay inside."""

import numpy as np
import pytest

from heatmap import render
from heatmap.palette import HEAT_ALPHA, HEAT_FLOOR, TRACK_COLOURS, heat_tables, track_colour
from heatmap.render import Box, StatusStrip

# (W, H) of the frame, (h, w) of the heat grid: odd sizes, landscape, portrait, extreme shapes; cells span pixels.
PLACES = [
    ((101, 67), (8, 12)),
    ((101, 67), (17, 26)),
    ((67, 101), (13, 5)),
    ((640, 360), (45, 60)),
    ((360, 640), (45, 22)),
    ((401, 23), (3, 50)),
    ((23, 401), (50, 3)),
    ((9, 7), (3, 4)),
]


def planted(cells_hw: tuple[int, int], cell: tuple[int, int], value: float = 1.0) -> np.ndarray:
    heat = np.zeros(cells_hw, np.float16)
    heat[cell] = value
    return heat


@pytest.mark.parametrize(("size_wh", "cells_hw"), PLACES)
def test_hot_cell_is_painted_at_its_place(size_wh: tuple[int, int], cells_hw: tuple[int, int]) -> None:
    (width, height), (h, w) = size_wh, cells_hw
    black = np.zeros((height, width, 3), np.uint8)
    for i, j in [(0, 0), (0, w - 1), (h - 1, 0), (h - 1, w - 1), (h // 2, w // 2)]:
        light = render.blend_heat(black, planted(cells_hw, (i, j))).sum(axis=2).astype(float)
        ys, xs = np.nonzero(light == light.max())
        assert abs(xs.mean() + 0.5 - (j + 0.5) * width / w) <= 0.5 * width / w
        assert abs(ys.mean() + 0.5 - (i + 0.5) * height / h) <= 0.5 * height / h


def test_heat_keeps_its_centre_of_mass() -> None:
    up = render.upsample_heat(planted((9, 11), (3, 7)), (331, 181))
    ys, xs = np.mgrid[:181, :331] + 0.5
    assert (up * xs).sum() / up.sum() == pytest.approx(7.5 * 331 / 11, abs=0.1)
    assert (up * ys).sum() / up.sum() == pytest.approx(3.5 * 181 / 9, abs=0.1)


def test_constant_heat_stays_constant() -> None:
    assert np.allclose(render.upsample_heat(np.full((3, 5), 0.6, np.float32), (77, 41)), 0.6)


def test_window_of_visible_heat_cuts_nothing_off() -> None:
    rng = np.random.default_rng(0)
    for width, height, h, w in [(101, 67, 8, 12), (320, 240, 30, 40), (67, 101, 13, 5)]:
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        heat = planted((h, w), (h // 3, w // 2)).astype(np.float32)
        level = (render.upsample_heat(heat, (width, height)) * 255).astype(np.uint8)
        colours, alpha = heat_tables()
        expected = frame * (1 - alpha[level])[..., None] + colours[level] * alpha[level][..., None]
        assert np.abs(render.blend_heat(frame, heat) - expected).max() <= 2


def test_cold_pixels_are_untouched() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (67, 101, 3), np.uint8)
    before = frame.copy()
    for cold in (0.0, HEAT_FLOOR - 0.01):
        assert np.array_equal(render.blend_heat(frame, np.full((8, 12), cold)), frame)
    out = render.blend_heat(frame, planted((8, 12), (0, 0)))
    assert np.array_equal(out[20:], frame[20:]) and np.array_equal(out[:, 20:], frame[:, 20:])
    assert not np.array_equal(out[:8, :8], frame[:8, :8])
    assert np.array_equal(frame, before)


def test_scale_is_absolute() -> None:
    grey = np.full((60, 90, 3), 110, np.uint8)
    weak = render.blend_heat(grey, np.full((6, 9), 0.3))
    beside_hot = render.blend_heat(grey, np.concatenate([np.full((6, 5), 0.3), np.ones((6, 4))], axis=1))
    assert np.array_equal(weak[:, :40], beside_hot[:, :40])
    assert np.ptp(weak.reshape(-1, 3), axis=0).max() == 0
    r, g, b = weak[0, 0].astype(int)
    assert b > r > g, "heat 0.3 is a faint violet, not an alarm"


def test_heat_grows_in_opacity_and_lightness() -> None:
    colours, alpha = heat_tables()
    luma = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(alpha) >= 0).all() and alpha[63] == 0 and alpha[-1] == pytest.approx(HEAT_ALPHA)
    assert (luma[4:] > luma[:-4]).all() and luma[-1] > luma[64] + 100


def test_track_colours_differ_and_repeat() -> None:
    assert len({track_colour(i) for i in range(1, 1 + len(TRACK_COLOURS))}) == len(TRACK_COLOURS)
    assert track_colour(1) == track_colour(1 + len(TRACK_COLOURS))


@pytest.mark.parametrize(
    ("t_s", "text"), [(0, "0:00.0"), (62.34, "1:02.3"), (59.96, "1:00.0"), (3723.3, "1:02:03.3"), (-0.01, "0:00.0")]
)
def test_clock(t_s: float, text: str) -> None:
    assert render.clock(t_s) == text


def test_labels_never_leave_the_frame() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        width, height = (int(v) for v in rng.integers(60, 300, 2))
        corners = rng.uniform(-40, 340, 4)
        label_wh = int(rng.integers(5, width + 1)), int(rng.integers(5, 25))
        x0, y0, x1, y1 = render.label_place(np.sort(corners.reshape(2, 2), axis=0).ravel(), label_wh, (width, height))
        assert min(x0, y0) >= 0 and x1 <= width and y1 <= height
        assert (x1 - x0, y1 - y0) == label_wh


def test_label_avoids_an_earlier_one() -> None:
    first = render.label_place((50, 50, 90, 90), (60, 12), (300, 200))
    second = render.label_place((52, 50, 92, 90), (60, 12), (300, 200), [first])
    overlap_x = min(first[2], second[2]) - max(first[0], second[0])
    overlap_y = min(first[3], second[3]) - max(first[1], second[1])
    assert overlap_x <= 0 or overlap_y <= 0


@pytest.mark.parametrize("size_wh", [(101, 67), (20, 12), (240, 135), (1920, 1080)])
def test_boxes_at_every_border(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    frame = np.full((height, width, 3), 128, np.uint8)
    boxes = [
        Box(1, (0, 0, 9, 9), "bicycle"),
        Box(2, (width - 10, height - 10, width - 1, height - 1), "a label that is longer than the frame is wide " * 9),
        Box(3, (-50, -50, width + 50, height + 50), "line\nbreak"),
        Box(4, (width / 2, height / 2, width / 2, height / 2)),
    ]
    out = render.draw_boxes(frame, boxes)
    assert out.shape == frame.shape and (frame == 128).all()
    assert (out != frame).any()


def test_box_is_drawn_where_it_is() -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    out = render.draw_boxes(frame, [Box(1, (40, 60, 80, 100), "x")], size_px=11)
    for y, x in [(60, 60), (100, 60), (80, 40), (80, 80)]:
        assert tuple(out[y, x]) == track_colour(1)
    assert not out[70:90, 50:70].any(), "the inside stays visible"


def test_scaled_box_covers_the_same_part_of_the_frame() -> None:
    assert render.scale_box((0, 0, 99, 49), (2, 3)) == (0, 0, 199, 149)
    assert render.scale_box((50, 25, 99, 49), (0.5, 0.5)) == (25, 12.5, 49, 24)


@pytest.mark.parametrize("bold", [False, True])
def test_text_fits(bold: bool) -> None:
    for width_px in (0, 5, 30, 80, 400):
        text = render.fit_text("a person on a bicycle", 14, width_px, bold)
        assert render.put_text(np.zeros((30, 500, 3), np.uint8), text, (0, 0), 14, bold=bold) <= max(width_px, 1) + 1
    assert render.fit_text("a person on a bicycle", 14, 400) == "a person on a bicycle"
    assert render.fit_text("a person on a bicycle", 14, 80).endswith("…")


def test_score_bar_follows_the_score() -> None:
    strip = StatusStrip(640, 12, 0.5, "uncalibrated")
    lit = [(strip.draw(1.0, s) != strip.draw(1.0, 0.0)).any(axis=2)[:18].any(axis=0).sum() for s in (0.2, 0.45, 0.9)]
    assert lit[0] < lit[1] < lit[2]
    assert strip.draw(0, 1.0).shape == (strip.height, 640, 3)


def test_score_bar_turns_at_the_threshold() -> None:
    strip = StatusStrip(640, 12, 0.7, "calibrated")
    below, above = strip.draw(0, 0.69), strip.draw(0, 0.71)
    assert (below.astype(int) - above).any(axis=2)[: strip.height // 2].sum() > 500


@pytest.mark.parametrize("width", [16, 135, 240, 960])
def test_picture_lies_in_the_corner_over_the_strip(width: int) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (90, width, 3), np.uint8)
    strip = StatusStrip(width, render.font_px(width, 90), 0.5, "uncalibrated").draw(3, 0.4, "event 1: a bicycle")
    out = render.below(frame, strip)
    assert np.array_equal(out[:90, :width], frame)
    assert out.shape[0] == 90 + len(strip) and out.shape[1] >= width


def test_font_grows_with_the_frame() -> None:
    assert render.font_px(320, 240) == render.MIN_FONT_PX < render.font_px(960, 540) < render.font_px(1920, 1080)


def test_contact_sheet_shows_every_frame() -> None:
    shapes = [(60, 80), (80, 60), (20, 200), (200, 20), (9, 9)]
    frames = [np.full((*shape, 3), 40 * (i + 1), np.uint8) for i, shape in enumerate(shapes)]
    sheet = render.contact_sheet(frames, [f"{i} s" for i in range(5)], columns=2, tile_width=120)
    for frame in frames:
        assert (sheet == frame[0, 0]).all(axis=2).sum() > 100
    with pytest.raises(ValueError, match="0 frames"):
        render.contact_sheet([], [])


def test_path_with_arrow() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    render.draw_path(image, [(20, 50), (100, 50), (180, 50)], (255, 0, 0), 2)
    assert image[50, 30].min() > 100, "pale at the beginning"
    assert tuple(image[50, 178]) == (255, 0, 0)
    spread = [np.flatnonzero(image[:, x, 0] > 100) for x in (100, 172)]
    assert np.ptp(spread[1]) > np.ptp(spread[0]), "barbs at the end"
    for short in ([], [(5, 5)], [(5, 5), (6, 5)]):
        render.draw_path(image, short, (255, 0, 0), 2)
