"""Parts: every frame once and in order, no seams, words relative to what is usual, bounded waiting."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from heatmap.levels import BLOCK_S as BLOCK_PEAK_S
from heatmap.memory import Patches, SceneMemory, frame_level, heat_level
from tvad import parts
from tvad.classifier import N_CLASSES
from tvad.encoder import C_APPEARANCE, Features
from tvad.parts import (
    FEW_THINGS,
    HABIT_S,
    USUAL_LEVEL,
    WINDOW_S,
    Levels,
    MemoryPart,
    WordsPart,
    habit_of,
    near_mean,
    sigma_frames,
    words_alarm,
)
from tvad.scene import Looks
from tvad.watcher import Thing
from tvad.words import Habit, WordGuide

GRID = (8, 12)
FPS = 8.0
GUIDE = WordGuide({"bicycle": (671,)}, frozenset(), ())


def _features(count: int, seed: int = 0, odd: Sequence[int] = ()) -> Features:
    """A walker of one look and speed that goes round; in the odd frames also something else, fast, in a corner."""
    rng = np.random.default_rng(seed)
    patch = rng.normal(0, 0.1, (count, *GRID, C_APPEARANCE)).astype(np.float32)
    motion = np.zeros((count, *GRID, 4), np.float32)
    moving = np.zeros((count, *GRID), np.float32)
    for i in range(count):
        cells = (i, slice(4, 7), slice(i % 10, i % 10 + 2))
        motion[cells] = np.array([0.2, 0.0, 0.2, 0.05]) + rng.normal(0, 0.02, (3, 2, 4))
        moving[cells] = 1.0
        if i in odd:
            cells = (i, slice(0, 2), slice(9, 12))
            patch[cells] += 0.5
            motion[cells] = [-1.5, 0.8, 1.7, 0.1]
            moving[cells] = 1.0
    frame = rng.normal(0, 1, (count, 224)).astype(np.float32)
    return Features(
        patch, motion, moving, moving.copy(), frame, np.arange(count) / FPS, np.zeros((*moving.shape, 0), np.float16)
    )


def _rows(f: Features, start: int, end: int) -> Features:
    return Features(*(getattr(f, name)[start:end] for name in Features.__dataclass_fields__))


def _run(part: MemoryPart, features: Features, size: int) -> Levels:
    pieces: list[Levels] = []
    for start in range(0, len(features), size):
        pieces += part.push(_rows(features, start, start + size))
    pieces += part.finish()
    return Levels(*(np.concatenate([getattr(p, n) for p in pieces]) for n in Levels.__dataclass_fields__))


@pytest.fixture(scope="module")
def memory() -> SceneMemory:
    stretches = []
    for seed in range(1, 5):
        f = _features(60, seed)
        stretches.append(Patches.of(f.patch, f.motion, f.moving))
    return SceneMemory.fit(stretches, [0, 1, 2, 3])[0]


@pytest.fixture(scope="module")
def scene_levels(memory: SceneMemory) -> Levels:
    return _run(MemoryPart(memory), _features(150, odd=range(70, 78)), 150)


@pytest.mark.parametrize("size", [1, 5, 16, 64])
def test_every_frame_once_in_order_without_seams(memory: SceneMemory, scene_levels: Levels, size: int) -> None:
    got = _run(MemoryPart(memory), _features(150, odd=range(70, 78)), size)
    assert got.times_s.tolist() == (np.arange(150) / FPS).tolist()
    for name in ("frame", "heat", "motion_share"):
        assert np.allclose(getattr(got, name), getattr(scene_levels, name), atol=2e-3), name


def test_levels_are_those_of_the_whole_video_at_once(memory: SceneMemory, scene_levels: Levels) -> None:
    f = _features(150, odd=range(70, 78))
    patches = Patches.of(f.patch, f.motion, f.moving)
    maps = patches.paint(np.sum(memory.surprises(patches), 0), f.moving.shape)
    assert np.allclose(scene_levels.frame, frame_level(maps), atol=1e-4)
    assert np.allclose(scene_levels.heat, heat_level(maps, f.changed, sigma_frames(f.times_s)), atol=1e-3)


def test_the_odd_thing_is_where_and_when_the_levels_are_high(scene_levels: Levels) -> None:
    odd = np.isin(np.arange(150), range(70, 78))
    assert scene_levels.frame[odd].min() > 2 * scene_levels.frame[~odd].max()
    peak = np.unravel_index(scene_levels.heat.argmax(), scene_levels.heat.shape)
    assert 70 <= peak[0] < 78 and peak[1] < 2 and peak[2] >= 9


def test_motion_share_says_what_is_surprising(memory: SceneMemory) -> None:
    fast, strange = (_features(60) for _ in range(2))
    cells = (slice(20, 30), slice(0, 2), slice(9, 12))
    for f in (fast, strange):
        f.moving[cells] = 1.0
        f.motion[cells] = [0.2, 0.0, 0.2, 0.05]
    fast.motion[cells] = [-1.5, 0.8, 1.7, 0.1]
    strange.patch[cells] += 0.5
    of_speed = _run(MemoryPart(memory), fast, 60).motion_share[20:30]
    of_look = _run(MemoryPart(memory), strange, 60).motion_share[20:30]
    assert of_speed.min() > 0.7 > 0.3 > of_look.max()


def test_where_nothing_moves_the_levels_are_nothing(memory: SceneMemory) -> None:
    f = _features(40)
    f.moving[:], f.changed[:] = 0, 0
    got = _run(MemoryPart(memory), f, 16)
    assert not got.frame.any() and not got.heat.any() and (got.motion_share == 0.5).all()


@pytest.mark.parametrize("with_scene", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_videos(memory: SceneMemory, with_scene: bool, count: int) -> None:
    got = _run(MemoryPart(memory if with_scene else None), _features(count), 1)
    assert len(got.times_s) == len(got.heat) == len(got.frame) == count
    assert np.isfinite(got.heat).all() and np.isfinite(got.frame).all()


def test_no_frames_give_no_levels() -> None:
    assert list(MemoryPart(None).finish()) == []


def test_without_a_scene_a_clip_is_compared_with_itself() -> None:
    f = _features(240, odd=range(120, 128))
    got = _run(MemoryPart(None), f, 16)
    assert got.times_s.tolist() == f.times_s.tolist()
    odd = np.isin(np.arange(240), range(120, 128))
    assert got.frame[odd].min() > 2 * got.frame[~odd].max()
    peak = np.unravel_index(got.heat.argmax(), got.heat.shape)
    assert 120 <= peak[0] < 128 and peak[1] < 2 and peak[2] >= 9


def test_without_a_scene_the_pieces_do_not_matter() -> None:
    f = _features(240, odd=range(120, 128))  # shorter than a block: everything is learnt before anything is scored
    small, large = _run(MemoryPart(None), f, 4), _run(MemoryPart(None), f, 48)
    assert small.times_s.tolist() == large.times_s.tolist() == f.times_s.tolist()
    assert np.corrcoef(small.frame, large.frame)[0, 1] > 0.98


def test_waiting_is_bounded_by_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    block_s = 12.0
    monkeypatch.setattr(parts, "BLOCK_S", block_s)
    part = MemoryPart(None)
    done, longest = 0, 0.0
    count = int(3.3 * block_s * FPS)
    f = _features(count)
    for start in range(0, count, 16):
        done += sum(len(x.times_s) for x in part.push(_rows(f, start, start + 16)))
        longest = max(longest, (min(start + 16, count) - done) / FPS)
        assert all(waiting.patch.size == 0 for _, waiting in part._waiting)  # the large maps are gone already
    done += sum(len(x.times_s) for x in part.finish())
    assert done == count
    assert block_s <= longest <= block_s + 2 * 16 / FPS + 4


def test_smoothing_width_follows_the_sampling_rate() -> None:
    assert sigma_frames(np.arange(20) / 10) == pytest.approx(2.0)
    assert sigma_frames(np.arange(20) / 5) == pytest.approx(1.0)
    assert sigma_frames(np.array([3.0])) == 0.0


# Words


def _thing(
    identity: int, chosen: int, start_s: float = 0.0, seconds: float = 4.0, strength: float = 8.0, looks: int = 4
) -> Thing:
    """Something that looks like class `chosen`."""
    times = np.linspace(start_s, start_s + seconds, 17)
    logits = np.zeros(N_CLASSES, np.float16)
    logits[chosen] = strength
    thing = Thing(identity, [(0.0, 0.0, 10.0, 20.0)] * len(times), times.tolist(), [0.01] * len(times))
    thing.look_times_s = np.linspace(start_s, start_s + seconds, looks).tolist()
    thing.logits = [logits] * looks
    return thing


def test_near_mean_worked_example() -> None:
    values, at = np.array([1.0, 3.0, 9.0]), [0.0, 1.0, 10.0]
    got = near_mean(values, at, [0.0, 0.5, 1.5, 5.4, 5.6, 9.5])
    assert got.tolist() == [2.0, 2.0, 3.0, 3.0, 9.0, 9.0]


def test_near_mean_ends_at_the_window() -> None:
    assert near_mean(np.array([0.0, 1.0]), [0.0, 5.0], [5.0 - WINDOW_S, WINDOW_S]).tolist() == [1.0, 0.0]


def test_near_mean_of_the_impossible_is_finite() -> None:
    got = near_mean(np.array([-np.inf, 0.0]), [0.0, 0.5], [0.2])
    assert np.isfinite(got).all() and got[0] < -20


def _looks(chosen: Sequence[int], seconds: float, strength: float = 4.0) -> Looks:
    """One thing after the other, two looks each."""
    logits = np.random.default_rng(0).normal(0, 1, (2 * len(chosen), N_CLASSES)).astype(np.float16)
    rows = np.arange(2 * len(chosen))
    logits[rows, np.repeat(chosen, 2)] += strength
    times = np.repeat(np.linspace(0, seconds - 2, len(chosen)), 2) + np.tile([0.0, 0.5], len(chosen))
    return Looks(logits, np.repeat(np.arange(len(chosen)), 2), times, seconds)


def test_words_alarm_is_about_normal_things() -> None:
    alarm = words_alarm(GUIDE, _looks([400, 401, 402, 403] * 8, 64.0))
    assert alarm is not None and alarm.hours == pytest.approx(64 / 3600)
    part = WordsPart(GUIDE, habit_of(_looks([400, 401, 402, 403] * 8, 64.0)))
    bicycle, walker = part.finish([_thing(1, 671, strength=16.0), _thing(2, 400, strength=16.0)])
    assert alarm.rarity(bicycle.level).min() > np.log(10) > 0 > alarm.rarity(walker.level).max()


def test_where_bicycles_are_usual_the_alarm_is_higher() -> None:
    without = words_alarm(GUIDE, _looks([400, 401, 402, 403] * 8, 64.0))
    with_some = words_alarm(GUIDE, _looks([400, 401, 671, 403] * 8, 64.0))
    assert with_some is not None and without is not None
    assert with_some.level_at(1.0) > without.level_at(1.0)


def test_empty_stretches_count_for_the_rate() -> None:
    busy, quiet = (words_alarm(GUIDE, _looks([400, 401, 402, 403] * 8, s)) for s in (64.0, 64.0 + 200 * BLOCK_PEAK_S))
    assert busy is not None and quiet is not None
    assert quiet.hours == pytest.approx(busy.hours + 200 * BLOCK_PEAK_S / 3600)
    assert quiet.start < busy.start and quiet.rate_per_hour < busy.rate_per_hour


@pytest.mark.parametrize("looks", [_looks([400] * 8, 7.9), replace(_looks([400], 64.0), logits=np.zeros((0, 1000)))])
def test_too_little_footage_gives_no_alarm_of_its_own(looks: Looks) -> None:
    assert words_alarm(GUIDE, looks) is None


def test_levels_of_a_clip_are_relative_to_what_is_usual_in_it() -> None:
    plain = WordsPart(GUIDE, Habit.empty()).finish([_thing(i, 400 + i) for i in range(20)])
    relative = WordsPart(GUIDE).finish([_thing(i, 400 + i) for i in range(20)])
    usual = plain[0].level[0]
    drawn = (20 * usual + FEW_THINGS * USUAL_LEVEL) / (20 + FEW_THINGS)
    assert relative[0].level == pytest.approx(plain[0].level - drawn, abs=0.05)


def test_a_bicycle_among_walkers_stands_out_of_its_clip() -> None:
    things = [_thing(i, 400 + i % 5) for i in range(20)] + [_thing(99, 671)]
    found = WordsPart(GUIDE).finish(things)
    levels = [s.level.max() for s in found]
    assert [s.thing.id for s in found] == [t.id for t in things]
    assert levels[-1] > max(levels[:-1]) + 4


def test_where_everything_is_a_bicycle_none_stands_out() -> None:
    among_walkers = WordsPart(GUIDE).finish([_thing(i, 400 + i % 5) for i in range(20)] + [_thing(99, 671)])
    among_its_like = WordsPart(GUIDE).finish([_thing(i, 671) for i in range(21)])
    assert among_its_like[-1].level.max() < among_walkers[-1].level.max() - 2


def test_there_is_a_level_for_each_sighting_and_logits_for_each_look() -> None:
    scored = WordsPart(GUIDE).finish([_thing(1, 671)])[0]
    assert scored.level.shape == (17,) and scored.logits.shape == (4, N_CLASSES)


def test_things_without_a_look_are_left_out() -> None:
    assert WordsPart(GUIDE).finish([Thing(1, [(0.0, 0.0, 1.0, 1.0)], [0.0], [0.1])]) == []


def test_without_words_levels_are_low_and_finite() -> None:
    scored = WordsPart(None, Habit.empty()).finish([_thing(1, 671)])[0]
    assert (scored.level < -20).all() and np.isfinite(scored.level).all()


def test_things_wait_no_longer_than_the_habit_needs() -> None:
    part = WordsPart(GUIDE)
    out: list[int] = []
    most = 0
    for i in range(400):
        now = 2.0 * i
        ready = part.push([_thing(i, 400, now - 1.0, 1.0)], now)
        out += [s.thing.id for s in ready]
        assert all(now - s.thing.times_s[-1] > HABIT_S for s in ready)
        most = max(most, len(part._waiting))
    assert most <= HABIT_S / 2 + 1
    out += [s.thing.id for s in part.finish([])]
    assert out == list(range(400)) and part._waiting == []


def test_what_is_near_in_pieces_is_what_is_near_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    times, at = np.arange(900) / 8, np.sort(rng.random(90)) * 110
    values = rng.normal(size=90)
    whole = near_mean(values, at.tolist(), times.tolist())
    monkeypatch.setattr(parts, "NEAR_PIECE", 100_000)
    assert np.array_equal(near_mean(values, at.tolist(), times.tolist()), whole)
