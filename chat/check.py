"""Whether a text contradicts the evidence: yes against no, a count, a time, a place, a direction, a name, a colour.

Made for the words of a small language model. It tells, and never rewrites; what it is not sure about it lets pass:
questions, negations, guesses ("might"), and comparisons are not claims, and what is not in the evidence but could be
true beside it is no contradiction, except a kind of thing that nothing in the evidence is called, and a deed which a
head that tells it from others finds unlikely.

Next: chat/session.py
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chat import facts
from chat.claims import Sentence, colour_claims, count_claims, direction_claims, place_claims, sentences, thing_claims
from chat.conversation import Focus, Turn
from chat.facts import stretch
from chat.focus import matches
from chat.lexicon import TimeSaid, arrow, cells_for, colours_in, deeds, kin, opposed, plural, same_cell
from chat.questions import WHETHER, Question
from tvad.evidence import Event, Evidence, Track

SLACK_S = 0.5  # a time this far off still counts as that time
EDGE_S = 0.3  # a moment this far inside an event is in it for certain
UNLIKELY = 0.1  # probability of a kind below which whoever tells of it contradicts the evidence


def conflicts(
    text: str, evidence: Evidence, question: Question | None = None, focus: Focus | None = None
) -> tuple[str, ...]:
    """One sentence for each claim of `text` that the evidence contradicts, in the order of the text.

    question: what was asked, so that a bare "Yes" or "No" is a claim. focus: what the answer is about; claims on
    places, movement and looks are held against that track, else against any of the evidence's tracks.
    """
    found: list[str] = []
    for i, sentence in enumerate(sentences(text)):
        if i == 0 and question is not None:
            found += _first_word(sentence, evidence, question)
        found += _whether(sentence, evidence)
        found += _references(sentence, evidence)
        if sentence.hedged:
            continue
        found += _counts(sentence, evidence)
        found += _deeds(sentence, evidence)
        about = _about(sentence, evidence, focus or Focus())
        found += _times(sentence, evidence, about, question)
        if about.tracks:
            found += _directions(sentence, about)
            found += _places(sentence, evidence, about)
            found += _colours(sentence, evidence, about)
        if evidence.has_anomaly:
            found += _things(sentence, evidence)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _About:
    """The tracks and events that a sentence may speak about, and whether it must be these."""

    tracks: Sequence[Track]
    events: Sequence[Event]
    named: bool

    def verb(self, one: str, several: str) -> str:
        """ "track 4 goes", "track 1 and track 2 go"."""
        return f"{facts.listed([f'track {t.id}' for t in self.tracks[:3]])} {one if len(self.tracks) == 1 else several}"


def _about(sentence: Sentence, evidence: Evidence, focus: Focus) -> _About:
    events = [e for e in evidence.events if e.id in sentence.events]
    tracks = [t for t in evidence.tracks if t.id in sentence.tracks]
    if tracks:
        return _About(tracks, events or [e for e in evidence.events if {t.id for t in tracks} & set(e.tracks)], True)
    if events:
        return _About([t for e in events for t in facts.tracks_of(evidence, e)], events, True)
    if focus.track is not None and focus.chosen:
        event = [e for e in evidence.events if e.id == focus.event]
        return _About([evidence.track(focus.track)], event, False)
    return _About(evidence.tracks, evidence.events, False)


def denies(text: str) -> bool:
    """Whether a text says that there is no anomaly in the video."""
    return any(s.denies and not (s.limited or s.times) for s in sentences(text))


def against_before(text: str, stand: Turn) -> tuple[str, ...]:
    """What of a text goes against what was said before on whether there is an anomaly, in `stand`."""
    said = sentences(text)
    if stand.verdict and denies(text):
        return (f"The text says that there is no anomaly; before, it was said that there is one: {stand.answer}",)
    if stand.verdict is False and any(s.affirms and not s.hedged for s in said):
        return (f"The text says that there is an anomaly; before, it was said that there is none: {stand.answer}",)
    return ()


# --- yes and no ---------------------------------------------------------------------------------------------------


def _first_word(sentence: Sentence, evidence: Evidence, question: Question) -> Iterator[str]:
    """A leading Yes or No to "is there an anomaly?"; other questions' yes and no depend on too much."""
    m = re.match(r"\W*(yes|no)\b", sentence.text, re.IGNORECASE)
    plain = question.kinds == (WHETHER,) and question.span_s is None and not question.place and not question.names_one
    if not m or not plain:
        return
    says_anomaly = (m[1].lower() == "yes") != question.asks_normal
    if says_anomaly != evidence.has_anomaly:
        yield says_whether(says_anomaly, evidence)


