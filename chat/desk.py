"""The desk: the videos of everybody who has the page open, each with its owner, its analysis and its dialogue.

A video is received in pieces into a folder of its own, analysed, cut again at another threshold without looking at it
again, and asked about. Nobody reaches another's: every look-up names the visit (a secret of the browser) and the case.
Knows neither gradio nor HTTP. Next: chat/session.py
"""

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from chat.board import follow_ups, heat_pictures, page_data
from chat.case import LONGEST_NAME, Case, Limits, Refused, clean_name, reason, suffix_of
from chat.conversation import Turn
from chat.playable import Stopped, copy_playable, is_playable
from chat.region import Region, nothing_in, of_region, told_first, told_last
from chat.scenes import Scenes
from chat.session import Answer, Session
from chat.turns import Left, Turns
from tvad.api import open_session
from tvad.detector import Detector
from tvad.evidence import Analysis, write_atomic
from tvad.presets import get_preset
from tvad.progress import Progress
from tvad.remote import Remote
from tvad.scan import Scan
from tvad.settings import Settings
from tvad.video import VideoError, VideoReader, probe

MIB = 2**20
COPYING = "Making a copy that this browser can play"


class Desk:
    """All cases, in a folder that is emptied on closing. `turns`: who computes and who waits."""

    def __init__(
        self,
        root: Path,
        settings: Settings | None = None,
        explain: str | None = None,
        limits: Limits | None = None,
        feedback: Path | None = None,
    ) -> None:
        """feedback: a file that judgements of events are added to; None: they are refused."""
        self.root, self.settings, self.explain = root, settings or Settings(), explain
        self.limits, self.feedback = limits or Limits(), feedback
        self.remote: Remote | None = None  # the server that words the answers; set before the first video
        self._scenes = Scenes(root, self.settings)
        self.turns = Turns(waiting=self.limits.waiting)
        self._cases: dict[str, Case] = {}
        self._lock = threading.Lock()
        self._detectors: dict[Settings, Detector] = {}

    # Videos in and out

    def begin(self, visit: str, name: str, is_normal: bool = False) -> "Incoming":
        """A place for a new video, to be written in pieces. Refused for more ordinary footage than fits."""
        if is_normal and len(self.normals(visit)) >= self.limits.normals:
            raise Refused(f"there are {self.limits.normals} ordinary clips already, the most that are learnt from here")
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(parents=True, mode=0o700)
        return Incoming(self, visit, clean_name(name), folder, is_normal)

    def receive(self, visit: str, name: str, pieces: Iterable[bytes]) -> Case:
        """A new video from its bytes. Refused where it is too large, empty, too long or no video; nothing stays."""
        incoming = self.begin(visit, name)
        try:
            for piece in pieces:
                incoming.write(piece)
            return incoming.finish()
        except BaseException:
            incoming.drop()
            raise

    def adopt(self, case: Case) -> None:
        with self._lock:
            self._cases[case.id] = case
        self._make_room(case.visit)

    def case(self, visit: str, case_id: str) -> Case:
        """Refused for one that is not there, or not this visit's: the same words for both."""
        with self._lock:
            case = self._cases.get(case_id)
        if case is None or not visit or not secrets.compare_digest(case.visit.encode(), visit.encode()):
            raise Refused("this video is no longer here; please open it again")
        case.touched_s = time.monotonic()
        return case

    def cases(self, visit: str) -> list[Case]:
        """A visit's videos, oldest first."""
        with self._lock:
            return [c for c in self._cases.values() if c.visit == visit and not c.is_normal]

    def normals(self, visit: str) -> list[Case]:
        """A visit's clips of ordinary footage, oldest first."""
        with self._lock:
            return [c for c in self._cases.values() if c.visit == visit and c.is_normal]

    def forget(self, case: Case) -> None:
        with self._lock:
            self._cases.pop(case.id, None)
        shutil.rmtree(case.folder, ignore_errors=True)

    def close(self) -> None:
        with self._lock:
            cases = list(self._cases.values())
        for case in cases:
            self.forget(case)
        self._scenes.close()

    def _make_room(self, visit: str) -> None:
        now = time.monotonic()
        own = self.cases(visit)
        gone = own[: max(0, len(own) - self.limits.cases)]
        with self._lock:
            every = sorted(self._cases.values(), key=lambda c: c.touched_s)
        gone += [c for c in every if now - c.touched_s > self.limits.age_s]
        visits = list(dict.fromkeys(c.visit for c in reversed(every)))
        late = set(visits[self.limits.visits :])
        for case in {c.id: c for c in [*gone, *(c for c in every if c.visit in late)]}.values():
            if case.state != "working":  # its turn comes when the next video is opened
                self.forget(case)

    # What is done with a video

    def analyse(
        self,
        case: Case,
        settings: Settings,
        tell: Callable[[float, str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Look at the video; then it is ready. tell: share done in [0, 1], and words. Refused, Busy, Stopped."""
        case.state, case.note = "working", ""
        try:
            with self.turns.turn(stopped=stopped, on_wait=lambda place, length: tell(0.0, in_line(place, length))):
                case.state, case.note = "working", ""  # another look at it may have ended meanwhile
                if not case.shown:
                    tell(0.0, COPYING)
                    copy_playable(case.source, case.folder / "shown.mp4", stopped, lambda share: tell(share, COPYING))
                    case.shown = "shown.mp4"
                    case.version += 1
                tell(0.0, "Loading the networks")
                detector = self._detector(settings)
                reader = detector.reader(case.source)

                def progress(now: Progress) -> None:
                    if stopped():
                        raise Stopped("stopped")
                    share = now.done_s / now.total_s if now.total_s > 0 else 0.0
                    tell(min(share, 1.0), f"Looking: {now.done_s:.0f} of {now.total_s:.0f} s")

                scan = detector.scan(reader, progress)
                case.found = detector, reader, scan
                case.looked += 1
                self._conclude(case, detector, reader, scan, settings)
        except VideoError as error:
            case.state, case.note = "failed", f"{case.name} cannot be read: {reason(error, case.source)}"
            raise Refused(case.note) from None
        except (Stopped, Left):
            case.state, case.note = ("ready" if case.analysis else "received"), "Stopped."
            raise Stopped("stopped") from None
        except BaseException:
            case.state = "ready" if case.analysis else "received"
            raise

    def settings_of(self, visit: str, anomaly: Sequence[str] = (), normal: Sequence[str] = ()) -> Settings:
        """The page's settings, with a visit's own scene and words. No words: the usual ones."""
        return self._scenes.settings(visit, anomaly, normal)

    def learn(
        self,
        cases: Sequence[Case],
        stretch_s: tuple[float, float] | None,
        tell: Callable[[float, str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take videos, or a stretch of one, as what is normal before their camera, for all videos of the visit. Refused
        for what is too short, Busy, Stopped."""
        try:
            with self.turns.turn(stopped=stopped, on_wait=lambda place, length: tell(0.0, in_line(place, length))):
                self._scenes.learn(cases, stretch_s, tell, stopped)
        except Left:
            raise Stopped("stopped") from None
        self._drop_detectors()

    def unlearn(self, visit: str) -> None:
        """Back to the page's own scene, or none."""
        self._scenes.forget(visit)
        self._drop_detectors()

    def learnt(self, visit: str) -> str:
        """What a visit has taught the page, in words; "" for nothing."""
        return self._scenes.words(visit)

    def judge(self, case: Case, event_id: int, right: bool, label: str = "") -> None:
        """Add a person's word on an event to the feedback file, as a line that `tvad train temporal` reads: the stretch
        with the event's category or `label`, or as normal. Refused without such an event or a file."""
        if self.feedback is None or case.analysis is None:
            raise Refused("judgements are not kept here (--feedback FILE)")
        evidence = case.analysis.evidence
        event = next((e for e in evidence.events if e.id == event_id), None)
        if event is None:
            raise Refused(f"there is no event {event_id}")
        label = " ".join(label.split())[:LONGEST_NAME] or event.category
        line = {"video": f"{Path(case.name).stem}-{evidence.video.sha256[:12]}", "label": label if right else "normal"}
        about = {"right": right, "said": event.category, "score": event.score, "raised_by": list(event.raised_by)}
        about |= {"preset": evidence.preset, "code": evidence.versions.get("code", "")}
        span = {"start_s": event.start_s, "end_s": event.end_s, "fps": evidence.video.fps}
        with self._lock, self.feedback.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | span | about) + "\n")

    def recut(self, case: Case, per_hour: float) -> None:
        """Other events of the same analysis, for another rate of false alarms. Refused before there is one."""
        if case.found is None or case.analysis is None:
            raise Refused("this video has not been analysed yet")
        try:
            settings = replace(case.settings, false_alarms_per_hour=per_hour)
        except ValueError as error:
            raise Refused(str(error)) from None
        detector, reader, scan = case.found
        with case.lock:
            self._conclude(case, replace(detector, settings=settings), reader, scan, settings)

    def _conclude(self, case: Case, detector: Detector, reader: VideoReader, scan: Scan, settings: Settings) -> None:
        analysis = detector.conclude(reader, scan)
        # Where things lie on this machine is nobody's business.
        told = analysis.evidence.settings
        told = told | {name: Path(told[name]).name for name in ("scene", "sam") if told.get(name)}
        evidence = replace(analysis.evidence, video=replace(analysis.evidence.video, path=case.name), settings=told)
        case.analysis = Analysis(evidence, analysis.curves)
        case.session = self._open(case, case.analysis)
        case.session.conversation = case.talk()
        case.settings = settings
        self._write(case)
        case.state, case.version = "ready", case.version + 1

    def _write(self, case: Case) -> None:
        assert case.analysis is not None
        for number, data in enumerate(heat_pictures(case.analysis.curves.heat)):
            _put(case.folder / f"heat-{number}.png", data)

    def _detector(self, settings: Settings) -> Detector:
        # Few settings are in use at a time; each detector holds its words' embeddings and its scene.
        found = self._detectors.get(settings)
        if found is None:
            try:
                found = Detector.from_settings(settings)
            except ValueError as error:
                raise Refused(str(error)) from None
            if len(self._detectors) >= 8:
                self._detectors.pop(next(iter(self._detectors)))
            self._detectors[settings] = found
        return found

    def _drop_detectors(self) -> None:
        """Forget those of scenes that are no more."""
        self._detectors = {s: d for s, d in self._detectors.items() if s.scene is None or Path(s.scene).is_file()}

    def board(self, case: Case) -> dict[str, object]:
        """What the page shows of it."""
        data: dict[str, object] = {"id": case.id, "state": case.state, "note": case.note, "version": case.version}
        data |= {"name": case.name, "shown": case.shown, "looked": case.looked}
        with case.lock:
            if case.analysis is not None:
                data |= page_data(case.analysis, case.name)
        return data

    # The dialogue

    def ask(
        self,
        case: Case,
        question: str,
        region: Region | None = None,
        stopped: Callable[[], bool] = lambda: False,
        on_wait: Callable[[int, int], object] | None = None,
    ) -> Generator[str, None, None]:
        """The answer in pieces; about a place in the picture alone where one is given. Refused before the analysis.
        What was stopped half-way does not count as said. on_wait: told place and length of the line."""
        asked, analysis, lead = self._session(case), case.analysis, ""
        assert analysis is not None
        with self.turns.turn(stopped=stopped, on_wait=on_wait):
            if region is not None:
                place = of_region(analysis, region)
                asked = self._open(case, place)
                asked.noted = bool(case.said)
                lead = told_first(analysis, region)
                yield lead
            asked.conversation = case.talk(region)
            if region is not None and (empty := nothing_in(place)):
                yield empty
                turn, answer = Turn(question, empty), Answer(empty)
            else:
                yield from asked.ask(question)
                turn, answer = asked.conversation.turns[-1], asked.last
                if region is not None and (note := told_last(answer.text)):
                    yield note
                    answer = replace(answer, text=answer.text + note)
        where = f" ({region.words()})" if region else ""
        case.turns.append((region, turn))
        case.said.append((question + where, replace(answer, text=lead + answer.text)))
        self._session(case).conversation = case.talk()  # another one, where events were cut again meanwhile

    def ways(self) -> list[str]:
        """Who can answer here, the usual one first: the ways whose weights are installed, or that a server words."""
        preset = get_preset(self.settings.preset)
        usual = self.explain or (preset.explain if self.remote is None else "text")
        found = [
            way
            for way, needed in preset.explain_weights.items()
            if (way == "text" and self.remote is not None) or all(w.find() for w in needed)
        ]
        return sorted(found, key=lambda way: way != usual)

    def answer_by(self, case: Case, way: str) -> None:
        """Who answers from now on; what was said stays. Refused for a way that is not there."""
        if way not in self.ways():
            raise Refused(f"nobody answers by {way[:20]!r} here; there are {', '.join(self.ways())}")
        case.explain = way
        with case.lock:
            if case.analysis is not None and case.session is not None:
                case.session = self._open(case, case.analysis)
                case.session.conversation = case.talk()

    def take_back(self, case: Case, kept: int) -> None:
        """Forget the questions after the first `kept`."""
        session = self._session(case)
        del case.said[kept:], case.turns[kept:]
        session.conversation = case.talk()

    def suggestions(self, case: Case) -> list[str]:
        return follow_ups(case.analysis.evidence, case.asked) if case.analysis else []

    def _open(self, case: Case, analysis: Analysis) -> Session:
        return open_session(analysis, case.explain or self.explain, self.remote, case.source)

    def _session(self, case: Case) -> Session:
        if case.session is None:
            raise Refused("this video has not been analysed to its end; open it again, then ask")
        return case.session


class Incoming:
    """A video that is being received."""

    def __init__(self, desk: Desk, visit: str, name: str, folder: Path, is_normal: bool) -> None:
        self._desk, self._visit, self.name, self._folder, self._is_normal = desk, visit, name, folder, is_normal
        self._source = folder / f"video{suffix_of(name)}"
        self._left = int(desk.limits.upload_mb * MIB)
        self._file = self._source.open("wb")

    def write(self, piece: bytes) -> None:
        """Refused where it becomes too large."""
        self._left -= len(piece)
        if self._left < 0:
            raise Refused(f"{self.name} is larger than {self._desk.limits.upload_mb:g} MB, the most that is taken here")
        self._file.write(piece)

    def finish(self) -> Case:
        """The case, on the desk. Refused for what is empty, no video, or too long."""
        self._file.close()
        if not self._source.stat().st_size:
            raise Refused(f"{self.name} is empty")
        try:
            info = probe(self._source)
        except VideoError as error:
            raise Refused(f"{self.name} cannot be read as a video: {reason(error, self._source)}") from None
        most = self._desk.limits.minutes
        if info.duration_s > most * 60:
            raise Refused(f"{self.name} is {info.duration_s / 60:.1f} minutes long; at most {most:g} are taken here")
        case = Case(self._folder.name, self._visit, self.name, self._folder, self._source, self._is_normal)
        case.settings, case.touched_s = self._desk.settings, time.monotonic()
        if is_playable(self._source):
            case.shown = self._source.name
        self._desk.adopt(case)
        return case

    def drop(self) -> None:
        """Nothing of it stays."""
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _put(path: Path, data: bytes) -> None:
    write_atomic(path, lambda file: file.write(data))


def in_line(place: int, length: int) -> str:
    return f"Waiting: {place} of {length} in line"
