"""What a person can take away from the page, by kind: reports, dialogue, evidence, subtitles, the overlay video.

Next: chat/export.py
"""

import io
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from chat.case import Case, Refused, reason
from chat.export import subtitles, transcript_json, transcript_markdown
from chat.export_content import Said
from chat.export_html import report_html
from chat.export_pdf import report_pdf
from heatmap.palette import HEAT_FLOOR
from heatmap.regions import extract_regions
from tvad.evidence import Analysis
from tvad.outputs import Scene, thumbnail, write_outputs
from tvad.video import VideoError, VideoReader

PICTURED = 12  # events whose key frame is in a report
PICTURE_PX = 640
JPEG_QUALITY = 85
MASK_SHARE = 0.5
INK, PAPER = (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Kind:
    """ending: of the file's name. media: its type. make: its bytes."""

    ending: str
    media: str
    make: Callable[[Case, Analysis], bytes]


def make(case: Case, kind: str) -> bytes:
    """The export of a kind of KINDS. Refused before there is an analysis, and where the video cannot be read."""
    if case.analysis is None:
        raise Refused("this video has not been analysed yet")
    try:
        return KINDS[kind].make(case, case.analysis)
    except VideoError as error:
        raise Refused(f"{case.name} cannot be read again: {reason(error, case.source)}") from None


def pictures(analysis: Analysis, source: Path) -> dict[str, bytes]:
    """JPEGs "event-1", ... of the key frames with heat and boxes, and "trajectory" where something was followed."""
    scene = Scene(analysis)
    found: dict[str, bytes] = {}
    for event in sorted(analysis.evidence.events, key=lambda e: -e.score)[:PICTURED]:
        with suppress(VideoError):  # a damaged end: the report then has no picture of it
            found[f"event-{event.id}"] = key_frame(scene, source, event.peak_s)
    if made := _trajectory(analysis, source):
        found["trajectory"] = made
    return found


def event_picture(case: Case, event_id: int) -> bytes:
    """A JPEG of an event's key frame. Refused where there is no such event, or no such frame."""
    found = case.analysis.evidence.events if case.analysis else ()
    event = next((e for e in found if e.id == event_id), None)
    if case.analysis is None or event is None:
        raise Refused(f"there is no event {event_id}")
    try:
        return key_frame(Scene(case.analysis), case.source, event.peak_s)
    except VideoError:
        raise Refused(f"the frame of event {event_id} cannot be read") from None


def key_frame(scene: Scene, source: Path, t_s: float) -> bytes:
    """A JPEG of the frame at t_s with heat, boxes and the edge of the mask. VideoError where there is none."""
    reader = VideoReader(source, fps=None, start_s=t_s, end_s=t_s + 2, chunk=1, prefetch=False)
    clip = next(iter(reader))
    t_s = float(clip.times_s[0])
    picture = thumbnail(scene, clip.frames[0], t_s, PICTURE_PX)
    heat = scene.heat(t_s)
    edges = [] if heat is None else mask_edges(heat, (picture.shape[1], picture.shape[0]))
    for colour, width in ((INK, 4), (PAPER, 2)):
        cv2.polylines(picture, edges, True, colour, width, cv2.LINE_AA)
    return _jpeg(picture)


def mask_edges(heat: np.ndarray, size_wh: tuple[int, int]) -> list[np.ndarray]:
    """Outlines (N, 1, 2), in pixels, of the hottest place of a map (h, w): what rises above the picture's median at
    least MASK_SHARE as far as its top does; none where nothing is painted."""
    top, ground = float(heat.max()), float(np.median(heat))
    if top <= max(HEAT_FLOOR, ground):
        return []
    cut = ground + MASK_SHARE * (top - ground)
    hottest = next(iter(extract_regions(heat, 0.0, size_wh, cut, keep_mask=True)), None)
    if hottest is None or hottest.mask is None:
        return []
    mask = cv2.resize(hottest.mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return list(found)


def trajectory(case: Case) -> bytes:
    """A JPEG of the ways that the tracks took. Refused where nothing was followed."""
    found = _trajectory(case.analysis, case.source) if case.analysis else None
    if found is None:
        raise Refused("nothing was followed in this video")
    return found


def said(case: Case) -> list[Said]:
    return [Said.of(question, answer) for question, answer in case.said]


def _overlay(case: Case, analysis: Analysis) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_outputs(analysis, folder, case.source, ["overlay"])["overlay"].read_bytes()


def _clips(case: Case, analysis: Analysis) -> bytes:
    """A ZIP of a clip per event, with heat and boxes. Refused where there is no event."""
    if not analysis.evidence.events:
        raise Refused("there are no events to make clips of")
    data = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(data, "w") as archive:
        for path in sorted(write_outputs(analysis, folder, case.source, ["events"])["events"].iterdir()):
            archive.write(path, f"event-{int(path.stem)}.mp4")
    return data.getvalue()


def _trajectory(analysis: Analysis, source: Path) -> bytes | None:
    with tempfile.TemporaryDirectory() as folder, suppress(VideoError):
        made = write_outputs(analysis, folder, source, ["trajectory"])
        if "trajectory" in made:
            with Image.open(made["trajectory"]) as picture:
                return _jpeg(np.asarray(picture.convert("RGB")))
    return None


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
    "clips": Kind(".clips.zip", "application/zip", _clips),
}
