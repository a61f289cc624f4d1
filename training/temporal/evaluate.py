"""Scores of whole videos by a trained head, for the evaluation, and the figures a training is selected by.

    python -m training.temporal.evaluate HEAD --data LIST --features FOLDER --out PREDICTIONS
    python -m training.evaluate_scores PREDICTIONS --truth TRUTH

Writes PREDICTIONS/NAME.npz a video: scores (n,), one a snippet; from heads that know classes class_probs (n, C + 1) and
class_names (C + 1,), normal first; frames, where they are known. Crops are scored one by one and averaged (--crops
first: the first alone, as VadCLIP and DSANet do). Bad input ends with one line and exit code 2, missing weights 4.
Next: training/temporal/state.py
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from training.datasets.weak import WeakVideo, read_videos
from training.metrics import auc, micro_auc, repeat_snippets
from training.temporal.batches import FeatureStore, segment_means
from tvad.evidence import write_atomic
from tvad.temporal.base import TemporalHead
from tvad.temporal.constants import SNIPPET
from tvad.temporal.mil_ranking import paint
from tvad.temporal.reading import inner, width_of
from tvad.temporal.registry import SavedHead, load_head
from tvad.weights import MissingWeights

BLOCK = 2048  # snippets, 18 minutes at 30 frames a second
UNIT = 256  # blocks are whole numbers of the local-global adapter's own
CROPS = ("mean", "first")


class Scored(NamedTuple):
    """scores (n,) in [0, 1], class_probs (n, C + 1) or None; float32. With `Scoring.frames` and a head that has scores
    of frames: scores (16 * n,) and no class_probs."""

    scores: np.ndarray
    class_probs: np.ndarray | None


@dataclass(frozen=True)
class Scoring:
    """How whole videos are scored. block: a longer video is cut into pieces of so many snippets at most, each for
    itself: memory does not grow with its length. segments: it is brought to so many means first, whose scores are
    painted on its snippets, as Sultani et al. do with 32; 0 scores the snippets themselves. frames: where a head has a
    way of its own from its levels to frames (AFR), take it."""

    block: int = BLOCK
    segments: int = 0
    crops: str = "mean"
    frames: bool = False

    def __post_init__(self) -> None:
        if self.block < 1 or self.segments < 0:
            raise ValueError(f"block is {self.block}, segments is {self.segments}; at least 1, at least 0")
        if self.crops not in CROPS:
            raise ValueError(f"crops is {self.crops!r}; choose one of {', '.join(CROPS)}")


def score_video(head: TemporalHead, features: np.ndarray, scoring: Scoring | None = None) -> Scored:
    """Scores of (crops, n, D), or (n, D); on the device where the head is, in eval()."""
    scoring = scoring or Scoring()
    crops = features[None] if features.ndim == 2 else features
    crops = crops[:1] if scoring.crops == "first" else crops
    training = head.training
    head.eval()
    try:
        parts = [_score(head, crop, scoring) for crop in crops]
    finally:
        head.train(training)
    probs = [part.class_probs for part in parts if part.class_probs is not None]
    return Scored(np.stack([part.scores for part in parts]).mean(0), np.stack(probs).mean(0) if probs else None)


def block_edges(steps: int, block: int = BLOCK) -> list[int]:
    """Where the pieces of a video begin, and its end. They are as long as each other, nearly: none is a mere rest."""
    pieces = -(-steps // block)
    size = -(-steps // pieces)
    if size < steps and block >= UNIT:
        size = min(-(-size // UNIT) * UNIT, block // UNIT * UNIT)
    return [*range(0, steps, size), steps]


def _score(head: TemporalHead, x: np.ndarray, scoring: Scoring) -> Scored:
    """Of one crop, (n, D)."""
    device = next(head.parameters()).device
    short = segment_means(x, scoring.segments) if scoring.segments else x
    at = block_edges(len(short), scoring.block)
    scores, probs = [], []
    with torch.no_grad():
        for begin, end in pairwise(at):
            part = torch.from_numpy(short[begin:end])[None].to(device)
            mask = torch.ones(1, end - begin, dtype=torch.bool, device=device)
            out = head(part, mask)
            own = getattr(inner(head), "frame_scores", None) if scoring.frames else None
            scores.append((out.scores if own is None else own(out, mask))[0].float().cpu())
            if out.class_probs is not None:
                probs.append(out.class_probs[0].float().cpu())
    found = [torch.cat(scores)] + ([torch.cat(probs)] if probs else [])
    if scoring.segments:
        found = [paint(values, len(x)) for values in found]
    scored = Scored(found[0].numpy(), found[1].numpy() if probs else None)
    if not all(np.isfinite(values).all() for values in scored if values is not None):
        raise ValueError("the head's scores are not finite")
    return scored


# Selection


def selection(head: TemporalHead, store: FeatureStore, scoring: Scoring | None = None) -> dict[str, float]:
    """Figures of labelled videos: video_auc, of the mean of a video's floor(n / 16) + 1 best scores; frame_auc, micro,
    where the segments of all are known; gap, mean video score of anomalous videos less that of normal ones."""
    scored = [score_video(head, store.whole(video), scoring).scores for video in store.videos]
    labels = np.array([bool(video.labels) for video in store.videos])
    best = np.array([best_mean(s) for s in scored])
    figures = {"video_auc": auc(best, labels), "gap": float(best[labels].mean() - best[~labels].mean())}
    if has_segments(store.videos):
        truth = [frame_labels(video, len(s)) for video, s in zip(store.videos, scored, strict=True)]
        frames = [repeat_snippets(s, len(y), SNIPPET) for s, y in zip(scored, truth, strict=True)]
        figures["frame_auc"] = micro_auc(frames, truth)
    return figures


def best_mean(scores: np.ndarray) -> float:
    """Score of a video: the mean of its floor(n / 16) + 1 best snippets."""
    return float(np.sort(scores)[-(len(scores) // 16 + 1) :].mean())


def has_segments(videos: Sequence[WeakVideo]) -> bool:
    """Whether it is known of every video where its anomalies are."""
    return all(video.segments is not None for video in videos)


def frame_labels(video: WeakVideo, snippets: int) -> np.ndarray:
    """(frames,) bool, of the video's frames or else 16 a snippet."""
    out = np.zeros(video.frames or SNIPPET * snippets, bool)
    for start, end, _ in video.segments or ():
        out[start:end] = True
    return out


