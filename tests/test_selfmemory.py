"""A clip as its own memory: what is rare in it, and what is not."""

import numpy as np
import pytest

from heatmap.memory import Patches
from heatmap.selfmemory import BANK, GAP_S, SelfMemory

RATE = 5.0
CHANNELS = 8
RARE_AT = 50  # the frame in which one patch looks or moves unlike all others


def make_clip(frames: int, look: float = 0.0, speed: float = 0.2, a_frame: int = 4) -> tuple[Patches, np.ndarray]:
    """Patches of one kind in every frame; the last one of frame RARE_AT has this look and speed instead."""
    rng = np.random.default_rng(7)
    count = frames * a_frame
    cell = np.stack([np.arange(count) // a_frame, np.zeros(count), np.arange(count) % a_frame], 1).astype(np.int32)
    appearance = rng.normal(0, 0.1, (count, CHANNELS)).astype(np.float32)
    motion = rng.normal(0, 0.01, (count, 4)).astype(np.float32)
    motion[:, [0, 2]] += 0.2
    odd = (RARE_AT + 1) * a_frame - 1
    if odd < count:
        appearance[odd] += look
        motion[odd, [0, 2]] = speed
    return Patches(appearance, motion, cell), np.arange(frames) / RATE


def surprises_of(patches: Patches, times_s: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    memory = SelfMemory(seed)
    memory.learn(patches, times_s)
    return memory.surprises(patches, times_s)


def test_rare_look_is_less_like_the_clip_than_all_frequent_ones() -> None:
    appearance, _ = surprises_of(*make_clip(100, look=2.0))
    odd = (RARE_AT + 1) * 4 - 1
    assert appearance[odd] > 3 * np.delete(appearance, odd).max()


def test_rare_speed_is_less_like_the_clip_than_all_frequent_ones() -> None:
    _, motion = surprises_of(*make_clip(100, speed=1.2))
    odd = (RARE_AT + 1) * 4 - 1
    assert motion[odd] > 3 * np.delete(motion, odd).max()


def test_what_happens_often_is_ordinary() -> None:
    patches, times_s = make_clip(100)
    patches.appearance[::4] += 5  # a second kind, a quarter of everything
    appearance, _ = surprises_of(patches, times_s)
    assert np.median(appearance[::4]) == pytest.approx(np.median(appearance[1::4]), rel=0.5)


def test_a_thing_is_not_excused_by_its_own_stay_shorter_than_the_gap() -> None:
    patches, times_s = make_clip(100)
    stay = np.flatnonzero((times_s[patches.cell[:, 0]] >= 10) & (times_s[patches.cell[:, 0]] < 10 + GAP_S))
    patches.appearance[stay] += 5  # 10 % of all patches, more than RARE, but all within the gap
    appearance, _ = surprises_of(patches, times_s)
    assert appearance[stay].min() > 3 * np.delete(appearance, stay).max()


def test_speeds_count_relative_to_the_usual_speed_of_the_clip() -> None:
    patches, times_s = make_clip(100, speed=1.2)
    _, motion = surprises_of(patches, times_s)
    twice = Patches(patches.appearance, 2 * patches.motion, patches.cell)
    assert surprises_of(twice, times_s)[1] == pytest.approx(motion, rel=1e-3, abs=1e-3)


def test_too_short_a_clip_has_no_surprise() -> None:
    patches, times_s = make_clip(int(GAP_S * RATE), look=2.0, a_frame=20)
    patches.appearance[0] += 9
    appearance, motion = surprises_of(patches, times_s)
    assert len(appearance) == len(patches)
    assert not appearance.any()
    assert not motion.any()


def test_too_few_patches_have_no_surprise() -> None:
    appearance, motion = surprises_of(*make_clip(49, look=2.0, a_frame=1))
    assert not appearance.any()
    assert not motion.any()


def test_nothing_learned_or_nothing_moving_gives_zeros_of_the_right_length() -> None:
    patches, times_s = make_clip(10)
    assert [v.tolist() for v in SelfMemory().surprises(patches, times_s)] == [[0.0] * len(patches)] * 2
    memory = SelfMemory()
    empty = patches.pick(np.zeros(0, int))
    memory.learn(empty, times_s)
    assert [len(v) for v in memory.surprises(empty, times_s)] == [0, 0]


def test_bank_is_bounded_and_a_fair_sample_of_all_stretches() -> None:
    memory = SelfMemory()
    for stretch in range(20):
        patches, times_s = make_clip(100, a_frame=8)
        memory.learn(patches, times_s + 20 * stretch)
    assert memory._bank is not None
    assert len(memory._bank) == len(memory._times_s) == len(memory._key) == BANK
    counts = np.bincount((memory._times_s // 20).astype(int), minlength=20)
    fair = BANK / 20
    stray = 5 * fair**0.5  # five standard deviations of a fair draw
    assert fair - stray < counts.min() and counts.max() < fair + stray


def test_bank_keeps_each_patch_with_its_own_time() -> None:
    memory = SelfMemory()
    for stretch in range(10):
        patches, times_s = make_clip(100, a_frame=8)
        at = times_s + 20 * stretch
        patches.motion[:, 3] = at[patches.cell[:, 0]]
        memory.learn(patches, at)
    assert memory._bank is not None
    assert memory._bank.motion[:, 3] == pytest.approx(memory._times_s, abs=1e-4)


def test_same_clip_and_seed_give_the_same_surprise() -> None:
    patches, times_s = make_clip(500, look=2.0, a_frame=10)  # more than the bank holds
    first, second = surprises_of(patches, times_s), surprises_of(patches, times_s)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], surprises_of(patches, times_s, seed=1)[0])
