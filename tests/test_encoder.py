"""Encoder: every frame once whatever the chunking, true directions and speeds, noise is no movement."""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest

from tvad.encoder import LOOK_S, Encoder, Features, input_size
from tvad.flow import C_FLOW, WAYS
from tvad.video import Clip, fitted

W, H = 192, 128
FPS = 8.0
SQUARE_PX = 40


def _background(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 160, (H // 8, W // 8, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def _square() -> np.ndarray:
    coarse = np.random.default_rng(7).integers(0, 255, (SQUARE_PX // 4, SQUARE_PX // 4, 3), np.uint8)
    return np.kron(coarse, np.ones((4, 4, 1), np.uint8))


def _moving(step_xy: tuple[int, int], count: int = 20, start_xy: tuple[int, int] = (24, 44)) -> np.ndarray:
    """A textured square that moves by `step_xy` px a frame over a textured background."""
    frames = np.stack([_background()] * count)
    for i in range(count):
        x, y = start_xy[0] + step_xy[0] * i, start_xy[1] + step_xy[1] * i
        frames[i, y : y + SQUARE_PX, x : x + SQUARE_PX] = _square()
    return frames


def _clips(frames: np.ndarray, chunk: int) -> Iterator[Clip]:
    times = np.arange(len(frames)) / FPS
    for a in range(0, len(frames), chunk):
        yield Clip(frames[a : a + chunk], times[a : a + chunk], "synthetic")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(threads=1, precision="f32")


@pytest.fixture(scope="module")
def to_the_right(encoder: Encoder) -> Features:
    return Features.join(encoder.features(_clips(_moving((5, 0)), 16)))


@pytest.mark.parametrize("chunk", [1, 5, 20])
def test_every_frame_once_and_equal_whatever_the_chunking(encoder: Encoder, to_the_right: Features, chunk: int) -> None:
    pieces = list(encoder.features(_clips(_moving((5, 0)), chunk)))
    got = Features.join(pieces)
    assert got.times_s.tolist() == (np.arange(20) / FPS).tolist()
    for name in ("motion", "moving", "changed", "flow"):
        assert np.array_equal(getattr(got, name), getattr(to_the_right, name)), name
    for name in ("patch", "frame"):  # a batch of another size may add up in another order
        assert np.allclose(getattr(got, name), getattr(to_the_right, name), atol=1e-4), name


def test_pieces_lag_by_no_more_than_the_look_ahead(encoder: Encoder) -> None:
    stream = encoder.stream()
    done = 0
    for clip in _clips(_moving((5, 0)), 1):
        done += sum(len(f) for f in stream.push(clip))
        assert done == sum(t <= clip.times_s[-1] - LOOK_S for t in np.arange(20) / FPS)
    assert done + sum(len(f) for f in stream.finish()) == 20
    assert stream.finish() == []


def _cells(features: Features, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
    """Rows and columns of the grid that lie inside a box in pixels."""
    h, w = features.moving.shape[1:]
    rows = slice(int(np.ceil(y0 * h / H)), int(y1 * h / H))
    columns = slice(int(np.ceil(x0 * w / W)), int(x1 * w / W))
    return rows, columns


@pytest.mark.parametrize(
    ("step_xy", "start_xy"),
    [((5, 0), (24, 44)), ((-5, 0), (128, 44)), ((0, 3), (80, 8)), ((0, -3), (80, 80)), ((4, 3), (24, 8))],
)
def test_direction_and_speed_in_frame_heights_per_second(
    encoder: Encoder, step_xy: tuple[int, int], start_xy: tuple[int, int]
) -> None:
    frames = _moving(step_xy, 13, start_xy)
    f = Features.join(encoder.features(_clips(frames, 16)))
    seen = []
    for i in range(2, 12):
        x, y = start_xy[0] + step_xy[0] * i, start_xy[1] + step_xy[1] * i
        seen.append(f.motion[i][_cells(f, x + 8, y + 8, x + SQUARE_PX - 8, y + SQUARE_PX - 8)].reshape(-1, 4))
    vx, vy, speed, spread = np.median(np.concatenate(seen), 0)
    expected = np.array(step_xy) * FPS / H
    assert (vx, vy) == pytest.approx(expected, abs=0.05)
    assert speed == pytest.approx(np.hypot(*expected), rel=0.2)
    assert spread < 0.5 * speed


def test_speed_follows_the_clock_and_not_the_frames(encoder: Encoder, to_the_right: Features) -> None:
    frames = _moving((5, 0))
    slow = Features.join(encoder.features([Clip(frames, np.arange(20) / (FPS / 4), "synthetic")]))
    assert np.allclose(4 * slow.motion, to_the_right.motion, atol=1e-4)
    assert np.abs(to_the_right.motion).max() > 0.1


def test_movement_and_change_lie_at_the_square(to_the_right: Features) -> None:
    f = to_the_right
    for i in (6, 10, 14):
        x, y = 24 + 5 * i, 44
        inside = np.zeros(f.moving.shape[1:], bool)
        inside[_cells(f, x + 8, y + 8, x + SQUARE_PX - 8, y + SQUARE_PX - 8)] = True
        near = np.zeros(f.moving.shape[1:], bool)  # where it was or will be, and as far as averaging reaches
        near[_cells(f, x - 32, y - 24, x + SQUARE_PX + 32, y + SQUARE_PX + 24)] = True
        assert f.moving[i][inside].mean() > 0.7 and f.changed[i][inside].mean() > 0.4
        assert f.moving[i][~near].max() < 0.05 and f.changed[i][~near].max() < 0.05


def test_noise_of_a_still_camera_is_no_movement(encoder: Encoder) -> None:
    rng = np.random.default_rng(1)
    noisy = np.stack([_background()] * 10).astype(int) + rng.normal(0, 6, (10, H, W, 3)).round().astype(int)
    f = Features.join(encoder.features(_clips(noisy.clip(0, 255).astype(np.uint8), 5)))
    assert (f.moving > 0.15).mean() < 0.01
    assert f.changed.mean() < 0.01


def test_the_same_picture_twice_gives_the_same_features_and_no_movement(encoder: Encoder) -> None:
    f = Features.join(encoder.features(_clips(np.stack([_background()] * 6), 3)))
    assert not f.motion.any() and not f.moving.any() and not f.changed.any()
    assert np.allclose(f.patch[0], f.patch[5], atol=1e-4)


def test_a_single_frame(encoder: Encoder) -> None:
    f = Features.join(encoder.features(_clips(_moving((5, 0), 1), 1)))
    assert len(f) == 1 and f.frame.shape == (1, 224)
    assert f.patch.shape == (1, *f.moving.shape[1:], 152)
    assert not f.motion.any() and not f.moving.any() and not f.changed.any()


def test_no_clip_gives_nothing(encoder: Encoder) -> None:
    assert list(encoder.features([])) == []


def test_both_levels_are_finite_and_of_unit_length_at_most(to_the_right: Features) -> None:
    assert to_the_right.patch.dtype == np.float32 and np.isfinite(to_the_right.patch).all()
    fine = np.linalg.norm(to_the_right.patch[..., :40], axis=-1)
    coarse = np.linalg.norm(to_the_right.patch[..., 40:], axis=-1)  # interpolated between unit vectors
    assert np.allclose(fine, 1, atol=1e-3)
    assert coarse.max() < 1.001 and coarse.min() > 0.5


def test_places_and_pictures_are_told_apart(encoder: Encoder) -> None:
    patch, frame = encoder.appearance(np.stack([_background(0), _background(1), np.full((H, W, 3), 90, np.uint8)]))
    assert np.linalg.norm(frame[0] - frame[2]) > 2 * np.linalg.norm(frame[0] - frame[1]) > 0
    assert np.linalg.norm(patch[0] - patch[2], axis=-1).mean() > np.linalg.norm(patch[0] - patch[1], axis=-1).mean() > 0


def test_half_precision_agrees_with_full() -> None:
    frames = _moving((5, 0), 2)
    full, _ = Encoder(threads=1, precision="f32").appearance(frames)
    half, _ = Encoder(threads=1, precision="bf16").appearance(frames)
    cosine = (full * half).sum(-1) / (np.linalg.norm(full, axis=-1) * np.linalg.norm(half, axis=-1))
    assert cosine.mean() > 0.99


@pytest.mark.parametrize("size_wh", [(1920, 1080), (640, 480), (360, 640), (384, 256), (100, 100)])
def test_input_keeps_the_shape_and_the_amount_of_pixels(size_wh: tuple[int, int]) -> None:
    width, height = input_size(*size_wh)
    assert width % 32 == 0 and height % 32 == 0
    assert width / height == pytest.approx(size_wh[0] / size_wh[1], rel=0.1)
    assert width * height == pytest.approx(256 * 384, rel=0.1)


def test_extreme_shapes_keep_a_usable_side() -> None:
    assert min(input_size(4000, 20)) == 64 and min(input_size(20, 4000)) == 64


def test_features_of_different_grids_are_refused(to_the_right: Features) -> None:
    values = [getattr(to_the_right, n) for n in Features.__dataclass_fields__]
    with pytest.raises(ValueError, match="moving has grid"):
        Features(*values[:2], to_the_right.moving[:, 1:], *values[3:])
    with pytest.raises(ValueError, match="patch has 20 frames; there are times_s 19"):
        Features(*values[:5], to_the_right.times_s[:-1], values[6])


def test_flow_is_that_between_all_pictures_where_some_lie_between(encoder: Encoder) -> None:
    fine = _moving((4, 0), count=21)  # 4 px every sixteenth of a second
    times = np.arange(21) / (2 * FPS)
    plain = Clip(fine[::2], times[::2], "synthetic")
    grey = np.stack([cv2.cvtColor(fitted(f, input_size(W, H)), cv2.COLOR_RGB2GRAY) for f in fine])
    between = np.concatenate([grey[:1], grey[1::2]])
    known = np.concatenate([[np.nan], times[1::2]])
    with_them = Clip(plain.frames, plain.times_s, "synthetic", between, known)
    coarse, got = (Features.join(encoder.features([c], flow=True)) for c in (plain, with_them))
    assert Features.join(encoder.features([plain])).flow.shape[-1] == 0
    for name in ("patch", "motion", "moving", "changed", "frame", "times_s"):
        np.testing.assert_array_equal(getattr(got, name), getattr(coarse, name))
    assert not np.array_equal(got.flow, coarse.flow)
    # The square goes to the right by 4 of 128 px in a sixteenth of a second: half a frame height a second.
    moving = got.flow[5].reshape(-1, C_FLOW)
    strongest = moving[moving[:, 0].argmax()].astype(np.float32)
    assert strongest[0] == pytest.approx(16 * 0.5, rel=0.15) and strongest[1:WAYS].sum() < 0.3 * strongest[0]


def test_memory_of_a_stream_is_bounded(encoder: Encoder) -> None:
    stream = encoder.stream()
    lengths = []
    for clip in _clips(np.stack([_background()] * 40), 4):
        stream.push(clip)
        lengths.append((len(stream.grey), len(stream.patch)))
    assert all(b <= a for a, b in pairwise(lengths[3:]))
    assert max(lengths)[0] <= 4 + 2 * (2 * LOOK_S * FPS + 2)
