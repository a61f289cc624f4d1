"""The committed example clips: what the truth file says is what the files show, and the script still draws them."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
CLIPS = {"plaza.mp4": 23.0, "plaza_normal.mp4": 40.0}
CLIP_BYTES, BOTH_BYTES = 1_500_000, 2_000_000
TRUTH = json.loads((EXAMPLES / "plaza.truth.json").read_text(encoding="utf-8"))
BOXES = {row[0]: row[1:] for row in TRUTH["boxes"]["rows"]}
# Levels of 255: what noise and coding leave between a drawn and a decoded frame, in the mean and in the worst 8x8
# block. One frame too early or late leaves 40 and more in a block.
MEAN_OFF, BLOCK_OFF = 5.0, 25.0
# Rows of the picture below the red awning.
FLOOR = slice(100, None)


def decoded(name: str, every: int = 1, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(frame number, (H, W, 3) uint8 RGB) of every n-th frame."""
    with av.open(str(EXAMPLES / name)) as container:
        for n, frame in enumerate(container.decode(video=0)):
            if n == stop:
                return
            if n % every == 0:
                yield n, frame.to_ndarray(format="rgb24")


def red(image: np.ndarray) -> np.ndarray:
    """(H, W) bool: strongly red, as the bicycle's frame."""
    r, g, b = (image[..., k].astype(int) for k in range(3))
    return (r > 110) & (r > 1.9 * g) & (r > 1.9 * b)


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("make_plaza")
    sys.path.remove(str(EXAMPLES))


def test_the_files_stay_small() -> None:
    sizes = [(EXAMPLES / name).stat().st_size for name in CLIPS]
    assert max(sizes) < CLIP_BYTES and sum(sizes) < BOTH_BYTES


@pytest.mark.parametrize(("name", "seconds"), CLIPS.items())
def test_size_rate_and_length(name: str, seconds: float) -> None:
    with av.open(str(EXAMPLES / name)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (640, 360, 25)
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == seconds * 25
        assert container.duration / av.time_base == pytest.approx(seconds, abs=0.05)


def test_a_browser_can_start_before_the_file_has_come() -> None:
    for name in CLIPS:
        data = (EXAMPLES / name).read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


def test_the_truth_agrees_with_itself() -> None:
    first, last = min(BOXES), max(BOXES)
    assert sorted(BOXES) == list(range(first, last + 1))
    assert (TRUTH["start_s"], TRUTH["end_s"]) == (first / 25, (last + 1) / 25)
    assert TRUTH["start_s"] > 7 and TRUTH["end_s"] < TRUTH["frames"] / 25 - 7
    assert 4 < TRUTH["end_s"] - TRUTH["start_s"] < 6
    boxes = np.array(list(BOXES.values()))
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] < 640).all() and (boxes[:, 3] < 360).all()
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert (TRUTH["entry"], TRUTH["exit"], TRUTH["direction"]) == ("left", "right", "right")
    assert boxes[0, 0] == 0 and boxes[-1, 2] == 639


def test_the_bicycle_is_where_the_truth_says_and_only_then() -> None:
    seen = 0
    for n, image in decoded("plaza.mp4", every=5):
        found = red(image)[FLOOR]
        if n not in BOXES:
            assert found.sum() < 8, n
            continue
        x0, y0, x1, y1 = BOXES[n]
        inside = found[max(y0 - 100, 0) : y1 - 99, x0 : x1 + 1].sum()
        assert found.sum() - inside < 8, n
        seen += bool(inside >= 30)
    assert seen >= 14


def test_the_normal_clip_has_no_bicycle() -> None:
    assert max(int(red(image)[FLOOR].sum()) for _, image in decoded("plaza_normal.mp4", every=20)) < 8


def test_the_script_still_draws_the_committed_frames(script: ModuleType) -> None:
    scene = script.build()
    for plan in (script.PLAZA, script.NORMAL):
        film = script.Film(plan, scene)
        for n, image in decoded(f"{plan.name}.mp4", stop=10):
            drawn, box = film.frame(n)
            off = np.abs(drawn.astype(int) - image).mean(2).reshape(45, 8, 80, 8).mean((1, 3))
            assert box is None
            assert off.mean() < MEAN_OFF and off.max() < BLOCK_OFF, (plan.name, n, off.mean(), off.max())
