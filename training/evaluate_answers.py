"""Yes or no on real clips: sensitivity, specificity and balanced accuracy of each set.

    python -m training.evaluate_answers ../shared/data [--explain WAY ...] [--sets ped2 falls fights street] [--table]
    python -m training.evaluate_answers ../shared/data --sets fights --folds RUN F

Every clip is analysed once, without a scene, and asked "Is there any anomaly in the video?" in each way, or what
--question says. The verdict is the answer's first word; "not sure" before it is counted, and the word still taken. An
answer without such a word has the model's verdict of the first step (chat/session.py), or that of the events. Of those
with a yes it is counted, too, what things and deeds they name in their own words.

The temporal head that is shipped was trained on the fights. --folds takes heads of `python -m training.temporal.compare
F --blocks` instead, RUN/fold0 and on: each clip is judged by the one that has not seen its fold.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from chat.session import Answer
from training.answer_sets import SETS
from training.datasets.weak import read_videos
from training.metrics import auc
from training.slots import slots
from training.temporal.pooled import block_folds
from tvad.api import analyze, open_session
from tvad.detector import Detector
from tvad.evidence import Analysis
from tvad.head_part import HeadGraph
from tvad.settings import Settings

VERDICT = re.compile(r"(?:\[Not sure[^\]]*\])?\W*(?P<word>yes|no)\b", re.IGNORECASE)
BESIDE = re.compile(r"\[[^\]]*\]")  # what the program adds to the answer's own words
QUESTION = "Is there any anomaly in the video?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--explain", nargs="+", default=["report"], metavar="WAY")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--parts", default=None, metavar="PART,PART", help="of the detector, as for tvad ask")
    parser.add_argument("--folds", nargs=2, type=Path, metavar=("RUN", "F"), help="heads, and features they are of")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--limit", type=int, default=None, help="clips of each class and set")
    parser.add_argument("--table", action="store_true", help="print every clip")
    given = parser.parse_args()
    settings = Settings(parts=tuple(given.parts.split(","))) if given.parts else Settings()
    analysed = Analysed(settings, *(given.folds or ()))
    for name in given.sets:
        labelled = _limited(SETS[name](given.data), given.limit)
        if labelled:
            for line in _rows(name, labelled, given.explain, analysed, given.question, given.table):
                print(line, flush=True)


def _limited(labelled: list[tuple[Path, bool]], limit: int | None) -> list[tuple[Path, bool]]:
    return [item for wanted in (True, False) for item in [x for x in labelled if x[1] == wanted][:limit]]


@dataclass
class Said:
    """What was said in one way to the clips of a set."""

    yes: list[bool] = field(default_factory=list)
    unsure: int = 0
    sure: list[float] = field(default_factory=list)  # probabilities of "yes", where the way gives any
    names: dict[bool, Counter[str]] = field(default_factory=lambda: {True: Counter(), False: Counter()})

    def add(self, answer: Answer, has_events: bool, anomalous: bool) -> None:
        """anomalous: the truth, by which `names` are counted apart."""
        verdict = VERDICT.match(answer.text)
        said = verdict["word"].lower() == "yes" if verdict else answer.verdict
        self.yes.append(has_events if said is None else said)
        self.unsure += answer.text.startswith("[Not sure")
        if answer.yes is not None:
            self.sure.append(answer.yes)
        if self.yes[-1]:
            told = slots(BESIDE.sub("", answer.text))
            self.names[anomalous].update({*told.get("noun", ()), *told.get("action", ())} or {"nothing"})

    def named(self) -> Iterator[str]:
        """A line for the anomalous clips and one for the ordinary ones: how many answers name what."""
        for anomalous, names in self.names.items():
            if names:
                counts = ", ".join(f"{name} {count}" for name, count in names.most_common())
                yield f"    named in a yes to {'anomalous' if anomalous else 'ordinary'} clips: {counts}"


def _rows(
    name: str, labelled: list[tuple[Path, bool]], ways: list[str], analysed: "Analysed", question: str, table: bool
) -> Iterator[str]:
    said, peaks = {way: Said() for way in ways}, []
    for path, anomalous in labelled:
        analysis = analysed.of(path)
        peaks.append(float(analysis.curves.scores.max()))
        for way in ways:
            session = open_session(analysis, way)
            for _ in session.ask(question):
                pass
            said[way].add(session.last, analysis.evidence.has_anomaly, anomalous)
            if table:
                right = "right" if said[way].yes[-1] == anomalous else "wrong"
                yield f"{path.parent.name}/{path.name}: {way} {right}, score {peaks[-1]:.3f}: {session.last.text}"
    truth = np.array([y for _, y in labelled])
    yield (
        f"{name}: {truth.sum()} anomalous, {(~truth).sum()} ordinary clips; AUC of the highest score "
        f"{auc(np.array(peaks), truth):.3f}"
    )
    for way, found in said.items():
        answers = np.array(found.yes)
        hit, kept = answers[truth].mean(), 1 - answers[~truth].mean()
        line = f"  {way}: yes to {hit:.2f} of the anomalous, no to {kept:.2f} of the ordinary"
        line += f"; balanced accuracy {(hit + kept) / 2:.3f}"
        if len(found.sure) == len(truth):
            line += f"; not sure of {found.unsure}; AUC of its probability {auc(np.array(found.sure), truth):.3f}"
        yield line
        yield from found.named()


class Analysed:
    """Analyses of clips: by the program as it is, or with the heads of folds."""

    def __init__(self, settings: Settings, run: Path | None = None, features: Path | None = None) -> None:
        self.settings = settings
        self._detectors: list[Detector] = []
        self._fold: dict[str, int] = {}
        if run is not None and features is not None:
            heads = sorted(run.glob("fold*"))
            pairs = block_folds(read_videos(features), len(heads))
            self._fold = {video.name: n for n, (_, held) in enumerate(pairs) for video in held}
            detector = Detector.from_settings(settings)
            self._detectors = [replace(detector, head=HeadGraph(head)) for head in heads]

    def of(self, path: Path) -> Analysis:
        """KeyError for a clip that is in no fold."""
        if not self._detectors:
            return analyze(path, self.settings)
        return self._detectors[self._fold[path.stem]].analyze(path)


if __name__ == "__main__":
    main()
