"""Yes or no on real clips: sensitivity, specificity and balanced accuracy of each set.

    python -m training.evaluate_answers ../shared/data [--explain WAY] [--sets ped2 falls fights street] [--table]

Every clip is asked "Is there any anomaly in the video?" without a scene. The verdict is the answer's first word.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from training.answer_sets import SETS
from training.metrics import auc
from tvad.api import analyze, open_session
from tvad.settings import Settings

QUESTION = "Is there any anomaly in the video?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--explain", default=None)
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--limit", type=int, default=None, help="clips of each class and set")
    parser.add_argument("--table", action="store_true", help="print every clip")
    given = parser.parse_args()
    for name in given.sets:
        labelled = _limited(SETS[name](given.data), given.limit)
        if labelled:
            print(_row(name, labelled, given.explain, given.table))


def _limited(labelled: list[tuple[Path, bool]], limit: int | None) -> list[tuple[Path, bool]]:
    return [item for wanted in (True, False) for item in [x for x in labelled if x[1] == wanted][:limit]]


def _row(name: str, labelled: list[tuple[Path, bool]], explain: str | None, table: bool) -> str:
    said, peaks = [], []
    for path, anomalous in labelled:
        analysis = analyze(path, Settings())
        session = open_session(analysis, explain)
        for _ in session.ask(QUESTION):
            pass
        verdict = re.match(r"\W*(yes|no)\b", session.last.text, re.IGNORECASE)
        said.append(verdict is not None and verdict[1].lower() == "yes")
        peaks.append(float(analysis.curves.scores.max()))
        if table:
            right = "right" if said[-1] == anomalous else "wrong"
            print(f"{path.parent.name}/{path.name}: {right}, score {peaks[-1]:.3f}: {session.last.text}", flush=True)
    truth, answers = np.array([y for _, y in labelled]), np.array(said)
    hit, kept = answers[truth].mean(), 1 - answers[~truth].mean()
    return (
        f"{name}: {truth.sum()} anomalous, {(~truth).sum()} ordinary clips; says yes to {hit:.2f} of the anomalous, "
        f"no to {kept:.2f} of the ordinary; balanced accuracy {(hit + kept) / 2:.3f}; "
        f"AUC of the highest score {auc(np.array(peaks), truth):.3f}"
    )


if __name__ == "__main__":
    main()
