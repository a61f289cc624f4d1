"""Motion words: cells, directions, stops, turns, speeds, borders; jitter must not move a still thing."""

import numpy as np
import pytest

from heatmap.motion import CELLS, DIRECTIONS, MotionSummary, cell_of, cell_path, describe_motion, entry_exit

W, H = 640, 360
FPS = 8.0
JITTERS_PX = (0.0, 6.0)


def _line(a: tuple[float, float], b: tuple[float, float], n: int) -> np.ndarray:
    return np.linspace(a, b, n)


def _boxes(points: np.ndarray, side: float = 60) -> np.ndarray:
    return np.column_stack([points - side / 2, points + side / 2])


def _motion(points: np.ndarray, jitter_px: float = 0.0, seed: int = 0) -> MotionSummary:
    noisy = points + np.random.default_rng(seed).normal(0, 1, points.shape) * jitter_px
    return describe_motion(np.arange(len(points)) / FPS, _boxes(noisy), (W, H))


def test_cells_of_the_corners_and_the_lines() -> None:
    assert cell_of(W - 1, H - 1, W, H) == "bottom-right"
    assert cell_of(0, 0, W, H) == "top-left"
    assert cell_of(0, H / 3, W, H) == "left"
    assert cell_of(W / 2, H / 2, W, H) == "middle"


def test_points_outside_count_to_the_nearest_cell() -> None:
    assert cell_of(-50, H + 50, W, H) == "bottom-left"


def test_every_cell_has_its_own_name() -> None:
    seen = [cell_of((c + 0.5) * W / 3, (r + 0.5) * H / 3, W, H) for r in range(3) for c in range(3)]
    assert seen == [name for row in CELLS for name in row] and len(set(seen)) == 9


def test_the_path_over_the_cells_has_no_repeats() -> None:
    assert cell_path(_boxes(_line((20, 180), (620, 180), 50)), (W, H)) == ("left", "middle", "right")


def test_jitter_on_a_line_between_cells_gives_one_cell() -> None:
    points = np.array([[W / 3 + (4 if i % 2 else -4), 180] for i in range(40)])
    assert cell_path(_boxes(points), (W, H)) == ("left",)


def test_moving_along_a_line_still_changes_cells() -> None:
    assert cell_path(_boxes(_line((20, H / 3), (620, H / 3), 50)), (W, H)) == ("left", "middle", "right")


@pytest.mark.parametrize("jitter_px", JITTERS_PX)
@pytest.mark.parametrize("name", DIRECTIONS)
def test_eight_directions_with_up_towards_smaller_y(name: str, jitter_px: float) -> None:
    dx = ("right" in name) - ("left" in name)
    dy = ("down" in name) - ("up" in name)
    motion = _motion(_line((320 - 140 * dx, 180 - 140 * dy), (320 + 140 * dx, 180 + 140 * dy), 40), jitter_px)
    assert (motion.direction, motion.displacement) == (name, "large")
    assert motion.summary.startswith(f"moves {name.replace('-', ' and ')}")
    assert not motion.turn and not motion.stops and motion.speed_change == "steady"


def test_displacements_are_measured_in_diagonals() -> None:
    diagonal = np.hypot(W, H)
    sizes = [
        _motion(_line((100, 180), (100 + f * diagonal, 180), 24)).displacement for f in (0.019, 0.021, 0.149, 0.151)
    ]
    assert sizes == ["still", "small", "small", "large"]


def test_a_still_thing_under_jitter_stays() -> None:
    motions = [_motion(_line((320, 180), (320, 180), n), 7.0, seed) for seed in range(20) for n in (6, 24, 80)]
    still = [m for m in motions if m.displacement == "still"]
    assert len(still) >= 0.95 * len(motions)
    assert all((m.direction, m.speed_change, m.turn, m.stops) == (None, "steady", False, False) for m in still)
    assert _motion(_line((320, 180), (320, 180), 24), 7.0).summary == "stays in the middle"


def test_the_phrase_of_a_thing_that_stops() -> None:
    points = np.concatenate([_line((40, 180), (560, 320), 30), _line((560, 320), (560, 320), 20)])
    for jitter_px in JITTERS_PX:
        motion = _motion(points, jitter_px)
        assert motion.summary == "moves right, from the left to the bottom right, then stops"
        assert motion.stops


def test_a_pause_is_a_stop_on_the_way() -> None:
    points = np.concatenate(
        [_line((40, 180), (300, 180), 20), _line((300, 180), (300, 180), 20), _line((300, 180), (600, 180), 20)]
    )
    motion = _motion(points)
    assert motion.stops and not motion.turn
    assert motion.summary == "moves right, from the left to the right, stopping on the way"


def test_standing_first_is_no_stop() -> None:
    points = np.concatenate([_line((40, 180), (40, 180), 20), _line((40, 180), (600, 180), 30)])
    motion = _motion(points)
    assert not motion.stops and motion.summary.endswith("after standing at first")


