"""A caption in words: of each event by rules, of the video by who answers; and both as one record.

What an event's caption says is what the evidence says (what, how it moves, when, where); `--explain` decides who words
the caption of the video.

Next: chat/captions/engine.py
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chat import facts
from chat.export_content import one_line
from chat.session import Answer, verdict_of
from tvad.evidence import Event, Evidence, Track

SCHEMA_VERSION = 1
STYLES: dict[str, tuple[str, ...]] = {  # style -> what is asked about the video
    "short": ("What is anomalous?",),
    "detailed": ("What is anomalous?",),
    "timeline": ("What is anomalous?",),
    "qa": (
        "Is there any anomaly in the video?",
        "What is anomalous?",
        "When does it happen?",
        "Where is it?",
        "How does it move?",
        "Why is it anomalous?",
    ),
}
ORDINARY = "ordinary"  # the category of a video without an event
ALSO = 3  # further things that are named in a detailed caption


@dataclass(frozen=True)
class Wanted:
    """What is to be written. prompt: asked instead of the style's own questions. model: of a server that is asked, and
    pictures: of each video that it is shown at most."""

    style: str = "short"
    explain: str = "report"
    prompt: str | None = None
    model: str | None = None
    pictures: int | None = None

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ValueError(f"no style {self.style!r}; choose one of {list(STYLES)} (--style)")
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("the prompt is empty (--prompt)")

    @property
    def questions(self) -> tuple[str, ...]:
        """What is asked about every video, in turn."""
        return (self.prompt,) if self.prompt else STYLES[self.style]

    @property
    def by_rules(self) -> bool:
        """Whether the caption of the video needs no answer to a question."""
        return self.explain == "report" and self.prompt is None and self.style != "qa"


def event_caption(evidence: Evidence, event: Event, detailed: bool = False) -> str:
    """One sentence: what, how it moves, when; `detailed` adds where, how it came and went, why, and what else."""
    tracks = facts.tracks_of(evidence, event)
    when = facts.stretch(event.start_s, event.end_s)
    if not tracks:
        said = f"{facts.capital(event.category)}, {when}, without a thing that could be followed."
        return said + (f" {_why(evidence, event)}" if detailed else "")
    first = tracks[0]
    what = facts.capital(facts.article(facts.noun(first)))
    kind = "" if event.category.lower() in facts.noun(first).lower() else f" ({event.category})"
    said = f"{what} {first.motion.summary.rstrip('. ')}, {when}{kind}."
    if not detailed:
        return said
    return " ".join([said, _where(evidence, event, first), *_also(tracks), _why(evidence, event)])


def _where(evidence: Evidence, event: Event, track: Track) -> str:
    t_s = min(max(event.peak_s, track.start_s), track.end_s)
    said = f"At {facts.seconds(t_s)} it is {facts.at_cell(facts.cell_at(evidence, track, t_s))} of the picture"
    ends = [f"came in at the {track.entry} border"] if track.entry else []
    ends += [f"goes out at the {track.exit} border"] if track.exit else []
    return said + (f"; it {' and '.join(ends)}" if ends else "") + "."


def _also(tracks: Sequence[Track]) -> list[str]:
    named = [f"{facts.article(facts.noun(t))} that {t.motion.summary.rstrip('. ')}" for t in tracks[1 : 1 + ALSO]]
    if len(tracks) > 1 + ALSO:
        named.append(f"{len(tracks) - 1 - ALSO} more")
    return [f"With it: {facts.listed(named)}."] if named else []


def _why(evidence: Evidence, event: Event) -> str:
    parts = facts.listed([facts.part_in_words(evidence, part) for part in event.raised_by]) or "its score"
    return f"Raised by {parts}, score {event.score:.2f}."


def video_caption(evidence: Evidence, style: str) -> str:
    """The narrator's caption of a video, of one line; of a line an event in the style "timeline"."""
    events = facts.in_time(evidence.events)
    if style == "timeline":
        spans = [(e.start_s, e.end_s, event_caption(evidence, e)) for e in events]
        spans = spans or [(0.0, evidence.video.duration_s, "Nothing anomalous.")]
        return "\n".join(f"{facts.clock(a)}-{facts.clock(b)} {text}" for a, b, text in spans)
    if not events:
        detail = f" The highest score is {evidence.peak_score:.2f}" if evidence.peak_score is not None else ""
        detail += f", the threshold {evidence.threshold:.2f}." if detail else ""
        return f"Nothing anomalous in {facts.seconds(evidence.video.duration_s)} of video." + (
            detail if style == "detailed" else ""
        )
    if style == "detailed":
        head = f"{len(events)} anomalous events. " if len(events) > 1 else ""
        return head + " ".join(event_caption(evidence, e, detailed=True) for e in events)
    best = facts.strongest(events)
    said = event_caption(evidence, best)
    others = [e for e in events if e is not best]
    return said + (f" Besides: {facts.others(others)}." if others else "")


