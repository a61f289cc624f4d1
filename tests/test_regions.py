"""Regions from heat: alignment, thresholds, sizes, refusals."""

import cv2
import numpy as np
import pytest

from heatmap.regions import WORKING_SIDE_PX, Region, extract_regions, working_size

SIZE = (1920, 1080)


def _heat(*cells: tuple[slice, slice, float], shape: tuple[int, int] = (36, 64)) -> np.ndarray:
    heat = np.zeros(shape, np.float16)
    for rows, columns, value in cells:
        heat[rows, columns] = value
    return heat


def test_a_cold_map_has_no_regions() -> None:
    assert extract_regions(_heat((slice(4, 8), slice(4, 8), 0.49)), 0.0, SIZE) == []


def test_the_threshold_itself_is_hot() -> None:
    (region,) = extract_regions(np.full((36, 64), 0.5), 0.0, SIZE)
    assert region.score == pytest.approx(0.5)


def test_a_wholly_hot_map_is_one_region_over_every_pixel() -> None:
    (region,) = extract_regions(np.ones((32, 48)), 1.5, SIZE)
    assert region.box_xyxy == pytest.approx((0, 0, 1919, 1079))
    assert region.centroid_xy == pytest.approx((959.5, 539.5))
    assert (region.area, region.score, region.t_s) == (1.0, 1.0, 1.5)


def test_a_block_lands_where_its_cells_are() -> None:
    # Rows 9-17 and columns 16-31 of 36 x 64 cells of 30 px: pixels x 480-959, y 270-539.
    (region,) = extract_regions(_heat((slice(9, 18), slice(16, 32), 1.0)), 0.0, SIZE)
    cell_px = 30
    assert np.abs(np.array(region.box_xyxy) - (480, 270, 959, 539)).max() < cell_px / 2
    assert region.centroid_xy == pytest.approx((719.5, 404.5), abs=1.0)
    assert region.area == pytest.approx(9 * 16 / (36 * 64), rel=0.05)


@pytest.mark.parametrize("size_wh", [(1920, 1080), (1080, 1920), (238, 158), (64, 36), (33, 17)])
def test_boxes_agree_with_the_full_size_map(size_wh: tuple[int, int]) -> None:
    heat = _heat((slice(3, 12), slice(40, 50), 0.9))
    full = cv2.resize(heat.astype(np.float32), size_wh) >= 0.5
    rows, columns = np.flatnonzero(full.any(axis=1)), np.flatnonzero(full.any(axis=0))
    (region,) = extract_regions(heat, 0.0, size_wh)
    expected = (columns[0], rows[0], columns[-1], rows[-1])
    pixel = max(size_wh) / max(working_size(size_wh))
    assert np.abs(np.array(region.box_xyxy) - expected).max() <= pixel


def test_the_working_size_is_bounded_and_never_above_the_source() -> None:
    assert working_size((3840, 2160)) == (WORKING_SIDE_PX, 180)
    assert working_size((100, 50)) == (100, 50)
    assert working_size((5000, 3)) == (WORKING_SIDE_PX, 1)


def test_corners_connect_and_gaps_separate() -> None:
    touching = _heat((slice(4, 8), slice(4, 8), 1.0), (slice(8, 12), slice(8, 12), 1.0))
    apart = _heat((slice(4, 8), slice(4, 8), 1.0), (slice(4, 8), slice(12, 16), 1.0))
    assert len(extract_regions(touching, 0.0, SIZE)) == 1
    assert len(extract_regions(apart, 0.0, SIZE)) == 2


def test_specks_are_dropped_by_share_of_the_frame() -> None:
    heat = _heat((slice(4, 6), slice(4, 6), 1.0))  # 4 of 2304 cells: 1.7e-3
    assert len(extract_regions(heat, 0.0, SIZE, min_area=1e-3)) == 1
    assert extract_regions(heat, 0.0, SIZE, min_area=3e-3) == []


def test_the_hottest_comes_first_with_its_own_peak() -> None:
    heat = _heat((slice(4, 9), slice(4, 9), 0.6), (slice(20, 25), slice(40, 45), 0.9))
    assert [r.score for r in extract_regions(heat, 0.0, SIZE)] == pytest.approx([0.9, 0.6], abs=1e-3)


def test_the_centroid_leans_to_the_heat() -> None:
    heat = _heat((slice(4, 9), slice(10, 20), 0.6), (slice(4, 9), slice(20, 30), 1.0))
    (region,) = extract_regions(heat, 0.0, SIZE)
    x0, _, x1, _ = region.box_xyxy
    assert region.centroid_xy[0] > (x0 + x1) / 2 + 10


def test_a_region_knows_only_the_heat_inside_it() -> None:
    # An L around a hotter block: the block lies in the box of the L, not in the L.
    heat = _heat(
        (slice(4, 30), slice(4, 8), 0.6), (slice(26, 30), slice(4, 30), 0.6), (slice(8, 14), slice(20, 26), 1.0)
    )
    block, corner = extract_regions(heat, 0.0, SIZE)
    assert (block.score, corner.score) == pytest.approx((1.0, 0.6), abs=1e-3)


def test_masks_cover_the_frame_and_are_kept_on_wish() -> None:
    heat = _heat((slice(9, 18), slice(16, 32), 1.0))
    (without,) = extract_regions(heat, 0.0, SIZE)
    (region,) = extract_regions(heat, 0.0, SIZE, keep_mask=True)
    assert without.mask is None
    assert region.mask is not None and region.mask.dtype == bool
    assert region.mask.shape == working_size(SIZE)[::-1]
    assert region.mask.mean() == pytest.approx(region.area)


def test_a_threshold_of_zero_takes_a_map_without_heat() -> None:
    (region,) = extract_regions(np.zeros((8, 8)), 0.0, (80, 80), threshold=0.0)
    assert (region.area, region.score) == (1.0, 0.0)
    assert region.centroid_xy == pytest.approx((39.5, 39.5))


@pytest.mark.parametrize("heat", [np.zeros((3, 4, 4)), np.zeros((0, 4)), np.full((4, 4), np.nan)])
def test_maps_that_are_none_are_refused(heat: np.ndarray) -> None:
    with pytest.raises(ValueError, match="heat has"):
        extract_regions(heat, 0.0, SIZE)


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="frame size"):
        extract_regions(np.ones((4, 4)), 0.0, (0, 10))


def test_regions_are_values() -> None:
    first, second = (extract_regions(np.ones((4, 4)), 0.0, (40, 40)) for _ in range(2))
    assert first == second and isinstance(first[0], Region)