def says_whether(says_anomaly: bool, evidence: Evidence) -> str:
    """What to say of a text that says of an anomaly what the evidence does not."""
    if says_anomaly:
        return "The text says that there is an anomaly; the evidence has no event."
    return f"The text says that there is no anomaly; the evidence has {plural('event', len(evidence.events))}."


def _whether(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    if sentence.denies:
        if sentence.times:
            yield from _denied_times(sentence, evidence)
        elif evidence.has_anomaly and not sentence.limited:
            yield says_whether(False, evidence)
    elif sentence.affirms and not sentence.hedged and not evidence.has_anomaly:
        yield says_whether(True, evidence)


def _denied_times(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    """ "nothing anomalous at 4 s", though an event is under way for certain."""
    if sentence.compares:
        return
    for said in sentence.times:
        for event in evidence.events:
            if event.start_s + EDGE_S < said.start_s and said.end_s < event.end_s - EDGE_S:
                when = stretch(said.start_s, said.end_s)
                yield f"The text says nothing is anomalous {when}; {facts.brief(event)} is under way."


def _references(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    if sentence.negated:
        return
    for kind, said, known in (
        ("event", sentence.events, {e.id for e in evidence.events}),
        ("track", sentence.tracks, {t.id for t in evidence.tracks}),
    ):
        for number in said:
            if number not in known:
                yield f"The text names {kind} {number}; the evidence has {plural(kind, len(known))}."


# --- how many, when -----------------------------------------------------------------------------------------------


def _counts(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    for number, noun in count_claims(sentence):
        if not evidence.events and noun in ("anomaly", "track", "thing", "object") and sentence.affirms:
            continue  # that there is any is contradicted already
        if noun in ("event", "anomaly"):
            if number != len(evidence.events):
                yield f"The text counts {number} {noun}(s); the evidence has {plural('event', len(evidence.events))}."
            continue
        if noun in ("track", "thing", "object"):
            known = len(evidence.tracks)
        elif any(matches(noun, t) for t in evidence.tracks):
            known = sum(matches(noun, t) for t in evidence.tracks)
        else:
            continue
        if number > known:
            of = "" if noun in ("track", "thing", "object") else f' called "{noun}"'
            yield f"The text counts {number} {noun}(s); the evidence has {plural('track', known)}{of}."


def _deeds(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    """A deed that nothing in the video looks like, where something told kinds of it apart."""
    if sentence.negated or sentence.denies:
        return
    said = set(deeds(sentence.text))
    told = [evidence.class_probs, *(e.class_probs for e in evidence.events)]
    for kind in dict.fromkeys(name for shares in told for name in shares):
        share = max(shares.get(kind, 0.0) for shares in told)
        if share < UNLIKELY and said & set(deeds(kind)) and all(kind != e.category for e in evidence.events):
            yield f"The text tells of {kind}; the evidence gives that {share:.0%}."


def _times(sentence: Sentence, evidence: Evidence, about: _About, question: Question | None) -> Iterator[str]:
    asked = (question.span_s if question is not None else None) or ()
    for said in sentence.times:
        if said.start_s in asked or _is_length(said, evidence):
            continue
        if said.start_s > said.end_s:
            yield f"The text says {stretch(said.start_s, said.end_s)}, which ends before it begins."
            continue
        if said.end_s > evidence.video.duration_s + max(SLACK_S, said.step_s):
            length = facts.seconds(evidence.video.duration_s)
            yield f"The text says {stretch(said.start_s, said.end_s)}; the video is {length} long."
            continue
        spans = [(e.start_s, e.end_s) for e in about.events] + [(t.start_s, t.end_s) for t in about.tracks]
        slack_s = max(SLACK_S, said.step_s)
        inside = any(
            low - slack_s <= said.start_s and said.end_s <= high + slack_s
            for low, high in [*spans, *_from_first_to_last(evidence, about, said)]
        )
        if spans and not inside:
            yield f"The text says {stretch(said.start_s, said.end_s)}; the evidence has {_spans(about)}."


def _is_length(said: TimeSaid, evidence: Evidence) -> bool:
    return said.start_s in (0.0, said.end_s) and abs(said.end_s - evidence.video.duration_s) <= max(0.1, said.step_s)


def _from_first_to_last(evidence: Evidence, about: _About, said: TimeSaid) -> list[tuple[float, float]]:
    """A stretch over all events is fair when no single one is named."""
    if about.named or said.start_s == said.end_s or not evidence.events:
        return []
    near = max(SLACK_S, said.step_s)
    starts = any(abs(said.start_s - e.start_s) <= near for e in evidence.events)
    ends = any(abs(said.end_s - e.end_s) <= near for e in evidence.events)
    return [(said.start_s, said.end_s)] if starts and ends else []


def _spans(about: _About) -> str:
    if about.events:
        return facts.others(about.events)
    return facts.listed([f"track {t.id} {stretch(t.start_s, t.end_s)}" for t in about.tracks[:3]])


# --- where, which way ---------------------------------------------------------------------------------------------


def _directions(sentence: Sentence, about: _About) -> Iterator[str]:
    text = sentence.without([t.motion.summary for t in about.tracks])
    for claim in direction_claims(text):
        if all(_goes_elsewhere(claim, track) for track in about.tracks):
            ways = dict.fromkeys((t.motion.direction or "nowhere").replace("-", " and ") for t in about.tracks)
            yield f"The text says it goes {claim}; {about.verb('goes', 'go')} {facts.listed(list(ways))}."


def _goes_elsewhere(claim: str, track: Track) -> bool:
    if track.motion.turn or arrow(claim) in ((0, 0), *(arrow(way) for way in direction_claims(track.motion.summary))):
        return False  # on the way of something that turns, many directions are true
    return track.motion.direction is None or opposed(arrow(claim), arrow(track.motion.direction))


def _places(sentence: Sentence, evidence: Evidence, about: _About) -> Iterator[str]:
    text = sentence.without([t.motion.summary for t in about.tracks])
    known = {cell for t in about.tracks for cell in facts.cells_of(evidence, t)}
    for claim in place_claims(text):
        borders = {b for t in about.tracks for b in (t.entry, t.exit) if b}
        if not cells_for(claim) & known and claim not in borders:
            path = dict.fromkeys(same_cell(c) for t in about.tracks for c in t.trajectory)
            yield f"The text says the {claim}; {about.verb('is', 'are')} seen at: {', '.join(path)}."


# --- names and looks ----------------------------------------------------------------------------------------------


def _known_words(evidence: Evidence) -> str:
    """Everything that names or paints a thing in the evidence."""
    parts = [f"{t.label} {t.appearance}" for t in evidence.tracks] + [e.category for e in evidence.events]
    return " ".join(parts).lower()


def _things(sentence: Sentence, evidence: Evidence) -> Iterator[str]:
    known = _known_words(evidence)
    for thing in thing_claims(sentence):
        if not any(re.search(rf"\b{re.escape(name)}", known) for name in kin(thing)):
            labels = list(dict.fromkeys(t.label for t in evidence.tracks if t.label)) or ["no label"]
            yield f"The text speaks of a {thing}; the evidence has {facts.listed(labels[:4])}."


def _colours(sentence: Sentence, evidence: Evidence, about: _About) -> Iterator[str]:
    shown = {c for t in about.tracks for c in colours_in(f"{t.appearance} {t.label}")}
    if not shown or not all(colours_in(t.appearance) for t in about.tracks):
        return
    for colour in colour_claims(sentence):
        if colour not in shown and colour not in colours_in(_known_words(evidence) if not about.named else ""):
            yield f"The text says {colour}; {about.verb('is', 'are')} {', '.join(sorted(shown))}."
