"""Kinds of events: train what names them, and measure the names on clips it has not seen.

    tvad extract ../shared/data/fight_surv/fight -o K/fighting
    tvad extract ../shared/data/fight_surv/noFight -o K/normal
    python -m training.temporal.kinds K [--elsewhere P/ped2test P/ped2train] [--out runs/kinds]

K holds a folder a class, "normal" among them; a folder below that is one group (a person, a place), and any other file
is its own. A class of one group is counted as normal: nothing about it could be measured. Folds are stretches of groups
by name: neighbours share a source. A clip is cut into windows of about two seconds, and named where one of them is.
Figures are those of clips, each told by the model that has not seen its fold, at the temperature and the limit that the
other folds give; what is saved has those of all folds. --elsewhere: features of footage that is not trained on, in
which every name is a false one. --instead: are drawn clips of a class as good to train on as real ones? --into: kinds
for heads of folds (training/temporal/compare.py), each trained without the clips that its fold holds out. Next:
training/temporal/pooled.py
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.datasets.weak import read_videos
from training.datasets.weak_files import SUFFIXES, read_features
from training.temporal.pooled import COLUMNS, block_folds
from tvad.kinds import CLIP, FILE, Kinds, parts
from tvad.temporal.company import NAMES as COMPANY_NAMES
from tvad.temporal.snippets import COMPANY

NORMAL = "normal"
STRENGTH = 0.01  # inverse of the penalty
LEAST_GROUPS = 2  # of a class: what is of one group alone cannot be measured
AIM = 0.85  # of the names on the clips a limit is chosen on; on others it is less
LEAST_NAMED = 20  # clips that must bear a name before its precision counts
# A fight takes two: beside each other, mostly, as far as people are found at all (mean over the looks, 2 at most).
TAKES = {"fighting": (COMPANY.start + COMPANY_NAMES.index("two"), 1.1)}
FEWER = 4.0  # by which the log odds against normal are below 0 where there are not so many
TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@dataclass(frozen=True)
class Window:
    """A stretch of a clip: rows (n, DIM)."""

    label: str
    group: str
    clip: str
    rows: np.ndarray


def windows_of(path: Path, label: str, group: str) -> list[Window]:
    """A clip in parts, as an event is."""
    rows = read_features(path)[0]
    return [Window(label, group, path.stem, rows[part]) for part in parts(len(rows))]


def read_folder(folder: Path, whole: bool = True) -> list[Window]:
    """Everything below a folder of classes. ValueError where it is to be whole and lacks "normal" or another one."""
    out = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES):
        label, *inner = path.relative_to(folder).parts
        out += windows_of(path, label, "/".join(inner[:-1]) or path.stem)
    if not whole:
        return out
    if NORMAL not in {w.label for w in out} or len({w.label for w in out}) < 2:
        raise ValueError(f"{folder}: expected a folder {NORMAL!r} and one or more of other classes")
    return out


def fold_of(windows: Sequence[Window], k: int) -> np.ndarray:
    """The fold of each window: of every class the n-th stretch of its groups by name."""
    out = np.zeros(len(windows), int)
    for label in {w.label for w in windows}:
        groups = sorted({w.group for w in windows if w.label == label})
        of = {group: n * k // len(groups) for n, group in enumerate(groups)}
        for n, w in enumerate(windows):
            if w.label == label:
                out[n] = of[w.group]
    return out


@dataclass(frozen=True)
class Fit:
    """A model before its temperature: see tvad.kinds.Kinds."""

    columns: slice
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, classes: int, columns: slice) -> "Fit":
        """x (n, D), y (n,) class numbers; a class that is not among them is never told."""
        from sklearn.linear_model import LogisticRegression

        mean, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
        model = LogisticRegression(C=STRENGTH, max_iter=3000).fit(np.clip((x - mean) / scale, -CLIP, CLIP), y)
        weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, -20.0)
        if len(model.classes_) == 2:  # one row, of the second
            weight[model.classes_[1]], bias[model.classes_] = model.coef_[0], [0.0, model.intercept_[0]]
        else:
            weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
        return cls(columns, mean, scale, weight, bias)

    def logits(self, x: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.clip((x - self.mean) / self.scale, -CLIP, CLIP) @ self.weight.T + self.bias
        return found


def log_probs(logits: np.ndarray) -> np.ndarray:
    top = logits.max(1, keepdims=True)
    found: np.ndarray = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
    return found


def temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """The one of TEMPERATURES under which the truth (n,) is likeliest."""
    loss = [-log_probs(logits / t)[np.arange(len(y)), y].mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(loss))])


def limit(scores: np.ndarray, right: np.ndarray, precision: float = AIM) -> float | None:
    """The lowest probability from which on a name is right so often: of the highest scores of clips (n,), 0 where the
    name is not the likeliest, and whether it is right (n,). None where there is none with LEAST_NAMED clips."""
    order = np.argsort(-scores, kind="stable")[: int((scores > 0).sum())]
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= precision)
    return float(scores[order[good[-1]]]) if len(good) and good[-1] + 1 >= LEAST_NAMED else None


def of_clips(values: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """The highest value of each clip; values (n,) of windows, clips (n,) numbers from 0."""
    out = np.zeros(int(clips.max()) + 1)
    np.maximum.at(out, clips, values)
    return out


def ece(probs: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of the likeliest class."""
    sure, right = probs.max(1), probs.argmax(1) == y
    at = np.minimum((sure * bins).astype(int), bins - 1)
    return float(sum(abs(sure[at == b].mean() - right[at == b].mean()) * (at == b).mean() for b in np.unique(at)))


