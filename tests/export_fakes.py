"""Words that try to become markup, and evidence and dialogues full of them, for the tests of the exports."""

import io
import re
from dataclasses import replace

import numpy as np
from chat_fakes import make_evidence, three_events
from PIL import Image

from chat.export import Said
from tvad.evidence import Analysis, Curves, Event, Evidence

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title><iframe src=https://example.org>",
    "a --> b",
    "NUL \x00 BEL \x07 \x1b[31m",
    "two\n\nlines\r\nand\u2028more\x85",
    "]]> & &lt; &#x3c; {\\an8} $x^2$ \\",
    "**bold** [link](javascript:alert(1)) `code` <http://example.org> ![x](http://example.org/x.png)",
    "turned \u202egpj.exe and half \ud800",
    "# no heading\n- no list\n1. no list\n> no quote\n===\n    no code",
)
TURNS = (
    Said("Is there anything anomalous?", "Yes: a bicycle.", ("event 1, 5.0-10.0 s", "track 1"), (), 0.9),
    Said("Which way?", "To the left.", (), ('"to the left": track 1 moves right',), None),
)


def analysis_of(evidence: Evidence, frames: int = 200) -> Analysis:
    times_s = np.linspace(0, evidence.video.duration_s, frames)
    scores = np.full(frames, 0.2, np.float32)
    for e in evidence.events:
        scores[(times_s >= e.start_s) & (times_s <= e.end_s)] = e.score
    return Analysis(evidence, Curves(times_s, scores, np.zeros(0), np.zeros((0, 3, 4), np.float16)))


def many_events(number: int, length_s: float) -> Evidence:
    starts = np.linspace(0, 0.95 * length_s, number).tolist()
    events = tuple(
        Event(i, s, s + 4.0, s + 2.0, 0.5 + 0.005 * i, "unusual movement", (), ("memory",))
        for i, s in enumerate(starts, 1)
    )
    made = make_evidence(events, ())
    return replace(made, video=replace(made.video, duration_s=length_s))


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 18), (200, 120, 40)).save(out, kind)
    return out.getvalue()


def spoilt(text: str) -> tuple[Evidence, list[Said]]:
    """A video and a dialogue with `text` wherever somebody else's words come in."""
    known, name = three_events(), re.sub(r"[\\/]", "|", text)
    tracks = tuple(replace(t, label=f"l{text}", appearance=text) for t in known.tracks)
    events = tuple(replace(e, category=f"c{text}", raised_by=(f"r{text}",)) for e in known.events)
    evidence = replace(
        known,
        video=replace(known.video, path=f"/secret/folder/n{name}.mp4", sha256=f"0{text}"),
        preset=f"p{text}",
        versions={f"v{text}": text},
        settings=known.settings | {"anomaly": [f"w{text}"], "normal": [f"w{text}"], "scene": f"/secret/s{name}"},
        tracks=tracks,
        events=events,
        warnings=(text, text),
        calibration=text,
    )
    return evidence, [Said(text, f"a{text}", (f"x{text}",), (f"x{text}",), 0.25)]
