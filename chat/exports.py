"""What a person can take away from the page, by kind: reports, dialogue, evidence, subtitles, the overlay video.

Next: chat/export.py
"""

import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from chat.desk import Case, Refused
from chat.export import subtitles, transcript_json, transcript_markdown
from chat.export_content import Said
from chat.export_html import report_html
from chat.export_pdf import report_pdf
from tvad.evidence import Analysis
from tvad.outputs import Scene, thumbnail, write_outputs
from tvad.video import VideoError, VideoReader

PICTURED = 12  # events whose key frame is in a report
PICTURE_PX = 640
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Kind:
    """ending: of the file's name. media: its type. make: its bytes."""

    ending: str
    media: str
    make: Callable[[Case, Analysis], bytes]


def make(case: Case, kind: str) -> bytes:
    """The export of a kind of KINDS. Refused before there is an analysis."""
    if case.analysis is None:
        raise Refused("this video has not been analysed yet")
    return KINDS[kind].make(case, case.analysis)


def pictures(analysis: Analysis, source: Path) -> dict[str, bytes]:
    """JPEGs "event-1", ... of the key frames with heat and boxes, and "trajectory" where something was followed."""
    scene = Scene(analysis)
    found: dict[str, bytes] = {}
    for event in sorted(analysis.evidence.events, key=lambda e: -e.score)[:PICTURED]:
        reader = VideoReader(source, fps=None, start_s=event.peak_s, end_s=event.peak_s + 2, chunk=1, prefetch=False)
        with suppress(VideoError):  # a damaged end: the report then has no picture of it
            clip = next(iter(reader))
            picture = thumbnail(scene, clip.frames[0], float(clip.times_s[0]), PICTURE_PX)
            found[f"event-{event.id}"] = _jpeg(picture)
    with tempfile.TemporaryDirectory() as folder, suppress(VideoError):
        made = write_outputs(analysis, folder, source, ["trajectory"])
        if "trajectory" in made:
            with Image.open(made["trajectory"]) as picture:
                found["trajectory"] = _jpeg(np.asarray(picture.convert("RGB")))
    return found


def said(case: Case) -> list[Said]:
    return [Said.of(question, answer) for question, answer in case.said]


def _overlay(case: Case, analysis: Analysis) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_outputs(analysis, folder, case.source, ["overlay"])["overlay"].read_bytes()


def _jpeg(picture: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


KINDS: dict[str, Kind] = {
    "report": Kind(".html", "text/html", lambda c, a: report_html(a, said(c), pictures(a, c.source)).encode()),
    "pdf": Kind(".pdf", "application/pdf", lambda c, a: report_pdf(a, said(c), pictures(a, c.source))),
    "evidence": Kind(".json", "application/json", lambda c, a: a.evidence.to_json().encode()),
    "transcript": Kind(".md", "text/markdown", lambda c, a: transcript_markdown(a.evidence, said(c)).encode()),
    "dialogue": Kind(".dialogue.json", "application/json", lambda c, a: transcript_json(a.evidence, said(c)).encode()),
    "srt": Kind(".srt", "application/x-subrip", lambda c, a: subtitles(a.evidence, "srt").encode()),
    "vtt": Kind(".vtt", "text/vtt", lambda c, a: subtitles(a.evidence, "vtt").encode()),
    "overlay": Kind(".mp4", "video/mp4", _overlay),
}
