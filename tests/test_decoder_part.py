"""The decoder in the product: the graph gives what torch gives, and a stream what the whole gives."""

from collections.abc import Iterator
from pathlib import Path

import decoder_fakes as fakes
import numpy as np
import pytest
import torch

from heatmap.prompts import Text
from training.heatmap.data import as_batch
from training.heatmap.model import mini_config, new_decoder, write_checkpoint
from training.heatmap.words import general
from tvad.classifier import N_CLASSES
from tvad.decoder_part import DecoderPart, HeatDecoder, frame_level
from tvad.decoder_taps import MOTION, Taps, TapsStream
from tvad.encoder import C_APPEARANCE, Features
from tvad.watcher import Thing
from tvad.weights import MissingWeights

SIZE_WH = (96, 64)
GRID = (8, 12)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from fakes.without_network(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this file's checkpoint and cache: a graph takes seconds to make."""
    return tmp_path_factory.mktemp("decoder")


@pytest.fixture
def checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVAD_CACHE", str(folder / "cache"))
    if not (folder / "model").exists():
        decoder = new_decoder(mini_config(hidden=8, context=3), seed=1)
        with torch.no_grad():
            for p in decoder.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
        write_checkpoint(folder / "model", decoder, {"step": 0})
    return folder / "model"


def text() -> Text:
    return Text(fakes.embed(["person", "bag"]), fakes.embed(["bicycle", "cart", "fire"]))


def features(times_s: np.ndarray, seed: int = 0) -> Features:
    shape = (len(times_s), *GRID)
    rng = np.random.default_rng(seed)
    return Features(
        rng.normal(0, 0.1, (*shape, C_APPEARANCE)).astype(np.float32),
        rng.normal(0, 0.2, (*shape, 4)).astype(np.float32),
        rng.random(shape, np.float32),
        rng.random(shape, np.float32),
        np.zeros((len(times_s), 224), np.float32),
        times_s,
        np.zeros((*shape, 0), np.float16),
    )


def thing(identity: int, start_s: float, seconds: float, class_index: int | None = 444, speed_px: float = 5.0) -> Thing:
    """It goes to the right from x = 10; looked at every second as one class of the classifier."""
    out = Thing(identity)
    for t in np.arange(start_s, start_s + seconds, 0.125).tolist():
        x = 10 + speed_px * (t - start_s)
        out.boxes.append((x, 20.0, x + 10, 44.0))
        out.times_s.append(t)
        out.area.append(0.03)
        if class_index is not None and (t - start_s) % 1.0 == 0:
            logits = np.zeros(N_CLASSES, np.float16)
            logits[class_index] = 20
            out.look_times_s.append(t)
            out.logits.append(logits)
    return out


def test_the_graph_says_what_torch_says(checkpoint: Path) -> None:
    from heatmap.decoder import HeatmapDecoder

    clip = fakes.clip(0, anomalous=True)
    asked = general(clip)
    decoder, exported = HeatmapDecoder.load(checkpoint), HeatDecoder(checkpoint, threads=1, precision="f32")
    batch = as_batch(clip, [asked])
    with torch.no_grad():
        expected = decoder([x.flatten(0, 1)[None, :4] for x in batch.taps], batch.text, batch.words).level[0].numpy()
    found = exported.levels(clip.taps.pick(slice(0, 4)), asked.text)
    assert expected.std() > 0.5
    assert found == pytest.approx(expected, abs=1e-2)
    single = Text(asked.text.normal[:1], asked.text.abnormal[:1])
    assert exported.levels(clip.taps, single).shape == (8, *fakes.GRID)


def test_an_absent_checkpoint_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="tvad train heatmap"):
        HeatDecoder(tmp_path)


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_a_stream_gives_every_frame_once_and_what_the_whole_gives(checkpoint: Path, piece: int) -> None:
    decoder = HeatDecoder(checkpoint, threads=1, precision="f32")
    times = np.arange(50) / 8
    whole = features(times)
    things = [thing(1, 1.0, 3.0)]

    def levels(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part = DecoderPart(decoder, text(), SIZE_WH, delay_s=100)
        found = []
        for a in range(0, 50, step):
            rows = slice(a, a + step)
            found += part.push(Features(*(getattr(whole, k)[rows] for k in Features.__dataclass_fields__)), things)
        found += part.finish([])
        return tuple(np.concatenate([getattr(f, k) for f in found]) for k in ("level", "frame", "times_s"))  # type: ignore[return-value]

    level, frame, at = levels(piece)
    assert np.array_equal(at, times)
    assert level.shape == (50, *GRID) and level.dtype == np.float32
    assert level == pytest.approx(levels(50)[0], abs=2e-2)
    assert frame == pytest.approx(frame_level(level))


def test_frames_come_after_the_delay_and_memory_stays_bounded() -> None:
    stream = TapsStream(SIZE_WH, delay_s=4.0)
    given, back = 0.0, -1.0
    for k in range(40):
        times = k + np.arange(8) / 8
        pieces = list(stream.push(features(times), [thing(k, float(k), 0.9)]))
        given = float(times[-1])
        for taps in pieces:
            assert taps.times_s[0] > back
            back = float(taps.times_s[-1])
        if k > 10:
            assert 4.0 <= given - back <= 4.0 + 2 * 2.0 + 0.2
        assert len(stream._waiting) < 8 * 9 and len(stream._past) <= 8 * 10 and len(stream._things) < 16
    rest = list(stream.finish([]))
    assert rest[-1].times_s[-1] == given


def test_things_are_painted_where_they_are_with_what_was_seen_in_them() -> None:
    stream = TapsStream(SIZE_WH)
    times = np.arange(16) / 8
    list(stream.push(features(times), [thing(1, 0.0, 2.0, 444), thing(2, 0.5, 0.5, None, speed_px=0.0)]))
    (taps,) = stream.finish([])
    from tvad.decoder_taps import class_vectors

    inside = taps.presence[8].astype(float)
    y, x = (np.average(v, weights=inside) + 0.5 for v in np.mgrid[: GRID[0], : GRID[1]])
    assert x * 8 == pytest.approx(20, abs=3) and y * 8 == pytest.approx(32, abs=3)
    best = np.unravel_index(inside.argmax(), GRID)
    seen = taps.look[(8, *best)]
    assert seen[-1] == pytest.approx(inside.max(), abs=1e-3)
    direction = seen[:-1] / np.linalg.norm(seen[:-1])
    own = class_vectors()[444] / np.linalg.norm(class_vectors()[444])
    assert direction @ own > 0.95
    moved = taps.motion[8].astype(float)
    speed = moved[best][MOTION.index("own speed")]
    assert speed**2 == pytest.approx(5 / 24, rel=0.1)  # 5 px a second, 24 px high
    assert taps.motion[8][inside == 0][:, MOTION.index("own speed") :].astype(float).any() == False  # noqa: E712


def test_what_stands_says_for_how_long_and_its_height_is_that_of_others() -> None:
    stream = TapsStream(SIZE_WH)
    times = np.arange(32) / 8
    list(stream.push(features(times), [thing(1, 0.0, 4.0, None, speed_px=0.0)]))
    taps = Taps.join(list(stream.finish([])))
    best = np.unravel_index(taps.presence[20].argmax(), GRID)
    values = taps.motion[(slice(None), *best)].astype(float)
    assert values[24, MOTION.index("standing")] == pytest.approx(np.log1p(3.0), abs=0.05)
    assert values[24, MOTION.index("own speed")] == pytest.approx(0, abs=1e-3)
    assert values[24, MOTION.index("relative height")] == pytest.approx(0, abs=1e-3)


def test_pieces_join_with_their_own_vectors() -> None:
    a, b = fakes.clip(0, True).taps, fakes.clip(1, True).taps
    joined = Taps.join([a, b])
    assert len(joined) == 16
    assert np.array_equal(joined.look[:8], a.look) and np.array_equal(joined.look[8:], b.look)


def test_a_frame_s_level_is_the_mean_of_its_hottest_cells() -> None:
    level = np.zeros((2, 20, 20), np.float32)
    level[1, 3, 4:8] = [1, 2, 3, 4]
    assert frame_level(level).tolist() == [0.0, 2.5]
