"""View: what a language model is shown of an analysed video, as arrays; the same in training and in answering.

Needs numpy only. Next: tvad/lvlm/slots.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heatmap.levels import to_rarity
from tvad.evidence import Curves, Evidence
from tvad.lvlm import slots
from tvad.sight import GRID, Sight

CHANNELS = 152  # of a cell in Sight.patch
CELLS = GRID[0] * GRID[1]
PATCH_GAIN = 8.0  # cells are means of unit vectors: this makes their numbers about 1
LEAST = 1e-3  # heat nearer than this to 0 or 1 counts as this near
BINS = 8  # of the score curve
CHANCES = (0.005, 0.02, 0.05, 0.1, 0.2, 1 / math.e)  # borders of the one-hot of chance_of
FACTS: dict[str, int] = {
    "clip": slots.TIME + 2 + 2,
    "verdict": 2 + 2 * (slots.MANY + 1) + 6 + BINS + len(slots.PARTS) + 2 + len(CHANCES) + 1,
}  # group -> how many numbers


@dataclass(frozen=True)
class ViewConfig:
    """slices, grid: heat maps over the video and their rows and columns. logits: two channels, log odds of normal and
    anomalous, instead of one of probabilities. slots: things told of at most. pictures: looked at, 0 for none.
    facts: whether the numbers about the whole video are told."""

    slices: int = 6
    grid: tuple[int, int] = (18, 24)
    logits: bool = False
    slots: int = 4
    pictures: int = 2
    facts: bool = True

    def __post_init__(self) -> None:
        if min(self.slices, *self.grid) < 1 or min(self.slots, self.pictures) < 0:
            raise ValueError(f"sizes of a view cannot be negative, its heat not empty: {self}")

    @property
    def channels(self) -> int:
        return 2 if self.logits else 1


@dataclass(frozen=True)
class View:
    """heat (T', C, h, w); visual (F, 12, 152), cells of pictures in reading order, F the number of pictures or 0 when
    none was kept; facts: group -> (width,), FACTS or nothing; things: group -> (S, width) as slots.GROUPS. float32."""

    heat: np.ndarray
    visual: np.ndarray
    facts: dict[str, np.ndarray]
    things: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        found = {name: values.shape for name, values in self.facts.items()}
        if self.facts and found != {name: (width,) for name, width in FACTS.items()}:
            raise ValueError(f"a view's facts have shapes {found}; expected {FACTS}")
        found = {name: values.shape for name, values in self.things.items()}
        if found != {name: (self.n_things, width) for name, width in slots.GROUPS.items()}:
            raise ValueError(f"a view's things have shapes {found}; expected {slots.GROUPS} for each")
        if self.heat.ndim != 4 or self.visual.shape[1:] != (CELLS, CHANNELS):
            raise ValueError(f"a view has heat {self.heat.shape} and visual {self.visual.shape}")

    @property
    def n_things(self) -> int:
        return len(next(iter(self.things.values())))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, for a file."""
        named = {f"fact_{name}": values for name, values in self.facts.items()}
        named |= {f"thing_{name}": values for name, values in self.things.items()}
        return {"heat": self.heat, "visual": self.visual, **named}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "View":
        """From what `arrays` gave, possibly stored in half precision. KeyError or ValueError for anything else."""
        full = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
        facts = {name[5:]: values for name, values in full.items() if name.startswith("fact_")}
        things = {name: full[f"thing_{name}"] for name in slots.GROUPS}
        return cls(full["heat"], full["visual"], facts, things)


def view_of(evidence: Evidence, curves: Curves, sight: Sight | None = None, config: ViewConfig | None = None) -> View:
    """The view of an analysed video. sight None: what the curves carry, or nothing was kept."""
    config = config or ViewConfig()
    sight = sight or curves.sight or Sight.empty(len(evidence.tracks))
    heat = heat_slices(curves.heat, config.slices, config.grid)[:, None]
    if config.logits:
        odds = np.log(np.clip(heat, LEAST, 1 - LEAST)) - np.log1p(-np.clip(heat, LEAST, 1 - LEAST))
        heat = np.concatenate([-odds / 2, odds / 2], 1)
    shown = shown_evidence(evidence, sight)
    told = [slots.features(slot, shown, sight) for slot in slots.choose(shown, config.slots)]
    things = {
        name: np.stack([t[name] for t in told]) if told else np.zeros((0, width), np.float32)
        for name, width in slots.GROUPS.items()
    }
    facts = {"clip": _clip(evidence), "verdict": _verdict(evidence, curves)} if config.facts else {}
    facts = {name: np.nan_to_num(values, posinf=0, neginf=0).astype(np.float32) for name, values in facts.items()}
    return View(heat.astype(np.float32), _pictures(shown, curves, sight, config.pictures), facts, things)


def shown_evidence(evidence: Evidence, sight: Sight) -> Evidence:
    """What is shown of the findings: the events, or the least usual moment where there are none."""
    return Evidence.from_json(sight.suspects) if sight.suspects and not evidence.events else evidence


def heat_slices(heat: np.ndarray, slices: int, grid: tuple[int, int]) -> np.ndarray:
    """Heat (T, h, w) as its maxima in `slices` equal parts of the time and in the cells of `grid`; zero where T is 0.

    Parts and cells share a row where the one does not divide the other, so that mirrored heat gives mirrored slices.
    """
    if 0 in heat.shape:
        return np.zeros((slices, *grid), np.float32)
    in_time = np.stack([heat[part].max(0) for part in _parts(len(heat), slices)]).astype(np.float32)
    rows = np.stack([in_time[:, part].max(1) for part in _parts(in_time.shape[1], grid[0])], 1)
    return np.stack([rows[:, :, part].max(2) for part in _parts(rows.shape[2], grid[1])], 2)


def _parts(size: int, count: int) -> list[slice]:
    return [slice(n * size // count, -(-(n + 1) * size // count)) for n in range(count)]


def _pictures(evidence: Evidence, curves: Curves, sight: Sight, count: int) -> np.ndarray:
    # The first at the peak of the strongest event, the others spread over the video.
    channels = sight.patch.shape[-1]
    if not len(sight.times_s) or not count or channels != CHANNELS:
        return np.zeros((0, CELLS, CHANNELS), np.float32)
    length_s = slots.length_of(evidence)
    wanted = [_peak_s(evidence, curves), *(np.arange(1, count) / count * length_s)]
    chosen = [int(np.abs(sight.times_s - t).argmin()) for t in wanted]
    cells = sight.patch[chosen].reshape(count, CELLS, CHANNELS).astype(np.float32)
    return np.nan_to_num(cells) * np.float32(PATCH_GAIN)


def _peak_s(evidence: Evidence, curves: Curves) -> float:
    if evidence.events:
        return max(evidence.events, key=lambda e: e.score).peak_s
    return float(curves.times_s[int(curves.scores.argmax())]) if len(curves.scores) else 0.0


def _clip(evidence: Evidence) -> np.ndarray:
    length_s = slots.length_of(evidence)
    kinds = slots.one_hot(("scene", "uncalibrated"), evidence.calibration)
    shape = max(evidence.video.width, 1) / max(evidence.video.height, 1)
    return np.concatenate([slots.digits(length_s), [math.log1p(length_s) / 4, math.log(shape)], kinds])


def _verdict(evidence: Evidence, curves: Curves) -> np.ndarray:
    scores = curves.scores
    peak = evidence.peak_score if evidence.peak_score is not None else float(scores.max()) if len(scores) else 0.0
    rarity, wanted = _rarity(peak), _rarity(evidence.threshold)
    bins = [float(scores[part].max()) for part in _parts(len(scores), BINS)] if len(scores) else [0.0] * BINS
    numbers = [peak, evidence.threshold, evidence.confidence, float(peak >= evidence.threshold)]
    numbers += [float(np.clip(n / slots.RARE, -3, 3)) for n in (rarity, rarity - wanted)]
    return np.concatenate(
        [
            [float(evidence.has_anomaly), float(not evidence.has_anomaly)],
            slots.count_of(len(evidence.events)),
            slots.count_of(len(evidence.tracks)),
            numbers,
            bins,
            [_highest(curves.parts.get(part)) for part in slots.PARTS],
            _chance(chance_of(evidence)),
        ]
    )


def _chance(p: float) -> np.ndarray:
    """A probability, its logarithm, and between which of CHANCES it lies."""
    place = np.zeros(len(CHANCES) + 1)
    place[int(np.searchsorted(CHANCES, p, side="right"))] = 1
    return np.concatenate([[p, math.log(max(p, 1e-5)) / 5], place])


def chance_of(evidence: Evidence) -> float:
    """How often ordinary footage as long as what was looked at reaches its highest score, in [0, 1]: as if peaks came
    at random at the rate that their rarity promises (heatmap/levels.py). The same level is a finding in ten seconds and
    nothing in an hour. 0 where the score is not known."""
    if evidence.peak_score is None:
        return 0.0
    return -math.expm1(-_looked_at_s(evidence) / 3600 * math.exp(-_rarity(evidence.peak_score)))


def _looked_at_s(evidence: Evidence) -> float:
    """Length of the stretch between --start and --end, or of all."""
    whole_s = slots.length_of(evidence)
    start_s, end_s = (evidence.settings.get(name) for name in ("start_s", "end_s"))
    start_s = start_s if isinstance(start_s, int | float) and start_s > 0 else 0.0
    end_s = min(end_s, whole_s) if isinstance(end_s, int | float) else whole_s
    return end_s - start_s if end_s > start_s else whole_s


def _rarity(score: float) -> float:
    return float(to_rarity(np.array(min(max(score, 1e-3), 1 - 1e-3))))


def _highest(curve: Sequence[float] | np.ndarray | None) -> float:
    return float(np.max(curve)) if curve is not None and len(curve) else 0.0
