"""The simplest detector of videos: logistic regression on features pooled over each video, in folds of sources.

    tvad extract ../shared/data/fight_surv/fight -o F/fight; tvad extract ../shared/data/fight_surv/noFight -o F/normal
    python -m training.temporal.pooled F [--columns busiest flow busiest+flow ...] [--folds 5] [--blocks]

What a trained head must be better than. --blocks: neighbours by name are of one source, a fold is a stretch of names
(numbered pieces of the same footage lie side by side). Prints the AUC over all videos, each scored by the model that
has not seen its fold, and mean and spread of the folds. Next: training/temporal/evaluate.py
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.datasets.weak import WeakVideo, folds, read_videos
from training.datasets.weak_files import read_features
from training.metrics import auc
from tvad.encoder import C_APPEARANCE
from tvad.temporal.movement import NAMES, WHOLE
from tvad.temporal.snippets import COMPANY, DIM, DIM_FLOW, FLOW, FRAME

LOOKS = FRAME + C_APPEARANCE
COLUMNS = {
    "all": slice(0, DIM),
    "frame": slice(0, FRAME),
    "moved": slice(FRAME, LOOKS),
    "whole": slice(LOOKS, LOOKS + len(WHOLE)),
    "busiest": slice(LOOKS + len(WHOLE), LOOKS + len(NAMES)),
    "flow": FLOW,
    "people": COMPANY,
    "busiest+flow": slice(LOOKS + len(WHOLE), DIM_FLOW),
    "flow+people": slice(FLOW.start, DIM),
    "busiest+flow+people": slice(LOOKS + len(WHOLE), DIM),
}
STRENGTH = 0.01  # inverse of the penalty


def block_folds(videos: Sequence[WeakVideo], k: int) -> list[tuple[list[WeakVideo], list[WeakVideo]]]:
    """k pairs of the rest and the videos held back; fold n holds the n-th stretch of names of each class."""
    of: dict[str, int] = {}
    for kind in {v.labels for v in videos}:
        own = sorted((v for v in videos if v.labels == kind), key=lambda v: v.name)
        of |= {v.name: n * k // len(own) for n, v in enumerate(own)}
    return [([v for v in videos if of[v.name] != n], [v for v in videos if of[v.name] == n]) for n in range(k)]


def pooled(video: WeakVideo, columns: slice) -> np.ndarray:
    """Mean over the snippets of its first crop."""
    return read_features(video.features[0]).reshape(-1, DIM)[:, columns].mean(0)


def scores(
    parts: Sequence[tuple[list[WeakVideo], list[WeakVideo]]], columns: slice
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and truth (n,) of the videos held back, fold by fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept = {v.name: pooled(v, columns) for v in parts[0][0] + parts[0][1]}
    out = []
    for train, held in parts:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=3000))
        model.fit(np.stack([kept[v.name] for v in train]), [bool(v.labels) for v in train])
        found = model.decision_function(np.stack([kept[v.name] for v in held]))
        out.append((np.asarray(found), np.array([bool(v.labels) for v in held])))
    return out


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--columns", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--blocks", action="store_true")
    given = parser.parse_args()
    videos = read_videos(given.data)
    parts = block_folds(videos, given.folds) if given.blocks else folds(videos, given.folds)
    for name in given.columns:
        found = scores(parts, COLUMNS[name])
        each = [auc(s, y) for s, y in found]
        all_ = auc(*(np.concatenate(column) for column in zip(*found, strict=True)))
        print(f"{name}: AUC {all_:.3f}; of the {len(each)} folds {np.mean(each):.3f} ±{np.std(each):.3f}", flush=True)


if __name__ == "__main__":
    main()
