"""Clips to sequences to batches: what the model reads and which tokens of it are answers.

Several turns about one clip share one sequence, so that what is shown of the clip is read once for several answers.
Everything is a function of a seed and a number: a training that was stopped goes on with the batch it would have had.

Next: training/lvlm/tuned.py
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch

from chat.conversation import Conversation, Turn
from chat.prompt import build_lvlm_messages
from training.datasets.phrasings.disturb import disturbed
from training.datasets.qa import QA, ask, dialogue
from training.datasets.records import clip_record
from training.datasets.truth import ClipTruth
from training.lvlm.heated import Faults
from training.lvlm.looks import Real
from training.lvlm.matched import shown
from training.lvlm.simulate import sample
from training.lvlm.tellable import as_followed
from training.lvlm.tuned import IGNORED, Batch, padding_of
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.rae import collate_views
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.view import View, view_of

MULTIPLE = 8  # sequences are padded to a multiple of this
CUT = 2  # at most this many turns are left out at the beginning of a conversation


class Example(NamedTuple):
    """A clip's truth, as far as it can be known, and the view of what was found in it. traced: something anomalous has
    a track, or nothing is anomalous; else heat alone tells that something is, and only that can be asked."""

    truth: ClipTruth
    view: View
    traced: bool = True


class Sequence_(NamedTuple):  # noqa: N801 - a plain Sequence is another thing
    """Tokens, which of them are supervised (both of one length), what they are shown, how many answers they hold."""

    ids: list[int]
    said: list[bool]
    view: View
    answers: int


def told(truth: ClipTruth, followed: Container[int]) -> tuple[ClipTruth, bool]:
    """The truth of a clip in which these targets have tracks, without those that have none, and whether any has; where
    none has, the truth stays whole."""
    lost = {t.id for t in truth.anomalous if t.id not in followed}
    if not truth.has_anomaly or len(lost) == len(truth.anomalous):
        return truth, not truth.has_anomaly
    return replace(truth, targets=tuple(t for t in truth.targets if t.id not in lost)), True


class Source(Protocol):
    """Examples by number, the same for the same number."""

    def __getitem__(self, number: int) -> Example: ...


@dataclass(frozen=True)
class Simulated:
    """The endless simulated clips of a seed. real: looks that the classifier gave to footage, by noun. followed: what
    is anomalous moves as its tracks do (tellable.as_followed), else as it did."""

    rae: RaeConfig
    seed: int = 0
    split: str = "train"
    faults: Faults = field(default_factory=Faults)
    real: Real | None = None
    followed: bool = True

    def __getitem__(self, number: int) -> Example:
        drawn = sample(self.seed, number, self.faults, self.split, self.real)
        truth, traced = told(drawn.truth, set(drawn.matched.values()))
        if self.followed:
            truth = as_followed(truth, shown(drawn.evidence, drawn.curves).tracks, drawn.matched)
        return Example(truth, view_of(drawn.evidence, drawn.curves, None, self.rae.view), traced)


@dataclass(frozen=True)
class Mixed:
    """Of every example, with probability `share` one of `packed` in random order, else one of `simulated`."""

    simulated: Source
    packed: Sequence[Example]
    share: float
    seed: int = 0

    def __getitem__(self, number: int) -> Example:
        rng = np.random.default_rng([self.seed, number, 1])
        if len(self.packed) and rng.random() < self.share:
            return self.packed[int(rng.integers(len(self.packed)))]
        return self.simulated[number]


@dataclass(frozen=True)
class Talk:
    """How much is asked of a clip in one sequence: most turns where it is anomalous, and where it is normal (there the
    answers are nearly all the same). longest: tokens, beyond which the last turns are left out."""

    turns: int = 5
    normal_turns: int = 2
    longest: int = 480


def write(dialogue_: Dialogue, rae: RaeConfig, view: View, turns: Sequence[QA], longest: int = 10**6) -> Sequence_:
    """The sequence of a conversation, written as for answering: of as many turns as fit, but of one at least."""
    count = n_tokens(rae, view)
    for kept in range(len(turns), 0, -1):
        past = Conversation(tuple(Turn(t.question, t.answer) for t in turns[: kept - 1]))
        messages = build_lvlm_messages(past, turns[kept - 1].question, count, turns=kept)
        ids, said = dialogue_.supervised([*messages, {"role": "assistant", "content": turns[kept - 1].answer}])
        end = len(said) - said[::-1].index(True)  # the line break after it is not read
        if end <= longest or kept == 1:
            return Sequence_(ids[:end], said[:end], view, kept)
    raise ValueError("a conversation without a turn")


def converse(
    example: Example,
    dialogue_: Dialogue,
    rae: RaeConfig,
    talk: Talk,
    rng: np.random.Generator,
    phrasings: str = "train",
) -> Sequence_:
    """A conversation about a clip, drawn by `rng`; its beginning is sometimes left out, as it is when answering. What
    is asked in the training phrasings is disturbed (training/datasets/phrasings/disturb.py)."""
    record = clip_record(example.truth)
    if not example.traced and (qa := ask(record, "whether", rng, phrasings)) is not None:
        made = write(dialogue_, rae, example.view, _typed([qa], rng, phrasings))
        first = made.said.index(True)  # "Yes"; what follows cannot be known
        return Sequence_(made.ids[: first + 1], made.said[: first + 1], made.view, 1)
    most = talk.turns if record.has_anomaly else talk.normal_turns
    turns = int(rng.integers(max(1, most - 1), most + 1))
    skipped = int(rng.integers(0, CUT + 1)) if rng.random() < 0.3 else 0
    asked = dialogue(record, rng, phrasings, turns + skipped)
    return write(dialogue_, rae, example.view, _typed(asked[skipped:], rng, phrasings), talk.longest)


def _typed(asked: Sequence[QA], rng: np.random.Generator, phrasings: str) -> list[QA]:
    return [replace(qa, question=disturbed(qa.question, rng)) if phrasings == "train" else qa for qa in asked]


def collate(sequences: Sequence[Sequence_], padding: int) -> Batch:
    """Sequences side by side, padded at the right with a token."""
    width = -(-max(len(s.ids) for s in sequences) // MULTIPLE) * MULTIPLE
    ids = torch.full((len(sequences), width), padding)
    said = torch.zeros(len(sequences), width, dtype=torch.bool)
    mask = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, s in enumerate(sequences):
        ids[row, : len(s.ids)] = torch.tensor(s.ids)
        said[row, : len(s.ids)] = torch.tensor(s.said)
        mask[row, : len(s.ids)] = True
    labels = torch.where(said, ids, IGNORED)
    return Batch(ids, labels, mask, collate_views([s.view for s in sequences]), sum(s.answers for s in sequences))


@dataclass
class Pools(torch.utils.data.Dataset[list[Batch]]):
    """Batches by pool: `pool` batches are drawn together, sorted by length and shuffled, so that little is padded.

    Pool n holds the examples n * pool * batch and on. together: so many pools that follow each other are shuffled
    alike, so that processes that wait for each other have batches of like length.
    """

    source: Source
    dialogue: Dialogue
    rae: RaeConfig
    talk: Talk
    batch: int = 16
    pool: int = 8
    seed: int = 0
    phrasings: str = "train"
    together: int = 1

    def __getitem__(self, number: int) -> list[Batch]:
        size = self.batch * self.pool
        drawn = [self.sequence(number * size + n) for n in range(size)]
        drawn.sort(key=lambda s: len(s.ids))
        batches = [collate(drawn[n : n + self.batch], padding_of(self.dialogue)) for n in range(0, size, self.batch)]
        order = np.random.default_rng([self.seed, number // self.together, 2]).permutation(len(batches))
        return [batches[n] for n in order]

    def sequence(self, number: int) -> Sequence_:
        """The n-th sequence of all."""
        rng = np.random.default_rng([self.seed, number, 3])
        return converse(self.source[number], self.dialogue, self.rae, self.talk, rng, self.phrasings)


@dataclass
class Numbers(torch.utils.data.Sampler[int]):
    """Pool numbers from `first` on, every `step`-th, without end."""

    first: int = 0
    step: int = 1

    def __iter__(self) -> Iterator[int]:
        number = self.first
        while True:
            yield number
            number += self.step