def record_of(evidence: Evidence, wanted: Wanted, answers: Sequence[Answer]) -> dict[str, Any]:
    """All that is known of a captioned video, as JSON has it. answers: to `wanted.questions`, none where by_rules.

    Without anything that differs from run to run: the same video and settings give the same record.
    """
    said = [without_note(a.text, evidence) for a in answers]
    caption = said[0] if said else video_caption(evidence, wanted.style)
    if said and wanted.prompt is None and wanted.style in ("detailed", "timeline"):
        caption += ("\n" if wanted.style == "timeline" else " ") + video_caption(evidence, wanted.style)
    detailed = wanted.style == "detailed"
    best = facts.strongest(evidence.events) if evidence.events else None
    has_anomaly, confidence = verdict_of(evidence, answers[0] if answers else Answer(""))
    ordinary = ORDINARY if not has_anomaly else one_line(evidence.kind)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "video": asdict(evidence.video),
        "caption": _lines(caption),
        "has_anomaly": has_anomaly,
        "confidence": confidence,
        "score": best.score if best else evidence.peak_score,
        "category": one_line(best.category) if best else ordinary,
        "events": [event_record(evidence, e, detailed) for e in facts.in_time(evidence.events)],
        "tracks": [track_record(t) for t in evidence.tracks],
        "style": wanted.style,
        "explain": wanted.explain,
        "prompt": wanted.prompt,
        "preset": evidence.preset,
        "calibration": evidence.calibration,
        "threshold": evidence.threshold,
        "warnings": [one_line(w) for w in evidence.warnings],
    }
    if wanted.model is not None:
        record["model"] = one_line(wanted.model)
    if answers:
        record["answers"] = [
            {
                "question": question,
                "answer": _lines(text),
                "citations": list(answer.citations),
                "conflicts": [one_line(c) for c in answer.conflicts],
                "yes": answer.yes,
            }
            for question, text, answer in zip(wanted.questions, said, answers, strict=True)
        ]
    return record


def without_note(text: str, evidence: Evidence) -> str:
    """An answer without the sentence about calibration that a dialogue begins with: the record has a field for it."""
    note = facts.uncalibrated_note(evidence)
    return text.removesuffix(f" {note}") if note else text


def _lines(text: str) -> str:
    return "\n".join(filter(None, map(one_line, text.split("\n"))))


def event_record(evidence: Evidence, event: Event, detailed: bool = False) -> dict[str, Any]:
    """An event of a record."""
    return {
        "id": event.id,
        "start_s": event.start_s,
        "end_s": event.end_s,
        "peak_s": event.peak_s,
        "score": event.score,
        "category": one_line(event.category),
        "caption": one_line(event_caption(evidence, event, detailed)),
        "tracks": list(event.tracks),
        "raised_by": list(event.raised_by),
        "kind": one_line(event.kind),
        "class_probs": event.class_probs,
    }


def track_record(track: Track) -> dict[str, Any]:
    """A track of a record."""
    return {
        "id": track.id,
        "label": one_line(track.label),
        "label_confidence": track.label_confidence,
        "appearance": one_line(track.appearance),
        "start_s": track.start_s,
        "end_s": track.end_s,
        "motion": one_line(track.motion.summary),
        "direction": track.motion.direction,
        "entry": track.entry,
        "exit": track.exit,
        "boxes": [
            {"t_s": b.t_s, "xyxy": [round(v, 2) for v in b.xyxy], "score": round(b.score, 4)} for b in track.boxes
        ],
    }
