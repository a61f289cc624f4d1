"""One table of heads and variants of heads: each trained with every seed, then measured once on what it has not seen.

    python -m training.temporal.compare W/train.jsonl --features W/features/train --test W/test.jsonl \\
        --test-features W/features/test --out runs/compare [ROW ...] [-- --steps 600 --lr 5e-4 --standard]
    python -m training.temporal.compare F --folds 5 --blocks --out runs/folds [ROW ...] [-- ...]

A ROW is a head, or a head with settings: "refinevad motar=false". Without any, every head. What stands after `--` are
flags of `tvad train temporal`, for every row. On a test list the figures are those of frames (`tvad eval`, raw scores,
no intervals); in folds those of whole videos, each scored by the models that have not seen its fold: a video's score is
the mean of its floor(n / 16) + 1 best snippets, and accuracy counts from the threshold that is best on the videos
trained on. --blocks: as in training/temporal/pooled.py. A run that was interrupted goes on. Next:
training/temporal/pooled.py
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.weak import WeakVideo, class_names, folds, read_videos, split_by_source
from training.evaluate_scores import evaluate
from training.metrics import auc
from training.score_figures import Protocol
from training.score_files import Prediction, VideoTruth
from training.temporal.batches import FeatureStore
from training.temporal.command import parse as parse_training
from training.temporal.evaluate import Scored, best_mean, score_video
from training.temporal.loop import Plan, TemporalTrainConfig, fit
from training.temporal.pooled import block_folds
from tvad.evidence import write_atomic
from tvad.temporal.registry import HEADS, SavedHead
from tvad.weights import MissingWeights

FRAMES = {"AUC": "micro_auc", "AP": "ap_step", "Ano-AUC": "ano_auc", "mAP AVG": "map_average", "video AUC": "video_auc"}
Pair = tuple[list[WeakVideo], list[WeakVideo]]  # to train on, held back


@dataclass(frozen=True)
class Row:
    """A line of the table. text: as it was given."""

    text: str
    plan: Plan
    training: TemporalTrainConfig
    share: float  # of the videos, held back to select on; 0: the last weights are measured

    @classmethod
    def of(cls, text: str, flags: Sequence[str]) -> "Row":
        """ "refinevad motar=false" and flags of the training. Ends the program where something is wrong."""
        head, *settings = text.split()
        # Where features and the head come to lie is not theirs to say.
        given = parse_training(
            ["--head", head, "--data", ".", "--out", ".", *flags, "--set", *settings], "tvad train temporal"
        )
        return cls(
            text, Plan(given.head, given.settings, given.text, given.reading, given.recipe), given.training, given.share
        )

    @property
    def folder(self) -> str:
        return re.sub(r"[^\w.=-]+", "_", self.text)

    def train(self, videos: list[WeakVideo], names: Sequence[str], out: Path, seed: int) -> SavedHead:
        config = replace(self.training, seed=seed)
        held: list[WeakVideo] = []
        if self.share:
            videos, held = split_by_source(videos, self.share, seed)
        validation = FeatureStore(held, names) if held else None
        return fit(self.plan, FeatureStore(videos, names), validation, out, config, say=lambda line: None)


def on_test(row: Row, pair: Pair, out: Path, seed: int) -> dict[str, float]:
    """Figures of frames of the test list."""
    names = class_names(pair[0])
    saved = row.train(pair[0], names, out / row.folder / f"seed{seed}", seed)
    predictions = {v.name: _prediction(v, s, saved) for v, s in scored(saved, pair[1], names)}
    truth = [VideoTruth(v.name, v.frames, v.fps, v.labels, v.segments or ()) for v in pair[1]]
    found = evaluate(predictions, truth, Protocol(draws=0))["figures"]["raw"]
    return {name: found[key]["value"] for name, key in FRAMES.items() if key in found}


def in_folds(row: Row, pairs: Sequence[Pair], out: Path, seed: int) -> dict[str, float]:
    """Figures of whole videos."""
    names = class_names([*pairs[0][0], *pairs[0][1]])
    scores, truth, right, each = [], [], [], []
    for n, (videos, held) in enumerate(pairs):
        saved = row.train(videos, names, out / row.folder / f"seed{seed}" / f"fold{n}", seed)
        own, known = _of_videos(saved, held, names), _of_videos(saved, videos, names)
        limit = best_threshold(*known)
        scores.append(own[0])
        truth.append(own[1])
        right.append((own[0] >= limit) == own[1])
        each.append(auc(*own))
    whole = auc(np.concatenate(scores), np.concatenate(truth))
    right_all, truth_all = np.concatenate(right), np.concatenate(truth)
    balanced = (right_all[truth_all].mean() + right_all[~truth_all].mean()) / 2
    return {
        "video AUC": whole,
        "mean of folds": float(np.mean(each)),
        "worst fold": float(np.min(each)),
        "accuracy": float(right_all.mean()),
        "balanced": float(balanced),
    }


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The score from which calling videos anomalous is right most often, both kinds counting alike; between two."""
    order = np.sort(np.unique(scores))
    limits = np.concatenate([order[:1], (order[1:] + order[:-1]) / 2])
    gain = [(scores[truth] >= limit).mean() + (scores[~truth] < limit).mean() for limit in limits]
    return float(limits[int(np.argmax(gain))])


