"""What programs ask of the page by name (gradio_client): a method each, its arguments those of the endpoint.

Knows no gradio. A session of a program is a visit like a browser's: its videos, dialogues and scene are its own, looked
up by session and video. A file is taken where gradio has put what was sent, and handed out below an address that nobody
can guess.
Next: chat/desk.py
"""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chat.case import Case, Refused, clean_name
from chat.desk import Desk
from chat.exports import KINDS, key_frame, make
from chat.openai_body import details
from chat.region import Region
from chat.server import visit_of
from chat.session import Answer
from chat.shown import described, words
from chat.watched import watched
from tvad.outputs import Scene
from tvad.video import VideoError

SHORTEST = 10  # characters of a session's name; gradio_client's is random, of 36
SAID = ("citations", "conflicts", "yes")  # of an answer, not of what was found
PIECE = 2**20


class Endpoints:
    """`request`: of who asks, with cookies and a session_hash. Refused, Busy, MissingWeights, Stopped."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    # Without a session

    def describe(
        self, video: str, question: str = "", anomaly: str = "", normal: str = "", per_hour: float = 0.0
    ) -> dict[str, Any]:
        """Look at a video and answer a question about it: answer, has_anomaly, confidence, events, tracks, citations.
        Nothing is kept.

        Args:
            video: the file.
            question: "" for "What is anomalous?".
            anomaly: words with commas between, "" for the usual ones.
            normal: the same for what is ordinary.
            per_hour: false alarms to put up with, 0 for the usual ones.
        """
        path = sent_file(video)
        return described(self.desk, path, path.name, question or "", anomaly, normal, per_hour or 0.0)

    # Videos of a session

    def analyse(
        self, video: str, anomaly: str = "", normal: str = "", per_hour: float = 0.0, request: Any = None
    ) -> Iterator[dict[str, Any]]:
        """Open a video and look at it: its id in "video", by which the other endpoints know it, and what was found.
        Until then "share" done, in [0, 1], and "note"."""
        visit, path = visit_by(request), sent_file(video)
        case = self._received(visit, path)
        try:
            yield from self._look(case, anomaly, normal, per_hour)
        except BaseException:
            self.desk.forget(case)
            raise

    def look_again(
        self, video: str, anomaly: str = "", normal: str = "", per_hour: float = 0.0, request: Any = None
    ) -> Iterator[dict[str, Any]]:
        """The same for a video that is open, with other words or another calibration; its dialogue stays."""
        yield from self._look(self._case(video, request), anomaly, normal, per_hour)

    def videos(self, request: Any = None) -> list[dict[str, str]]:
        """The session's open videos, oldest first: "video", "name", "state"."""
        return [{"video": c.id, "name": c.name, "state": c.state} for c in self.desk.cases(visit_by(request))]

    def forget(self, video: str, request: Any = None) -> str:
        """Close a video, with all that was made of it."""
        case = self._case(video, request)
        self.desk.forget(case)
        return f"{case.name} is forgotten"

    # What was found

    def events(self, video: str, per_hour: float = 0.0, request: Any = None) -> dict[str, Any]:
        """What was found; with per_hour, cut for so many false alarms an hour, without looking again."""
        case = self._case(video, request)
        if per_hour:
            self.desk.recut(case, float(per_hour))
        return found(case)

    def heat(self, video: str, t_s: float = 0.0, request: Any = None) -> tuple[str, dict[str, Any]]:
        """The frame at t_s seconds with heat and boxes (JPEG), and the heat itself: "map", rows of values in [0, 1] on
        an absolute scale, nearest "t_s", and the curve's "score" then."""
        case = self._case(video, request)
        if case.analysis is None:
            raise Refused("this video has not been analysed yet")
        curves, length_s = case.analysis.curves, case.analysis.evidence.video.duration_s
        if not 0 <= t_s <= length_s or not len(curves.heat_times_s):
            raise Refused(f"t_s is {t_s:g}; the video has seconds 0 to {length_s:.1f}")
        with self.desk.turns.turn():  # it reads the video again
            try:
                picture = key_frame(Scene(case.analysis), case.source, min(t_s, float(curves.heat_times_s[-1])))
            except VideoError:
                raise Refused(f"the frame at {t_s:g} s cannot be read") from None
        at, score_at = (int(np.abs(times - t_s).argmin()) for times in (curves.heat_times_s, curves.times_s))
        told = {"t_s": round(float(curves.heat_times_s[at]), 3), "score": round(float(curves.scores[score_at]), 4)}
        return handed_out(picture, f"heat-{t_s:.1f}.jpg"), told | {
            "map": np.round(curves.heat[at].astype(float), 3).tolist()
        }

    def export(self, video: str, kind: str = "report", request: Any = None) -> str:
        """A file to take away; the kinds are those of the page."""
        case = self._case(video, request)
        if kind not in KINDS:
            raise Refused(f"no export {str(kind)[:20]!r}; there are {', '.join(KINDS)}")
        with self.desk.turns.turn():
            data = make(case, kind)
        return handed_out(data, f"tvad-{Path(case.name).stem}{KINDS[kind].ending}")

    # The dialogue

    def ask(
        self, video: str, question: str = "", region: dict[str, Any] | None = None, request: Any = None
    ) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """The answer so far, again and again, and when it is whole what it rests on. What was said before in this
        session is remembered. region: {"t": seconds, "box": [x0, y0, x1, y1]}, in shares of the picture."""
        case, where = self._case(video, request), Region.of(region)
        if region and where is None:
            raise Refused('a region is {"t": seconds, "box": [x0, y0, x1, y1]}, in shares of the picture from 0 to 1')
        if not question.strip():
            raise Refused("a question is missing")
        text = ""
        for piece in self.desk.ask(case, question.strip(), where):
            text += piece
            yield text, None
        assert case.analysis is not None
        answer = case.said[-1][1]
        yield answer.text, details(case.analysis.evidence, answer)

    def dialogue(self, video: str, kept: int = -1, request: Any = None) -> list[dict[str, str]]:
        """What was asked and answered. kept: forget what came after the first so many questions; -1: forget nothing."""
        case = self._case(video, request)
        if kept is not None and kept >= 0:
            self.desk.take_back(case, int(kept))
        return [{"question": question, "answer": answer.text} for question, answer in case.said]

    # What is normal before a camera

    def calibrate(
        self,
        clips: Sequence[str] | None = None,
        video: str = "",
        start_s: float = 0.0,
        end_s: float = 0.0,
        request: Any = None,
    ) -> Iterator[dict[str, Any]]:
        """Take clips of ordinary footage as what is normal, or an open video, or its stretch from start_s to end_s (0:
        to its end): for all that this session looks at from then on. Videos that are open: look_again."""
        visit = visit_by(request)
        if bool(clips) == bool(video):
            raise Refused("give either clips, or the id of a video")
        span = (float(start_s or 0.0), float(end_s or "inf")) if start_s or end_s else None
        own: list[Case] = []
        try:
            for path in [sent_file(clip) for clip in clips or ()]:
                own.append(self._received(visit, path, is_normal=True))
            cases = own or [self._case(video, request)]
            for share, note in watched(lambda tell, stop: self.desk.learn(cases, span if video else None, tell, stop)):
                yield {"share": share, "note": note, "learnt": ""}
        finally:
            for case in own:
                self.desk.forget(case)
        yield {"share": 1.0, "note": "", "learnt": self.desk.learnt(visit)}

    def uncalibrate(self, request: Any = None) -> str:
        """Back to what this server takes as normal."""
        self.desk.unlearn(visit_by(request))
        return "what was learnt is forgotten"

    def _case(self, video: str, request: Any) -> Case:
        return self.desk.case(visit_by(request), str(video))

    def _received(self, visit: str, path: Path, is_normal: bool = False) -> Case:
        incoming = self.desk.begin(visit, path.name, is_normal)
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    incoming.write(piece)
            return incoming.finish()
        except BaseException:
            incoming.drop()
            raise

    def _look(self, case: Case, anomaly: str, normal: str, per_hour: float) -> Iterator[dict[str, Any]]:
        settings = self.desk.settings_of(case.visit, words(anomaly), words(normal))
        for share, note in watched(lambda tell, stop: self.desk.analyse(case, settings, tell, stop)):
            yield {"video": case.id, "state": "working", "share": share, "note": note}
        if per_hour:
            self.desk.recut(case, float(per_hour))
        yield found(case)