# Predictions


def write_prediction(folder: Path, video: WeakVideo, scored: Scored, names: Sequence[str]) -> Path:
    """One NAME.npz, whole or not at all."""
    arrays: dict[str, np.ndarray] = {"scores": scored.scores}
    if scored.class_probs is not None:
        arrays |= {"class_probs": scored.class_probs, "class_names": np.array(list(names))}
    if video.frames is not None:
        arrays["frames"] = np.array(video.frames)
    path = folder / f"{video.name}.npz"
    write_atomic(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
    return path


def predict(saved: SavedHead, videos: Sequence[WeakVideo], out: Path, scoring: Scoring | None = None) -> list[Path]:
    """Scores of all videos, a file each. ValueError for features that are not of the head's width."""
    names = tuple(dict.fromkeys([*saved.names, *(label for video in videos for label in video.labels)]))
    store = FeatureStore(videos, names, cache_bytes=0)
    width = width_of(saved.head)
    if store.width != width:
        raise ValueError(f"features of width {store.width} in {store.items[0].file}; the head wants {width}")
    written = []
    for video in videos:
        scored = score_video(saved.head, store.whole(video), scoring)
        steps = store.shapes[video.features[0]][1]
        if scored.scores.size != steps:  # of frames
            frames = video.frames or SNIPPET * steps
            scored = Scored(repeat_snippets(scored.scores, frames, 1), None)
            video = replace(video, frames=frames)
        written.append(write_prediction(out, video, scored, saved.names))
    return written


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("head", type=Path, metavar="HEAD", help="folder of a trained head")
    add("--data", type=Path, required=True, metavar="LIST", help="videos: a list, a table, or a folder a label")
    add("--features", type=Path, metavar="FOLDER", help="where their files are; that of the list if not given")
    add("--normal-label", nargs="*", default=[], metavar="LABEL", help="further labels that mean normal")
    add("--out", type=Path, required=True, metavar="FOLDER")
    add("--block", type=int, default=BLOCK, help="snippets that are scored at once")
    add("--segments", type=int, default=0, help="score so many means of a video instead of its snippets")
    add("--crops", choices=CROPS, default="mean")
    given = parser.parse_args(argv)
    try:
        saved = load_head(given.head)
        videos = read_videos(given.data, given.features, given.normal_label)
        saved.head.to("cuda" if torch.cuda.is_available() else "cpu")
        written = predict(saved, videos, given.out, Scoring(given.block, given.segments, given.crops))
    except (MissingWeights, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4 if isinstance(error, MissingWeights) else 2
    print(f"{len(written)} videos scored by {saved.name}: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
