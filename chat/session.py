"""A dialogue about one analysed video: question in, words out, with what they rest on and what contradicts them.

Session.ask yields the answer in pieces; Session.last is then the whole of it. The detector never runs here. With
explain="text" a language model words the answer from the facts, a large one from all of them and from key frames; with
explain="lvlm" it answers from what it is shown of the video, without being told the facts. The small one of `mini` is
asked in the steps of T-VAD's dialogue: whether there is an anomaly, then what builds on that; who begins with a later
step has the first one asked unseen. How the verdict was reached, what is at a moment and what nobody taught it, it is
not asked: the narrator tells that. What a model claims is checked and conflicts are told beside it, never rewritten.
Where it fails, says nothing or runs off, the narrator answers, with a visible note.

Next: chat/prompt.py
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from chat import facts
from chat.beyond import declines
from chat.check import conflicts, says_whether
from chat.claims import sentences
from chat.conversation import Conversation, Turn
from chat.lexicon import singular
from chat.meaning import understand
from chat.prompt import build_full_messages, build_lvlm_messages, build_messages, build_seeing_messages
from chat.questions import BEYOND, SURE, UNKNOWN, WHAT, WHETHER, WHY, Question
from chat.report import Said, narrate
from tvad.evidence import Evidence
from tvad.explainer import NO, YES, Explainer, Speaker, open_explainer
from tvad.lvlm.view import View, chance_of
from tvad.video import VideoError

if TYPE_CHECKING:
    from chat.keyframes import KeyFrame

WAYS = ("report", "text", "lvlm")
NARRATED = frozenset({WHY, SURE})  # kinds of questions about scores and thresholds, not about the video
FIRST = "Is there any anomaly in the video?"  # the dialogue's first step
TURNS = 2  # of the dialogue that the language model is reminded of
UNSURE = (0.35, 0.65)  # a probability of "yes" between these is no answer
MAX_NEW_TOKENS = 120
LONGEST_CHARS = 700  # an answer beyond this has run off
FULL_TOKENS, FULL_CHARS = 400, 2500  # the same two of a large language model
BLIND = "[The pictures cannot be read; the language model is told the findings alone.] "
REPEATS = 3  # so many times the same six words: it runs in circles
NEW_SHARE = 0.5  # of an answer's telling words that may be its own
SENTENCE_WORDS = 3
SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")
FAILURES = (RuntimeError, ValueError, OSError, MemoryError)


@dataclass(frozen=True)
class Answer:
    """What was said. citations: "event 1, 3.2-5.8 s", "track 4". conflicts: claims the evidence contradicts.
    yes: the language model's probability that there is an anomaly, and verdict: whether there is one in its words; None
    where it was not asked that, or said neither."""

    text: str
    citations: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    yes: float | None = None
    verdict: bool | None = None


def verdict_of(evidence: Evidence, answer: Answer) -> tuple[bool, float]:
    """Whether there is an anomaly and how sure that is, in [0, 1]: as a language model says that was asked just that,
    else as the evidence has it."""
    has_anomaly = evidence.has_anomaly if answer.verdict is None else answer.verdict
    if answer.yes is None:
        return has_anomaly, evidence.confidence
    return has_anomaly, round(answer.yes if has_anomaly else 1 - answer.yes, 3)


def is_evidence(evidence: Evidence) -> bool:
    """Whether a video's highest score can speak for an anomaly at all: from a p-value of 1 / e on it cannot (Sellke,
    Bayarri and Berger 2001). What the model sees then is the least usual moment of many, and its "yes" would be the
    footage's length."""
    return evidence.has_anomaly or chance_of(evidence) < 1 / math.e


@dataclass
class _Heard:
    """What a language model has said so far, and why it was stopped ("" while all is well)."""

    text: str = ""
    trouble: str = ""
    yes: float | None = None
    verdict: bool | None = None  # of the first step, where what was asked builds on it


