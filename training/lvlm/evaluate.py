"""How true a trained adapter's answers are: T-VAD's three questions on clips that were not trained on.

    python -m training.lvlm.evaluate ADAPTER [PACK ...] [--simulated 200] [--split test] [--phrasings test]
        [--history generated|gold] [--calibrate] [--out REPORT.json] [--answers SAID.jsonl]

Without a PACK on simulated clips. Yes or no over all clips; BLEU-4 of target (second question) and trajectory (third)
and the slots over the anomalous ones, an answer that is missing because the first was "no" counting as empty. Intervals
are of 95 %, by drawing sources of clips anew. --calibrate fits the probability of "yes" on the validation split and
keeps it in ADAPTER. --answers keeps what was said to every question beside what is true, a line each, to read.

Next: training/lvlm/ablate.py
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from training.datasets.qa import QA, protocol
from training.datasets.records import clip_record
from training.lvlm.asking import Answerer, Asked, answers_to
from training.lvlm.data import Example, Simulated
from training.lvlm.tuned import Tuned, quick
from training.ship import note
from training.slots import slot_scores
from training.text_metrics import (
    balanced_interval,
    corpus_bleu,
    expected_calibration_error,
    said_yes,
    sentence_bleu,
    yes_no,
)
from tvad.evidence import write_atomic
from tvad.lvlm.adapter import FILES, Adapter
from tvad.lvlm.tokens import RaeConfig
from tvad.presets.own import SUMS

DRAWS = 500  # of a bootstrap
CALIBRATED = 240  # simulated clips of the validation split; of a few, too many may be ordinary
UNSEEN = 2 * 10**6  # number of the first simulated clip


@dataclass(frozen=True)
class Answered:
    """The protocol's answers of a model: of each clip its three questions with their truths, and what was said.
    odds (N,): log odds of "yes" as the first word of the first answer, NaN from what gives none."""

    examples: Sequence[Example]
    asked: list[list[QA]]
    said: list[list[str]]
    odds: np.ndarray

    def truth(self) -> list[bool]:
        return [e.truth.has_anomaly for e in self.examples]

    def sources(self) -> list[str]:
        return [e.truth.source for e in self.examples]


def run_protocol(
    model: Answerer,
    rae: RaeConfig,
    examples: Sequence[Example],
    phrasings: str = "test",
    history: str = "generated",
    seed: int = 0,
    turns: int = 3,
) -> Answered:
    """Ask whether, what it looks like and does, how it moves. history: what stands before the second and third
    question, the model's own answers ("generated") or the true ones ("gold"); with its own, it is asked no further
    where it said no. turns: how many of the three questions are asked."""
    asked = [
        protocol(clip_record(e.truth), np.random.default_rng([seed, n, 5]), phrasings) for n, e in enumerate(examples)
    ]
    said: list[list[str]] = [[] for _ in examples]
    odds = np.zeros(len(examples))
    for turn in range(turns):
        rows = [n for n in range(len(examples)) if turn == 0 or history == "gold" or said_yes(said[n][0])]
        questions = []
        for n in rows:
            before = [qa.answer for qa in asked[n][:turn]] if history == "gold" else said[n]
            past = tuple((qa.question, answer) for qa, answer in zip(asked[n], before, strict=False))
            questions.append(Asked(examples[n].view, asked[n][turn].question, past))
        answers, found = answers_to(model, rae, questions)
        for n, answer, value in zip(rows, answers, found, strict=True):
            said[n].append(answer)
            if turn == 0:
                odds[n] = value
    return Answered(examples, asked, [row + [""] * (3 - len(row)) for row in said], odds)


def report(answered: Answered, yes: tuple[float, float] = (1.0, 0.0), draws: int = DRAWS) -> dict[str, Any]:
    """Figures with intervals, ready for JSON. yes: slope and offset of the probability of "yes"; draws: of the
    bootstrap, 0 for no intervals."""
    truth = answered.truth()
    first = [row[0] for row in answered.said]
    found: dict[str, Any] = {"clips": len(truth), "anomalous": sum(truth), "yes_no": asdict(yes_no(first, truth))}
    if 0 < sum(truth) < len(truth):
        if draws:
            found["yes_no"]["balanced_interval"] = balanced_interval(first, truth, answered.sources(), draws=draws)
        if not np.isnan(answered.odds).any():
            p = probability(answered.odds, yes)
            by_odds = ["yes" if x >= 0.5 else "no" for x in p]
            found["yes_no"]["balanced_by_probability"] = yes_no(by_odds, truth).balanced
            found["yes_no"]["calibration_error"] = expected_calibration_error(
                np.maximum(p, 1 - p).tolist(), ((p >= 0.5) == np.array(truth)).tolist()
            )
    rows = [n for n, t in enumerate(truth) if t]
    sources = [answered.sources()[n] for n in rows]
    for turn, name in ((1, "target"), (2, "trajectory")):
        pairs = [(answered.said[n][turn], answered.asked[n][turn]) for n in rows]
        found[name] = with_interval(_bleu, pairs, sources, draws)
        found[f"{name}_one_reference"] = _bleu(pairs, first_only=True)
        if pairs:
            found[f"{name}_sentences"] = sentence_bleu([a for a, _ in pairs], [qa.references for _, qa in pairs])
    texts = [" ".join(answered.said[n]) for n in rows]
    slots: dict[str, Any] = {}
    for name in ("class", "action", "colour", "direction", "start", "end", "entry", "exit"):
        values = [
            (right.right, right.of, source)
            for n, source in zip(rows, sources, strict=True)
            for turn in (1, 2)
            if (right := slot_scores([answered.said[n][turn]], [answered.asked[n][turn].slots])[name]).of
        ]
        if values:
            share = [(float(right), float(of)) for right, of, _ in values]
            slots[name] = with_interval(_share, share, [s for *_, s in values], draws) | {"of": len(values)}
    found["slots"] = slots
    found["words"] = float(np.mean([len(t.split()) for t in texts])) if texts else 0.0
    return found


def lines(answered: Answered) -> list[dict[str, Any]]:
    """What was said to every question that was asked, with the first true answer and its slots, ready for JSON.
    answer "": not asked, as the first answer was no. odds: of "yes", of the first question alone, null for none."""
    found = []
    for example, asked, said, odds in zip(
        answered.examples, answered.asked, answered.said, answered.odds.tolist(), strict=True
    ):
        for turn, (qa, answer) in enumerate(zip(asked, said, strict=True)):
            line = {"id": example.truth.id, "turn": turn + 1, "question": qa.question, "answer": answer}
            line |= {"truth": qa.references[0], "slots": qa.slots}
            found.append(line if turn or np.isnan(odds) else line | {"odds": round(odds, 3)})
    return found


def with_interval(
    figure: Callable[[list[Any]], float],
    items: Sequence[Any],
    sources: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """A figure of items and the 95 % interval of drawing their sources with replacement."""
    if not items:
        return {"value": None, "interval": None}
    groups: dict[str, list[Any]] = {}
    for item, source in zip(items, sources, strict=True):
        groups.setdefault(source, []).append(item)
    names = list(groups)
    rng = np.random.default_rng(seed)
    values = [
        figure([item for k in rng.integers(len(names), size=len(names)) for item in groups[names[k]]])
        for _ in range(draws)
    ]
    low, high = np.quantile(values, (0.025, 0.975)).tolist() if values else (None, None)
    return {"value": figure(list(items)), "interval": [low, high]}


def _bleu(pairs: list[tuple[str, QA]], first_only: bool = False) -> float:
    if not pairs:
        return float("nan")
    references = [qa.references[:1] if first_only else qa.references for _, qa in pairs]
    return corpus_bleu([answer for answer, _ in pairs], references).score


def _share(values: list[tuple[float, float]]) -> float:
    return sum(right for right, _ in values) / sum(of for _, of in values)


def probability(odds: np.ndarray, yes: tuple[float, float]) -> np.ndarray:
    """(N,) probabilities of "yes" from log odds, as the explainer computes them."""
    return 1 / (1 + np.exp(-np.clip(yes[0] * odds + yes[1], -50, 50)))


def fit_yes(
    odds: np.ndarray,
    truth: Sequence[bool],
    ridge: float = 1e-3,
    steps: int = 50,
    weights: np.ndarray | None = None,
) -> tuple[float, float]:
    """Slope and offset of a logistic curve through log odds (N,) and truths, by Newton's method, with Platt's targets
    (1999; a little inside of 0 and 1). weights (N,): how much each counts, None for all alike. ValueError where a class
    is missing."""
    positive = np.asarray(truth, bool)
    if positive.all() or not positive.any():
        raise ValueError(f"all of {len(positive)} clips are of one class; calibration needs both")
    wanted = np.where(positive, (positive.sum() + 1) / (positive.sum() + 2), 1 / ((~positive).sum() + 2))
    x = np.stack([np.asarray(odds, np.float64), np.ones(len(positive))], 1)
    spread = max(float(x[:, 0].std()), 1e-6)
    x[:, 0] /= spread  # for the steps' sake
    w = np.zeros(2)
    counts = np.ones(len(positive)) if weights is None else weights
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (counts * (p - wanted)) + ridge * w
        curve = (x * (counts * p * (1 - p))[:, None]).T @ x + ridge * np.eye(2)
        w = w - np.linalg.solve(curve, slope)
    return float(w[0] / spread), float(w[1])


def calibrated(model: Answerer, rae: RaeConfig, examples: Sequence[Example]) -> tuple[float, float]:
    """Slope and offset of the probability of "yes" on validation clips, over the phrasings of training."""
    answered = run_protocol(model, rae, examples, "train", "gold", turns=1)
    return fit_yes(answered.odds, answered.truth())


def open_tuned(adapter: Adapter, folder: Path | None = None) -> Tuned:
    """An adapter on its language model, ready to answer; folder None: that of the mini preset."""
    from tvad.lvlm.smollm import model_folder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Tuned.resume(adapter, folder or model_folder()).to(device).eval()


def clips(
    adapter: Adapter, packs: Sequence[Path], split: str, simulated: int, limit: int = 0, followed: bool = False
) -> list[Example]:
    """Clips of a split: of packs, or simulated ones where there are none. limit: how many at most, 0 for all. followed:
    simulated things moved as their tracks do (tellable.as_followed)."""
    rae = adapter.config.rae
    if packs:
        from training.lvlm.rendered import load_pack

        found = [example for folder in packs for example in load_pack(folder, split, rae.view)]
        return found[:limit] if limit else found
    source = Simulated(rae, 0, split, followed=followed)
    return [source[UNSEEN + n] for n in range(simulated)]


def arguments(description: str) -> argparse.ArgumentParser:
    """The flags that evaluation and ablation share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("packs", type=Path, nargs="*")
    parser.add_argument("--simulated", type=int, default=200, help="clips, where no pack is given")
    parser.add_argument("--limit", type=int, default=0, help="clips of the packs at most, 0 for all")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument(
        "--followed",
        action="store_true",
        help="simulated clips only: movement is held against the tracks, not the truth",
    )
    parser.add_argument("--phrasings", choices=("train", "test"), default="test")
    parser.add_argument("--history", choices=("generated", "gold"), default="generated")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the bootstrap")
    parser.add_argument("--model", type=Path, default=None, help="folder of the language model")
    parser.add_argument("--out", type=Path, default=None, help="where the report is kept too")
    return parser