def scored(saved: SavedHead, videos: Sequence[WeakVideo], names: Sequence[str]) -> Iterator[tuple[WeakVideo, Scored]]:
    """Every video with its scores."""
    every = tuple(dict.fromkeys([*names, *class_names(videos)]))
    store = FeatureStore(videos, every)
    for video in videos:
        yield video, score_video(saved.head, store.whole(video))


def _of_videos(saved: SavedHead, videos: Sequence[WeakVideo], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    found = [best_mean(s.scores) for _, s in scored(saved, videos, names)]
    return np.array(found), np.array([bool(v.labels) for v in videos])


def _prediction(video: WeakVideo, found: Scored, saved: SavedHead) -> Prediction:
    if found.class_probs is None:
        return Prediction(found.scores, frames=video.frames)
    return Prediction(found.scores, found.class_probs, saved.names, video.frames)


def lines(table: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """A Markdown table: row -> figures of each seed, as mean and deviation."""
    columns = list(dict.fromkeys(name for runs in table.values() for run in runs for name in run))
    yield f"| head | {' | '.join(columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for text, runs in table.items():
        cells = []
        for name in columns:
            values = np.array([run[name] for run in runs if name in run])
            scale = 1 if name.startswith("mAP") else 3
            said = f"{values.mean():.{scale}f} ±{values.std():.{scale}f}" if len(values) else "-"
            cells.append(said)
        yield f"| {text} | {' | '.join(cells)} |"


def divided(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command's own arguments, and the flags of the training behind `--`."""
    at = list(argv).index("--") if "--" in argv else len(argv)
    return list(argv[:at]), list(argv[at + 1 :])


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    own, flags = divided(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", type=Path, help="videos: a list, a table, or a folder a label")
    add("rows", nargs="*", metavar="ROW", default=[], help='a head, or "head key=value ..."; default: every head')
    add("--features", type=Path, metavar="FOLDER")
    add("--test", type=Path, metavar="LIST", help="measure on this list, by frames")
    add("--test-features", type=Path, metavar="FOLDER")
    add("--folds", type=int, default=5, help="without --test: folds of the data, by source")
    add("--blocks", action="store_true", help="folds are stretches of names")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--out", type=Path, required=True, metavar="FOLDER", help="the runs, and table.json")
    given = parser.parse_intermixed_args(own)
    rows = [Row.of(text, flags) for text in given.rows or HEADS]
    table: dict[str, list[dict[str, float]]] = {}
    try:
        videos = read_videos(given.data, given.features)
        if given.test:
            test = read_videos(given.test, given.test_features or given.features)
        else:
            pairs = block_folds(videos, given.folds) if given.blocks else folds(videos, given.folds)
        for row in rows:
            for seed in given.seeds:
                if given.test:
                    found = on_test(row, (videos, test), given.out, seed)
                else:
                    found = in_folds(row, pairs, given.out, seed)
                table.setdefault(row.text, []).append(found)
                told = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
                print(f"{row.text}, seed {seed}: {told}", file=sys.stderr, flush=True)
    except (MissingWeights, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4 if isinstance(error, MissingWeights) else 2
    said: dict[str, Any] = {"data": str(given.data.name), "flags": flags, "seeds": given.seeds, "rows": table}
    write_atomic(given.out / "table.json", lambda file: file.write(f"{json.dumps(said, indent=1)}\n".encode()))
    print("\n".join(lines(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