class Session:
    """One video's evidence and a conversation about it.

    explain: "report" (no language model), "text" or "lvlm", which needs `view`, what the language model is shown.
    explainer: the language model to use; None opens the preset's at the first question that needs it (MissingWeights
    when it is not installed). frames: key frames for an explainer that reads pictures and long texts, called once, at
    the first question; with "text" alone, and None for a small language model, which is told little.
    """

    def __init__(
        self,
        evidence: Evidence,
        explain: str = "report",
        explainer: Speaker | None = None,
        view: View | None = None,
        frames: "Callable[[], Sequence[KeyFrame]] | None" = None,
    ) -> None:
        if explain not in WAYS:
            raise ValueError(f"cannot explain by {explain!r}; choose one of {list(WAYS)} (--explain)")
        if explain == "lvlm" and view is None and explainer is None:
            raise ValueError("explain='lvlm' needs a view of the video (tvad.lvlm.view.view_of)")
        self.evidence = evidence
        self.explain = explain
        self.conversation = Conversation()
        self.noted = False  # that it is not calibrated was said already, in another dialogue
        self._explainer = explainer
        self._view = view
        self._frames = frames
        self._shown_frames: Sequence[KeyFrame] | None = None
        self._step: tuple[Turn, float] | None = None  # the first step, and the probability of yes
        self._last: Answer | None = None

    @property
    def last(self) -> Answer:
        """The last whole answer. RuntimeError before the first one has been read to its end."""
        if self._last is None:
            raise RuntimeError("no answer yet: read session.ask(question) to its end first")
        return self._last

    def ask(self, question: str) -> Iterator[str]:
        """Answer in pieces; together they are `last.text`. A turn counts once its last piece was taken."""
        read = understand(question)
        said = narrate(self.evidence, read, self.conversation)
        first = not (self.conversation.turns or self.noted)
        heard = _Heard()
        pieces: list[str] = []
        for piece in self._worded(read, said, heard) if self._by_model(read, said) else _sentences(said.text):
            pieces.append(piece)
            yield piece
        words = "".join(pieces)
        if kind := self._kind(read, heard):
            pieces.append(f" {kind}")
            yield pieces[-1]
        if first and (note := facts.uncalibrated_note(self.evidence)):
            pieces.append(f" {note}")
            yield pieces[-1]
        self._close(read, said, "".join(pieces), words if heard.trouble else heard.text or words, heard)

    def _kind(self, read: Question, heard: _Heard) -> str:
        """What the evidence calls an anomaly that a language model affirms: it was not taught such names."""
        if self.explain != "lvlm" or self._sees or heard.trouble or not {WHETHER, WHAT} & set(read.kinds):
            return ""
        word = _verdict(heard.text)
        found = heard.verdict if word is None else (word == "yes") != read.asks_normal
        return facts.kind_note(self.evidence) if found else ""

    def _by_model(self, read: Question, said: Said) -> bool:
        # About a video without anomaly there is nothing to word: the plain No is the answer.
        if not read.text or self.explain == "report":
            return False
        if self.explain == "lvlm":
            # Numbers of events and tracks are the evidence's; which there are not it would make up.
            numbered = read.event is not None or read.track is not None
            missing = self.evidence.has_anomaly and read.names_one and not said.focus.chosen
            untaught = read.span_s is not None or (read.kinds == (UNKNOWN,) and read.yes_no) or numbered or missing
            return not (set(read.kinds) <= NARRATED or (untaught and not self._sees))
        return self.evidence.has_anomaly or self._frames is not None or self._sees

    @property
    def _sees(self) -> bool:
        """Whether the language model looks at the video itself. One that comes from elsewhere need not know of it."""
        return bool(getattr(self._explainer, "sees", False))

    def _close(self, read: Question, said: Said, text: str, words: str, heard: _Heard) -> None:
        claimed = heard.text
        found = conflicts(claimed, self.evidence, read, said.focus) if claimed else ()
        wrong = _verdict(claimed), _verdict(said.text)
        if read.yes_no and not found and set(wrong) == {"yes", "no"}:
            found = (f"The text says {wrong[0]}; from the evidence: {said.text}",)
        if heard.verdict is not None and heard.verdict != self.evidence.has_anomaly and not found:
            found = (says_whether(heard.verdict, self.evidence),)
        if claimed and BEYOND in said.kinds and not declines(claimed):
            found = (*found, said.text)
        yes = 1 - heard.yes if heard.yes is not None and read.asks_normal else heard.yes
        verdict = None if heard.trouble else heard.verdict
        if yes is not None and not heard.trouble and wrong[0]:
            verdict = (wrong[0] == "yes") != read.asks_normal  # "yes" to "is all normal?" is no anomaly
        self._last = Answer(text, self._citations(said, claimed if self._frames else ""), found, yes, verdict)
        self.conversation = self.conversation.add(Turn(read.text, words, said.kinds, said.focus))

    def _citations(self, said: Said, claimed: str = "") -> tuple[str, ...]:
        """What the narrator's answer rests on, and what of the evidence the text `claimed` names beyond that."""
        events = {e.id: e for e in self.evidence.events}
        tracks = {t.id: t for t in self.evidence.tracks}
        own = sentences(claimed) if claimed else []
        event_ids = dict.fromkeys([*said.events, *(i for s in own for i in s.events if i in events)])
        track_ids = dict.fromkeys([*said.tracks, *(i for s in own for i in s.tracks if i in tracks)])
        return (
            *(facts.cite_event(events[i]) for i in event_ids),
            *(facts.cite_track(tracks[i]) for i in track_ids),
        )

    def _worded(self, read: Question, said: Said, heard: _Heard) -> Iterator[str]:
        """The language model's words, kept in `heard`; after trouble a note and the narrator's words."""
        yield from self._model_words(read, heard)
        if not heard.trouble and read.yes_no and _verdict(said.text) and not _verdict(heard.text):
            heard.trouble = "did not say yes or no"
        if heard.trouble:
            space = " " if heard.text else ""
            yield f"{space}[The language model {heard.trouble}; from the evidence:] "
            yield from _sentences(said.text)

    def _model_words(self, read: Question, heard: _Heard) -> Iterator[str]:
        if self._explainer is None:
            self._explainer = open_explainer(self.evidence.preset, self._view if self.explain == "lvlm" else None)
        try:
            if self.explain == "lvlm":
                yield from self._shown(cast(Explainer, self._explainer), read, heard)
            elif self._frames is not None:
                yield from self._told_all(self._explainer, self._frames, read, heard)
            else:
                yield from self._told(self._explainer, read, heard)
        except FAILURES as error:
            heard.trouble = f"failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"

    def _shown(self, explainer: Explainer, read: Question, heard: _Heard) -> Iterator[str]:
        """Words about what the model is shown."""
        recent = self.conversation.turns[-TURNS:]
        asks = read.yes_no and read.kinds == (WHETHER,)
        builds = not (asks or self._sees or read.kinds == (BEYOND,))
        if builds and all(turn.kinds != (WHETHER,) for turn in recent):
            step, sure = self._first_step(explainer)
            recent = (step, *recent)
            if WHAT in read.kinds:
                heard.yes, word = sure, _verdict(step.answer)
                heard.verdict = None if word is None else word == "yes"
                if UNSURE[0] < sure < UNSURE[1]:
                    yield f"[Not sure: {sure:.0%} that there is an anomaly.] "
        if self._sees:
            messages = build_seeing_messages(self.conversation, read.text, explainer.n_tokens)
        else:
            messages = build_lvlm_messages(Conversation(recent), read.text, explainer.n_tokens, TURNS + 1)
        first: tuple[str, ...] = ()
        if asks:
            heard.yes, first = self._yes(explainer, messages, read.asks_normal)
            if UNSURE[0] < heard.yes < UNSURE[1]:
                yield f"[Not sure: {heard.yes:.0%} for yes.] "
        yield from _kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS, first=first), heard)
        if not heard.trouble and not heard.text.strip():
            heard.trouble = "said nothing"

    def _first_step(self, explainer: Explainer) -> tuple[Turn, float]:
        """The first step as the model has it, asked once a video, and its probability of an anomaly."""
        if self._step is None:
            messages = build_lvlm_messages(Conversation(), FIRST, explainer.n_tokens)
            sure, first = self._yes(explainer, messages)
            heard = _Heard()
            for _ in _kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS, first=first), heard):
                pass
            self._step = Turn(FIRST, heard.text.strip(), (WHETHER,)), sure
        return self._step

    def _yes(
        self, explainer: Explainer, messages: list[dict[str, Any]], asks_normal: bool = False
    ) -> tuple[float, tuple[str, ...]]:
        """The probability of "yes", and words of which the answer is to begin with one (any where there are none).

        The small model's word follows its calibrated probability of an anomaly: what it prefers to say is what
        calibration corrects. Whether all is normal, it is asked as the dialogue's first step.
        """
        if asks_normal and not self._sees:
            messages = build_lvlm_messages(Conversation(), FIRST, explainer.n_tokens)
        sure = explainer.yes_probability(messages)
        anomaly = 1 - sure if asks_normal and self._sees else sure
        can_be = is_evidence(self.evidence)
        if not can_be:
            anomaly = min(anomaly, 0.5)
        elif self._sees:
            return sure, ()
        found = anomaly >= 0.5 and can_be
        return 1 - anomaly if asks_normal else anomaly, NO if found == asks_normal else YES

    def _told_all(
        self, explainer: Speaker, frames: "Callable[[], Sequence[KeyFrame]]", read: Question, heard: _Heard
    ) -> Iterator[str]:
        """Words of a language model that is told all of the evidence and shown key frames."""
        if self._shown_frames is None:
            try:
                self._shown_frames = tuple(frames())
            except (VideoError, OSError):
                self._shown_frames = ()
                yield BLIND
        messages = build_full_messages(self.evidence, self.conversation, read.text, self._shown_frames)
        yield from _kept(explainer.stream(messages, max_new_tokens=FULL_TOKENS), heard, FULL_CHARS)
        if not heard.trouble and not heard.text.strip():
            heard.trouble = "said nothing"

    def _told(self, explainer: Speaker, read: Question, heard: _Heard) -> Iterator[str]:
        """Words about the facts it is told, and the frames if it sees them."""
        if self._sees:
            messages = build_seeing_messages(self.conversation, read.text, told=self.evidence)
            yield from _kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS), heard)
            if not heard.trouble and not heard.text.strip():
                heard.trouble = "said nothing"
            return
        messages = build_messages(self.evidence, self.conversation, read.text)
        yield from _kept(_first_sentence(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS)), heard)
        if not heard.trouble:
            strays = _strays(heard.text, messages[-1]["content"])
            heard.trouble = strays if heard.text.strip() else "said nothing"


