"""What each part is worth: the same questions with a part of the model, or of what it is shown, taken away.

    python -m training.lvlm.ablate ADAPTER [PACK ...] [--only whole blind ...]

    whole         nothing is taken away
    zeroed        the embeddings of the video are zero
    blind         the prompt has no embeddings at all
    other         those of another clip
    shuffled      its own, in random order
    no things     without tokens of tracks and events; no heat: with the heat of a quiet clip
    no names      without what the finder of people and a head call things and events; wrong names: with others
    true heat     the heat of the truth instead of the detector's
    no adapter    the language model without its low-rank matrices
    report, text  answers from the evidence, and of the bare language model that is told of it (simulated clips only)

Next: docs/RESULTS.md
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from training.datasets.truth import ClipTruth
from training.lvlm.asking import Answerer
from training.lvlm.data import Example
from training.lvlm.evaluate import UNSEEN, arguments, clips, open_tuned, report, run_protocol, tell
from training.lvlm.matched import boxes_at
from training.lvlm.simulate import sample
from training.lvlm.spoken import SPOKEN, run_spoken
from training.lvlm.tuned import Change, Tuned, quick
from tvad.evidence import Evidence
from tvad.explainer import open_explainer
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.rae import Embedded
from tvad.lvlm.slots import DEEDS, SEEN
from tvad.lvlm.tokens import RaeConfig
from tvad.lvlm.view import LEAST, View

QUIET, LOUD = 0.2, 0.8  # heat where nothing is, and where something is
STEPS = 8  # moments of a slice at which the truth is looked at


@dataclass(frozen=True)
class Without:
    """A model whose injected embeddings are changed, or that is asked without any."""

    tuned: Tuned
    change: Change | None = None
    blind: bool = False

    @property
    def dialogue(self) -> Any:
        return _Blind(self.tuned.dialogue) if self.blind else self.tuned.dialogue

    def answer(
        self, prompts: Sequence[Sequence[int]], views: Sequence[View], longest: int = 64
    ) -> tuple[list[str], np.ndarray]:
        return self.tuned.answer(prompts, views, longest, self.change)


@dataclass(frozen=True)
class _Blind:
    dialogue: Any

    def encode(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        return list(self.dialogue.encode([{k: v for k, v in m.items() if k != "tokens"} for m in messages]))


def zeroed(given: Embedded) -> Embedded:
    return Embedded(torch.zeros_like(given.embeddings), given.counts)


def shuffled(given: Embedded) -> Embedded:
    """Each row's own embeddings in random order."""
    out = given.embeddings.clone()
    dice = torch.Generator().manual_seed(0)
    for row, count in enumerate(given.counts.tolist()):
        order = torch.randperm(count, generator=dice).to(out.device)
        out[row, :count] = given.embeddings[row, order]
    return Embedded(out, given.counts)


def of_another(examples: Sequence[Example]) -> list[Example]:
    """Every clip with the view of the next one of the other kind: anomalous where it is normal."""
    turned = []
    for n, example in enumerate(examples):
        after = [*examples[n + 1 :], *examples[:n]]
        other = next((e for e in after if e.truth.has_anomaly != example.truth.has_anomaly), example)
        turned.append(Example(example.truth, other.view, example.traced))
    return turned


def without_things(examples: Sequence[Example]) -> list[Example]:
    """Only pictures, heat and facts are shown."""

    def bare(view: View) -> View:
        return replace(view, things={name: values[:0] for name, values in view.things.items()})

    return [Example(e.truth, bare(e.view), e.traced) for e in examples]


def without_heat(examples: Sequence[Example]) -> list[Example]:
    """The heat maps are those of a clip in which nothing happens."""
    return [
        Example(e.truth, replace(e.view, heat=_as_view(np.full_like(e.view.heat[:, :1], QUIET), e.view)), e.traced)
        for e in examples
    ]


