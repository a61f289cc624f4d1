"""The papers' protocol in one command: train heads on a published list of features, score its test list, measure.

    python -m training.temporal.papers ../shared/data/ucf_crime/lists --features UCFClipFeatures --out runs/ucf
    python -m training.temporal.papers LISTS --features XDFeatures --out runs/xd vadclip "dsanet parts=" -- --epochs 10

LISTS holds the lists as the field has them: ucf_CLIP_rgb.csv, ucf_CLIP_rgbtest.csv and Temporal_Anomaly_Annotation.txt,
or xd_CLIP_rgb.csv, xd_CLIP_rgbtest.csv and annotations.txt. Their paths are another machine's: a file is found by the
end of its path below --features. A ROW is a head, or a head with settings; none: every head, with the settings
published for the data set. What stands after `--` are flags of `tvad train temporal`. Every crop of the training list
is an item of its own, 15 % of the videos are held back to select on, never the test list; it is measured once, by the
reference alignment and mAP of the data set. Videos are scored whole, as published: by 32 segments for MIL ranking, by
AFR's own way from its levels to frames. --gt: the 16 * n labels of all test videos one after
the other (gt_ucf.npy, gt.npy of VadCLIP), measured beside the annotation. A run that was interrupted goes on.
Next: training/temporal/compare.py
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.datasets.weak import read_videos
from training.evaluate_scores import evaluate
from training.metrics import auc, average_precision
from training.score_figures import SNIPPET, Protocol
from training.score_files import Prediction, read_predictions, read_truth
from training.temporal.command import main as train
from training.temporal.command import parse
from training.temporal.compare import FRAMES, divided, lines
from training.temporal.evaluate import Scoring, predict
from tvad.temporal.mil_ranking import SEGMENTS
from tvad.temporal.registry import HEADS, UCF, XD, load_head
from tvad.weights import MissingWeights


@dataclass(frozen=True)
class DataSet:
    """Names of its files, the recipe of its settings, and how its mAP is counted."""

    train: str
    test: str
    truth: str
    recipe: str
    map_mode: str


SETS = (
    DataSet("ucf_CLIP_rgb.csv", "ucf_CLIP_rgbtest.csv", "Temporal_Anomaly_Annotation.txt", UCF, "reference_ucf"),
    DataSet("xd_CLIP_rgb.csv", "xd_CLIP_rgbtest.csv", "annotations.txt", XD, "reference_xd"),
)


WHOLE = 1 << 20  # snippets: longer than any video of either data set
SCORINGS = {"mil_ranking": Scoring(WHOLE, SEGMENTS), "afr": Scoring(WHOLE, frames=True)}


def set_of(folder: Path) -> DataSet:
    """The data set whose lists a folder holds. ValueError where some are missing."""
    for own in SETS:
        if (folder / own.train).is_file():
            for name in (own.test, own.truth):
                if not (folder / name).is_file():
                    raise ValueError(f"{folder} holds {own.train} without {name}")
            return own
    raise ValueError(f"{folder}: expected {' or '.join(own.train for own in SETS)}")


def against_frames(predictions: Mapping[str, Prediction], order: Sequence[str], gt: np.ndarray) -> dict[str, float]:
    """AUC and AP against labels of frames (16 * n of all videos in `order`,). ValueError where there are others."""
    given = [predictions[name] for name in order]
    # What holds as many scores as frames says so (AFR).
    scores = np.concatenate([np.repeat(p.scores, 1 if p.frames == p.scores.size else SNIPPET) for p in given])
    if gt.shape != scores.shape or not np.isin(gt, (0, 1)).all():
        raise ValueError(f"labels of frames {gt.shape}; expected {scores.shape} of 0 and 1, {SNIPPET} a snippet")
    truth = gt.astype(bool)
    return {"AUC of gt": auc(scores, truth), "AP of gt": average_precision([scores], [truth])}


def measured(run: Path, lists: Path, own: DataSet, features: Path, gt: Path | None) -> dict[str, float]:
    """Score the test list by the head in `run`, into run/scores, and measure it."""
    videos = read_videos(lists / own.test, features)
    saved = load_head(run)
    predict(saved, videos, run / "scores", SCORINGS.get(saved.name, Scoring(WHOLE)))
    found = read_predictions(run / "scores")
    truth = read_truth(lists / own.truth, names=[v.name for v in videos])
    report = evaluate(found, truth, Protocol("reference", map_mode=own.map_mode, draws=0))["figures"]["raw"]
    out = {name: report[key]["value"] for name, key in FRAMES.items() if key in report}
    if gt is not None:
        labels = np.load(gt, allow_pickle=False)
        out |= against_frames(found, [v.name for v in videos], labels)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    mine, flags = divided(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("lists", type=Path)
    add("rows", nargs="*", metavar="ROW", default=[])
    add("--features", type=Path, required=True, metavar="FOLDER")
    add("--gt", type=Path, metavar="FILE.npy")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--out", type=Path, required=True, metavar="FOLDER")
    given = parser.parse_intermixed_args(mine)
    table: dict[str, list[dict[str, float]]] = {}
    try:
        own = set_of(given.lists)
        for row in given.rows or HEADS:
            head, *settings = row.split()
            for seed in given.seeds:
                run = given.out / "_".join([head, *settings]) / f"seed{seed}"
                told = ["--head", head, "--data", str(given.lists / own.train), "--features", str(given.features)]
                told += ["--recipe", own.recipe, "--seed", str(seed), "--out", str(run), *flags, "--set", *settings]
                if code := train(parse([*told, "--quiet"], "tvad train temporal")):
                    return code
                table.setdefault(row, []).append(measured(run, given.lists, own, given.features, given.gt))
    except (MissingWeights, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4 if isinstance(error, MissingWeights) else 2
    print("\n".join(lines(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
