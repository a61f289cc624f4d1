"""What the finder of people finds in clips that it has not learned from, held against the detector that taught it.

    python -m training.people.evaluate FRAMES RUN/people.safetensors --clips NAME ...

NAME: the beginning of the clips' names, as in --without of training/people/fit.py. Prints the average precision of each
class, in pictures as they are and in all their variants, how often a box of a score is right, how many people are
counted, and slope and middle of a box's probability (tvad/crowd.py). Next: training/people/evaluate_falls.py
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from heatmap.people import CLASSES, PeopleNetwork
from training.people.fit import found_by, read
from training.people.precision import SURE, average_precision, judged
from tvad.people import PERSON

LEASTS = (0.35, 0.4, 0.45)
EDGES = (0.2, 0.3, 0.4, 0.5, 0.6, 1.0)  # of scores


def main(given: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--clips", nargs="+", required=True)
    args = parser.parse_args(given)
    network = PeopleNetwork.load(args.weights)
    groups = [g for g in read(args.frames) if g.clip.startswith(tuple(args.clips))]
    if not groups:
        raise SystemExit(f"no clip in {args.frames} begins with {' or '.join(args.clips)}")
    found, true, plain = [], [], []
    for group in groups:
        found += found_by(network, group)
        true += group.true
        plain += (group.variant == 0).tolist()
    own = [n for n, is_plain in enumerate(plain) if is_plain]
    print(f"{len({g.clip for g in groups})} clips, {len(own)} frames, {len(true)} pictures with their variants")
    for number, name in enumerate(CLASSES):
        told = [
            average_precision([found[n] for n in some], [true[n] for n in some], number)
            for some in (own, range(len(true)))
        ]
        print(f"{name}: average precision {told[0]:.3f}, with variants {told[1]:.3f}")
    rows = np.array(judged([found[n] for n in own], [true[n] for n in own], PERSON))
    for low, high in pairwise(EDGES):
        some = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
        if len(some):
            print(f"person, score {low} to {high}: {len(some)} boxes, {some[:, 1].mean():.2f} right")
    true_counts = np.array([int(((true[n][:, 5] == PERSON) & (true[n][:, 4] >= SURE)).sum()) for n in own])
    for least in LEASTS:
        counts = np.array([int(((found[n][:, 5] == PERSON) & (found[n][:, 4] >= least)).sum()) for n in own])
        off = np.abs(counts - true_counts)
        print(
            f"people of a frame, score {least} or more: {counts.mean():.2f}, detector {true_counts.mean():.2f}; off "
            f"by {off.mean():.2f}, in {(off <= 1).mean():.2f} of the frames by one at most"
        )
    slope, middle = fitted(rows)
    print(f"probability of a person: slope {slope:.1f}, middle {middle:.3f}")


def fitted(rows: np.ndarray) -> tuple[float, float]:
    """Slope and middle of a logistic curve of being right (n, 1) by score (n, 0)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0).fit(rows[:, :1], rows[:, 1])
    slope = float(model.coef_[0, 0])
    return slope, float(-model.intercept_[0] / slope)


if __name__ == "__main__":
    main()