def found(case: Case) -> dict[str, Any]:
    """What was found in a video, as programs are told it: what /v1/chat/completions tells beside an answer, and the
    curve. Refused before the analysis."""
    if case.analysis is None:
        raise Refused("this video has not been analysed yet")
    evidence, curves = case.analysis
    told = {name: value for name, value in details(evidence, Answer("")).items() if name not in SAID}
    told["video"] = case.id
    told |= {"state": case.state, "share": 1.0, "note": "", "name": case.name, "duration_s": evidence.video.duration_s}
    told |= {"threshold": evidence.threshold, "per_hour": evidence.settings.get("false_alarms_per_hour")}
    told |= {"summary": evidence.summary, "warnings": list(evidence.warnings)}
    return told | {
        "times_s": [round(float(t), 3) for t in curves.times_s],
        "scores": [round(float(s), 4) for s in curves.scores],
    }


def visit_by(request: Any) -> str:
    """The browser's secret, or for programs the session's. Refused for a name that could be guessed."""
    if visit := visit_of(request):
        return visit
    session = str(getattr(request, "session_hash", "") or "")
    if len(session) < SHORTEST:
        raise Refused("videos belong to a session: call this with gradio_client, which makes one")
    return f"program {session}"


def sent_file(path: str | None) -> Path:
    """A file that was sent: gradio has put it there; nothing else is taken, whatever a request names. Refused."""
    home, found = Path(os.environ["GRADIO_TEMP_DIR"]).resolve(), Path(str(path or "")).resolve()
    if not found.is_file() or not found.is_relative_to(home):
        raise Refused("a video is missing")
    return found


def handed_out(data: bytes, name: str) -> str:
    """A file below gradio's folder that has this, in a folder with a name of 256 random bits."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"]).resolve() / secrets.token_urlsafe(32)
    folder.mkdir(parents=True, mode=0o700)
    path = folder / clean_name(name)
    try:
        path.write_bytes(data)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return str(path)
