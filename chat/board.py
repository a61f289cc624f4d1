"""What the page shows of an analysed video: curve, events, tracks and heat, as JSON and as pictures of tiles.

Next: chat/desk.py
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from chat.facts import noun
from heatmap.palette import HEAT_FLOOR, heat_tables, track_colour
from tvad.evidence import Analysis, Event, Evidence, Track
from tvad.lvlm.view import shown_evidence
from tvad.stills import thinned

TILES = 256  # heat maps in one picture
COLUMNS = 16  # of them side by side
SURE = 0.75  # a verdict below this probability is told to be unsure
POINTS = 1200  # of the curve, at most: the page is not wider
SIGNS = 4  # decimals of numbers that are sent


def page_data(analysis: Analysis, name: str) -> dict[str, Any]:
    """Everything but pictures. name: as the person knows the video."""
    evidence, curves = analysis
    times, scores = thinned(curves.times_s, curves.scores, POINTS)
    return {
        "name": name,
        "duration_s": _rounded(evidence.video.duration_s),
        "size": [evidence.video.width, evidence.video.height],
        "threshold": evidence.threshold,
        "per_hour": evidence.settings.get("false_alarms_per_hour"),
        "peak_score": evidence.peak_score,
        "has_anomaly": evidence.has_anomaly,
        "confidence": evidence.confidence,
        "doubt": _doubt(evidence),
        "calibration": evidence.calibration,
        "summary": evidence.summary,
        "warnings": list(evidence.warnings),
        "said_by": f"{evidence.preset}, tvad {evidence.versions.get('tvad', '')} ({evidence.versions.get('code', '')})",
        "made_by": f"preset {evidence.preset}, parts {', '.join(evidence.settings.get('parts', []))}",
        "times_s": [_rounded(t) for t in times],
        "scores": [_rounded(s) for s in scores],
        "events": [_event(e, evidence) for e in evidence.events],
        "suspects": _suspects(analysis),
        "tracks": [_track(t) for t in evidence.tracks],
        "heat": _heat(analysis),
    }


def heat_pictures(heat: np.ndarray) -> list[bytes]:
    """PNGs of up to TILES maps (T, h, w) each, in rows of COLUMNS: colour and opacity on the absolute scale."""
    colours, alpha = heat_tables()
    table = np.concatenate([colours, np.round(alpha * 255).astype(np.uint8)[:, None]], 1)
    out = []
    for begin in range(0, len(heat), TILES):
        part = np.clip(np.nan_to_num(heat[begin : begin + TILES].astype(np.float32)), 0, 1)
        count, h, w = part.shape
        rows = -(-count // COLUMNS)
        sheet = np.zeros((rows * COLUMNS, h, w), np.uint8)
        sheet[:count] = (part * 255).astype(np.uint8)
        sheet = sheet.reshape(rows, COLUMNS, h, w).swapaxes(1, 2).reshape(rows * h, COLUMNS * w)
        data = io.BytesIO()
        Image.fromarray(table[sheet], "RGBA").save(data, "PNG")
        out.append(data.getvalue())
    return out


def follow_ups(evidence: Evidence, asked: Sequence[str] = ()) -> list[str]:
    """Questions that this evidence can answer and that were not asked yet, three at most."""
    if evidence.has_anomaly:
        found = ["What does the target look like and do?", "How does it move?", "When does it start and end?"]
        found += [f"What happens in event {e.id}?" for e in evidence.events[1:3]]
        found += ["Why is it anomalous?"]
    else:
        found = [
            "What is the least usual moment?",
            "How sure are you?",
            "Why is there no alarm?",
        ]  # the language model may see more
    known = {" ".join(a.lower().split()) for a in asked}
    return [q for q in found if q.lower() not in known][:3]


def _doubt(evidence: Evidence) -> str:
    """What to know before believing the verdict; "" for nothing."""
    if evidence.confidence >= SURE:
        return ""
    verdict = "there is an anomaly" if evidence.has_anomaly else "nothing is anomalous"
    return f"Low confidence: that {verdict} is right with a probability of {evidence.confidence:.0%} only."


def _suspects(analysis: Analysis) -> list[dict[str, Any]]:
    """The least usual moment, where there is no event."""
    evidence, curves = analysis
    if evidence.events or curves.sight is None:
        return []
    odd = shown_evidence(evidence, curves.sight)
    return [_event(e, odd) | {"tracks": [_track(t) for t in odd.tracks]} for e in odd.events]


def _event(event: Event, evidence: Evidence) -> dict[str, Any]:
    return {
        "id": event.id,
        "start_s": _rounded(event.start_s),
        "end_s": _rounded(event.end_s),
        "peak_s": _rounded(event.peak_s),
        "score": _rounded(event.score),
        "category": event.category,
        "label_share": evidence.track(event.tracks[0]).label_confidence if event.tracks else 0.0,
        "raised_by": list(event.raised_by),
        "kind": event.kind,
        "kind_sure": round(event.class_probs.get(event.kind, 0.0), 3) if event.category == event.kind else 0.0,
        "what": [noun(evidence.track(i)) for i in event.tracks[:3]],
        "motion": evidence.track(event.tracks[0]).motion.summary if event.tracks else "",
        "track_ids": list(event.tracks),
    }


def _track(track: Track) -> dict[str, Any]:
    r, g, b = track_colour(track.id)
    return {
        "id": track.id,
        "label": track.label,
        "colour": f"rgb({r},{g},{b})",
        "boxes": [[_rounded(b.t_s), *(round(v, 1) for v in b.xyxy)] for b in track.boxes],
    }


def _heat(analysis: Analysis) -> dict[str, Any]:
    heat = analysis.curves.heat
    return {
        "times_s": [_rounded(t) for t in analysis.curves.heat_times_s],
        "rows": int(heat.shape[1]) if heat.ndim == 3 else 0,
        "columns": int(heat.shape[2]) if heat.ndim == 3 else 0,
        "tiles": TILES,
        "across": COLUMNS,
        "pictures": -(-len(heat) // TILES),
        "floor": HEAT_FLOOR,
    }


def _rounded(value: float) -> float:
    return round(float(value), SIGNS)