@dataclass
class Study:
    """Out-of-fold logits (n, K) of all windows and what became of them."""

    names: tuple[str, ...]
    windows: list[Window]
    fold: np.ndarray
    x: np.ndarray
    y: np.ndarray
    logits: np.ndarray
    columns: slice
    clips: np.ndarray  # number of each window's clip

    @classmethod
    def of(cls, windows: list[Window], columns: slice, k: int, instead: Sequence[Window] = ()) -> "Study":
        """instead: classes that are trained on these, and measured on `windows`."""
        given = {w.label for w in instead}
        groups = {label: {w.group for w in windows if w.label == label} for label in {w.label for w in windows}}
        names = (
            NORMAL,
            *sorted(n for n, own in groups.items() if (len(own) >= LEAST_GROUPS or n in given) and n != NORMAL),
        )
        x = np.stack([w.rows[:, columns].mean(0) for w in windows]).astype(np.float64)
        y = np.array([names.index(w.label) if w.label in names else 0 for w in windows])
        fold = fold_of(windows, k)
        logits = np.zeros((len(y), len(names)))
        replaced = np.array([w.label in given for w in windows])
        more = np.stack([w.rows[:, columns].mean(0) for w in instead]) if instead else x[:0]
        kind = np.array([names.index(w.label) for w in instead], int)
        for n in range(k):
            held = fold == n
            own = ~held & ~replaced
            fit = Fit.of(np.concatenate([x[own], more]), np.concatenate([y[own], kind]), len(names), columns)
            logits[held] = fit.logits(x[held])
        clips = np.unique([f"{w.label}/{w.group}/{w.clip}" for w in windows], return_inverse=True)[1]
        study = cls(names, windows, fold, x, y, logits, columns, clips)
        for at, column, least in study.takes():
            fewer = np.array([w.rows[:, column].mean() < least for w in windows])
            logits[fewer, at] = np.minimum(logits[fewer, at], logits[fewer, 0] - FEWER)
        return study

    def scores(self, probs: np.ndarray, kind: int, which: np.ndarray) -> np.ndarray:
        """(clips,): the highest probability (windows, K) of a class where it is the likeliest; 0 outside `which`."""
        return of_clips(np.where((probs.argmax(1) == kind) & which, probs[:, kind], 0.0), self.clips)

    def right(self, kind: int) -> np.ndarray:
        """(clips,) bool: those of a class."""
        return of_clips((self.y == kind).astype(float), self.clips) > 0

    def limits(self, probs: np.ndarray, which: np.ndarray) -> tuple[float | None, ...]:
        """The limit of each class on some windows (n,) bool."""
        found = [limit(self.scores(probs, kind, which), self.right(kind)) for kind in range(1, len(self.names))]
        return (None, *found)

    def nested(self) -> np.ndarray:
        """(clips, K) bool: the names each clip is given; temperature and limits come from the other folds."""
        out = np.zeros((int(self.clips.max()) + 1, len(self.names)), bool)
        for n in np.unique(self.fold):
            held, known = self.fold == n, self.fold != n
            probs = np.exp(log_probs(self.logits / temperature(self.logits[known], self.y[known])))
            for kind, at in enumerate(self.limits(probs, known)):
                if at is not None:
                    out[:, kind] |= self.scores(probs, kind, held) >= at
        return out

    def takes(self) -> tuple[tuple[int, int, float], ...]:
        """As in Kinds: what a model of these columns can look at."""
        known = [(name, at) for name, at in TAKES.items() if name in self.names and at[0] < self.columns.stop]
        return tuple((self.names.index(name), *at) for name, at in known)

    def kinds(self) -> Kinds:
        """Trained on all windows, with the temperature and the limits of all folds."""
        t = temperature(self.logits, self.y)
        probs = np.exp(log_probs(self.logits / t))
        fit = Fit.of(self.x, self.y, len(self.names), self.columns)
        limits = self.limits(probs, np.ones(len(self.y), bool))
        count = {name: int((self.y == n).sum()) for n, name in enumerate(self.names)}
        return Kinds(
            self.names,
            (self.columns.start, self.columns.stop),
            fit.mean.astype(np.float32),
            fit.scale.astype(np.float32),
            (fit.weight / t).astype(np.float32),
            (fit.bias / t).astype(np.float32),
            limits,
            f"windows {count}, temperature {t:.3f}",
            self.takes(),
        )