def without_names(examples: Sequence[Example]) -> list[Example]:
    """Nothing bears a name: as if nobody had looked for people, and no head told kinds apart."""

    def unnamed(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        noun, deed = (np.zeros_like(groups[name]) for name in ("noun", "deed"))
        noun[:, len(SEEN) - 1] = groups["noun"].any(1)
        deed[:, len(DEEDS)] = groups["deed"].any(1)
        return {"noun": noun, "deed": deed}

    return _renamed(examples, unnamed)


def with_wrong_names(examples: Sequence[Example]) -> list[Example]:
    """People are called motor vehicles, these nothing, and what is nothing people; every deed has the name and the
    probability of another one."""

    def wrong(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        noun, deed = groups["noun"].copy(), groups["deed"].copy()
        noun[:, : len(SEEN)] = np.roll(noun[:, : len(SEEN)], 1, 1)
        after = len(DEEDS) // 2
        for first in (0, len(DEEDS) + 1):  # one-hot name, then "none"; then probabilities
            rows = slice(first, first + len(DEEDS))
            deed[:, rows] = np.roll(deed[:, rows], after, 1)
        return {"noun": noun, "deed": deed}

    return _renamed(examples, wrong)


def _renamed(
    examples: Sequence[Example], change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
) -> list[Example]:
    return [
        Example(e.truth, replace(e.view, things={**e.view.things, **change(e.view.things)}), e.traced) for e in examples
    ]


def with_true_heat(examples: Sequence[Example]) -> list[Example]:
    """The heat maps are high exactly on what is anomalous."""

    def seen(e: Example) -> View:
        slices, _, height, width = e.view.heat.shape
        return replace(e.view, heat=_as_view(true_heat(e.truth, slices, (height, width))[:, None], e.view))

    return [Example(e.truth, seen(e), e.traced) for e in examples]


def true_heat(truth: ClipTruth, slices: int, grid: tuple[int, int]) -> np.ndarray:
    """(slices, h, w): LOUD in the boxes of what is anomalous at some moment of a slice, QUIET elsewhere."""
    heat = np.full((slices, *grid), QUIET, np.float32)
    for target in truth.anomalous:
        for n in range(slices):
            times = (n + (np.arange(STEPS) + 0.5) / STEPS) / slices * truth.duration_s
            spans = [s for s in target.anomalous_s if target.times_s]
            on = [t for t in times if any(a <= t <= b for a, b in spans)]
            if not on:
                continue
            scale = np.tile((grid[1], grid[0]), 2) / np.tile(truth.size_wh, 2)
            for x0, y0, x1, y1 in (boxes_at(target, np.array(on)) * scale).tolist():
                heat[n, int(max(y0, 0)) : int(np.ceil(y1)), int(max(x0, 0)) : int(np.ceil(x1))] = LOUD
    return heat


def _as_view(heat: np.ndarray, view: View) -> np.ndarray:
    """Probabilities (T', 1, h, w) in the channels of a view."""
    if view.heat.shape[1] == 1:
        return heat
    p = np.clip(heat, LEAST, 1 - LEAST)
    odds = np.log(p) - np.log1p(-p)
    return np.concatenate([-odds / 2, odds / 2], 1)


EXAMPLES: dict[str, Callable[[Sequence[Example]], list[Example]]] = {
    "other": of_another,
    "no things": without_things,
    "no heat": without_heat,
    "no names": without_names,
    "wrong names": with_wrong_names,
    "true heat": with_true_heat,
}
CHANGES: dict[str, Change] = {"zeroed": zeroed, "shuffled": shuffled}
NAMES = ("whole", *CHANGES, "blind", *EXAMPLES, "no adapter")
EVERY = (*NAMES, *SPOKEN)


def ablated(tuned: Tuned, rae: RaeConfig, examples: Sequence[Example], name: str, **how: Any) -> dict[str, Any]:
    """The report of one of NAMES. how: phrasings and history of `run_protocol`, draws of `report`."""
    if name not in NAMES:
        raise ValueError(f"no ablation {name!r}; choose one of {list(NAMES)}")
    draws = how.pop("draws", 0)
    shown = EXAMPLES[name](examples) if name in EXAMPLES else examples
    model: Answerer = Without(tuned, CHANGES.get(name), blind=name == "blind")
    with tuned.model.disable_adapter() if name == "no adapter" else nullcontext():
        answered = run_protocol(model, rae, shown, **how)
    return report(answered, draws=draws)


def seen_evidence(packs: Sequence[Any], split: str, count: int) -> list[Evidence]:
    """What was found in the simulated clips that `clips` gives. ValueError with packs, which hold views only."""
    if packs:
        raise ValueError(f"report and text are asked of simulated clips only; leave out {[str(p) for p in packs]}")
    return [sample(0, UNSEEN + n, None, split).evidence for n in range(count)]


def main(given: list[str] | None = None) -> int:
    """See the top of the file."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", nargs="*", choices=EVERY, default=list(NAMES))
    o = parser.parse_args(given)
    adapter = Adapter.load(o.adapter)
    tuned = open_tuned(adapter, o.model)
    examples = clips(adapter, o.packs, o.split, o.simulated, o.limit, o.followed)
    how = {"phrasings": o.phrasings, "history": o.history, "draws": o.draws}
    found = {}
    with quick(tuned, next(tuned.rae.parameters()).device):
        for name in o.only:
            if name in SPOKEN:
                evidence = seen_evidence(o.packs, o.split, len(examples))
                explainer = open_explainer("mini") if name == "text" else None
                answered = run_spoken(examples, evidence, name, o.phrasings, explainer=explainer)
                found[name] = report(answered, draws=o.draws)
            else:
                found[name] = ablated(tuned, adapter.config.rae, examples, name, **how)
            print(f"{name}: {found[name]['yes_no']}", file=sys.stderr, flush=True)
    tell({"split": o.split, "phrasings": o.phrasings, "history": o.history, "ablations": found}, o.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