def _kept(pieces: Iterator[str], heard: _Heard, longest: int = LONGEST_CHARS) -> Iterator[str]:
    """The pieces, noted in `heard`, until they run off."""
    for piece in pieces:
        heard.text += piece
        yield piece
        heard.trouble = _runs_off(heard.text, longest)
        if heard.trouble:
            return


def _first_sentence(pieces: Iterator[str]) -> Iterator[str]:
    """Up to the end of the first sentence: that is what the prompt asks for, and small models wander off after it."""
    said = ""
    for piece in pieces:
        text = said + (piece if said else piece.lstrip())
        # A full stop counts once the space after it is there, and "Yes." is no sentence yet.
        ends = (m.start() for m in SENTENCE_END.finditer(text, max(len(said) - 1, 0)))
        end = next((at for at in ends if len(text[:at].split()) >= SENTENCE_WORDS), None)
        if end is not None:
            text = text[: end + 1].rstrip()
        if len(text) > len(said):
            yield text[len(said) :]
        if end is not None:
            return
        said = text


def _runs_off(text: str, longest: int) -> str:
    """Why a language model should be stopped; "" while it talks sense."""
    if len(text) > longest:
        return "did not come to an end"
    words = re.findall(r"\w+", text.lower())
    last = words[-6:]
    if len(last) == 6:
        again = sum(words[i : i + 6] == last for i in range(len(words) - 5))
        if again >= REPEATS:
            return "began to repeat itself"
    return ""


def _verdict(text: str) -> str | None:
    """The yes or no that a text begins with."""
    m = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return m[1].lower() if m else None


def _strays(text: str, prompt: str) -> str:
    """Why an answer is not one: most of its telling words are in neither the facts nor the question."""
    told = set(_telling(prompt))
    words = _telling(text)
    new = [w for w in words if w not in told]
    return "strayed from the evidence" if words and len(new) > NEW_SHARE * len(words) else ""


def _telling(text: str) -> list[str]:
    words = re.findall(r"\d+(?:\.\d+)?|[a-z]+", text.lower())
    return [singular(w) for w in dict.fromkeys(words) if len(w) > 3 or w[0].isdigit()]


def _sentences(text: str) -> Iterator[str]:
    """A text sentence by sentence, nothing lost."""
    yield from re.findall(r".+?(?:[.!?](?=\s)\s+|$)", text, re.DOTALL)