def told(study: Study) -> None:
    """Print the figures of a study."""
    t = temperature(study.logits, study.y)
    probs, every = np.exp(log_probs(study.logits / t)), np.ones(len(study.y), bool)
    given, limits = study.nested(), study.limits(probs, every)
    print(f"{len(study.y)} windows of {len(given)} clips")
    print(f"temperature {t:.2f}, calibration error of windows {ece(probs, study.y):.3f}")
    for kind, name in enumerate(study.names[1:], start=1):
        own, named, any_ = study.right(kind), given[:, kind], study.scores(probs, kind, every) > 0
        at = "never" if limits[kind] is None else f"from {limits[kind]:.2f}"
        print(f"{name}: {own.sum()} clips; named {at}")
        print(f"  {_shares(own, named)}; without a limit: {_shares(own, any_)}")
    for n in np.flatnonzero(given.any(1)):
        w = study.windows[int(np.flatnonzero(study.clips == n)[0])]
        if w.label != (name := study.names[int(given[n].argmax())]):
            print(f"  {w.label}/{w.clip} is called {name}")


def _shares(own: np.ndarray, named: np.ndarray) -> str:
    if not named.any():
        return "no clip is named"
    both = (own & named).sum()
    return f"{named.sum()} clips named, {both / named.sum():.2f} rightly; {both / own.sum():.2f} found"


def elsewhere(kinds: Kinds, folder: Path) -> str:
    """How often footage that was not trained on is given a name."""
    found: list[str] = []
    clips: set[str] = set()
    count = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES):
        for window in windows_of(path, NORMAL, path.stem):
            count += 1
            kind = kinds.of(kinds.probs(window.rows))
            if kind.named:
                found.append(kind.name)
                clips.add(path.stem)
    told = ", ".join(f"{found.count(name)} {name}" for name in sorted(set(found))) or "none"
    return f"{folder.name}: {count} windows; named: {told} (in clips: {', '.join(sorted(clips)) or 'none'})"


def into(run: Path, features: Path, windows: Sequence[Window], columns: slice, k: int) -> list[Path]:
    """Kinds beside each head of the folds in `run`, which saw all clips of `features` but those of its fold; nor do
    these kinds. ValueError where there are no such heads."""
    heads = sorted(run.glob("fold*"))
    if not heads:
        raise ValueError(f"{run}: no folders fold0, fold1, ...; training/temporal/compare.py --out makes them")
    out = []
    for head, (_, held) in zip(heads, block_folds(read_videos(features), len(heads)), strict=True):
        names = {video.name for video in held}
        out.append(Study.of([w for w in windows if w.clip not in names], columns, k).kinds().save(head))
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--columns", choices=list(COLUMNS), default="busiest+flow+people")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--elsewhere", type=Path, nargs="+", default=[], metavar="FOLDER")
    parser.add_argument(
        "--instead", type=Path, metavar="FOLDER", help="as K: drawn clips to train on for their classes"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"writes {FILE} there")
    parser.add_argument("--into", type=Path, nargs=2, metavar=("RUN", "F"), help=f"writes {FILE} beside heads of folds")
    given = parser.parse_args(argv)
    try:
        drawn = read_folder(given.instead, whole=False) if given.instead else []
        windows = read_folder(given.data)
        if given.into:
            run, features = given.into
            for path in into(run, features, windows, COLUMNS[given.columns], given.folds):
                print(path)
            return 0
        study = Study.of(windows, COLUMNS[given.columns], given.folds, drawn)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    told(study)
    if given.instead:
        return 0  # that a kind can be learned so is a question, not a model
    kinds = study.kinds()
    for folder in given.elsewhere:
        print(elsewhere(kinds, folder))
    if given.out:
        print(kinds.save(given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
