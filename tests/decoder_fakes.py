"""Small cached clips and a text encoder of a kind, for tests of the decoder's training."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from training.datasets.truth import ClipTruth, Target
from training.heatmap.features import CachedClip
from tvad.decoder_taps import C_COARSE, C_FINE, MOTION, Taps
from tvad.minilm import WIDTH

GRID = (4, 6)


def embed(phrases: Sequence[str]) -> np.ndarray:
    """(N, 384) unit vectors that depend on the phrase and are about orthogonal."""
    seeds = [int.from_bytes(hashlib.sha256(p.encode()).digest()[:8], "little") for p in phrases]
    x = np.stack([np.random.default_rng(s).standard_normal(WIDTH) for s in seeds]) if seeds else np.zeros((0, WIDTH))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put `embed` in MiniLM's place, everywhere; for fixtures."""
    from training.heatmap import words
    from tvad import decoder_taps, minilm

    def forget() -> None:
        words._vocabulary.cache_clear()
        decoder_taps.class_vectors.cache_clear()

    forget()
    for module in (words, decoder_taps, minilm):
        monkeypatch.setattr(module, "embed", embed)
    yield
    forget()


def target(identity: int, noun: str, anomaly: str | None, action: str = "walks") -> Target:
    spans = ((0.0, 100.0),) if anomaly else ()
    return Target(identity, noun, anomaly, spans, action, {}, "", (0.0,), ((0.0, 0.0, 1.0, 1.0),), (1.0,))


def truth(targets: tuple[Target, ...], name: str = "drawn") -> ClipTruth:
    return ClipTruth(name, name, "train", "plaza", (), 8.0, (96, 64), 3.0, targets)


def clip(seed: int, anomalous: bool, frames: int = 8, real: bool = False) -> CachedClip:
    """A walker, and on demand a cyclist: two cells that move fast and look like a bicycle. Of real footage no target
    is known."""
    rng = np.random.default_rng(seed)
    h, w = GRID
    fine, coarse = rng.normal(0, 0.1, (frames, h, w, C_FINE)), rng.normal(0, 0.1, (frames, h // 2, w // 2, C_COARSE))
    motion = np.zeros((frames, h, w, len(MOTION)))
    thing = np.zeros((frames, h, w), np.int16)
    cover = np.zeros((1 + anomalous, frames, h, w), np.uint8)
    for t in range(frames):
        places = rng.permutation(h * (w - 1))[:2]
        for i, place in enumerate(places[: 1 + anomalous]):
            y, x = divmod(int(place), w - 1)
            cover[i, t, y, x : x + 2] = 200
            thing[t, y, x : x + 2] = i + 1
            motion[t, y, x : x + 2, MOTION.index("own speed")] = 0.5 + 1.5 * i
            motion[t, y, x : x + 2, MOTION.index("own vx")] = 0.5 + 1.5 * i
    # Where both lie on each other the one painted last is seen.
    vectors = np.concatenate([np.zeros((1, WIDTH)), embed(["person", "bicycle"])])
    half = np.float16
    taps = Taps(
        fine.astype(half),
        coarse.astype(half),
        motion.astype(half),
        thing,
        (thing > 0).astype(half),
        vectors.astype(half),
        np.arange(frames) / 8.0,
    )
    targets = (target(1, "person", None), *([target(2, "cyclist", "cycling", "rides a bicycle")] if anomalous else []))
    if real:
        return CachedClip(taps, cover[:0], np.zeros(0, np.int32), truth((), f"clip{seed}"), real)
    return CachedClip(taps, cover, np.array([t.id for t in targets], np.int32), truth(targets, f"clip{seed}"), real)