def tell(found: dict[str, Any], out: Path | None) -> None:
    """A report to stdout, and to a file."""
    text = json.dumps(found, indent=1) + "\n"
    print(text, end="")
    if out is not None:
        write_atomic(out, lambda file: file.write(text.encode()))


def main(given: list[str] | None = None) -> int:
    """See the top of the file."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--answers", type=Path, default=None, help="where what was said is kept, as JSON lines")
    parser.add_argument("--calibrate", action="store_true", help="fit the probability of yes first, and keep it")
    o = parser.parse_args(given)
    adapter = Adapter.load(o.adapter)
    tuned = open_tuned(adapter, o.model)
    rae, yes = adapter.config.rae, adapter.yes_no
    with quick(tuned, next(tuned.rae.parameters()).device):
        if o.calibrate:
            yes = calibrated(tuned, rae, clips(adapter, o.packs, "validation", CALIBRATED, o.limit))
            keep(Adapter(adapter.config, adapter.rae, adapter.lora, yes), o.adapter)
        examples = clips(adapter, o.packs, o.split, o.simulated, o.limit, o.followed)
        answered = run_protocol(tuned, rae, examples, o.phrasings, o.history)
    about: dict[str, Any] = {
        "split": o.split,
        "followed": o.followed,
        "phrasings": o.phrasings,
        "history": o.history,
        "synthetic": True,
        "yes": list(yes),
    }
    if o.answers is not None:
        text = "".join(json.dumps(line, default=asdict) + "\n" for line in lines(answered))
        write_atomic(o.answers, lambda file: file.write(text.encode()))
    tell(about | report(answered, yes, o.draws), o.out)
    return 0


def keep(adapter: Adapter, folder: Path) -> None:
    """Write an adapter over the one in `folder`, in the precision of that, and what was noted of it."""
    path = folder / FILES[1]
    with safe_open(path, "numpy") as old:
        half = any(old.get_slice(name).get_dtype() == "F16" for name in old.keys())  # noqa: SIM118 - not a dict
    adapter.save(folder, half)
    if (folder / SUMS).is_file():
        note(path)


if __name__ == "__main__":
    sys.exit(main())
