"""What has been said about a video: turns, and which event and track they were about. Immutable.

Next: chat/questions.py
"""

from dataclasses import dataclass, replace

from chat.questions import BEYOND


@dataclass(frozen=True)
class Focus:
    """What a turn is about, by id. `chosen`: the person named it; else it is just the strongest one."""

    event: int | None = None
    track: int | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Turn:
    """A question, its answer, what kinds of question it was (chat/questions.py) and what it was about.

    verdict: whether the answer says that there is an anomaly, where a language model was asked just that about the
    whole video; sure: its probability of an anomaly, None where it is not known."""

    question: str
    answer: str
    kinds: tuple[str, ...] = ()
    focus: Focus = Focus()
    verdict: bool | None = None
    sure: float | None = None


@dataclass(frozen=True)
class Conversation:
    """The turns so far, oldest first."""

    turns: tuple[Turn, ...] = ()

    def add(self, turn: Turn) -> "Conversation":
        return replace(self, turns=(*self.turns, turn))

    @property
    def focus(self) -> Focus:
        """What was last spoken about; an empty Focus when nothing was."""
        spoken = (t.focus for t in reversed(self.turns) if t.focus.event is not None or t.focus.track is not None)
        return next(spoken, Focus())

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the last question that could be answered, for "and the second one?"."""
        return next((turn.kinds for turn in reversed(self.turns) if turn.kinds != (BEYOND,)), ())

    @property
    def stand(self) -> Turn | None:
        """The last turn that said whether there is an anomaly; None where none did."""
        return next((turn for turn in reversed(self.turns) if turn.verdict is not None), None)
