"""Evidence, conversation and question to messages: the one prompt builder, for training and for answering.

The first user turn carries the facts and is the same in every turn of a dialogue, so what a model has computed for it
stays valid. Facts are short sentences in plain words: a model of 135M parameters copies, it does not calculate.

Next: tvad/explainer.py
"""

from chat import facts
from chat.conversation import Conversation
from chat.facts import article, capital, named, seconds, stretch
from heatmap.motion import place
from tvad.evidence import Event, Evidence, Track

SYSTEM = (
    "You answer questions about a surveillance video. Use only the facts given. "
    "Answer in one or two short sentences. Do not add anything that is not in the facts."
)
EVENTS_TOLD = 4
TRACKS_TOLD = 5
TURNS_TOLD = 4


def build_messages(evidence: Evidence, conversation: Conversation, question: str) -> list[dict[str, str]]:
    """Messages of role "system", "user", "assistant", in turn; the last is the user's question.

    The last TURNS_TOLD turns are repeated. Raises ValueError for an empty question.
    """
    question = " ".join(question.split())
    if not question:
        raise ValueError("the question is empty")
    messages = [{"role": "system", "content": SYSTEM}]
    said = [(turn.question, turn.answer) for turn in conversation.turns[-TURNS_TOLD:]]
    for asked, answered in said:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    messages.append({"role": "user", "content": question})
    told = "\n".join(f"- {line}" for line in fact_lines(evidence))
    messages[1]["content"] = f"Facts about the video:\n{told}\n\nQuestion: {messages[1]['content']}"
    return messages


def fact_lines(evidence: Evidence) -> list[str]:
    """The evidence as short sentences, the most important first."""
    if not evidence.has_anomaly:
        return [
            f"There is no anomaly in the video. It is {seconds(evidence.video.duration_s)} long.",
            f"No score reached the alarm threshold {evidence.threshold:.2f}.",
        ]
    events = sorted(evidence.events, key=lambda e: -e.score)
    lines = [f"Yes, there is an anomaly. There {_are(len(events), 'anomalous event')}."]
    shown: list[int] = []
    for event in events[:EVENTS_TOLD]:
        lines += _event_lines(evidence, event)
        for track in facts.tracks_of(evidence, event):
            if track.id not in shown and len(shown) < TRACKS_TOLD:
                shown.append(track.id)
                lines += _track_lines(evidence, track, event)
    if len(events) > EVENTS_TOLD:
        lines.append(f"There {_are(len(events) - EVENTS_TOLD, 'weaker event')} more.")
    return lines


def _are(count: int, noun: str) -> str:
    return f"is 1 {noun}" if count == 1 else f"are {count} {noun}s"


def _event_lines(evidence: Evidence, event: Event) -> list[str]:
    parts = facts.listed([facts.part_in_words(evidence, p) for p in event.raised_by])
    why = f" because of {parts}" if parts else ""
    return [
        f"Event {event.id} is {stretch(event.start_s, event.end_s)}. Its kind is {event.category}.",
        f"Event {event.id} was raised{why}: its score {event.score:.2f} is above {evidence.threshold:.2f}.",
    ]


def _track_lines(evidence: Evidence, track: Track, event: Event) -> list[str]:
    name = named(track)
    cell = facts.cell_at(evidence, track, min(max(event.peak_s, track.start_s), track.end_s))
    lines = [
        f"Event {event.id} shows {article(facts.noun(track))} (track {track.id}).",
        f"{capital(name)} {track.motion.summary.rstrip('. ')}.",
        f"{capital(name)} is {facts.at_cell(cell)} of the picture at {seconds(event.peak_s)}.",
    ]
    if len(track.trajectory) > 2:
        lines.append(f"{capital(name)} passes {facts.listed([place(c) for c in track.trajectory])}.")
    return lines