@pytest.mark.parametrize("jitter_px", JITTERS_PX)
def test_a_corner_is_a_turn(jitter_px: float) -> None:
    points = np.concatenate([_line((40, 40), (320, 40), 20), _line((320, 40), (320, 320), 20)])
    motion = _motion(points, jitter_px)
    assert motion.turn and motion.direction == "down-right" and "turning on the way" in motion.summary


def test_a_corner_before_a_long_stop_is_still_a_turn() -> None:
    points = np.concatenate(
        [_line((40, 40), (320, 40), 15), _line((320, 40), (320, 320), 15), _line((320, 320), (320, 320), 40)]
    )
    motion = _motion(points)
    assert motion.turn and motion.stops


def test_a_slight_bend_is_no_turn() -> None:
    points = np.concatenate([_line((40, 180), (320, 180), 20), _line((320, 180), (560, 300), 20)])
    assert not _motion(points).turn


def test_going_out_and_back_is_said_though_nothing_is_displaced() -> None:
    motion = _motion(np.concatenate([_line((100, 60), (400, 60), 20), _line((400, 60), (100, 60), 20)]))
    assert (motion.displacement, motion.direction, motion.turn, motion.stops) == ("still", None, False, False)
    assert motion.summary == "moves right and comes back to the top left"
    assert motion.mean_speed > 0.05


@pytest.mark.parametrize("jitter_px", JITTERS_PX)
def test_speed_changes(jitter_px: float) -> None:
    rise = np.linspace(0, 1, 32) ** 2.2
    faster = np.column_stack([40 + 520 * rise, np.full(32, 180)])
    slower = np.column_stack([40 + 520 * (1 - rise[::-1]), np.full(32, 180)])
    assert _motion(faster, jitter_px).speed_change == "accelerates"
    assert _motion(slower, jitter_px).speed_change == "slows"


def test_speeds_are_diagonals_per_second() -> None:
    motion = _motion(_line((50, 180), (550, 180), 41))  # 500 px in 5 s
    assert motion.mean_speed == pytest.approx(100 / np.hypot(W, H), rel=0.01)
    assert motion.max_speed == pytest.approx(motion.mean_speed, rel=0.01)


def test_quick_and_slow_are_said() -> None:
    assert _motion(_line((40, 180), (600, 180), 10)).summary.startswith("moves quickly right")
    assert _motion(_line((40, 180), (600, 180), 400)).summary.startswith("moves slowly right")


def test_uneven_times_give_the_true_speed() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.05, 0.3, 40))
    points = np.column_stack([50 + 80 * (times - times[0]), np.full(40, 180.0)])
    motion = describe_motion(times, _boxes(points), (W, H))
    assert motion.mean_speed == pytest.approx(80 / np.hypot(W, H), rel=0.05)


def test_one_wild_box_changes_nothing() -> None:
    points = _line((320, 180), (320, 180), 30)
    points[12] = (600, 20)
    assert _motion(points).summary == "stays in the middle"
    assert cell_path(_boxes(points), (W, H)) == ("middle",)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_short_tracks_have_motion_too(n: int) -> None:
    motion = _motion(_line((320, 180), (320, 180), n))
    assert motion.summary == "stays in the middle" and motion.max_speed == 0.0


@pytest.mark.parametrize(("times", "n"), [([], 0), ([0.0, 1.0], 1), ([1.0, 1.0], 2)])
def test_bad_input_is_refused(times: list[float], n: int) -> None:
    with pytest.raises(ValueError, match="times"):
        describe_motion(times, np.zeros((n, 4)), (W, H))


def _edges(a: tuple[float, float], b: tuple[float, float], start_s: float = 2.0) -> tuple[str | None, str | None]:
    points = _line(a, b, 24)
    boxes = np.clip(_boxes(points), 0, (W - 1, H - 1, W - 1, H - 1))
    return entry_exit(start_s + np.arange(24) / FPS, boxes, (W, H), 0.0, 20.0)


def test_entry_and_exit_name_the_borders() -> None:
    assert _edges((20, 180), (620, 180)) == ("left", "right")
    assert _edges((320, 20), (320, 340)) == ("top", "bottom")


def test_appearing_inside_is_no_entry() -> None:
    assert _edges((200, 180), (400, 180)) == (None, None)


def test_there_from_the_start_is_no_entry_and_until_the_end_no_exit() -> None:
    assert _edges((20, 180), (620, 180), start_s=0.05) == (None, "right")
    assert _edges((20, 180), (620, 180), start_s=17.0) == ("left", None)


def test_in_a_corner_the_motion_decides() -> None:
    assert _edges((15, 15), (400, 60)) == ("left", None)
    assert _edges((15, 15), (60, 300)) == ("top", None)


def test_a_single_box_has_borders() -> None:
    assert entry_exit([5.0], [[0, 100, 50, 150]], (W, H), 0.0, 20.0) == ("left", "left")
