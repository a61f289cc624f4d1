"""Pseudo labels of snippets from an image-text model, for AFR (2025 preprint), made as CMSIL (ICME 2024) makes them.

    looks = [class_share(class_probabilities(images, texts), labels) for each backbone]
    N = pseudo_labels(looks, every, frames)          (snippets,) in [0, 1], zeros for a normal video

Arrays in, arrays out: which backbones look, at how many pictures a second, is the caller's. Next: tvad/detector.py
"""

from collections.abc import Sequence

import numpy as np

from tvad.temporal.constants import SNIPPET

THRESHOLD = 0.45  # above it a snippet counts as anomalous
RUN, COVERED, TRIES = 5, 0.5, 200


def class_probabilities(
    images: np.ndarray, texts: np.ndarray, scale: float = 100.0, normal: np.ndarray | None = None
) -> np.ndarray:
    """Softmax over the anomaly classes of scale · cos: images (F, d), texts (C, d) -> (F, C) float64.

    With one class that would be 1 everywhere, so `normal` (d,), the text of normal, stands against it (ours).
    ValueError where it is missing then, and for shapes that do not fit.
    """
    if images.ndim != 2 or texts.ndim != 2 or images.shape[1] != texts.shape[1] or not len(texts):
        raise ValueError(f"images {images.shape} and texts {texts.shape}; expected (F, d) and (C, d), C at least 1")
    if len(texts) == 1:
        if normal is None or normal.shape != texts.shape[1:]:
            shape = None if normal is None else normal.shape
            raise ValueError(f"one class needs the text of normal ({texts.shape[1]},) beside it; normal is {shape}")
        texts = np.concatenate([texts, normal[None]])
        return _softmax(scale * _cosines(images, texts))[:, :1]
    return _softmax(scale * _cosines(images, texts))


def class_share(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of the video's own classes together: (F, C), labels (C,) of 0 and 1 without normal -> (F,)."""
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[1:]:
        raise ValueError(f"labels {labels.shape} for probabilities {probabilities.shape}; expected (C,) for (F, C)")
    return probabilities @ labels.astype(np.float64)


def spread_to_frames(values: np.ndarray, every: float, frames: int) -> np.ndarray:
    """Linear between samples: (F,) -> (frames,). every: frames from one sample to the next (30 fps looked at 5 times a
    second: 6.0); sample j is of frame j · every. The last value holds to the end."""
    if values.ndim != 1 or not len(values) or not every > 0 or frames < 1:
        raise ValueError(f"values {values.shape}, every {every}, frames {frames}; expected (F,), above 0, at least 1")
    return np.interp(np.arange(frames), np.arange(len(values)) * every, values)


def unit_range(values: np.ndarray) -> np.ndarray:
    """Smallest to 0, largest to 1; zeros for a constant (ours: nothing in such a video stands out)."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values, np.float64)


def snippet_maxima(values: np.ndarray, snippets: int | None = None) -> np.ndarray:
    """Largest of the 16 frames of each snippet: (N,) -> (ceil(N / 16),), or (snippets,): cut, or the last held."""
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values {values.shape}; expected (N,), N at least 1")
    maxima = np.maximum.reduceat(values, np.arange(0, len(values), SNIPPET))
    if snippets is None:
        return maxima
    return np.pad(maxima, (0, max(0, snippets - len(maxima))), mode="edge")[:snippets]


def pseudo_labels(
    looks: Sequence[np.ndarray], every: float, frames: int, snippets: int | None = None, normal: bool = False
) -> np.ndarray:
    """looks: `class_share` of each backbone, (F,) each -> (snippets,) float32 in [0, 1].

    Each is spread over the frames and brought to [0, 1], then their mean is again; a snippet has the largest of its
    frames. normal: the video is, so all is 0.
    """
    if not looks:
        raise ValueError("no backbone has looked; give at least one series")
    parts = [unit_range(spread_to_frames(look, every, frames)) for look in looks]
    out = snippet_maxima(unit_range(np.mean(parts, 0)), snippets).astype(np.float32)
    return np.zeros_like(out) if normal else out


def runs_above(labels: np.ndarray, threshold: float = THRESHOLD, least: int = RUN) -> np.ndarray:
    """Runs of at least `least` snippets above the threshold: (T,) -> (R, 2) of begin and end, the end not in it."""
    edges = np.diff(np.concatenate([[0], (labels > threshold).astype(np.int8), [0]]))
    runs = np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], 1)
    return runs[runs[:, 1] - runs[:, 0] >= least]


def training_window(
    length: int,
    steps: int,
    dice: np.random.Generator,
    labels: np.ndarray | None = None,
    threshold: float = THRESHOLD,
) -> int:
    """First snippet of the window of `steps` that a video of `length` snippets is learned from; 0 if it is no longer.

    labels (length,): pseudo labels of an anomalous video; the window is drawn until it covers half of one of
    `runs_above`, at most 200 times, else the last one drawn stays. None for a normal video: any window.
    """
    if length < 1 or steps < 1 or (labels is not None and labels.shape != (length,)):
        shape = None if labels is None else labels.shape
        raise ValueError(f"length {length}, steps {steps}, labels {shape}; expected at least 1, at least 1, (length,)")
    if length <= steps:
        return 0
    runs = np.empty((0, 2), np.int64) if labels is None else runs_above(labels, threshold)
    if not len(runs):
        return int(dice.integers(0, length - steps + 1))
    starts = dice.integers(0, length - steps + 1, TRIES)
    ends = np.minimum(starts[:, None] + steps, runs[None, :, 1])
    covered = (ends - np.maximum(starts[:, None], runs[None, :, 0])) / (runs[:, 1] - runs[:, 0])
    good = np.flatnonzero((covered >= COVERED).any(1))
    return int(starts[good[0] if len(good) else -1])


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    def unit(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float64)
        return x / np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12)

    return unit(a) @ unit(b).T


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
