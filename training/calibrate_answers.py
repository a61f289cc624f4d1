"""How often a "yes" of the language model is right on real footage: the calibration of its probability.

    python -m training.calibrate_answers ../shared/data --folds RUN F [--keep tvad/adapters/mini] [--rows ROWS.json]

Simulated clips are anomalous in ways of their own, so the model's log odds of "yes" are fitted to real clips: by a
curve in which every set of clips, its anomalous and its ordinary ones, counts alike, as in a mean of balanced
accuracies. Sets that may be trained on: falls, fights, fire and streets; ordinary clips of a set of few are cut into
stretches of 2, 5 and 10 s, too, since footage that people ask about is as often short. Each set is judged by a curve of
the others (Ped2, to which none is fitted, by one of all three); --keep writes the curve of all three into the adapter.

The shipped head was trained on the fights, so heads of folds stand in for it there (training/evaluate_answers.py).
Next: training/evaluate_answers.py
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from chat.conversation import Conversation
from chat.prompt import build_lvlm_messages
from chat.session import FIRST, is_evidence
from training.answer_sets import SETS
from training.evaluate_answers import Analysed
from training.lvlm.evaluate import fit_yes, keep, probability
from training.metrics import auc
from training.text_metrics import expected_calibration_error
from tvad.api import analyze
from tvad.evidence import Analysis, write_atomic
from tvad.explainer import open_explainer
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.view import view_of
from tvad.settings import Settings
from tvad.video import VideoReader

FITTED = ("falls", "fights", "street")
STRETCHED = ("falls", "street")  # of these the ordinary clips are cut, too
STRETCHES_S = (2.0, 5.0, 10.0)
MANY, FOLDS = 40, 5  # a set of so many clips is also judged by folds of its own
AT_MOST = 8  # stretches of one length of a clip


@dataclass(frozen=True)
class Row:
    """A clip, or a stretch of one. set: out of answer_sets.SETS. odds: log odds of "yes" to the dialogue's first step,
    as the model gives them. counts: whether the evidence lets a "yes" stand (chat/session.py). of: the whole clip."""

    set: str
    of: str
    start_s: float | None
    anomalous: bool
    odds: float
    counts: bool

    @property
    def whole(self) -> bool:
        return self.start_s is None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", nargs=2, type=Path, required=True, metavar=("RUN", "F"))
    parser.add_argument("--adapter", type=Path, default=Path("tvad/adapters/mini"), help="whose odds are read")
    parser.add_argument("--keep", action="store_true", help="write the curve into the adapter")
    parser.add_argument("--rows", type=Path, help="the clips' odds: read where the file is there, else written")
    given = parser.parse_args()
    adapter = Adapter.load(given.adapter)
    if given.rows and given.rows.is_file():
        rows = [Row(**row) for row in json.loads(given.rows.read_text(encoding="utf-8"))]
    else:
        rows = list(read_rows(given.data, adapter, *given.folds))
        if given.rows:
            text = json.dumps([asdict(row) for row in rows], indent=0)
            write_atomic(given.rows, lambda file: file.write(text.encode()))
    for line in table(rows):
        print(line)
    curve = fitted([row for row in rows if row.set in FITTED])
    print(f"slope {curve[0]:.3f}, offset {curve[1]:.3f}: yes from log odds of {-curve[1] / curve[0]:.2f} on")
    if given.keep:
        keep(Adapter(adapter.config, adapter.rae, adapter.lora, curve), given.adapter)


def read_rows(data: Path, adapter: Adapter, run: Path, features: Path) -> Iterator[Row]:
    """Every clip of every set, and stretches of the ordinary ones."""
    usual, folded = Analysed(Settings()), Analysed(Settings(), run, features)
    for name, labelled in SETS.items():
        for path, anomalous in labelled(data):
            analysis = (folded if name == "fights" else usual).of(path)
            yield row_of(analysis, adapter, name, path, None, anomalous)
            if name in STRETCHED and not anomalous:
                for start_s, end_s in stretches(VideoReader(path, Settings().fps).info.duration_s):
                    part = analyze(path, replace(Settings(), start_s=start_s, end_s=end_s))
                    yield row_of(part, adapter, name, path, start_s, anomalous)


def stretches(length_s: float) -> Iterator[tuple[float, float]]:
    """Starts and ends of stretches of a clip in seconds, evenly spread; none as long as the clip."""
    for wanted_s in STRETCHES_S:
        if wanted_s < length_s:
            count = min(AT_MOST, int(length_s // wanted_s))
            for start_s in np.linspace(0, length_s - wanted_s, count + (count == 1)).tolist():
                yield round(start_s, 3), round(start_s + wanted_s, 3)


def row_of(analysis: Analysis, adapter: Adapter, name: str, path: Path, start_s: float | None, anomalous: bool) -> Row:
    """What the model's odds of an analysis are."""
    view = view_of(*analysis, config=adapter.config.rae.view)
    explainer = open_explainer(analysis.evidence.preset, view, adapter)
    odds = explainer.yes_odds(build_lvlm_messages(Conversation(), FIRST, explainer.n_tokens))
    of = "/".join(path.parts[-2:])
    return Row(name, of, start_s, anomalous, round(odds, 4), is_evidence(analysis.evidence))


