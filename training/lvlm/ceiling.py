"""How much of the truth simulated evidence holds: what no reader of it, however good, can be better than.

    python -m training.lvlm.ceiling [--clips 400] [--split test]

Verdict: balanced accuracy of the one threshold on the highest score that is best on as many validation clips. Movement:
how often a track says what its target did, over the anomalous targets that have a track.

Next: training/lvlm/ablate.py
"""

import argparse
from collections.abc import Sequence

import numpy as np

from training.datasets.records import clip_record
from training.lvlm.data import told
from training.lvlm.evaluate import UNSEEN
from training.lvlm.matched import shown
from training.lvlm.simulate import Sample, sample
from training.metrics import auc

SLOTS = ("direction", "start", "end", "entry", "exit")


def samples(split: str, count: int) -> list[Sample]:
    """The simulated clips that evaluation uses."""
    return [sample(0, UNSEEN + n, None, split) for n in range(count)]


def _peaks(drawn: Sequence[Sample]) -> np.ndarray:
    return np.array([s.curves.scores.max() for s in drawn])


def _truth(drawn: Sequence[Sample]) -> np.ndarray:
    return np.array([s.truth.has_anomaly for s in drawn])


def best_threshold(peaks: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of (N,) scores with the highest balanced accuracy; truth (N,) bool, both kinds in it."""
    tried = np.unique(peaks)
    return float(max(tried, key=lambda level: balanced(peaks >= level, truth)))


def balanced(said: np.ndarray, truth: np.ndarray) -> float:
    """Mean of the shares of both kinds that are told right, (N,) bool each."""
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def agreement(drawn: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    """Slot -> how many tracks say what is true, of how many; entry and exit only where the truth has one."""
    counts = {name: [0, 0] for name in SLOTS}
    for s in drawn:
        truth, traced = told(s.truth, set(s.matched.values()))
        if not truth.has_anomaly or not traced:
            continue
        tracks = shown(s.evidence, s.curves).tracks
        for target in clip_record(truth).targets:
            own = [t for t in tracks if s.matched.get(t.id) == target.id]
            if not own:
                continue
            track = max(own, key=lambda t: len(t.boxes))
            pairs = {
                "direction": (target.motion.direction, track.motion.direction),
                "start": (target.cells[0], track.trajectory[0]),
                "end": (target.cells[-1], track.trajectory[-1]),
                "entry": (target.entry, track.entry),
                "exit": (target.exit, track.exit),
            }
            for name, (wanted, seen) in pairs.items():
                if wanted is not None or name == "direction":
                    counts[name][0] += wanted == seen
                    counts[name][1] += 1
    return {name: (right, of) for name, (right, of) in counts.items()}


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    given = parser.parse_args()
    fitted = samples("validation", given.clips)
    drawn = samples(given.split, given.clips)
    peaks, truth = _peaks(drawn), _truth(drawn)
    level = best_threshold(_peaks(fitted), _truth(fitted))
    print(f"verdict: balanced accuracy {balanced(peaks >= level, truth):.3f}, AUC {auc(peaks, truth):.3f}")
    for name, (right, of) in agreement(drawn).items():
        print(f"{name}: {right} of {of} ({right / max(of, 1):.2f})")


if __name__ == "__main__":
    main()
