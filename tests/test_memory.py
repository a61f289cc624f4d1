"""Scene memory: distances, tails and planted oddities."""

import numpy as np
import pytest

from heatmap.memory import (
    BANK,
    MAX_SURPRISE,
    MOVING_SHARE,
    PARTS,
    Patches,
    SceneMemory,
    Tail,
    frame_level,
    heat_level,
    motion_vector,
    nearest,
    smooth,
    split_bank,
)

CHANNELS = 12


def make_patches(seed: int, count: int = 400, look: float = 0.0, speed: float = 0.2) -> Patches:
    """Patches scattered around one look and one velocity to the right."""
    rng = np.random.default_rng(seed)
    appearance = rng.normal(look, 1, (count, CHANNELS)).astype(np.float32)
    motion = rng.normal(0, 0.02, (count, 4)).astype(np.float32)
    motion[:, [0, 2]] += speed
    return Patches(appearance, motion, np.stack([np.arange(count) // 8, np.zeros(count), np.arange(count) % 8], 1))


@pytest.fixture(scope="module")
def memory() -> SceneMemory:
    return SceneMemory.fit([make_patches(i) for i in range(4)], [0, 1, 2, 3])[0]


def test_surprise_rises_with_distance() -> None:
    tail = Tail.fit(np.random.default_rng(0).exponential(1, 5000))
    surprise = tail.surprise(np.linspace(0, 30, 400))
    assert (np.diff(surprise) >= 0).all()
    assert surprise[0] == 0
    assert surprise[200] > surprise[100] > 0


def test_surprise_counts_the_share_of_normal_patches_at_least_as_far() -> None:
    tail = Tail.fit(np.random.default_rng(1).uniform(0, 1, 20000))
    assert tail.surprise(np.array([0.5, 0.9, 0.99])) == pytest.approx([np.log10(2), 1.0, 2.0], abs=0.06)


def test_surprise_beyond_the_measured_continues_the_exponential() -> None:
    tail = Tail.fit(np.random.default_rng(2).exponential(1, 200_000))
    # Of an exponential with scale 1, exp(-d) are at least d away: d / ln 10 decades. d = 12 was never seen.
    assert tail.surprise(np.array([8.0, 12.0])) == pytest.approx(np.array([8.0, 12.0]) / np.log(10), rel=0.1)


def test_surprise_is_bounded() -> None:
    tail = Tail.fit(np.random.default_rng(3).uniform(0, 1, 1000))
    assert tail.surprise(np.array([1e12]))[0] == MAX_SURPRISE


def test_equal_distances_give_a_usable_tail() -> None:
    tail = Tail.fit(np.full(500, 2.0))
    assert tail.scale > 0
    assert tail.surprise(np.array([2.0, 3.0]))[1] > 10


def test_nearest_is_the_mean_over_parts_of_the_smallest_distance() -> None:
    rng = np.random.default_rng(4)
    x, bank = rng.normal(size=(1500, 7)).astype(np.float32), rng.normal(size=(PARTS, 40, 7)).astype(np.float32)
    every = np.linalg.norm(x[:, None, None].astype(np.float64) - bank, axis=-1)
    assert nearest(x, bank) == pytest.approx(every.min(2).mean(1), abs=1e-3)


def test_nearest_is_zero_on_entries_of_the_bank() -> None:
    part = np.random.default_rng(5).normal(size=(20, 5)).astype(np.float32)
    assert nearest(part, np.stack([part] * PARTS)) == pytest.approx(np.zeros(20), abs=2e-3)


def test_bank_is_split_without_repeats_and_bounded() -> None:
    x = np.arange(2 * BANK, dtype=np.float32)[:, None]
    bank = split_bank(x, np.random.default_rng(0))
    assert bank.shape == (PARTS, BANK // PARTS, 1)
    assert len(np.unique(bank)) == bank.size


def test_motion_vector_keeps_the_direction_and_takes_the_root() -> None:
    assert motion_vector(np.array([0.25, -0.25, 0.0, 4.0])) == pytest.approx([0.5, -0.5, 0.0, 2.0])


def test_only_moving_cells_become_patches() -> None:
    moving = np.zeros((2, 3, 4), np.float32)
    moving[1, 2, 3] = 1
    moving[0, 1, 1] = MOVING_SHARE / 2
    maps = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4, 1)
    patches = Patches.of(np.repeat(maps, CHANNELS, 3), np.repeat(maps, 4, 3), moving, first_frame=10)
    assert patches.cell.tolist() == [[11, 2, 3]]
    assert (patches.appearance == 23).all()
    assert (patches.motion == 23).all()


def test_painted_values_return_to_their_cells() -> None:
    moving = np.random.default_rng(6).random((3, 4, 5))
    patches = Patches.of(np.zeros((3, 4, 5, 2)), np.zeros((3, 4, 5, 4)), moving, first_frame=7)
    painted = patches.paint(moving[moving > MOVING_SHARE], moving.shape, first_frame=7)
    assert painted == pytest.approx(np.where(moving > MOVING_SHARE, moving, 0))


def test_odd_look_surprises_in_appearance_only(memory: SceneMemory) -> None:
    normal, odd = memory.surprises(make_patches(90)), memory.surprises(make_patches(91, look=3.0))
    assert np.median(odd[0]) > np.percentile(normal[0], 99) + 2
    assert np.median(odd[1]) == pytest.approx(np.median(normal[1]), abs=0.1)


def test_odd_speed_surprises_in_motion_only(memory: SceneMemory) -> None:
    normal, odd = memory.surprises(make_patches(92)), memory.surprises(make_patches(93, speed=1.5))
    assert np.median(odd[1]) > np.percentile(normal[1], 99) + 2
    assert np.median(odd[0]) == pytest.approx(np.median(normal[0]), abs=0.1)


def test_one_fresh_normal_patch_in_a_hundred_has_surprise_two(memory: SceneMemory) -> None:
    appearance, motion = memory.surprises(make_patches(94, count=4000))
    assert 0.003 < (appearance > 2).mean() < 0.025
    assert 0.003 < (motion > 2).mean() < 0.025


def test_held_out_surprise_shows_the_stretch_unlike_the_others() -> None:
    stretches = [make_patches(0), make_patches(1), make_patches(2), make_patches(3, count=20, look=4.0)]
    _, held = SceneMemory.fit(stretches, [0, 1, 2, 3])
    assert [len(h) for h in held] == [400, 400, 400, 20]
    assert np.median(held[3]) > 3 * max(np.median(h) for h in held[:3])


def test_fit_is_deterministic(memory: SceneMemory) -> None:
    again = SceneMemory.fit([make_patches(i) for i in range(4)], [0, 1, 2, 3])[0]
    assert np.array_equal(again.appearance, memory.appearance)
    assert np.array_equal(again.appearance_tail.quantiles, memory.appearance_tail.quantiles)


@pytest.mark.parametrize(
    ("counts", "folds"),
    [([20, 20], [0, 1]), ([0, 0], [0, 1]), ([400, 400], [0, 0])],
    ids=["little", "nothing", "one fold"],
)
def test_too_little_normal_footage_is_refused(counts: list[int], folds: list[int]) -> None:
    with pytest.raises(ValueError, match="moving patches in a part of the normal footage, at least 100") as error:
        SceneMemory.fit([make_patches(i, count) for i, count in enumerate(counts)], folds)
    assert "\n" not in str(error.value)


def test_frame_level_is_zero_in_a_calm_frame_and_the_value_of_a_uniform_one() -> None:
    maps = np.stack([np.zeros((16, 24)), np.full((16, 24), 2.5)])
    assert frame_level(maps) == pytest.approx([0, 2.5])


def test_frame_level_counts_a_patch_of_cells_more_than_a_speck() -> None:
    speck, patch = np.zeros((2, 1, 16, 24))
    speck[0, 8, 8] = 9
    patch[0, 7:10, 7:10] = 9
    assert frame_level(speck)[0] == pytest.approx(1)
    assert frame_level(patch)[0] > 4 * frame_level(speck)[0]


def test_frame_level_is_of_the_hottest_place_only() -> None:
    one = np.zeros((1, 20, 20))
    one[0, 4:8, 4:8] = 5
    two = one.copy()
    two[0, 14:16, 14:16] = 1
    assert frame_level(two) == pytest.approx(frame_level(one))


def test_smooth_keeps_a_constant_and_lowers_a_spike() -> None:
    assert smooth(np.full(20, 3.0), 2) == pytest.approx(np.full(20, 3.0))
    spike = np.eye(1, 21, 10)[0]
    assert smooth(spike, 2).max() < 0.25
    assert smooth(spike, 2).sum() == pytest.approx(1, abs=0.01)


def test_smooth_without_width_changes_nothing() -> None:
    spike = np.eye(1, 21, 10)[0]
    assert np.array_equal(smooth(spike, 0), spike)


def test_heat_concentrates_where_pixels_change() -> None:
    surprise = np.full((9, 12, 16), 4.0)
    changed = np.zeros_like(surprise)
    changed[:, 5:8, 6:10] = 1
    heat = heat_level(surprise, changed, 1.0)
    assert heat[:, 6, 7:9].min() > 0.9 * 4.0
    assert heat[:, 0, 0] == pytest.approx(0.1 * 4.0, rel=1e-3)


def test_no_heat_without_surprise() -> None:
    assert (heat_level(np.zeros((3, 6, 6)), np.ones((3, 6, 6)), 1.0) == 0).all()
