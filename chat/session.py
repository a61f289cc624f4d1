"""A dialogue about one analysed video: question in, words out, with what they rest on and what contradicts them.

Session.ask yields the answer in pieces; Session.last is then the whole of it. The detector never runs here. With
explain="text" a language model words the answer from the facts, a large one from all of them and from key frames; with
explain="lvlm" it answers from what it is shown of the video, without being told the facts. The small one of `mini` is
asked in the steps of T-VAD's dialogue: whether there is an anomaly, then what builds on that; who begins with a later
step has the first one asked unseen. How the verdict was reached, what is at a moment and what nobody taught it, it is
not asked: the narrator tells that, and knows what the model said (chat/standing.py). What a model claims is checked and
conflicts are told beside it, never rewritten. Where it fails, says nothing or runs off, the narrator answers, with a
visible note.

Next: chat/prompt.py
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from chat import facts
from chat.beyond import declines
from chat.check import against_before, conflicts, denies, says_whether
from chat.claims import sentences
from chat.conversation import Conversation, Turn
from chat.heard import Heard, broke_off, first_sentence, in_sentences, kept, strays, yes_or_no
from chat.meaning import understand
from chat.nothing import counts_findings
from chat.prompt import build_full_messages, build_lvlm_messages, build_messages, build_seeing_messages
from chat.questions import BEYOND, COUNT, HARM, RECALL, WHAT, WHETHER, Question
from chat.report import Said, narrate
from chat.routes import ABSTAINS, NARRATED, asks_whole, untaught
from tvad.evidence import Evidence
from tvad.explainer import NO, YES, Explainer, Speaker, open_explainer
from tvad.lvlm.view import View, chance_of
from tvad.video import VideoError

if TYPE_CHECKING:
    from chat.keyframes import KeyFrame

WAYS = ("report", "text", "lvlm")
FIRST = "Is there any anomaly in the video?"  # the dialogue's first step
TURNS = 2  # of the dialogue that the language model is reminded of
UNSURE = (0.35, 0.65)  # a probability of "yes" between these is no answer
MAX_NEW_TOKENS = 120
FULL_TOKENS, FULL_CHARS = 400, 2500  # the same, and the longest answer, of a large language model
BLIND = "[The pictures cannot be read; the language model is told the findings alone.] "
FAILURES = (RuntimeError, ValueError, OSError, MemoryError)


@dataclass(frozen=True)
class Answer:
    """What was said. citations: "event 1, 3.2-5.8 s", "track 4". conflicts: claims the evidence contradicts.
    yes: the language model's probability that there is an anomaly, None where this answer does not tell it. verdict:
    whether there is one in its words, now or before in the dialogue, and sure: its probability of it; None where it was
    not asked that, or said neither."""

    text: str
    citations: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    yes: float | None = None
    verdict: bool | None = None
    sure: float | None = None


def verdict_of(evidence: Evidence, answer: Answer) -> tuple[bool, float]:
    """Whether there is an anomaly and how sure that is, in [0, 1]: as a language model says that was asked just that,
    in this dialogue, else as the evidence has it."""
    has_anomaly = evidence.has_anomaly if answer.verdict is None else answer.verdict
    sure = answer.sure if answer.yes is None else answer.yes
    if sure is None:
        return has_anomaly, evidence.confidence
    return has_anomaly, round(sure if has_anomaly else 1 - sure, 3)


def is_evidence(evidence: Evidence) -> bool:
    """Whether a video's highest score can speak for an anomaly at all: from a p-value of 1 / e on it cannot (Sellke,
    Bayarri and Berger 2001). What the model sees then is the least usual moment of many, and its "yes" would be the
    footage's length."""
    return evidence.has_anomaly or chance_of(evidence) < 1 / math.e


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
        self._step: Turn | None = None  # the first step, where it was asked unseen
        self._chance: float | None = None  # of an anomaly, as the small model was asked by the first step
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
        by_model = self._by_model(read, said)
        if read.text and not by_model and (stand := self._stand()) is not None:
            said = narrate(self.evidence, read, self.conversation, stand)
        first = not (self.conversation.turns or self.noted)
        heard = Heard()
        pieces: list[str] = []
        for piece in self._worded(read, said, heard) if by_model else in_sentences(said.text):
            pieces.append(piece)
            yield piece
        words = "".join(pieces)
        if note := self._note(read, heard):
            pieces.append(f" {note}")
            yield pieces[-1]
        if first and (note := facts.uncalibrated_note(self.evidence)):
            pieces.append(f" {note}")
            yield pieces[-1]
        self._close(read, said, "".join(pieces), words if heard.trouble else heard.text or words, heard)

    def _note(self, read: Question, heard: Heard) -> str:
        """What a language model that was shown the video was not taught to say: what the evidence calls an anomaly that
        it affirms, and that its counts are of what is anomalous."""
        if self.explain != "lvlm" or self._sees or heard.trouble or not heard.text:
            return ""
        known, word = self._known(), yes_or_no(heard.text)
        notes = (
            ["[Only what is anomalous is counted.]"] if COUNT in read.kinds and not counts_findings(read.thing) else []
        )
        if asks_whole(read) or (WHETHER in read.kinds and word):
            found = (word == "yes") != read.asks_normal
        else:
            found = bool(known and known.verdict) and not declines(heard.text)
            if known and not known.verdict and not (denies(heard.text) or declines(heard.text) or word):
                chance = "" if known.sure is None else f" ({known.sure:.0%} for one)"
                notes.append(f"[That there is an anomaly was denied{chance}; this is about what is least usual.]")
        if found and {WHETHER, WHAT} & set(read.kinds):
            notes.append(facts.kind_note(self.evidence))
        return " ".join(filter(None, notes))

    def _by_model(self, read: Question, said: Said) -> bool:
        # About a video without anomaly there is nothing to word: the plain No is the answer.
        if not read.text or self.explain == "report":
            return False
        if self.explain == "lvlm":
            return not (set(read.kinds) <= NARRATED or (not self._sees and untaught(read, said, self.evidence)))
        if self._frames is not None or self._sees:
            return True
        return self.evidence.has_anomaly and not set(read.kinds) & {*ABSTAINS, RECALL}

    @property
    def _sees(self) -> bool:
        """Whether the language model looks at the video itself. One that comes from elsewhere need not know of it."""
        return bool(getattr(self._explainer, "sees", False))

    def _close(self, read: Question, said: Said, text: str, words: str, heard: Heard) -> None:
        claimed = heard.text
        found = conflicts(claimed, self.evidence, read, said.focus) if claimed else ()
        wrong = yes_or_no(claimed), yes_or_no(said.text)
        if read.yes_no and not found and set(wrong) == {"yes", "no"}:
            found = (f"The text says {wrong[0]}; from the evidence: {said.text}",)
        if heard.verdict not in (None, self.evidence.has_anomaly) and not found and not declines(claimed):
            found = (says_whether(heard.verdict, self.evidence),)
        if claimed and {BEYOND, HARM} & set(said.kinds) and not declines(claimed):
            found = (*found, said.text)
        stand = self._known()
        if stand is not None and not found and not asks_whole(read):
            found = against_before(claimed, stand)
        yes = 1 - heard.yes if heard.yes is not None and read.asks_normal else heard.yes
        verdict, own = None if heard.trouble else heard.verdict, None
        if asks_whole(read) and not heard.trouble and (word := yes_or_no(words)):
            own = (word == "yes") != read.asks_normal  # "yes" to "is all normal?" is no anomaly
            verdict = own if yes is not None else None
        sure = yes
        if yes is None and stand is not None and stand.sure is not None:
            verdict, sure = stand.verdict, stand.sure
        self._last = Answer(text, self._citations(said, claimed if self._frames else ""), found, yes, verdict, sure)
        turn = Turn(read.text, words, said.kinds, said.focus, own, None if own is None else yes)
        self.conversation = self.conversation.add(turn)

    def _known(self) -> Turn | None:
        """The turn that said whether there is an anomaly, or the first step that was asked unseen."""
        stand = self.conversation.stand or self._step
        if stand is None or stand.verdict is None:
            return None
        return stand if stand.sure is not None else replace(stand, sure=self._chance)

    def _stand(self) -> Turn | None:
        """The same for the narrator; the small language model is asked, where it was not yet."""
        if self.explain == "lvlm" and not self._sees:
            try:
                explainer = cast(Explainer, self._speaker())
                if self.conversation.stand is None:
                    self._first_step(explainer)
                else:
                    self._chance_of(explainer)
            except FAILURES:
                pass  # what it cannot say is not missed here
        return self._known()

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

    def _worded(self, read: Question, said: Said, heard: Heard) -> Iterator[str]:
        """The language model's words, kept in `heard`; after trouble a note and the narrator's words."""
        yield from self._model_words(read, heard)
        if not heard.trouble and broke_off(heard.text):
            heard.trouble = "broke off"
        abstains = self.explain == "lvlm" and declines(heard.text)
        if not (heard.trouble or abstains) and read.yes_no and yes_or_no(said.text) and not yes_or_no(heard.text):
            heard.trouble = "did not say yes or no"
        if heard.trouble:
            space = " " if heard.text else ""
            yield f"{space}[The language model {heard.trouble}; from the evidence:] "
            yield from in_sentences(narrate(self.evidence, read, self.conversation, self._known()).text)

    def _model_words(self, read: Question, heard: Heard) -> Iterator[str]:
        speaker = self._speaker()
        try:
            if self.explain == "lvlm":
                yield from self._shown(cast(Explainer, speaker), read, heard)
            elif self._frames is not None:
                yield from self._told_all(speaker, self._frames, read, heard)
            else:
                yield from self._told(speaker, read, heard)
        except FAILURES as error:
            heard.trouble = f"failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})"

    def _speaker(self) -> Speaker:
        if self._explainer is None:
            self._explainer = open_explainer(self.evidence.preset, self._view if self.explain == "lvlm" else None)
        return self._explainer

    def _shown(self, explainer: Explainer, read: Question, heard: Heard) -> Iterator[str]:
        """Words about what the model is shown."""
        recent = self.conversation.turns[-TURNS:]
        asks = read.yes_no and read.kinds == (WHETHER,)
        builds = not (asks or self._sees or read.kinds == (BEYOND,))
        if builds and all(turn.verdict is None for turn in recent):
            new = self._known() is None
            recent = (self.conversation.stand or self._first_step(explainer), *recent)
            if new or WHAT in read.kinds:
                yield from self._told_step(read, heard)
        if not self._sees:
            self._chance_of(explainer)
        if self._sees:
            messages = build_seeing_messages(self.conversation, read.text, explainer.n_tokens)
        else:
            messages = build_lvlm_messages(Conversation(recent), read.text, explainer.n_tokens, TURNS + 1)
        first: tuple[str, ...] = ()
        if asks:
            whole = not self._sees and (read.asks_normal or asks_whole(read))
            heard.yes, first = self._yes(explainer, None if whole else messages, read.asks_normal)
            if UNSURE[0] < heard.yes < UNSURE[1]:
                yield f"[Not sure: {heard.yes:.0%} for yes.] "
        yield from kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS, first=first), heard)
        if not heard.trouble and not heard.text.strip():
            heard.trouble = "said nothing"

    def _told_step(self, read: Question, heard: Heard) -> Iterator[str]:
        """What is to be known of the first step where it is told with what builds on it."""
        known = self._known()
        if known is None or known.sure is None:
            return
        heard.verdict = known.verdict
        if WHAT in read.kinds:
            heard.yes = known.sure
        if UNSURE[0] < known.sure < UNSURE[1]:
            yield f"[Not sure: {known.sure:.0%} that there is an anomaly.] "

    def _first_step(self, explainer: Explainer) -> Turn:
        """The first step as the model has it, asked once a video, and its probability of an anomaly."""
        if self._step is None:
            messages = build_lvlm_messages(Conversation(), FIRST, explainer.n_tokens)
            sure, first = self._yes(explainer)
            heard = Heard()
            for _ in kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS, first=first), heard):
                pass
            text = heard.text.strip()
            word = yes_or_no(text)
            self._step = Turn(FIRST, text, (WHETHER,), verdict=None if word is None else word == "yes", sure=sure)
        return self._step

    def _chance_of(self, explainer: Explainer) -> float:
        """The probability of an anomaly as the small model has it, in the words that it was calibrated in, asked once:
        the same in every turn, however a question puts it."""
        if self._chance is None:
            sure = explainer.yes_probability(build_lvlm_messages(Conversation(), FIRST, explainer.n_tokens))
            self._chance = sure if is_evidence(self.evidence) else min(sure, 0.5)
        return self._chance

    def _yes(
        self, explainer: Explainer, messages: list[dict[str, Any]] | None = None, asks_normal: bool = False
    ) -> tuple[float, tuple[str, ...]]:
        """The probability of "yes", and words of which the answer is to begin with one (any where there are none).

        messages: None for the dialogue's first step. The small model's word follows its calibrated probability of an
        anomaly: what it prefers to say is what calibration corrects. Whether all is normal, it is asked as the first
        step.
        """
        can_be = is_evidence(self.evidence)
        if messages is None:
            anomaly = self._chance_of(explainer)
        else:
            sure = explainer.yes_probability(messages)
            anomaly = 1 - sure if asks_normal and self._sees else sure
            if not can_be:
                anomaly = min(anomaly, 0.5)
            elif self._sees:
                return sure, ()
        found = anomaly >= 0.5 and can_be
        return 1 - anomaly if asks_normal else anomaly, NO if found == asks_normal else YES

    def _told_all(
        self, explainer: Speaker, frames: "Callable[[], Sequence[KeyFrame]]", read: Question, heard: Heard
    ) -> Iterator[str]:
        """Words of a language model that is told all of the evidence and shown key frames."""
        if self._shown_frames is None:
            try:
                self._shown_frames = tuple(frames())
            except (VideoError, OSError):
                self._shown_frames = ()
                yield BLIND
        messages = build_full_messages(self.evidence, self.conversation, read.text, self._shown_frames)
        yield from kept(explainer.stream(messages, max_new_tokens=FULL_TOKENS), heard, FULL_CHARS)
        if not heard.trouble and not heard.text.strip():
            heard.trouble = "said nothing"

    def _told(self, explainer: Speaker, read: Question, heard: Heard) -> Iterator[str]:
        """Words about the facts it is told, and the frames if it sees them."""
        if self._sees:
            messages = build_seeing_messages(self.conversation, read.text, told=self.evidence)
            yield from kept(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS), heard)
            if not heard.trouble and not heard.text.strip():
                heard.trouble = "said nothing"
            return
        messages = build_messages(self.evidence, self.conversation, read.text)
        yield from kept(first_sentence(explainer.stream(messages, max_new_tokens=MAX_NEW_TOKENS)), heard)
        if not heard.trouble:
            astray = strays(heard.text, messages[-1]["content"])
            heard.trouble = astray if heard.text.strip() else "said nothing"
