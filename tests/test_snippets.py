"""Snippet features: what moves, and how, as one vector for 16 frames."""

from dataclasses import replace

import numpy as np
import pytest

from tvad.encoder import C_APPEARANCE, Features
from tvad.flow import C_FLOW, STILL, WAYS
from tvad.people import NOT_LOOKED
from tvad.temporal import company
from tvad.temporal.flow_code import FLOW_DIM, FlowCode
from tvad.temporal.movement import BUSIEST, NAMES, WHOLE, movement
from tvad.temporal.snippets import (
    AROUND_S,
    COMPANY,
    DIM,
    DIM_FLOW,
    FLOW,
    FRAME,
    MOVEMENT,
    SnippetStream,
    describe,
    whole,
)

RATE = 8.0
GRID = (12, 16)


def planes(velocity: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Motion, moving, changed and times of T moments: cells `at` (T, h, w) bool move with velocity (T, h, w, 2)."""
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    motion = np.concatenate([velocity, speed[..., None], 0.1 * speed[..., None]], -1) * at[..., None]
    return motion, at.astype(float), 0.6 * at, np.arange(len(at)) / RATE


def walking(pace: float = 0.1, n: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    at = np.zeros((n, *GRID), bool)
    for t in range(n):
        at[t, 4:9, t // 2 : t // 2 + 3] = True
    return planes(np.broadcast_to([pace, 0.0], (n, *GRID, 2)).copy(), at)


def brawling(pace: float = 0.1, n: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    at = np.zeros((n, *GRID), bool)
    at[:, 4:9, 5:10] = True
    dice = np.random.default_rng(0)
    return planes(dice.normal(0, pace, (n, *GRID, 2)), at)


def told(given: tuple[np.ndarray, ...]) -> dict[str, float]:
    return dict(zip(NAMES, movement(*given).tolist(), strict=True))


def features(given: tuple[np.ndarray, ...], mark: float = 1.0) -> Features:
    motion, moving, changed, times = given
    n = len(times)
    patch = np.full((n, *GRID, C_APPEARANCE), mark, np.float32) * moving[..., None]
    frame = np.repeat(np.arange(n, dtype=np.float32)[:, None], FRAME, 1)
    return Features(patch, motion, moving, changed, frame, times, flow_of(motion, moving))


def flow_of(motion: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Histograms of cells that move as one: their direction, or stillness."""
    motion, moving = motion[:, ::2, ::2], moving[:, ::2, ::2]
    out = np.zeros((*moving.shape, C_FLOW), np.float16)
    way = np.round(np.arctan2(motion[..., 1], motion[..., 0]) / (2 * np.pi) * WAYS).astype(int) % WAYS
    np.put_along_axis(out, way[..., None], (16 * motion[..., 2])[..., None].astype(np.float16), -1)
    out[..., WAYS] = motion[..., 2] * 16 < STILL
    return out


def test_every_number_has_a_name() -> None:
    assert len(NAMES) == len(set(NAMES)) == len(WHOLE) + len(BUSIEST) == len(movement(*walking()))
    assert FRAME + C_APPEARANCE + len(NAMES) + FLOW_DIM == DIM_FLOW
    assert len(company.NAMES) == len(set(company.NAMES)) == DIM - DIM_FLOW


def test_a_brawl_differs_from_a_walk_in_kind() -> None:
    walk, brawl = told(walking()), told(brawling())
    assert walk["busiest_keeps_on"] > 0.7 > 0.3 > abs(brawl["busiest_keeps_on"])
    assert walk["one_way"] > 0.9 > 0.4 > brawl["one_way"]
    for name in ("busiest_disorder_share", "busiest_jerk_share", "busiest_mixed", "mixed"):
        assert brawl[name] > walk[name], name
    assert walk["busiest_sideways"] > 0.99 and walk["busiest_upright"] < 0.01


def test_kinds_do_not_depend_on_the_distance() -> None:
    near, far = told(brawling(0.8)), told(brawling(0.2))
    for name in (
        "busiest_pace_varies",
        "busiest_keeps_on",
        "busiest_jerk_share",
        "busiest_spread_share",
        "busiest_mixed",
    ):
        assert near[name] == pytest.approx(far[name], rel=0.1, abs=0.05), name
    assert near["busiest_pace"] - far["busiest_pace"] == pytest.approx(np.log(4), abs=0.05)


def test_where_nothing_moves_all_numbers_are_finite() -> None:
    for n in (1, 2, 16):
        still = planes(np.zeros((n, *GRID, 2)), np.zeros((n, *GRID), bool))
        assert np.isfinite(movement(*still)).all()
        assert told(still)["moving"] == 0


@pytest.mark.parametrize("cuts", [(40,), (1, 39), (7, 9, 24), (10, 10, 10, 10)])
def test_a_stream_in_pieces_gives_what_it_gives_at_once(cuts: tuple[int, ...]) -> None:
    all_ = features(brawling(n=40))
    stream, out = SnippetStream(25.0), []
    first = 0
    for n in cuts:
        part = Features(*(getattr(all_, k)[first : first + n] for k in Features.__dataclass_fields__))
        out += stream.push(part)
        first += n
    out += stream.finish()
    # 40 frames at 8 a second end at 4.875 s; a snippet lasts 0.64 s.
    assert len(out) == 8
    expected = [describe(all_, n * 0.64, (n + 1) * 0.64) for n in range(8)]
    np.testing.assert_allclose(whole(out), whole(expected), rtol=1e-5, atol=1e-6)


def test_a_snippet_tells_of_its_own_frames_and_of_movement_around_them() -> None:
    all_ = features(walking(n=16))
    vector = describe(all_, 0.5, 1.0)
    assert vector[:FRAME] == pytest.approx(np.full(FRAME, 5.5))
    assert vector[FRAME : FRAME + C_APPEARANCE] == pytest.approx(np.ones(C_APPEARANCE))
    near = all_.times_s < 1.0 + AROUND_S
    around = movement(all_.motion[near], all_.moving[near], all_.changed[near], all_.times_s[near])
    np.testing.assert_allclose(vector[MOVEMENT], around, rtol=1e-6)
    np.testing.assert_allclose(vector[FLOW], FlowCode.packaged()(all_.flow[near]), rtol=1e-6)


def test_with_people_there_are_more_numbers() -> None:
    alone = features(walking(n=16))
    people = np.zeros((16, 2, 6), np.float32)
    people[:, 0] = 0.1, 0.3, 0.4, 0.8, 0.9, 0  # one person at every other frame
    people[1::2, :, 4] = NOT_LOOKED
    seen = replace(alone, people=people)
    without, vector = describe(alone, 0.5, 1.0), describe(seen, 0.5, 1.0)
    assert without.shape == (DIM_FLOW,) and vector.shape == (DIM,)
    np.testing.assert_array_equal(vector[:DIM_FLOW], without)
    told = dict(zip(company.NAMES, vector[COMPANY].tolist(), strict=True))
    assert (told["people"], told["two"], told["apart"]) == (1.0, 1.0, company.FAR)
    plain = replace(seen, flow=np.zeros((*alone.flow.shape[:3], 0), np.float16))
    assert len(describe(plain, 0.5, 1.0)) == MOVEMENT.stop


def test_frames_that_are_hours_apart_are_described_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    motion, moving, changed, times = walking(n=4)
    rare = features((motion, moving, changed, times * 8 * 3600))  # an hour between two frames
    times_described = []

    def counted(*args: object) -> np.ndarray:
        times_described.append(args)
        return describe(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("tvad.temporal.snippets.describe", counted)
    stream = SnippetStream(16.0)  # snippets of a second
    rows = whole(stream.push(rare) + stream.finish())
    assert len(rows) == 3 * 3600 + 1 and len(times_described) < 30
    # Between two frames, of which the first is out of reach, a snippet looks like the second.
    assert rows[0, 0] == 0 and rows[100, 0] == rows[3600, 0] == 1 and rows[3700, 0] == 2 and rows[-1, 0] == 3


def test_slow_sampling_and_no_frames() -> None:
    slow = features(walking(n=4))
    stream = SnippetStream(64.0)  # snippets of 0.25 s, frames every 0.125 s; of 0.05 s below
    assert len(stream.push(slow) + stream.finish()) == 2
    fast = SnippetStream(320.0)
    assert len(fast.push(slow) + fast.finish()) == 8
    with pytest.raises(ValueError, match="no frames"):
        whole(SnippetStream(25.0).finish())
    with pytest.raises(ValueError, match="above 0"):
        SnippetStream(0.0)