def weights(rows: Sequence[Row]) -> np.ndarray:
    """(N,) of mean 1: each set's anomalous and ordinary clips have the same sum among their kind, the kinds too."""
    groups = [(row.set, row.anomalous) for row in rows]
    kinds = {group[1]: len({g for g in groups if g[1] == group[1]}) for group in groups}
    found = np.array([1 / (groups.count(g) * kinds[g[1]]) for g in groups])
    return found * len(rows) / found.sum()


def fitted(rows: Sequence[Row]) -> tuple[float, float]:
    """Slope and offset of the curve through these clips. ValueError where a class is missing."""
    return fit_yes(np.array([row.odds for row in rows]), [row.anomalous for row in rows], weights=weights(rows))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """One line a set by the curve of the other sets, and one by folds where it is large."""
    for name in dict.fromkeys(row.set for row in rows):
        others = [row for row in rows if row.set in FITTED and row.set != name]
        curve = fitted(others)
        whole = [row for row in rows if row.set == name and row.whole]
        sure, truth = probability(np.array([r.odds for r in whole]), curve), np.array([r.anomalous for r in whole])
        counts = np.array([r.counts for r in whole])
        said = (sure >= 0.5) & counts
        hit, kept = said[truth].mean(), 1 - said[~truth].mean()
        best = max(_balanced((sure >= limit) & counts, truth) for limit in [*sure.tolist(), 1.1])
        error = expected_calibration_error(np.maximum(sure, 1 - sure).tolist(), ((sure >= 0.5) == truth).tolist())
        yield (
            f"{name}: {truth.sum()} anomalous, {(~truth).sum()} ordinary; by the others' curve ({curve[0]:.2f}, "
            f"{curve[1]:.2f}) yes to {hit:.2f} and no to {kept:.2f}, balanced {_balanced(said, truth):.3f}, "
            f"calibration error {error:.3f}; AUC of the odds {auc(sure, truth):.3f}; "
            f"no threshold gives more than {best:.3f}"
        )
        yield from _of_stretches([row for row in rows if row.set == name and not row.whole], curve)
        if len(whole) >= MANY and name in FITTED:
            found = by_folds(rows, name)
            yield f"  by curves of all else and of four fifths of it: balanced {_balanced(found, truth):.3f}"


def by_folds(rows: Sequence[Row], name: str) -> np.ndarray:
    """Whether it is a yes to each whole clip of a set, (n,), by the curve of all other sets and of the other folds of
    this one; neighbours by name are in one fold."""
    whole = [row for row in rows if row.set == name and row.whole]
    fold: dict[str, int] = {}
    for kind in (True, False):
        own = sorted(row.of for row in whole if row.anomalous == kind)
        fold |= {of: n * FOLDS // len(own) for n, of in enumerate(own)}
    said = np.zeros(len(whole), bool)
    for k in range(FOLDS):
        curve = fitted([r for r in rows if r.set in FITTED and (r.set != name or fold[r.of] != k)])
        for n, row in enumerate(whole):
            if fold[row.of] == k:
                said[n] = bool(probability(np.array([row.odds]), curve)[0] >= 0.5) and row.counts
    return said


def _balanced(said: np.ndarray, truth: np.ndarray) -> float:
    return float((said[truth].mean() + 1 - said[~truth].mean()) / 2)


def _of_stretches(rows: Sequence[Row], curve: tuple[float, float]) -> Iterator[str]:
    if rows:
        said = (probability(np.array([r.odds for r in rows]), curve) >= 0.5) & np.array([r.counts for r in rows])
        clips = len({row.of for row in rows})
        yield f"  no to {1 - said.mean():.2f} of {len(rows)} stretches of {clips} ordinary clips"


if __name__ == "__main__":
    main()
